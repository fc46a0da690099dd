//! The weight's gradient by channels: a vector holds coarse channels of one pixel, and each fine
//! pixel is multiplied with `V` of them at once. For channels enough to fill a vector.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::simd::{Real, vectors, vectors_mut};
use super::gradient::{BLOCK_BYTES, Planes, for_each_part};
use super::{Geometry, Machine};

pub struct ByChannels<'a, T> {
    g: &'a Geometry,
    /// `[blocks][batch][height][width][block]`, zero where there are no more channels.
    coarse: Vec<T>,
    /// Channels of a block: `vectors` full ones.
    block: usize,
    vectors: usize,
    /// Taps of a tile.
    tile: usize,
    planes: Planes<'a, T>,
}

/// Taps of a tile, by vectors of a block: as many as leave registers for the operands.
const fn tile(wide: bool, vectors: usize) -> usize {
    match (wide, vectors) {
        (true, 3) => 8,
        (true, 2) => 12,
        (true, _) => 20,
        (false, 3) => 4,
        (false, 2) => 6,
        (false, _) => 12,
    }
}

impl<'a, T: Real> ByChannels<'a, T> {
    pub fn new(g: &'a Geometry, machine: Machine, coarse: &'a [T], fine: &'a [T]) -> Self {
        let needed = g.coarse_channels.div_ceil(machine.lanes);
        // The fewest vectors in all; where equal, the more in a block.
        let vectors = [3, 2, 1]
            .into_iter()
            .min_by_key(|&size| needed.next_multiple_of(size))
            .unwrap_or(1);
        let block = vectors * machine.lanes;
        let width = g.coarse()[1];
        let tile = tile(machine.wide, vectors);
        Self {
            g,
            coarse: channels_last(g, coarse, block),
            block,
            vectors,
            tile,
            planes: Planes::new(g, fine, width, tile),
        }
    }

    pub fn sum(&self, arch: Arch) -> Vec<T> {
        let (coarse, fine) = (self.g.coarse_channels, self.g.fine_channels);
        let taps = self.g.kernel * self.g.kernel;
        let tiled_taps = self.planes.offsets.len();
        let tiled_coarse = coarse.next_multiple_of(self.block);
        let mut by_fine = vec![T::ZERO; fine * tiled_taps * tiled_coarse];
        for_each_part(
            &mut by_fine,
            tiled_taps,
            tiled_coarse,
            self.tile,
            |fine_channel, first, sums| {
                arch.dispatch(Part {
                    all: self,
                    fine_channel,
                    first,
                    sums,
                });
            },
        );
        let mut by_coarse = vec![T::ZERO; fine * coarse * taps];
        for (c, part) in by_coarse.chunks_exact_mut(fine * taps).enumerate() {
            let shares = by_fine.chunks_exact(tiled_taps * tiled_coarse);
            for (to, share) in part.chunks_exact_mut(taps).zip(shares) {
                for (to, channels) in to.iter_mut().zip(share.chunks_exact(tiled_coarse)) {
                    *to = channels[c];
                }
            }
        }
        by_coarse
    }
}

/// `[batch][channels][height][width]` as `[blocks][batch][height][width][block]`.
fn channels_last<T: Real>(g: &Geometry, coarse: &[T], block: usize) -> Vec<T> {
    let [height, width] = g.coarse();
    let plane = height * width;
    let channels = g.coarse_channels;
    let mut pixels = vec![T::ZERO; channels.div_ceil(block) * g.batch * plane * block];
    pixels
        .par_chunks_mut(width * block)
        .enumerate()
        .for_each(|(i, line)| {
            let (b, n, row) = (i / (g.batch * height), i / height % g.batch, i % height);
            for (lane, channel) in (b * block..channels).take(block).enumerate() {
                let from = (n * channels + channel) * plane + row * width;
                let from = &coarse[from..from + width];
                for (pixel, &value) in line.chunks_exact_mut(block).zip(from) {
                    pixel[lane] = value;
                }
            }
        });
    pixels
}

