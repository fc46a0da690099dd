//! Direct convolution on slices, for any processor: no unfolded matrix.
//!
//! A slab of input rows that fits the second-level cache is copied with its zero padding; for
//! stride 2 its even and odd columns are separated. Then every tap of the kernel reads a whole
//! vector of neighbouring outputs' inputs at one offset from the vector's base, and a tile of
//! output channels by vectors accumulates in registers over all input channels and taps: a matrix
//! product whose right side is read in place. A scattering (transposed) convolution of stride s
//! is s² such products, one for each phase of the fine grid.
//!
//! Every output is summed in one fixed order, so results do not depend on the number of threads.

use std::borrow::Cow;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::simd::{Real, floats, load, vectors};

/// Bytes of a slab: half of a common second-level cache, the other half holds the weights.
const SLAB_BYTES: usize = 1 << 20;
/// Bytes that one block of the weight gradient reads again and again: within the first level.
const GRADIENT_BLOCK_BYTES: usize = 32 << 10;
/// Enough tasks that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// The fine and the coarse grid of a convolution, see [`super::conv`].
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub batch: usize,
    pub coarse_channels: usize,
    pub fine_channels: usize,
    /// Height and width of the fine grid.
    pub fine: [usize; 2],
    pub kernel: usize,
    pub stride: usize,
}

impl Geometry {
    /// Height and width of the coarse grid.
    pub fn coarse(&self) -> [usize; 2] {
        self.fine.map(|side| side.div_ceil(self.stride))
    }

    fn weight_at(&self, coarse: usize, fine: usize, ky: usize, kx: usize) -> usize {
        ((coarse * self.fine_channels + fine) * self.kernel + ky) * self.kernel + kx
    }
}

/// What the processor offers.
#[derive(Clone, Copy)]
struct Machine {
    lanes: usize,
    /// 32 vector registers, not 16.
    wide: bool,
}

impl Machine {
    fn of<T: Real>(arch: Arch) -> Self {
        struct Probe<T>(std::marker::PhantomData<T>);
        impl<T: Real> WithSimd for Probe<T> {
            type Output = Machine;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Machine {
                Machine {
                    lanes: T::lanes::<S>(),
                    wide: S::REGISTER_COUNT >= 32,
                }
            }
        }
        arch.dispatch(Probe::<T>(std::marker::PhantomData))
    }

    /// Output channels of a tile: the size that leaves the least of its registers idle.
    fn tile_channels(self, channels: usize) -> usize {
        let sizes: &[usize] = if self.wide {
            &[12, 8, 4, 1]
        } else {
            &[6, 4, 1]
        };
        let cost = |size: usize| channels.div_ceil(size) * (size + 1);
        sizes.iter().copied().min_by_key(|&s| cost(s)).unwrap_or(1)
    }
}

/// A copy of some input rows with their padding: `[channels][rows][step][phase_pitch]`, where
/// column `c` of the padded row is in phase `c % step` at `c / step`.
#[derive(Clone, Copy)]
struct Slab {
    channels: usize,
    /// The input's height and width.
    size: [usize; 2],
    /// Zeros above and to the left.
    lead: usize,
    step: usize,
    rows: usize,
    phase_pitch: usize,
}

impl Slab {
    fn pitch(&self) -> usize {
        self.step * self.phase_pitch
    }

    fn len(&self) -> usize {
        self.channels * self.rows * self.pitch()
    }

    /// Where a tap at padded position (`y`, `x`) of `channel` lies.
    fn offset(&self, channel: usize, y: usize, x: usize) -> usize {
        (channel * self.rows + y) * self.pitch()
            + (x % self.step) * self.phase_pitch
            + x / self.step
    }

    /// Copies the rows from padded row `top` of one image, whose planes are `image`.
    #[inline(always)]
    fn fill<T: Real>(&self, slab: &mut [T], image: &[T], top: usize) {
        let [height, width] = self.size;
        for (channel, plane) in slab.chunks_exact_mut(self.rows * self.pitch()).enumerate() {
            for (r, row) in plane.chunks_exact_mut(self.pitch()).enumerate() {
                match (top + r).checked_sub(self.lead) {
                    Some(y) if y < height => {
                        let from = (channel * height + y) * width;
                        self.fill_row(row, &image[from..from + width]);
                    }
                    _ => row.fill(T::ZERO),
                }
            }
        }
    }

    #[inline(always)]
    fn fill_row<T: Real>(&self, row: &mut [T], source: &[T]) {
        for (phase, row) in row.chunks_exact_mut(self.phase_pitch).enumerate() {
            // The first column of this phase that is not padding, and its place in the phase.
            let skip = self.lead.saturating_sub(phase).div_ceil(self.step);
            let first = skip * self.step + phase - self.lead;
            let columns = source.len().saturating_sub(first).div_ceil(self.step);
            let (head, rest) = row.split_at_mut(skip);
            let (body, tail) = rest.split_at_mut(columns);
            head.fill(T::ZERO);
            tail.fill(T::ZERO);
            if columns == 0 {
                continue;
            }
            match self.step {
                1 => body.copy_from_slice(&source[first..]),
                _ => {
                    let pairs = source[first..].chunks(self.step);
                    for (to, from) in body.iter_mut().zip(pairs) {
                        *to = from[0];
                    }
                }
            }
        }
    }
}

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

