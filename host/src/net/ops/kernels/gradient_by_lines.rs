//! The weight's gradient by lines of pixels: a vector holds neighbouring pixels of one channel, and
//! its lanes are added up at the end. For few channels.

use std::borrow::Cow;

use pulp::{Arch, Simd, WithSimd};

use super::super::simd::{Real, floats, vectors};
use super::gradient::{BLOCK_BYTES, Planes, for_each_part};
use super::{Geometry, Machine};

pub struct ByLines<'a, T: Real> {
    g: &'a Geometry,
    /// Rows of `width`, a multiple of the lanes, zero beyond the grid.
    coarse: Cow<'a, [T]>,
    width: usize,
    planes: Planes<'a, T>,
    /// Taps of a tile.
    tile: usize,
}

impl<'a, T: Real> ByLines<'a, T> {
    pub fn new(g: &'a Geometry, machine: Machine, coarse: &'a [T], fine: &'a [T]) -> Self {
        let taps = g.kernel * g.kernel;
        let cost = |size: usize| taps.div_ceil(size) * (size + 1);
        let tile = [6, 5, 1].into_iter().min_by_key(|&s| cost(s)).unwrap_or(1);
        let width = g.coarse()[1];
        let padded = width.next_multiple_of(machine.lanes);
        Self {
            g,
            coarse: padded_rows(coarse, width, padded),
            width: padded,
            planes: Planes::new(g, fine, padded, tile),
            tile,
        }
    }

    pub fn sum(&self, arch: Arch) -> Vec<T> {
        let (coarse, fine) = (self.g.coarse_channels, self.g.fine_channels);
        let taps = self.g.kernel * self.g.kernel;
        let mut by_fine = vec![T::ZERO; fine * coarse * taps];
        for_each_part(
            &mut by_fine,
            coarse,
            taps,
            4,
            |fine_channel, first, sums| {
                arch.dispatch(Part {
                    all: self,
                    fine_channel,
                    first,
                    sums,
                });
            },
        );
        let mut by_coarse = vec![T::ZERO; by_fine.len()];
        for (c, part) in by_coarse.chunks_exact_mut(fine * taps).enumerate() {
            for (f, to) in part.chunks_exact_mut(taps).enumerate() {
                let from = (f * coarse + c) * taps;
                to.copy_from_slice(&by_fine[from..from + taps]);
            }
        }
        by_coarse
    }
}

/// Rows of `width` with zeros behind, up to `padded`.
fn padded_rows<T: Real>(values: &[T], width: usize, padded: usize) -> Cow<'_, [T]> {
    if width == padded {
        return Cow::Borrowed(values);
    }
    let mut rows = vec![T::ZERO; values.len() / width * padded];
    for (to, from) in rows
        .chunks_exact_mut(padded)
        .zip(values.chunks_exact(width))
    {
        to[..width].copy_from_slice(from);
    }
    Cow::Owned(rows)
}

/// The gradients for one fine channel and the coarse ones from `first`.
struct Part<'a, T: Real> {
    all: &'a ByLines<'a, T>,
    fine_channel: usize,
    first: usize,
    /// `[coarse channels][taps]`.
    sums: &'a mut [T],
}

impl<T: Real> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::REGISTER_COUNT >= 32, self.all.tile) {
            (true, 6) => self.run::<S, 4, 6>(simd),
            (true, 5) => self.run::<S, 4, 5>(simd),
            (true, _) => self.run::<S, 4, 1>(simd),
            (false, 6) => self.run::<S, 2, 6>(simd),
            (false, 5) => self.run::<S, 2, 5>(simd),
            (false, _) => self.run::<S, 2, 1>(simd),
        }
    }
}

impl<T: Real> Part<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const M: usize, const V: usize>(self, simd: S) {
        let ByLines {
            g, planes, width, ..
        } = self.all;
        let width = *width;
        let taps = g.kernel * g.kernel;
        let tiled_taps = planes.offsets.len();
        let channels = self.sums.len() / taps;
        let height = g.coarse()[0];
        let zero = T::splat(simd, T::ZERO);
        // Vectors of partial sums, [channel][tap].
        let mut partial = vec![zero; channels.next_multiple_of(M) * tiled_taps];
        let mut slab = vec![T::ZERO; planes.slab.len()];
        let bytes_a_row = (M * width + planes.row()) * size_of::<T>();
        let block = (BLOCK_BYTES / bytes_a_row).max(4);
        for n in 0..g.batch {
            planes.fill(&mut slab, n, self.fine_channel);
            for top in (0..height).step_by(block) {
                let rows = block.min(height - top);
                let slab = &slab[top * planes.row()..];
                for first in (0..channels).step_by(M) {
                    let mut lines = [&self.all.coarse[..0]; M];
                    for (m, lines) in lines.iter_mut().enumerate() {
                        // A tile beyond the last channel repeats it; its sums are not read.
                        let channel = self.first + (first + m).min(channels - 1);
                        let at = ((n * g.coarse_channels + channel) * height + top) * width;
                        *lines = &self.all.coarse[at..at + rows * width];
                    }
                    let partial = &mut partial[first * tiled_taps..];
                    for (t, offsets) in planes.offsets.chunks_exact(V).enumerate() {
                        let mut tile = [[zero; V]; M];
                        for m in 0..M {
                            for v in 0..V {
                                tile[m][v] = partial[m * tiled_taps + t * V + v];
                            }
                        }
                        for row in 0..rows {
                            let mut left = [vectors::<T, S>(&[]); M];
                            for m in 0..M {
                                left[m] = vectors::<T, S>(&lines[m][row * width..][..width]);
                            }
                            let mut right = [vectors::<T, S>(&[]); V];
                            for v in 0..V {
                                let at = row * planes.row() + offsets[v];
                                right[v] = vectors::<T, S>(&slab[at..][..width]);
                            }
                            tile = multiply::<T, S, M, V>(simd, tile, &left, &right);
                        }
                        for m in 0..M {
                            for v in 0..V {
                                partial[m * tiled_taps + t * V + v] = tile[m][v];
                            }
                        }
                    }
                }
            }
        }
        let channels = self.sums.chunks_exact_mut(taps);
        for (sums, partial) in channels.zip(partial.chunks_exact(tiled_taps)) {
            for (sum, vector) in sums.iter_mut().zip(partial) {
                for &part in floats::<T, S>(vector) {
                    *sum += part;
                }
            }
        }
    }
}

/// The tile with the products of `M` lines with `V` others, all of the same length, added.
#[inline(always)]
fn multiply<T: Real, S: Simd, const M: usize, const V: usize>(
    simd: S,
    mut tile: [[T::Vector<S>; V]; M],
    left: &[&[T::Vector<S>]; M],
    right: &[&[T::Vector<S>]; V],
) -> [[T::Vector<S>; V]; M] {
    // One length for all lets the compiler drop the checks inside.
    let len = left[0].len();
    let mut a = [left[0]; M];
    for m in 0..M {
        a[m] = &left[m][..len];
    }
    let mut b = [left[0]; V];
    for v in 0..V {
        b[v] = &right[v][..len];
    }
    for i in 0..len {
        for v in 0..V {
            for m in 0..M {
                tile[m][v] = T::mul_add(simd, a[m][i], b[v][i], tile[m][v]);
            }
        }
    }
    tile
}
