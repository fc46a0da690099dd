//! Residual → anomaly map: one sign or both of the residual, summed over a box by running sums, so
//! that the cost does not grow with the box.

use residua_shared::{
    buffer::BufferError,
    rule::{Comparison, MapScale},
};

/// The box filter: takes residual rows from the top, gives map rows `box_size / 2` rows later.
///
/// At the borders the outermost pixels are repeated, as in the reference. Residuals must be within
/// ±(255 << `fraction_bits`); the map of others is unspecified.
#[derive(Debug)]
pub struct BoxFilter<'b> {
    comparison: Comparison,
    radius: usize,
    width: usize,
    /// Horizontal sums of the last `box_size` rows, row n in slot n modulo `box_size`.
    ring: &'b mut [u32],
    /// The sum over the box's rows, one a column: the current map row.
    sums: &'b mut [u32],
    /// Rows pushed of this image, those repeated below it included.
    rows: usize,
    /// Map rows still due once the image's last row is in.
    due: usize,
}

impl<'b> BoxFilter<'b> {
    /// Elements that the filter's buffer needs for rows of `width` pixels.
    pub const fn len_for(width: usize, box_size: usize) -> usize {
        width * (box_size + 1)
    }

    /// A filter for rows of `width` pixels, which works in the first [`Self::len_for`] elements of
    /// `buffer`.
    pub fn new(
        width: usize,
        comparison: Comparison,
        scale: MapScale,
        buffer: &'b mut [u32],
    ) -> Result<Self, BufferError> {
        let needed = Self::len_for(width, scale.box_size());
        BufferError::at_least("filter", buffer.len(), needed)?;
        let (sums, ring) = buffer[..needed].split_at_mut(width);
        Ok(Self {
            comparison,
            radius: scale.box_size() / 2,
            width,
            ring,
            sums,
            rows: 0,
            due: 0,
        })
    }

    /// Takes the next residual row, `width` pixels, and gives the map row that is complete by it.
    pub fn push(&mut self, residual: &[i32]) -> Result<Option<&[u32]>, BufferError> {
        BufferError::exact("residual", residual.len(), self.width)?;
        self.leave();
        let slot = self.slot(self.rows);
        let row = &mut self.ring[slot * self.width..][..self.width];
        sum_horizontally(residual, self.comparison, self.radius, row);
        self.enter(slot);
        let complete = self.rows > self.radius;
        self.due += usize::from(!complete);
        Ok(complete.then_some(&*self.sums))
    }

    /// After the last row: gives the map rows still due, one a call, then `None`; the filter is
    /// then ready for the next image.
    pub fn finish(&mut self) -> Option<&[u32]> {
        if self.due == 0 {
            self.rows = 0;
            return None;
        }
        // Fewer rows than half a box: repeat the last one until the first map row is complete.
        while !self.repeat() {}
        self.due -= 1;
        Some(self.sums)
    }

    /// Repeats the image's last row; whether that completes a map row.
    fn repeat(&mut self) -> bool {
        self.leave();
        let (last, slot) = (self.slot(self.rows - 1), self.slot(self.rows));
        let last = last * self.width;
        self.ring
            .copy_within(last..last + self.width, slot * self.width);
        self.enter(slot);
        self.rows > self.radius
    }

    /// Takes the row that leaves the box out of the sums. While the box still hangs over the top
    /// border that is the first row, which stands for those above it.
    fn leave(&mut self) {
        if self.rows <= self.radius {
            return;
        }
        let oldest = self.rows.saturating_sub(self.box_size());
        let row = &self.ring[self.slot(oldest) * self.width..][..self.width];
        for (sum, &value) in self.sums.iter_mut().zip(row) {
            *sum = sum.wrapping_sub(value);
        }
    }

    /// Adds the newest row to the sums; the first one as often as it is repeated above.
    fn enter(&mut self, slot: usize) {
        let row = &self.ring[slot * self.width..][..self.width];
        if self.rows == 0 {
            let times = self.radius as u32 + 1;
            for (sum, &value) in self.sums.iter_mut().zip(row) {
                *sum = value.wrapping_mul(times);
            }
        } else {
            for (sum, &value) in self.sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(value);
            }
        }
        self.rows += 1;
    }

    fn slot(&self, row: usize) -> usize {
        row % self.box_size()
    }

    fn box_size(&self) -> usize {
        2 * self.radius + 1
    }
}

/// The sum of the anomalies from `radius` pixels before to `radius` after each pixel of a row.
fn sum_horizontally(residual: &[i32], comparison: Comparison, radius: usize, sums: &mut [u32]) {
    let Some(last) = residual.len().checked_sub(1) else {
        return;
    };
    let anomaly = |x: usize| comparison.of(residual[x.min(last)]);
    let mut sum = 0_u32;
    for x in 0..=radius {
        sum = sum.wrapping_add(anomaly(x));
    }
    // The first pixel stands for those before it.
    if radius > 0 {
        sum = sum.wrapping_add(anomaly(0).wrapping_mul(radius as u32));
    }
    for (x, out) in sums.iter_mut().enumerate() {
        *out = sum;
        let (enters, leaves) = (anomaly(x + radius + 1), anomaly(x.saturating_sub(radius)));
        sum = sum.wrapping_add(enters).wrapping_sub(leaves);
    }
}