/// Coarse outputs from fine inputs `[batch, fine, ..]` and `weight` `[coarse, fine, k, k]`.
pub fn gather<T: Real>(g: &Geometry, fine: &[T], weight: &[T]) -> Vec<T> {
    gather_on(Arch::new(), g, fine, weight)
}

fn gather_on<T: Real>(arch: Arch, g: &Geometry, fine: &[T], weight: &[T]) -> Vec<T> {
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
    let tile = machine.tile_channels(g.coarse_channels);
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

/// Fine outputs from coarse inputs `[batch, coarse, ..]` and `weight` `[coarse, fine, k, k]`.
pub fn scatter<T: Real>(g: &Geometry, coarse: &[T], weight: &[T]) -> Vec<T> {
    scatter_on(Arch::new(), g, coarse, weight)
}

fn scatter_on<T: Real>(arch: Arch, g: &Geometry, coarse: &[T], weight: &[T]) -> Vec<T> {
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
    let tile = machine.tile_channels(g.fine_channels);
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

/// Gradient of the weight `[coarse, fine, k, k]` from the two grids `[batch, coarse, ..]` and
/// `[batch, fine, ..]`, of which one is an input and the other the output's gradient.
pub fn weight_gradient<T: Real>(g: &Geometry, coarse: &[T], fine: &[T]) -> Vec<T> {
    weight_gradient_on(Arch::new(), g, coarse, fine)
}

fn weight_gradient_on<T: Real>(arch: Arch, g: &Geometry, coarse: &[T], fine: &[T]) -> Vec<T> {
    let machine = Machine::of::<T>(arch);
    let [height, width] = g.coarse();
    let padded = width.next_multiple_of(machine.lanes);
    let coarse = padded_rows(coarse, width, padded);
    let slab = Slab {
        channels: 1,
        size: g.fine,
        lead: g.kernel / 2,
        step: g.stride,
        rows: (height - 1) * g.stride + g.kernel,
        phase_pitch: (padded + (g.kernel - 1) / g.stride)
            .max((g.fine[1] + g.kernel / 2).div_ceil(g.stride)),
    };
    let taps = g.kernel * g.kernel;
    let tap_tile = [6, 5, 1]
        .into_iter()
        .min_by_key(|&size| taps.div_ceil(size) * (size + 1))
        .unwrap_or(1);
    let mut offsets: Vec<usize> = (0..taps)
        .map(|t| slab.offset(0, t / g.kernel, t % g.kernel))
        .collect();
    offsets.resize(taps.next_multiple_of(tap_tile), 0);
    let gradient = Gradient {
        g,
        coarse: &coarse,
        fine,
        slab,
        offsets: &offsets,
        tap_tile,
        width: padded,
    };

    // One task sums everything for one fine channel and some coarse ones.
    let tasks = TASKS_PER_THREAD * rayon::current_num_threads();
    let share = g
        .coarse_channels
        .div_ceil(tasks.div_ceil(g.fine_channels))
        .next_multiple_of(4);
    let mut by_fine = vec![T::ZERO; g.fine_channels * g.coarse_channels * taps];
    by_fine
        .par_chunks_mut(g.coarse_channels * taps)
        .enumerate()
        .flat_map(|(f, part)| {
            part.par_chunks_mut(share * taps)
                .enumerate()
                .map(move |(s, sums)| (f, s * share, sums))
        })
        .for_each(|(fine_channel, first, sums)| {
            arch.dispatch(SumGradient {
                gradient: &gradient,
                fine_channel,
                first,
                sums,
            })
        });

    let mut by_coarse = vec![T::ZERO; by_fine.len()];
    for (c, part) in by_coarse
        .chunks_exact_mut(g.fine_channels * taps)
        .enumerate()
    {
        for (f, to) in part.chunks_exact_mut(taps).enumerate() {
            let from = (f * g.coarse_channels + c) * taps;
            to.copy_from_slice(&by_fine[from..from + taps]);
        }
    }
    by_coarse
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

struct Gradient<'a, T> {
    g: &'a Geometry,
    /// Rows of `width`, a multiple of the lanes, zero beyond the grid.
    coarse: &'a [T],
    fine: &'a [T],
    /// Of one whole fine plane.
    slab: Slab,
    /// Of each tap in the slab, as many as fill the last tile.
    offsets: &'a [usize],
    tap_tile: usize,
    width: usize,
}

/// The gradients for one fine channel and the coarse ones from `first`.
struct SumGradient<'a, T> {
    gradient: &'a Gradient<'a, T>,
    fine_channel: usize,
    first: usize,
    /// `[coarse channels][k][k]`.
    sums: &'a mut [T],
}

impl<T: Real> WithSimd for SumGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::REGISTER_COUNT >= 32, self.gradient.tap_tile) {
            (true, 6) => self.run::<S, 4, 6>(simd),
            (true, 5) => self.run::<S, 4, 5>(simd),
            (true, _) => self.run::<S, 4, 1>(simd),
            (false, 6) => self.run::<S, 2, 6>(simd),
            (false, 5) => self.run::<S, 2, 5>(simd),
            (false, _) => self.run::<S, 2, 1>(simd),
        }
    }
}

