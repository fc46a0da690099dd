//! Learning-rate schedules, as a factor over the progress of the training.

use super::options::Schedule;

/// The share of a one-cycle training in which the rate rises, and the factors at its ends: the
/// defaults of PyTorch's `OneCycleLR`.
const RISE: f64 = 0.3;
const FIRST: f64 = 1.0 / 25.0;
const LAST: f64 = FIRST / 1e4;

impl Schedule {
    /// What the learning rate is multiplied by when `progress` of the training, 0 to 1, is done.
    pub fn factor(self, progress: f64) -> f64 {
        let progress = progress.clamp(0.0, 1.0);
        match self {
            Self::Constant => 1.0,
            Self::Cosine => glide(1.0, 0.0, progress),
            Self::OneCycle if progress < RISE => glide(FIRST, 1.0, progress / RISE),
            Self::OneCycle => glide(1.0, LAST, (progress - RISE) / (1.0 - RISE)),
        }
    }
}

/// Half a cosine wave from one value to another.
fn glide(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_at_the_ends_and_the_peak() {
        let close = |schedule: Schedule, progress, factor: f64| {
            assert!((schedule.factor(progress) - factor).abs() < 1e-12);
        };
        close(Schedule::Constant, 0.9, 1.0);
        close(Schedule::Cosine, 0.0, 1.0);
        close(Schedule::Cosine, 0.5, 0.5);
        close(Schedule::Cosine, 1.0, 0.0);
        close(Schedule::OneCycle, 0.0, 0.04);
        close(Schedule::OneCycle, 0.3, 1.0);
        close(Schedule::OneCycle, 1.0, 4e-6);
        close(Schedule::OneCycle, 7.0, 4e-6);
    }
}
