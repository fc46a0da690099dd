//! Sums over a box around each pixel by running sums, so that the cost does not grow with the box.

use residua_shared::rule::Comparison;

#[cfg(cortex_m)]
use super::helium;
use crate::residual::Plain;

/// Takes rows from the top, gives rows of sums half a box later. A box counts as far as it lies in
/// the image.
///
/// All loops but one are independent from pixel to pixel, so that the compiler can vectorize them.
#[derive(Debug)]
pub struct BoxSum<'b> {
    radius: usize,
    width: usize,
    /// Horizontal sums of the last rows of a box, row n in slot n modulo the box's side; zeros
    /// before there are so many.
    ring: &'b mut [u32],
    /// The sum over the box's rows, one a column: the current row.
    sums: &'b mut [u32],
    /// Sums of a row's values from its start on, from half a box before it (0) to half a box
    /// behind it: the difference of two is the sum over a box's width.
    prefix: &'b mut [u32],
    /// Rows pushed of this image.
    pushed: u64,
    /// Rows given of this image.
    given: u64,
}

impl<'b> BoxSum<'b> {
    /// Elements that the buffer needs for rows of `width` pixels.
    pub const fn len_for(width: usize, side: usize) -> usize {
        width * (side + 2) + side
    }

    /// Sums over boxes of `side`, odd, in a buffer of exactly [`Self::len_for`] elements.
    pub fn new(width: usize, side: usize, buffer: &'b mut [u32]) -> Self {
        buffer.fill(0);
        let (sums, rest) = buffer.split_at_mut(width);
        let (prefix, ring) = rest.split_at_mut(width + side);
        Self {
            radius: side / 2,
            width,
            ring,
            sums,
            prefix,
            pushed: 0,
            given: 0,
        }
    }

    /// Takes the next row, `width` values, and gives the row of sums that is complete by it.
    pub fn push(&mut self, values: impl Iterator<Item = u32>) -> Option<&[u32]> {
        let (row, behind) = self.prefix[self.radius + 1..].split_at_mut(self.width);
        behind.fill(sum_up(values, 0, row));
        self.take()
    }

    /// The same with the anomalies of these residuals.
    pub fn push_residuals(
        &mut self,
        residuals: impl Iterator<Item = i32>,
        comparison: Comparison,
    ) -> Option<&[u32]> {
        let (row, behind) = self.prefix[self.radius + 1..].split_at_mut(self.width);
        behind.fill(sum_up_anomalies(residuals, comparison, 0, row));
        self.take()
    }

    /// The same with the anomalies of a row of pixels.
    pub fn push_plain(&mut self, pixels: Plain<'_>, comparison: Comparison) -> Option<&[u32]> {
        let (row, behind) = self.prefix[self.radius + 1..].split_at_mut(self.width);
        #[cfg(not(cortex_m))]
        let (done, sum) = (0, 0);
        #[cfg(cortex_m)]
        let (done, sum) = helium::sum_up(&pixels, comparison, row);
        let rest = pixels.from(done).residuals();
        behind.fill(sum_up_anomalies(rest, comparison, sum, &mut row[done..]));
        self.take()
    }

    /// The next row's values are summed up.
    fn take(&mut self) -> Option<&[u32]> {
        let slot = self.slot(self.pushed);
        // The row that this one replaces is the one that the box has left behind.
        let row = &mut self.ring[slot..][..self.width];
        let ends = &self.prefix[2 * self.radius + 1..];
        replace(self.sums, row, &self.prefix[..self.width], ends);
        self.pushed += 1;
        if self.pushed <= self.radius as u64 {
            return None;
        }
        self.given += 1;
        Some(self.sums)
    }

    /// After the last row: gives the rows still due, one a call, then `None`; the next row is then
    /// the first one of another image.
    pub fn finish(&mut self) -> Option<&[u32]> {
        if self.given == self.pushed {
            self.sums.fill(0);
            self.ring.fill(0);
            (self.pushed, self.given) = (0, 0);
            return None;
        }
        self.leave();
        self.given += 1;
        Some(self.sums)
    }

    /// The row given last.
    pub fn sums(&self) -> &[u32] {
        self.sums
    }

    /// Rows of the image in the box around the row given last.
    pub fn rows(&self) -> usize {
        let last = self.given.saturating_sub(1);
        let (above, below) = (last, self.pushed.saturating_sub(self.given));
        let within = |rows: u64| rows.min(self.radius as u64) as usize;
        within(above) + 1 + within(below)
    }

    /// Columns of the image in the box around column `x`.
    pub fn columns(&self, x: usize) -> usize {
        x.min(self.radius) + 1 + (self.width - 1 - x).min(self.radius)
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
        for (sum, &value) in self.sums.iter_mut().zip(row) {
            *sum = sum.wrapping_sub(value);
        }
    }
}

/// Elements that loops take at once, so that few instructions are left for the loop itself.
const TOGETHER: usize = 8;

/// Puts the differences of `ends` and `starts` into `row`, and what that changes into `sums`.
///
/// Only as arguments of a call are slices known not to overlap, without which the compiler does not
/// vectorize the loop.
#[inline(never)]
fn replace(sums: &mut [u32], row: &mut [u32], starts: &[u32], ends: &[u32]) {
    let replace = |(((sum, value), &start), &end): (((&mut u32, &mut u32), &u32), &u32)| {
        let new = end.wrapping_sub(start);
        *sum = sum.wrapping_add(new.wrapping_sub(*value));
        *value = new;
    };
    #[cfg(not(cortex_m))]
    let done = 0;
    #[cfg(cortex_m)]
    let done = helium::replace(sums, row, starts, ends);
    let (sums, last_sums) = sums[done..].as_chunks_mut::<TOGETHER>();
    let (row, last_row) = row[done..].as_chunks_mut::<TOGETHER>();
    let (starts, last_starts) = starts[done..].as_chunks::<TOGETHER>();
    let (ends, last_ends) = ends[done..].as_chunks::<TOGETHER>();
    for (((sums, row), starts), ends) in sums.iter_mut().zip(row).zip(starts).zip(ends) {
        let sums = sums.iter_mut().zip(row);
        sums.zip(starts).zip(ends).for_each(replace);
    }
    let last = last_sums.iter_mut().zip(last_row);
    last.zip(last_starts).zip(last_ends).for_each(replace);
}

/// [`sum_up`] of the anomalies of residuals.
fn sum_up_anomalies(
    residuals: impl Iterator<Item = i32>,
    comparison: Comparison,
    sum: u32,
    row: &mut [u32],
) -> u32 {
    // One loop a comparison, without a choice inside.
    match comparison {
        Comparison::Absolute => sum_up(residuals.map(|r| Comparison::Absolute.of(r)), sum, row),
        Comparison::Dark => sum_up(residuals.map(|r| Comparison::Dark.of(r)), sum, row),
        Comparison::Bright => sum_up(residuals.map(|r| Comparison::Bright.of(r)), sum, row),
    }
}

/// Writes the sums of the values up to each, from `sum` on; the last one.
fn sum_up(values: impl Iterator<Item = u32>, mut sum: u32, row: &mut [u32]) -> u32 {
    for (place, value) in row.iter_mut().zip(values) {
        *place = value;
    }
    let mut add = |value: u32| {
        sum = sum.wrapping_add(value);
        sum
    };
    let (groups, rest) = row.as_chunks_mut::<TOGETHER>();
    for group in groups {
        *group = group.map(&mut add);
    }
    for place in rest {
        *place = add(*place);
    }
    sum
}