impl<T: Real> SumGradient<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const M: usize, const V: usize>(self, simd: S) {
        let Gradient {
            g,
            coarse,
            fine,
            slab,
            offsets,
            width,
            ..
        } = *self.gradient;
        let taps = g.kernel * g.kernel;
        let channels = self.sums.len() / taps;
        let height = g.coarse()[0];
        let fine_plane = g.fine[0] * g.fine[1];
        let zero = T::splat(simd, T::ZERO);
        // Vectors of partial sums, [channel][tap].
        let mut partial = vec![zero; channels.next_multiple_of(M) * offsets.len()];
        let mut scratch = vec![T::ZERO; slab.len()];
        let bytes_a_row = (M * width + g.stride * slab.pitch()) * size_of::<T>();
        let block = (GRADIENT_BLOCK_BYTES / bytes_a_row).max(4);
        for n in 0..g.batch {
            let plane = (n * g.fine_channels + self.fine_channel) * fine_plane;
            slab.fill(&mut scratch, &fine[plane..plane + fine_plane], 0);
            for top in (0..height).step_by(block) {
                let rows = block.min(height - top);
                let slab_rows = &scratch[top * g.stride * slab.pitch()..];
                for first in (0..channels).step_by(M) {
                    let mut planes = [&coarse[..0]; M];
                    for (m, plane) in planes.iter_mut().enumerate() {
                        // A tile beyond the last channel repeats it; its sums are not read.
                        let channel = self.first + (first + m).min(channels - 1);
                        let at = ((n * g.coarse_channels + channel) * height + top) * width;
                        *plane = &coarse[at..at + rows * width];
                    }
                    let partial = &mut partial[first * offsets.len()..];
                    for (t, offsets) in offsets.chunks_exact(V).enumerate() {
                        let mut tile = [[zero; V]; M];
                        for m in 0..M {
                            for v in 0..V {
                                tile[m][v] = partial[m * self.gradient.offsets.len() + t * V + v];
                            }
                        }
                        for row in 0..rows {
                            let base = row * g.stride * slab.pitch();
                            let mut left = [vectors::<T, S>(&[]); M];
                            for m in 0..M {
                                left[m] = vectors::<T, S>(&planes[m][row * width..][..width]);
                            }
                            let mut right = [vectors::<T, S>(&[]); V];
                            for v in 0..V {
                                let at = base + offsets[v];
                                right[v] = vectors::<T, S>(&slab_rows[at..][..width]);
                            }
                            tile = multiply::<T, S, M, V>(simd, tile, &left, &right);
                        }
                        for m in 0..M {
                            for v in 0..V {
                                partial[m * self.gradient.offsets.len() + t * V + v] = tile[m][v];
                            }
                        }
                    }
                }
            }
        }
        for (sums, partial) in self
            .sums
            .chunks_exact_mut(taps)
            .zip(partial.chunks_exact(offsets.len()))
        {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every instruction set that this processor can run, the plain one first.
    fn machines() -> Vec<Arch> {
        let mut machines = vec![Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        machines.extend(pulp::x86::V3::try_new().map(Arch::V3));
        machines.push(Arch::new());
        machines
    }

    fn values(count: usize, seed: u32) -> Vec<f32> {
        let mix = |i: usize| (i as u32 ^ seed).wrapping_mul(0x9e37_79b1) >> 8;
        (0..count)
            .map(|i| mix(i) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        for (coarse_channels, fine_channels, kernel, stride, fine) in [
            (1, 13, 1, 1, [5, 9]),
            (12, 1, 11, 1, [20, 37]),
            (8, 4, 9, 2, [31, 64]),
            (5, 6, 7, 2, [16, 16]),
            (17, 24, 5, 2, [9, 70]),
            (2, 3, 3, 2, [2, 1]),
        ] {
            let g = Geometry {
                batch: 2,
                coarse_channels,
                fine_channels,
                fine,
                kernel,
                stride,
            };
            let [height, width] = g.coarse();
            let coarse = values(2 * coarse_channels * height * width, 1);
            let fine = values(2 * fine_channels * fine[0] * fine[1], 2);
            let weight = values(coarse_channels * fine_channels * kernel * kernel, 3);
            let all = |arch| {
                [
                    gather_on(arch, &g, &fine, &weight),
                    scatter_on(arch, &g, &coarse, &weight),
                    weight_gradient_on(arch, &g, &coarse, &fine),
                ]
            };
            let plain = all(Arch::Scalar);
            for arch in machines() {
                for (plain, ours) in plain.iter().zip(all(arch)) {
                    assert_eq!(plain.len(), ours.len());
                    for (plain, ours) in plain.iter().zip(ours) {
                        // Only the order of summing and the fused rounding differ.
                        assert!(
                            (plain - ours).abs() < 1e-3,
                            "{arch:?} {g:?}: {plain} {ours}"
                        );
                    }
                }
            }
        }
    }
}