/// The gradients for one fine channel and the taps from `first`.
struct Part<'a, T> {
    all: &'a ByChannels<'a, T>,
    fine_channel: usize,
    first: usize,
    /// `[taps][tiled coarse channels]`.
    sums: &'a mut [T],
}

impl<T: Real> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            match self.all.vectors {
                3 => self.run::<S, { tile(true, 3) }, 3>(simd),
                2 => self.run::<S, { tile(true, 2) }, 2>(simd),
                _ => self.run::<S, { tile(true, 1) }, 1>(simd),
            }
        } else {
            match self.all.vectors {
                3 => self.run::<S, { tile(false, 3) }, 3>(simd),
                2 => self.run::<S, { tile(false, 2) }, 2>(simd),
                _ => self.run::<S, { tile(false, 1) }, 1>(simd),
            }
        }
    }
}

impl<T: Real> Part<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const M: usize, const V: usize>(self, simd: S) {
        let ByChannels {
            g,
            coarse,
            block,
            planes,
            ..
        } = self.all;
        let [height, width] = g.coarse();
        let line = width * block;
        let tiled_coarse = g.coarse_channels.next_multiple_of(*block);
        let taps = self.sums.len() / tiled_coarse;
        let offsets = &planes.offsets[self.first..self.first + taps];
        let mut slab = vec![T::ZERO; planes.slab.len()];
        let rows_a_block = (BLOCK_BYTES / ((line + planes.row()) * size_of::<T>())).max(1);
        for n in 0..g.batch {
            planes.fill(&mut slab, n, self.fine_channel);
            for top in (0..height).step_by(rows_a_block) {
                let rows = rows_a_block.min(height - top);
                for b in 0..tiled_coarse / block {
                    let at = ((b * g.batch + n) * height + top) * line;
                    let lines = &coarse[at..at + rows * line];
                    let tiles = self.sums.chunks_exact_mut(M * tiled_coarse);
                    for (sums, offsets) in tiles.zip(offsets.chunks_exact(M)) {
                        let mut tile = [[T::splat(simd, T::ZERO); V]; M];
                        for m in 0..M {
                            let sums = &sums[m * tiled_coarse + b * block..][..*block];
                            for (value, sum) in tile[m].iter_mut().zip(vectors::<T, S>(sums)) {
                                *value = *sum;
                            }
                        }
                        for (row, line) in lines.chunks_exact(line).enumerate() {
                            let base = (top + row) * planes.row();
                            let mut fine = [&slab[..0]; M];
                            for m in 0..M {
                                fine[m] = &slab[base + offsets[m]..][..width];
                            }
                            tile = multiply::<T, S, M, V>(simd, tile, &fine, line);
                        }
                        for m in 0..M {
                            let sums = &mut sums[m * tiled_coarse + b * block..][..*block];
                            for (sum, value) in vectors_mut::<T, S>(sums).iter_mut().zip(tile[m]) {
                                *sum = value;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The tile with the products of `M` lines of fine pixels with one of coarse pixels, each of `V`
/// vectors, added.
#[inline(always)]
fn multiply<T: Real, S: Simd, const M: usize, const V: usize>(
    simd: S,
    mut tile: [[T::Vector<S>; V]; M],
    fine: &[&[T]; M],
    coarse: &[T],
) -> [[T::Vector<S>; V]; M] {
    let (pixels, _) = vectors::<T, S>(coarse).as_chunks::<V>();
    // One length for all lets the compiler drop the checks inside.
    let len = pixels.len();
    let mut lines = [fine[0]; M];
    for m in 0..M {
        lines[m] = &fine[m][..len];
    }
    for i in 0..len {
        for m in 0..M {
            let fine = T::splat(simd, lines[m][i]);
            for v in 0..V {
                tile[m][v] = T::mul_add(simd, fine, pixels[i][v], tile[m][v]);
            }
        }
    }
    tile
}
