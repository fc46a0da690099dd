//! Receiver operating characteristic and precision-recall curve, and the areas under them.

use super::scores::Scores;

/// A point of a curve.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

impl Scores {
    /// Area under the ROC curve, in 0..=1: the chance that a positive scores above a negative,
    /// ties counted half (Mann-Whitney). `None` without positives or without negatives.
    ///
    /// Summed in integers: exact up to the last division.
    pub fn auroc(&self) -> Option<f64> {
        if !self.has_both() {
            return None;
        }
        let mut twice_area = 0_u128;
        let mut last = (0, 0);
        for cut in self.cuts() {
            let (t, f) = (cut.above.true_positives, cut.above.false_positives);
            twice_area += ((last.0 + t) as u128) * ((f - last.1) as u128);
            last = (t, f);
        }
        let rectangle = self.positives().len() as u128 * self.negatives().len() as u128;
        Some(twice_area as f64 / (2 * rectangle) as f64)
    }

    /// Average precision, in 0..=1: Σ (recall_i - recall_{i-1}) · precision_i over the cuts from the
    /// highest score down, without interpolation. `None` without positives.
    pub fn average_precision(&self) -> Option<f64> {
        if self.positives().is_empty() {
            return None;
        }
        let mut sum = 0.0;
        let mut last = 0;
        for cut in self.cuts() {
            let (t, f) = (cut.above.true_positives, cut.above.false_positives);
            sum += (t - last) as f64 * (t as f64 / (t + f) as f64);
            last = t;
        }
        Some(sum / self.positives().len() as f64)
    }

    /// ROC curve from (0, 0) to (1, 1): false-positive rate against true-positive rate. Points
    /// nearer than `step` (sum of both distances) to the last one kept are left out; 0 keeps all.
    /// Empty without positives or without negatives.
    pub fn roc(&self, step: f64) -> Vec<Point> {
        if !self.has_both() {
            return Vec::new();
        }
        let (positives, negatives) = (self.positives().len(), self.negatives().len());
        let points = self.cuts().map(|cut| Point {
            x: cut.above.false_positives as f64 / negatives as f64,
            y: cut.above.true_positives as f64 / positives as f64,
        });
        thinned(
            std::iter::once(Point { x: 0.0, y: 0.0 }).chain(points),
            step,
        )
    }

    /// Precision (y) over recall (x), by rising recall, thinned as [`roc`](Self::roc) is. Empty
    /// without positives.
    pub fn precision_recall(&self, step: f64) -> Vec<Point> {
        if self.positives().is_empty() {
            return Vec::new();
        }
        let positives = self.positives().len() as f64;
        let points = self.cuts().map(|cut| {
            let (t, f) = (cut.above.true_positives, cut.above.false_positives);
            Point {
                x: t as f64 / positives,
                y: t as f64 / (t + f) as f64,
            }
        });
        thinned(points, step)
    }
}

fn thinned(points: impl Iterator<Item = Point>, step: f64) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    let mut skipped = None;
    for point in points {
        let far = kept
            .last()
            .is_none_or(|k| (point.x - k.x).abs() + (point.y - k.y).abs() >= step);
        if far {
            kept.push(point);
            skipped = None;
        } else {
            skipped = Some(point);
        }
    }
    kept.extend(skipped);
    kept
}
