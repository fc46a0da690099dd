//! F1 over the threshold: its best, and how far the threshold may move without losing much.

use super::scores::{Counts, Scores};

/// How much F1 may lose within its plateau.
pub const PLATEAU_TOLERANCE: f64 = 0.02;

/// F1 = 2·TP / (2·TP + FP + FN) of `counts` where there are `positives` in all; `None` where there
/// are none.
pub fn f1(counts: Counts, positives: usize) -> Option<f64> {
    // The denominator: predicted (TP + FP) plus true (TP + FN).
    let sum = counts.true_positives + counts.false_positives + positives;
    (positives > 0).then(|| 2.0 * counts.true_positives as f64 / sum as f64)
}

/// The best F1, and the threshold that gives it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Best {
    pub f1: f64,
    /// Midway in the range of thresholds that give exactly this F1; of several such ranges, in the
    /// highest.
    pub threshold: u32,
}

/// The range of thresholds around the best one in which F1 stays within [`PLATEAU_TOLERANCE`] of
/// its best, both ends inside, in map steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plateau {
    pub low: u32,
    pub high: u32,
}

impl Plateau {
    /// `high / low`: by what factor the threshold may move. `None` where the range reaches 0.
    pub fn ratio(self) -> Option<f64> {
        (self.low > 0).then(|| f64::from(self.high) / f64::from(self.low))
    }

    /// ± share by which the threshold may be off its middle: 0.25 means ± 25 %.
    pub fn relative(self) -> f64 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        if high > 0.0 {
            (high - low) / (high + low)
        } else {
            0.0
        }
    }

    pub fn contains(self, threshold: u32) -> bool {
        (self.low..=self.high).contains(&threshold)
    }
}

/// Thresholds that share one F1.
#[derive(Clone, Copy)]
struct Step {
    low: u32,
    high: u32,
    f1: f64,
}

impl Scores {
    /// F1 of what lies strictly above `threshold`; `None` without positives.
    pub fn f1_at(&self, threshold: u32) -> Option<f64> {
        f1(self.above(threshold), self.positives().len())
    }

    /// The best F1 over all thresholds 0.. of the decision rule, which a score of 0 never exceeds.
    /// `None` without positives.
    pub fn best_f1(&self) -> Option<Best> {
        if self.positives().is_empty() {
            return None;
        }
        Some(self.best_step().map_or(
            Best {
                f1: 0.0,
                threshold: 0,
            },
            |best| Best {
                f1: best.f1,
                threshold: best.low + (best.high - best.low) / 2,
            },
        ))
    }

    /// The plateau around [`best_f1`](Self::best_f1). `None` where there is no F1 above 0 to hold.
    pub fn plateau(&self) -> Option<Plateau> {
        let best = self.best_step().filter(|best| best.f1 > 0.0)?;
        let mut run: Option<Plateau> = None;
        for step in self.steps() {
            if step.f1 >= best.f1 - PLATEAU_TOLERANCE {
                run.get_or_insert(Plateau {
                    low: step.low,
                    high: step.high,
                })
                .low = step.low;
            } else if run.is_some_and(|run| run.low <= best.low) {
                break;
            } else {
                run = None;
            }
        }
        run
    }

    fn best_step(&self) -> Option<Step> {
        self.steps()
            .reduce(|best, step| if step.f1 > best.f1 { step } else { best })
    }

    /// F1 as the step function that it is, from the highest threshold that lets anything through
    /// down to 0.
    fn steps(&self) -> impl Iterator<Item = Step> {
        let positives = self.positives().len();
        let lower = self.cuts().skip(1).map(|cut| cut.score);
        self.cuts()
            .zip(lower.chain(std::iter::once(0)))
            .filter(|(cut, _)| cut.score > 0)
            .filter_map(move |(cut, low)| {
                Some(Step {
                    low,
                    high: cut.score - 1,
                    f1: f1(cut.above, positives)?,
                })
            })
    }
}
