//! The convolution from the fine grid to the coarse one, and its transpose.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::simd::{Real, floats, load};
use super::slab::Slab;
use super::{Geometry, Machine, TASKS_PER_THREAD};

/// Bytes of a slab: half of a common second-level cache, the other half holds the weights.
const SLAB_BYTES: usize = 1 << 20;

/// One phase of the output: which taps reach it, and their weights.
struct Pass<T> {
    /// `[channel tiles][taps][channels of a tile]`, zero where there are no more channels.
    weights: Vec<T>,
    /// Of each tap in the slab.
    offsets: Vec<usize>,
    /// Row and column of the first output.
    phase: [usize; 2],
}

/// A linear map from input planes to output planes, over the coarse grid.
struct Map<'a, T> {
    slab: Slab,
    passes: &'a [Pass<T>],
    tile: usize,
    /// Width of the coarse grid.
    width: usize,
    output: [usize; 2],
    /// Output columns and rows between those of one phase.
    out_step: usize,
}

/// The rows of all output planes of one image that belong to a block of coarse rows.
struct Task<'a, T> {
    image: &'a [T],
    top: usize,
    rows: usize,
    planes: Vec<&'a mut [T]>,
}

struct RunTask<'a, 'b, T> {
    map: &'a Map<'a, T>,
    task: &'a mut Task<'b, T>,
    scratch: &'a mut Vec<T>,
}

impl<T: Real> WithSimd for RunTask<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { map, task, scratch } = self;
        scratch.resize(map.slab.len(), T::ZERO);
        map.slab.fill(scratch, task.image, task.top * map.slab.step);
        for pass in map.passes {
            if S::REGISTER_COUNT >= 32 {
                match map.tile {
                    12 => run_pass::<T, S, 12, 2>(simd, map, pass, scratch, task),
                    8 => run_pass::<T, S, 8, 3>(simd, map, pass, scratch, task),
                    4 => run_pass::<T, S, 4, 6>(simd, map, pass, scratch, task),
                    _ => run_pass::<T, S, 1, 8>(simd, map, pass, scratch, task),
                }
            } else {
                match map.tile {
                    6 => run_pass::<T, S, 6, 2>(simd, map, pass, scratch, task),
                    4 => run_pass::<T, S, 4, 3>(simd, map, pass, scratch, task),
                    _ => run_pass::<T, S, 1, 8>(simd, map, pass, scratch, task),
                }
            }
        }
    }
}

/// All outputs of one pass: `M` channels by `V` vectors at a time.
#[inline(always)]
fn run_pass<T: Real, S: Simd, const M: usize, const V: usize>(
    simd: S,
    map: &Map<T>,
    pass: &Pass<T>,
    slab: &[T],
    task: &mut Task<T>,
) {
    let lanes = T::lanes::<S>();
    let vectors_a_row = map.width.div_ceil(lanes);
    let vectors = task.rows * vectors_a_row;
    let place = |vector: usize| (vector / vectors_a_row, vector % vectors_a_row * lanes);
    let tiles = pass.weights.chunks_exact(M * pass.offsets.len());
    for (weights, planes) in tiles.zip(task.planes.chunks_mut(M)) {
        for first in (0..vectors).step_by(V) {
            let mut bases = [0; V];
            for (v, base) in bases.iter_mut().enumerate() {
                let (row, column) = place((first + v).min(vectors - 1));
                *base = row * map.slab.step * map.slab.pitch() + column;
            }
            let tile = product::<T, S, M, V>(simd, weights, &pass.offsets, slab, &bases);
            for (plane, sums) in planes.iter_mut().zip(&tile) {
                for (v, sum) in sums.iter().enumerate().take(vectors - first) {
                    let (row, column) = place(first + v);
                    store(map, pass.phase, plane, row, column, floats::<T, S>(sum));
                }
            }
        }
    }
}

