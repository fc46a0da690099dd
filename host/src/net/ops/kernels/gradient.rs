//! What both ways to sum the weight's gradient have in common.

use pulp::Arch;
use rayon::prelude::*;

use super::super::simd::Real;
use super::gradient_by_channels::ByChannels;
use super::gradient_by_lines::ByLines;
use super::slab::Slab;
use super::{Geometry, Machine, TASKS_PER_THREAD};

/// Bytes that one block of coarse rows reads again and again: within the first-level cache.
pub const BLOCK_BYTES: usize = 32 << 10;

/// See [`super::weight_gradient`].
pub fn weight_gradient<T: Real>(arch: Arch, g: &Geometry, coarse: &[T], fine: &[T]) -> Vec<T> {
    let machine = Machine::of::<T>(arch);
    if g.coarse_channels >= machine.lanes {
        ByChannels::new(g, machine, coarse, fine).sum(arch)
    } else {
        ByLines::new(g, machine, coarse, fine).sum(arch)
    }
}

/// The fine planes, one whole one a slab.
pub struct Planes<'a, T> {
    g: &'a Geometry,
    fine: &'a [T],
    pub slab: Slab,
    /// Of each tap in the slab, then again those of the first, as many as fill the last tile.
    pub offsets: Vec<usize>,
}

impl<'a, T: Real> Planes<'a, T> {
    /// For reading lines of `width` coarse columns at each tap, `tile` taps at a time.
    pub fn new(g: &'a Geometry, fine: &'a [T], width: usize, tile: usize) -> Self {
        let slab = Slab {
            channels: 1,
            size: g.fine,
            lead: g.kernel / 2,
            step: g.stride,
            rows: (g.coarse()[0] - 1) * g.stride + g.kernel,
            phase_pitch: (width + (g.kernel - 1) / g.stride)
                .max((g.fine[1] + g.kernel / 2).div_ceil(g.stride)),
        };
        let taps = g.kernel * g.kernel;
        let mut offsets: Vec<usize> = (0..taps)
            .map(|t| slab.offset(0, t / g.kernel, t % g.kernel))
            .collect();
        offsets.resize(taps.next_multiple_of(tile), offsets[0]);
        Self {
            g,
            fine,
            slab,
            offsets,
        }
    }

    /// Elements of the slab between a coarse row and the next.
    pub fn row(&self) -> usize {
        self.g.stride * self.slab.pitch()
    }

    /// Fills the slab with one plane.
    #[inline(always)]
    pub fn fill(&self, slab: &mut [T], image: usize, channel: usize) {
        let plane = self.g.fine[0] * self.g.fine[1];
        let start = (image * self.g.fine_channels + channel) * plane;
        self.slab.fill(slab, &self.fine[start..start + plane], 0);
    }
}

/// Calls `sum` for parts of every fine channel's share of `sums` in parallel, with the fine
/// channel and the part's start. A share is `units` units of `unit` elements; parts are whole
/// multiples of `tile` units but for the last.
pub fn for_each_part<T: Real>(
    sums: &mut [T],
    units: usize,
    unit: usize,
    tile: usize,
    sum: impl Fn(usize, usize, &mut [T]) + Sync,
) {
    let fine_channels = sums.len() / (units * unit);
    let tasks = TASKS_PER_THREAD * rayon::current_num_threads();
    let part = units
        .div_ceil(tasks.div_ceil(fine_channels))
        .next_multiple_of(tile);
    sums.par_chunks_mut(units * unit)
        .enumerate()
        .flat_map(|(fine, share)| {
            let parts = share.par_chunks_mut(part * unit).enumerate();
            parts.map(move |(i, sums)| (fine, i * part, sums))
        })
        .for_each(|(fine, first, sums)| sum(fine, first, sums));
}
