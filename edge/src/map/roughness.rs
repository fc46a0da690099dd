//! How rough the reconstruction is around each pixel, and what a difference counts there.

use core::num::NonZeroU8;

use residua_shared::rule::{ROUGHNESS_BOX, ROUGHNESS_SPAN};

use super::box_sum::BoxSum;

/// Pixels on either side that a pixel is compared with.
const REACH: usize = ROUGHNESS_SPAN as usize / 2;

/// Weights by roughness; the formulas are at [`residua_shared::reference::roughness`].
#[derive(Debug)]
pub struct Roughness<'b> {
    /// Right shift from a reconstruction to quarters of grey levels.
    shift: u8,
    white: i32,
    /// What the weight's numerator is for one pixel of a box: 4 · 11 · C.
    even: u32,
    deviations: &'b mut [u32],
    sums: BoxSum<'b>,
}

impl<'b> Roughness<'b> {
    /// Elements that the buffer needs for rows of `width` pixels.
    pub const fn len_for(width: usize) -> usize {
        BoxSum::len_for(width, ROUGHNESS_BOX as usize) + width
    }

    /// Weights for rows of `width` pixels with `fraction_bits` (at least 2) in a buffer of exactly
    /// [`Self::len_for`] elements; `reference` is the C of the formulas.
    pub fn new(
        width: usize,
        fraction_bits: u8,
        reference: NonZeroU8,
        buffer: &'b mut [u32],
    ) -> Self {
        let (deviations, sums) = buffer.split_at_mut(width);
        Self {
            shift: fraction_bits - 2,
            white: 255 << fraction_bits,
            even: 4 * u32::from(ROUGHNESS_SPAN) * u32::from(reference.get()),
            deviations,
            sums: BoxSum::new(width, ROUGHNESS_BOX.into(), sums),
        }
    }

    /// Takes the next row of the reconstruction; whether the weights of another row are there.
    pub fn push(&mut self, reconstruction: &[i32]) -> bool {
        let (white, shift) = (self.white, self.shift);
        deviate(
            reconstruction.len(),
            |x| (reconstruction[x].clamp(0, white) >> shift) as u32,
            self.deviations,
        );
        self.sums.push(self.deviations.iter().copied()).is_some()
    }

    /// After the last row: whether the weights of another row are there; if not, the next row is
    /// the first one of another image.
    pub fn finish(&mut self) -> bool {
        self.sums.finish().is_some()
    }

    /// Weighs the map row whose weights came last.
    pub fn weigh(&self, map: &mut [u32]) {
        let rows = self.sums.rows() as u32;
        for (x, (value, &sum)) in map.iter_mut().zip(self.sums.sums()).enumerate() {
            let even = self.even * rows * self.sums.columns(x) as u32;
            // Below 2^32: at most 64 grey levels of reference over 31x31 pixels.
            let weight = u64::from((even << 10) / (sum + even));
            *value = ((u64::from(*value) * weight) >> 10) as u32;
        }
    }
}

/// |11 q - the sum of q over the 11 pixels around| for each pixel of a row, whose first and last
/// one stand in for those beyond.
fn deviate(width: usize, quarters: impl Fn(usize) -> u32, deviations: &mut [u32]) {
    let at = |x: usize| quarters(x.min(width - 1));
    let mut sum = REACH as u32 * at(0) + (0..REACH).map(at).sum::<u32>();
    for (x, out) in deviations.iter_mut().enumerate() {
        sum += at(x + REACH);
        *out = (u32::from(ROUGHNESS_SPAN) * at(x)).abs_diff(sum);
        sum -= at(x.saturating_sub(REACH));
    }
}
