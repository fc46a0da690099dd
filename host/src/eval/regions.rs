//! Region level: which defects are met, and which predictions meet one.

use residua_shared::frame::Size;

use super::components::{components, defects};

/// [`defects`] of the ground truth and predicted regions, counted over images.
///
/// A defect is found when a predicted region shares a pixel with it; a predicted region is right
/// when it shares a pixel with a defect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RegionCounts {
    pub defects: usize,
    pub found: usize,
    pub predicted: usize,
    pub right: usize,
}

impl RegionCounts {
    /// Adds one image; both predicates take pixels numbered row by row.
    pub fn add(
        &mut self,
        size: Size,
        truth: impl Fn(usize) -> bool,
        predicted: impl Fn(usize) -> bool,
    ) {
        let truth = defects(size, truth);
        let predicted = components(size, predicted);
        let mut found = vec![false; truth.count()];
        let mut right = vec![false; predicted.count()];
        for (t, p) in truth.labels.iter().zip(&predicted.labels) {
            if *t > 0 && *p > 0 {
                found[*t as usize - 1] = true;
                right[*p as usize - 1] = true;
            }
        }
        let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
        self.defects += truth.count();
        self.found += count(&found);
        self.predicted += predicted.count();
        self.right += count(&right);
    }

    /// Found share of the defects; `None` without defects.
    pub fn recall(self) -> Option<f64> {
        (self.defects > 0).then(|| self.found as f64 / self.defects as f64)
    }

    /// Right share of the predicted regions; `None` where nothing was predicted.
    pub fn precision(self) -> Option<f64> {
        (self.predicted > 0).then(|| self.right as f64 / self.predicted as f64)
    }

    /// Harmonic mean of precision and recall; 0 where defects are there and none is found, `None`
    /// without defects.
    pub fn f1(self) -> Option<f64> {
        let recall = self.recall()?;
        let precision = self.precision().unwrap_or(0.0);
        if recall + precision > 0.0 {
            Some(2.0 * precision * recall / (precision + recall))
        } else {
            Some(0.0)
        }
    }
}