/// The tile `M` x `V` of sums over all taps.
#[inline(always)]
fn product<T: Real, S: Simd, const M: usize, const V: usize>(
    simd: S,
    weights: &[T],
    offsets: &[usize],
    slab: &[T],
    bases: &[usize; V],
) -> [[T::Vector<S>; V]; M] {
    let zero = T::splat(simd, T::ZERO);
    let mut sums = [[zero; V]; M];
    for (weights, &offset) in weights.chunks_exact(M).zip(offsets) {
        let mut inputs = [zero; V];
        for v in 0..V {
            inputs[v] = load::<T, S>(slab, bases[v] + offset);
        }
        for m in 0..M {
            let weight = T::splat(simd, weights[m]);
            for v in 0..V {
                sums[m][v] = T::mul_add(simd, weight, inputs[v], sums[m][v]);
            }
        }
    }
    sums
}

/// Puts sums of a phase into their output plane's rows, as far as it reaches.
#[inline(always)]
fn store<T: Real>(
    map: &Map<T>,
    phase: [usize; 2],
    plane: &mut [T],
    row: usize,
    column: usize,
    sums: &[T],
) {
    let width = map.output[1];
    let y = row * map.out_step + phase[0];
    let x = column * map.out_step + phase[1];
    let Some(line) = plane.get_mut(y * width..(y + 1) * width) else {
        return;
    };
    let Some(line) = line.get_mut(x..) else {
        return;
    };
    if map.out_step == 1 {
        let count = line.len().min(sums.len());
        line[..count].copy_from_slice(&sums[..count]);
    } else {
        for (to, &from) in line.iter_mut().step_by(map.out_step).zip(sums) {
            *to = from;
        }
    }
}

/// Applies the map to every image, in blocks of at most `block` coarse rows.
fn apply<T: Real>(
    arch: Arch,
    map: &Map<T>,
    batch: usize,
    output_channels: usize,
    block: usize,
    input: &[T],
) -> Vec<T> {
    let [height, width] = map.output;
    let mut output = vec![T::ZERO; batch * output_channels * height * width];
    let input_len = map.slab.channels * map.slab.size[0] * map.slab.size[1];
    let out_rows = block * map.out_step;
    let mut tasks = Vec::new();
    for (image, out) in input
        .chunks_exact(input_len)
        .zip(output.chunks_exact_mut(output_channels * height * width))
    {
        let first = tasks.len();
        for (b, y) in (0..height).step_by(out_rows).enumerate() {
            tasks.push(Task {
                image,
                top: b * block,
                rows: out_rows.min(height - y).div_ceil(map.out_step),
                planes: Vec::with_capacity(output_channels),
            });
        }
        for plane in out.chunks_exact_mut(height * width) {
            for (task, rows) in tasks[first..]
                .iter_mut()
                .zip(plane.chunks_mut(out_rows * width))
            {
                task.planes.push(rows);
            }
        }
    }
    tasks
        .par_iter_mut()
        .for_each_init(Vec::new, |scratch, task| {
            arch.dispatch(RunTask { map, task, scratch })
        });
    output
}

/// Coarse rows of a task: a slab within its bytes, and enough tasks for all threads.
fn block_rows<T>(batch: usize, height: usize, bytes_a_row: usize, extra_rows: usize) -> usize {
    let fitting = (SLAB_BYTES / (bytes_a_row * size_of::<T>())).saturating_sub(extra_rows);
    let blocks_an_image = (TASKS_PER_THREAD * rayon::current_num_threads()).div_ceil(batch);
    let sharing = height.div_ceil(blocks_an_image);
    // Below this the rows shared by neighbouring slabs would be most of the copying.
    let least = 8;
    fitting.min(sharing).max(least).min(height)
}

