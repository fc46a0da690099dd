//! Residual → anomaly map: one sign or both of the residual, summed over a box, and weighed by the
//! roughness of the reconstruction where the scale asks for it.

mod box_sum;
#[cfg(cortex_m)]
mod helium;
mod roughness;
mod window;

use residua_shared::{
    buffer::BufferError,
    rule::{Comparison, DecisionRule, MAX_BOX, MapScale, ROUGHNESS_BOX},
};

use crate::residual::Plain;

use box_sum::BoxSum;
use roughness::Roughness;

/// Takes rows of the residual and of the reconstruction from the top, gives map rows
/// [`MapScale::delay_rows`] rows later.
///
/// A box counts as far as it lies in the image, as in the reference. Residuals must be within
/// ±(255 << `fraction_bits`); the map of others is unspecified.
#[derive(Debug)]
pub struct AnomalyMap<'b> {
    comparison: Comparison,
    width: usize,
    anomalies: BoxSum<'b>,
    weighing: Option<Weighing<'b>>,
}

/// Map rows wait here for the rows of the reconstruction that tell how rough their place is.
#[derive(Debug)]
struct Weighing<'b> {
    roughness: Roughness<'b>,
    waiting: &'b mut [u32],
    /// Map rows that came, and that were given, of this image.
    taken: u64,
    given: u64,
}

impl<'b> AnomalyMap<'b> {
    /// Elements that the map's buffer needs for rows of `width` pixels.
    pub const fn len_for(width: usize, scale: MapScale) -> usize {
        let sums = BoxSum::len_for(width, scale.box_size());
        match scale.roughness() {
            None => sums,
            Some(_) => sums + Roughness::len_for(width) + waiting_rows(scale) * width,
        }
    }

    /// [`Self::len_for`] the largest box, without roughness.
    pub const fn len_for_largest_box(width: usize) -> usize {
        BoxSum::len_for(width, MAX_BOX as usize)
    }

    /// A map of rows of `width` pixels, which works in the first [`Self::len_for`] elements of
    /// `buffer`.
    pub fn new(
        width: usize,
        comparison: Comparison,
        scale: MapScale,
        buffer: &'b mut [u32],
    ) -> Result<Self, BufferError> {
        let needed = Self::len_for(width, scale);
        BufferError::at_least("filter", buffer.len(), needed)?;
        let sums = BoxSum::len_for(width, scale.box_size());
        let (sums, rest) = buffer[..needed].split_at_mut(sums);
        let weighing = scale.roughness().map(|reference| {
            let (waiting, rest) = rest.split_at_mut(waiting_rows(scale) * width);
            Weighing {
                roughness: Roughness::new(width, scale.fraction_bits(), reference, rest),
                waiting,
                taken: 0,
                given: 0,
            }
        });
        Ok(Self {
            comparison,
            width,
            anomalies: BoxSum::new(width, scale.box_size(), sums),
            weighing,
        })
    }

    /// Takes the next row of the residual and of the reconstruction, `width` pixels each, and gives
    /// the map row that is complete by it.
    pub fn push(
        &mut self,
        residual: &[i32],
        reconstruction: &[i32],
    ) -> Result<Option<&[u32]>, BufferError> {
        BufferError::exact("residual", residual.len(), self.width)?;
        BufferError::exact("reconstruction", reconstruction.len(), self.width)?;
        let sums = self.anomalies.push_residuals(residual, self.comparison);
        Ok(weighed(sums, &mut self.weighing, reconstruction))
    }

    /// Takes the next row of the image and of its reconstruction, as [`Self::push`] takes it with the
    /// residual that this rule asks for. Where that is a plain difference it lies nowhere in between;
    /// else in `residual`.
    pub fn push_pixels(
        &mut self,
        image: &[u8],
        rule: &DecisionRule,
        reconstruction: &[i32],
        residual: &mut [i32],
    ) -> Result<Option<&[u32]>, BufferError> {
        let Some(row) = Plain::of(image, rule, reconstruction) else {
            crate::residual::residual(image, rule, reconstruction, residual);
            return self.push(residual, reconstruction);
        };
        BufferError::exact("image", image.len(), self.width)?;
        BufferError::exact("reconstruction", reconstruction.len(), self.width)?;
        let sums = self.anomalies.push_plain(row, self.comparison);
        Ok(weighed(sums, &mut self.weighing, reconstruction))
    }

    /// After the last row: gives the map rows still due, one a call, then `None`; the map is then
    /// ready for the next image.
    pub fn finish(&mut self) -> Option<&[u32]> {
        let sums = self.anomalies.finish();
        let Some(weighing) = &mut self.weighing else {
            return sums;
        };
        weighing.take(sums);
        if weighing.roughness.finish() {
            return Some(weighing.give(self.width));
        }
        (weighing.taken, weighing.given) = (0, 0);
        None
    }
}

/// The map row that is complete by these sums and this row of the reconstruction.
fn weighed<'m>(
    sums: Option<&'m [u32]>,
    weighing: &'m mut Option<Weighing<'_>>,
    reconstruction: &[i32],
) -> Option<&'m [u32]> {
    let Some(weighing) = weighing else {
        return sums;
    };
    weighing.take(sums);
    let rough = weighing.roughness.push(reconstruction);
    rough.then(|| weighing.give(reconstruction.len()))
}

/// Map rows that wait at most: those that are complete before their roughness, and the one given.
const fn waiting_rows(scale: MapScale) -> usize {
    ROUGHNESS_BOX as usize / 2 - scale.box_size() / 2 + 1
}

impl Weighing<'_> {
    fn take(&mut self, sums: Option<&[u32]>) {
        let Some(sums) = sums else { return };
        let slot = self.slot(self.taken, sums.len());
        self.waiting[slot..][..sums.len()].copy_from_slice(sums);
        self.taken += 1;
    }

    /// The next map row, whose roughness is there.
    fn give(&mut self, width: usize) -> &[u32] {
        let slot = self.slot(self.given, width);
        self.given += 1;
        let row = &mut self.waiting[slot..][..width];
        self.roughness.weigh(row);
        row
    }

    fn slot(&self, row: u64, width: usize) -> usize {
        let rows = (self.waiting.len() / width) as u64;
        (row % rows) as usize * width
    }
}
