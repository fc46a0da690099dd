//! Sums over a box around each pixel: down its columns first, then along the row.

use residua_shared::rule::Comparison;

#[cfg(cortex_m)]
use super::helium;
use super::window::Window;
use crate::{residual::Plain, wide::wide};

/// Takes rows from the top, gives rows of sums half a box later. A box counts as far as it lies in
/// the image.
#[derive(Debug)]
pub struct BoxSum<'b> {
    radius: usize,
    width: usize,
    /// The last rows of a box, row n in slot n modulo the box's side; zeros before there are so
    /// many.
    ring: &'b mut [u32],
    /// The sums of the ring's columns, between zeros, and of these along the row.
    columns: Window<'b>,
    /// Rows pushed of this image.
    pushed: u64,
    /// Rows given of this image.
    given: u64,
}

impl<'b> BoxSum<'b> {
    /// Elements that the buffer needs for rows of `width` pixels.
    pub const fn len_for(width: usize, side: usize) -> usize {
        width * side + Window::len_for(width, side)
    }

    /// Sums over boxes of `side`, odd, in a buffer of exactly [`Self::len_for`] elements.
    pub fn new(width: usize, side: usize, buffer: &'b mut [u32]) -> Self {
        let (ring, window) = buffer.split_at_mut(width * side);
        ring.fill(0);
        Self {
            radius: side / 2,
            width,
            ring,
            columns: Window::new(width, side, window),
            pushed: 0,
            given: 0,
        }
    }

    /// Takes the next row, `width` values, and gives the row of sums that is complete by it.
    pub fn push(&mut self, values: &[u32]) -> Option<&[u32]> {
        let (oldest, sums) = self.places();
        take_values(values, oldest, sums);
        self.taken()
    }

    /// The same with the anomalies of these residuals.
    pub fn push_residuals(&mut self, residuals: &[i32], comparison: Comparison) -> Option<&[u32]> {
        let (oldest, sums) = self.places();
        take_residuals(residuals, comparison, oldest, sums);
        self.taken()
    }

    /// The same with the anomalies of a row of pixels.
    pub fn push_plain(&mut self, pixels: Plain<'_>, comparison: Comparison) -> Option<&[u32]> {
        let (oldest, sums) = self.places();
        #[cfg(not(cortex_m))]
        let done = 0;
        #[cfg(cortex_m)]
        let done = helium::take(&pixels, comparison, oldest, sums);
        let rest = pixels.from(done);
        take_pixels(rest, comparison, &mut oldest[done..], &mut sums[done..]);
        self.taken()
    }

    /// The row that the box leaves behind, in whose place the next one comes, and the sums of
    /// columns.
    fn places(&mut self) -> (&mut [u32], &mut [u32]) {
        let slot = self.slot(self.pushed);
        let oldest = &mut self.ring[slot..][..self.width];
        (oldest, self.columns.row_mut())
    }

    /// The next row is in the ring and in the sums of columns.
    fn taken(&mut self) -> Option<&[u32]> {
        self.pushed += 1;
        if self.pushed <= self.radius as u64 {
            return None;
        }
        Some(self.give())
    }

    /// After the last row: gives the rows still due, one a call, then `None`; the next row is then
    /// the first one of another image.
    pub fn finish(&mut self) -> Option<&[u32]> {
        if self.given == self.pushed {
            self.columns.row_mut().fill(0);
            self.ring.fill(0);
            (self.pushed, self.given) = (0, 0);
            return None;
        }
        self.leave();
        Some(self.give())
    }

    fn give(&mut self) -> &[u32] {
        self.given += 1;
        self.columns.slide();
        self.columns.sums()
    }

    /// The row given last.
    pub fn sums(&self) -> &[u32] {
        self.columns.sums()
    }

    /// Rows of the image in the box around the row given last.
    pub fn rows(&self) -> usize {
        let last = self.given.saturating_sub(1);
        let (above, below) = (last, self.pushed.saturating_sub(self.given));
        let within = |rows: u64| rows.min(self.radius as u64) as usize;
        within(above) + 1 + within(below)
    }

    /// Where row `row` lies in the ring.
    fn slot(&self, row: u64) -> usize {
        (row % (2 * self.radius as u64 + 1)) as usize * self.width
    }

    /// Takes the row that the box around the next row has left behind out of the sums.
    fn leave(&mut self) {
        let Some(oldest) = self.given.checked_sub(self.radius as u64 + 1) else {
            return;
        };
        let row = &self.ring[self.slot(oldest)..][..self.width];
        for (sum, &value) in self.columns.row_mut().iter_mut().zip(row) {
            *sum = sum.wrapping_sub(value);
        }
    }
}

wide! {
    fn take_values(values: &[u32], oldest: &mut [u32], sums: &mut [u32]) {
        take(values.iter().copied(), oldest, sums);
    }

    fn take_residuals(
        residuals: &[i32],
        comparison: Comparison,
        oldest: &mut [u32],
        sums: &mut [u32],
    ) {
        take_anomalies(residuals.iter().copied(), comparison, oldest, sums);
    }

    fn take_pixels(
        pixels: Plain<'_>,
        comparison: Comparison,
        oldest: &mut [u32],
        sums: &mut [u32],
    ) {
        take_anomalies(pixels.residuals(), comparison, oldest, sums);
    }
}

/// [`take`] of the anomalies of residuals.
#[inline(always)]
fn take_anomalies(
    residuals: impl Iterator<Item = i32>,
    comparison: Comparison,
    oldest: &mut [u32],
    sums: &mut [u32],
) {
    // One loop a comparison, without a choice inside.
    match comparison {
        Comparison::Absolute => take(residuals.map(|r| Comparison::Absolute.of(r)), oldest, sums),
        Comparison::Dark => take(residuals.map(|r| Comparison::Dark.of(r)), oldest, sums),
        Comparison::Bright => take(residuals.map(|r| Comparison::Bright.of(r)), oldest, sums),
    }
}

/// Puts the values into the place of the oldest ones, and what that changes into the sums.
#[inline(always)]
fn take(values: impl Iterator<Item = u32>, oldest: &mut [u32], sums: &mut [u32]) {
    for ((value, old), sum) in values.zip(oldest).zip(sums) {
        *sum = sum.wrapping_add(value.wrapping_sub(*old));
        *old = value;
    }
}