/// See [`super::gather`].
pub fn gather<T: Real>(arch: Arch, g: &Geometry, fine: &[T], weight: &[T]) -> Vec<T> {
    let machine = Machine::of::<T>(arch);
    let [height, width] = g.coarse();
    let phase_pitch = width.next_multiple_of(machine.lanes) + (g.kernel - 1) / g.stride;
    let row = g.fine_channels * g.stride * phase_pitch;
    let block = block_rows::<T>(g.batch, height, g.stride * row, g.kernel / g.stride);
    let slab = Slab {
        channels: g.fine_channels,
        size: g.fine,
        lead: g.kernel / 2,
        step: g.stride,
        rows: (block - 1) * g.stride + g.kernel,
        phase_pitch: phase_pitch.max((g.fine[1] + g.kernel / 2).div_ceil(g.stride)),
    };
    let mut taps = Vec::new();
    let mut offsets = Vec::new();
    for fine in 0..g.fine_channels {
        for ky in 0..g.kernel {
            for kx in 0..g.kernel {
                taps.push(g.weight_at(0, fine, ky, kx));
                offsets.push(slab.offset(fine, ky, kx));
            }
        }
    }
    let tile = tile_channels(machine, g.coarse_channels);
    let between = g.weight_at(1, 0, 0, 0);
    let passes = [Pass {
        weights: packed(weight, &taps, g.coarse_channels, between, tile),
        offsets,
        phase: [0, 0],
    }];
    let map = Map {
        slab,
        passes: &passes,
        tile,
        width,
        output: [height, width],
        out_step: 1,
    };
    apply(arch, &map, g.batch, g.coarse_channels, block, fine)
}

/// See [`super::scatter`].
pub fn scatter<T: Real>(arch: Arch, g: &Geometry, coarse: &[T], weight: &[T]) -> Vec<T> {
    let machine = Machine::of::<T>(arch);
    let [height, width] = g.coarse();
    let (pad, s) = (g.kernel / 2, g.stride);
    // Fine row s·i + phase meets the coarse rows from i - pad / s to i + ⌈pad / s⌉.
    let lead = pad / s;
    let reach = lead + pad.div_ceil(s);
    let phase_pitch = width.next_multiple_of(machine.lanes) + reach;
    let block = block_rows::<T>(g.batch, height, g.coarse_channels * phase_pitch, reach);
    let slab = Slab {
        channels: g.coarse_channels,
        size: [height, width],
        lead,
        step: 1,
        rows: block + reach,
        phase_pitch,
    };
    let tile = tile_channels(machine, g.fine_channels);
    let between = g.weight_at(0, 1, 0, 0);
    // Of the kernel positions that reach this phase, with the coarse step each reads at.
    let reaching = |phase: usize| {
        (0..g.kernel)
            .filter(move |k| (phase + pad + s - k % s).is_multiple_of(s))
            .map(move |k| (k, (phase + pad + lead * s - k) / s))
    };
    let mut passes = Vec::new();
    for py in 0..s {
        for px in 0..s {
            let mut taps = Vec::new();
            let mut offsets = Vec::new();
            for coarse in 0..g.coarse_channels {
                for (ky, dy) in reaching(py) {
                    for (kx, dx) in reaching(px) {
                        taps.push(g.weight_at(coarse, 0, ky, kx));
                        offsets.push(slab.offset(coarse, dy, dx));
                    }
                }
            }
            if taps.is_empty() {
                // A kernel of 1 leaves three phases of four at zero.
                continue;
            }
            passes.push(Pass {
                weights: packed(weight, &taps, g.fine_channels, between, tile),
                offsets,
                phase: [py, px],
            });
        }
    }
    let map = Map {
        slab,
        passes: &passes,
        tile,
        width,
        output: g.fine,
        out_step: s,
    };
    apply(arch, &map, g.batch, g.fine_channels, block, coarse)
}

/// Output channels of a tile: the size that leaves the least of its registers idle.
fn tile_channels(machine: Machine, channels: usize) -> usize {
    let sizes: &[usize] = if machine.wide {
        &[12, 8, 4, 1]
    } else {
        &[6, 4, 1]
    };
    let cost = |size: usize| channels.div_ceil(size) * (size + 1);
    sizes.iter().copied().min_by_key(|&s| cost(s)).unwrap_or(1)
}

/// Weights in the order a pass reads them: `taps` gives their places for output channel 0, and
/// those of the next channel are `between` further.
fn packed<T: Real>(
    weight: &[T],
    taps: &[usize],
    channels: usize,
    between: usize,
    tile: usize,
) -> Vec<T> {
    let mut packed = vec![T::ZERO; channels.div_ceil(tile) * tile * taps.len()];
    for (t, part) in packed.chunks_exact_mut(tile * taps.len()).enumerate() {
        for (group, &tap) in part.chunks_exact_mut(tile).zip(taps) {
            for (to, channel) in group.iter_mut().zip(t * tile..channels) {
                *to = weight[tap + channel * between];
            }
        }
    }
    packed
}
