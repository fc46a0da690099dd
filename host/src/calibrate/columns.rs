//! What residuals count by where across the image they are, learned from good images.

use std::num::NonZeroU8;

use anyhow::{Context, Result, ensure};
use residua_shared::{
    frame::{Frame, Size},
    reference::residual::residual,
    rule::{ColumnWeights, Comparison, MapScale, ZONES},
};

use crate::data::Grey;

/// Sums of the anomalies of good images, zone by zone.
#[derive(Clone, Debug)]
pub struct ColumnLearner {
    size: Size,
    comparison: Comparison,
    scale: MapScale,
    /// Of each image.
    sums: Vec<[u64; ZONES]>,
}

impl ColumnLearner {
    /// For images of `size`, compared by `comparison` on `scale`.
    pub fn new(size: Size, comparison: Comparison, scale: MapScale) -> Self {
        Self {
            size,
            comparison,
            scale,
            sums: Vec::new(),
        }
    }

    /// Adds a good image and its reconstruction, in grey levels times 2^fraction bits.
    ///
    /// Errors where either has another size.
    pub fn add(&mut self, image: &Grey, reconstruction: &[i32]) -> Result<()> {
        ensure!(
            image.size == self.size,
            "an image of {} among those of {}",
            image.size,
            self.size
        );
        let mut residuals = vec![0; self.size.area()];
        let frame = Frame::new(image.size, &image.pixels)?;
        residual(frame, self.scale, reconstruction, &mut residuals)?;
        let width = self.size.width();
        let mut sums = [0; ZONES];
        for row in residuals.chunks_exact(width) {
            for (sum, (columns, _)) in sums.iter_mut().zip(EVEN.zones(width)) {
                let anomalies = row[columns].iter().map(|r| self.comparison.of(*r));
                *sum += anomalies.map(u64::from).sum::<u64>();
            }
        }
        self.sums.push(sums);
        Ok(())
    }

    /// The weights: the mean anomaly of all columns over that of the zone's own, so that weighed good
    /// images differ from their reconstruction equally everywhere. Of each zone the median image
    /// counts: one with a spot must not blind a zone to spots. From 1/64 to 255/64: where next to
    /// nothing ever differs, the ratio says little.
    ///
    /// Errors where no image was added.
    pub fn weights(&self) -> Result<ColumnWeights> {
        ensure!(
            !self.sums.is_empty(),
            "no good images to learn the columns from; train with more good images"
        );
        let width = self.size.width();
        let median = |zone: usize| {
            let mut sums: Vec<u64> = self.sums.iter().map(|sums| sums[zone]).collect();
            let middle = sums.len() / 2;
            *sums.select_nth_unstable(middle).1
        };
        let sums: [u64; ZONES] = std::array::from_fn(median);
        let all: u64 = sums.iter().sum();
        let mut weights = [ColumnWeights::ONE; ZONES];
        let zones = sums.iter().zip(EVEN.zones(width));
        for (weight, (&sum, (columns, _))) in weights.iter_mut().zip(zones) {
            if columns.is_empty() || all == 0 {
                continue;
            }
            let unit = u128::from(ColumnWeights::ONE.get());
            let mean = unit * u128::from(all) * columns.len() as u128;
            let own = u128::from(sum) * width as u128;
            let ratio = mean.checked_div(own).unwrap_or(u128::MAX);
            let clamped = u8::try_from(ratio).unwrap_or(u8::MAX).max(1);
            *weight = NonZeroU8::new(clamped).context("a weight of at least 1")?;
        }
        Ok(ColumnWeights::new(weights))
    }
}

/// Only its zones matter.
const EVEN: ColumnWeights = ColumnWeights::new([ColumnWeights::ONE; ZONES]);

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(width: usize, columns: impl Fn(usize) -> u8) -> Vec<u8> {
        let size = Size::new(width, 3).unwrap();
        let scale = MapScale::new(4, 1).unwrap();
        let mut learner = ColumnLearner::new(size, Comparison::Absolute, scale);
        let pixels = (0..size.area()).map(|i| columns(i % width)).collect();
        let image = Grey { size, pixels };
        learner.add(&image, &vec![0; size.area()]).unwrap();
        let weights = learner.weights().unwrap();
        weights
            .zones(width)
            .map(|(_, weight)| weight.get())
            .collect()
    }

    #[test]
    fn zones_that_differ_more_count_less() {
        // Half of the columns at 30, half at 10: 20 on average.
        let found = weights(64, |x| if x < 32 { 30 } else { 10 });
        assert_eq!(found[..16], [42; 16], "64 * 20 / 30");
        assert_eq!(found[16..], [128; 16]);
    }

    #[test]
    fn one_image_with_a_spot_changes_nothing() {
        let size = Size::new(ZONES, 1).unwrap();
        let scale = MapScale::new(4, 1).unwrap();
        let mut learner = ColumnLearner::new(size, Comparison::Absolute, scale);
        for spot in [10, 255, 10] {
            let mut pixels = vec![10; ZONES];
            pixels[7] = spot;
            learner.add(&Grey { size, pixels }, &[0; ZONES]).unwrap();
        }
        let even = ColumnWeights::new([ColumnWeights::ONE; ZONES]);
        assert_eq!(learner.weights().unwrap(), even);
    }

    #[test]
    fn weights_are_bounded_and_blank_images_change_nothing() {
        let found = weights(32, |x| if x == 5 { 255 } else { 0 });
        assert_eq!(found[5], 2, "64 / 32");
        assert!(found.iter().enumerate().all(|(i, w)| i == 5 || *w == 255));
        assert_eq!(weights(40, |_| 0), [64; ZONES]);
    }

    #[test]
    fn images_narrower_than_the_zones_are_covered() {
        let found = weights(3, |x| [10, 20, 30][x]);
        let used: Vec<u8> = found.into_iter().filter(|weight| *weight != 64).collect();
        assert_eq!(used, [128, 42], "the column of 20 is at the mean");
    }

    #[test]
    fn nothing_is_learned_from_nothing() {
        let size = Size::new(4, 4).unwrap();
        let scale = MapScale::new(4, 1).unwrap();
        let learner = ColumnLearner::new(size, Comparison::Dark, scale);
        let error = learner.weights().unwrap_err().to_string();
        assert!(error.contains("good images"), "{error}");
    }
}
