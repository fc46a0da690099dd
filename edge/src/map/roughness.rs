//! How rough the reconstruction is around each pixel, and what a difference counts there.

use core::num::NonZeroU8;

use residua_shared::rule::{ROUGHNESS_BOX, ROUGHNESS_SPAN};

use super::{box_sum::BoxSum, window::Window};
use crate::wide::{quotient, wide};

const SPAN: usize = ROUGHNESS_SPAN as usize;
const SIDE: usize = ROUGHNESS_BOX as usize;

/// Weights by roughness; the formulas are at [`residua_shared::reference::roughness`].
#[derive(Debug)]
pub struct Roughness<'b> {
    /// Right shift from a reconstruction to quarters of grey levels.
    shift: u8,
    white: i32,
    /// What the weight's numerator is for one row of each pixel's box: 4 · 11 · C a pixel.
    even: &'b mut [u32],
    deviations: &'b mut [u32],
    /// A row of the reconstruction, whose first and last pixel stand in for those beyond.
    quarters: Window<'b>,
    sums: BoxSum<'b>,
}

impl<'b> Roughness<'b> {
    /// Elements that the buffer needs for rows of `width` pixels.
    pub const fn len_for(width: usize) -> usize {
        2 * width + Window::len_for(width, SPAN) + BoxSum::len_for(width, SIDE)
    }

    /// Weights for rows of `width` pixels with `fraction_bits` (at least 2) in a buffer of exactly
    /// [`Self::len_for`] elements; `reference` is the C of the formulas.
    pub fn new(
        width: usize,
        fraction_bits: u8,
        reference: NonZeroU8,
        buffer: &'b mut [u32],
    ) -> Self {
        let (even, rest) = buffer.split_at_mut(width);
        let (deviations, rest) = rest.split_at_mut(width);
        let (quarters, sums) = rest.split_at_mut(Window::len_for(width, SPAN));
        let of_one_pixel = 4 * u32::from(ROUGHNESS_SPAN) * u32::from(reference.get());
        let within = |pixels: usize| pixels.min(SIDE / 2);
        for (x, even) in even.iter_mut().enumerate() {
            let columns = within(x) + 1 + within(width - 1 - x);
            *even = of_one_pixel * columns as u32;
        }
        Self {
            shift: fraction_bits - 2,
            white: 255 << fraction_bits,
            even,
            deviations,
            quarters: Window::new(width, SPAN, quarters),
            sums: BoxSum::new(width, SIDE, sums),
        }
    }

    /// Takes the next row of the reconstruction; whether the weights of another row are there.
    pub fn push(&mut self, reconstruction: &[i32]) -> bool {
        let (left, row, right) = self.quarters.padded_mut();
        quarters(reconstruction, self.white, self.shift, row);
        left.fill(row.first().copied().unwrap_or_default());
        right.fill(row.last().copied().unwrap_or_default());
        self.quarters.slide();
        deviate(self.quarters.row(), self.quarters.sums(), self.deviations);
        self.sums.push(self.deviations).is_some()
    }

    /// After the last row: whether the weights of another row are there; if not, the next row is
    /// the first one of another image.
    pub fn finish(&mut self) -> bool {
        self.sums.finish().is_some()
    }

    /// Weighs the map row whose weights came last.
    pub fn weigh(&self, map: &mut [u32]) {
        weigh(self.sums.sums(), self.even, self.sums.rows() as u32, map);
    }
}

wide! {
    /// Quarters of grey levels.
    fn quarters(reconstruction: &[i32], white: i32, shift: u8, quarters: &mut [u32]) {
        for (quarters, &y) in quarters.iter_mut().zip(reconstruction) {
            *quarters = (y.clamp(0, white) >> shift) as u32;
        }
    }

    /// |11 q - the sum of q over the 11 pixels around|.
    fn deviate(quarters: &[u32], sums: &[u32], deviations: &mut [u32]) {
        for ((deviation, &q), &sum) in deviations.iter_mut().zip(quarters).zip(sums) {
            *deviation = (u32::from(ROUGHNESS_SPAN) * q).abs_diff(sum);
        }
    }

    /// Weighs a row of the map by the sums of deviations over boxes of so many rows.
    fn weigh(sums: &[u32], even: &[u32], rows: u32, map: &mut [u32]) {
        for ((value, &sum), &even) in map.iter_mut().zip(sums).zip(even) {
            let even = even * rows;
            // Below 2^32: at most 64 grey levels of reference over 31x31 pixels. The sum of
            // deviations there, of at most 11 · 1020 each, is below 2^24 with them.
            let weight = u64::from(quotient(even << 10, sum + even));
            *value = ((u64::from(*value) * weight) >> 10) as u32;
        }
    }
}
