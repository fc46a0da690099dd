//! Residual → anomaly map: one sign or both of the residual, summed over a box by running sums, so
//! that the cost does not grow with the box.

use residua_shared::{
    buffer::BufferError,
    rule::{Comparison, MapScale},
};

/// The box filter: takes residual rows from the top, gives map rows `box_size / 2` rows later.
///
/// A box counts as far as it lies in the image, as in the reference. Residuals must be within
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
    /// Residual rows pushed of this image.
    pushed: u64,
    /// Map rows given of this image.
    given: u64,
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
        sums.fill(0);
        Ok(Self {
            comparison,
            radius: scale.box_size() / 2,
            width,
            ring,
            sums,
            pushed: 0,
            given: 0,
        })
    }

    /// Takes the next residual row, `width` pixels, and gives the map row that is complete by it.
    pub fn push(&mut self, residual: &[i32]) -> Result<Option<&[u32]>, BufferError> {
        BufferError::exact("residual", residual.len(), self.width)?;
        self.leave();
        let slot = self.slot(self.pushed);
        let row = &mut self.ring[slot..][..self.width];
        sum_horizontally(residual, self.comparison, self.radius, row);
        for (sum, &value) in self.sums.iter_mut().zip(&*row) {
            *sum = sum.wrapping_add(value);
        }
        self.pushed += 1;
        if self.pushed <= self.radius as u64 {
            return Ok(None);
        }
        self.given += 1;
        Ok(Some(self.sums))
    }

    /// After the last row: gives the map rows still due, one a call, then `None`; the filter is
    /// then ready for the next image.
    pub fn finish(&mut self) -> Option<&[u32]> {
        if self.given == self.pushed {
            self.sums.fill(0);
            (self.pushed, self.given) = (0, 0);
            return None;
        }
        self.leave();
        self.given += 1;
        Some(self.sums)
    }

    /// Where row `row` lies in the ring.
    fn slot(&self, row: u64) -> usize {
        (row % (2 * self.radius as u64 + 1)) as usize * self.width
    }

    /// Takes the row that the box around the next map row has left behind out of the sums.
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

/// The sum of the anomalies from `radius` pixels before to `radius` after each pixel of a row.
fn sum_horizontally(residual: &[i32], comparison: Comparison, radius: usize, sums: &mut [u32]) {
    let anomaly = |x: Option<usize>| {
        let residual = x.and_then(|x| residual.get(x));
        residual.map_or(0, |&residual| comparison.of(residual))
    };
    let mut sum = 0_u32;
    for x in 0..radius {
        sum = sum.wrapping_add(anomaly(Some(x)));
    }
    for (x, out) in sums.iter_mut().enumerate() {
        let left = x.checked_sub(radius + 1);
        sum = sum.wrapping_add(anomaly(Some(x + radius)));
        sum = sum.wrapping_sub(anomaly(left));
        *out = sum;
    }
}
