//! Thresholds that a stated share of good values exceeds.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// So many good images must be expected above the threshold for their empirical quantile to be
/// trusted.
const EXPECTED_ABOVE: f64 = 10.0;
/// Samples drawn for an interval: its ends then rest on 25 of them each.
const RESAMPLES: usize = 1000;

/// A threshold and how it was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail {
    pub threshold: u32,
    /// At most 32 bytes: it goes into the manifest.
    pub method: &'static str,
}

/// The smallest value of `values` that at most the share `rate` of them exceed; 0 for none.
pub fn exceeded_by(mut values: Vec<u32>, rate: f64) -> u32 {
    if values.is_empty() {
        return 0;
    }
    // The sum keeps 0.001 · 1000 at 1 whatever the rounding of the product.
    let above = (values.len() as f64 * rate + 1e-9) as usize;
    let index = values.len() - 1 - above.min(values.len() - 1);
    *values.select_nth_unstable(index).1
}

/// The image threshold that good images exceed at `rate`, from their scores.
///
/// With at least ten expected above it, the sample's own quantile. With fewer, that of a [`Pareto`]
/// fit to its tail. Where not even one image of the sample is expected above the threshold, it is
/// never below the largest score seen: that is then taken, and the method says so. Where one is, a
/// good image may be called a defect, as was asked for; a sample with a few mislabelled images
/// in it then costs little.
pub fn tail_threshold(scores: &[u32], rate: f64) -> Tail {
    let expected_above = scores.len() as f64 * rate;
    if expected_above >= EXPECTED_ABOVE {
        return Tail {
            threshold: exceeded_by(scores.to_vec(), rate),
            method: "empirical quantile",
        };
    }
    let largest = scores.iter().copied().max().unwrap_or(0);
    let fitted = Pareto::fit(scores).map(|fit| fit.exceeded_by(rate).ceil() as u32);
    if let Some(threshold) = fitted.filter(|&fit| fit > largest || expected_above >= 1.0) {
        Tail {
            threshold,
            method: "generalized pareto",
        }
    } else {
        Tail {
            threshold: largest,
            method: "largest seen",
        }
    }
}

/// The interval that holds the threshold at `rate` with 95 % confidence: where it falls for all but
/// the outer 2.5 % on either side of 1000 samples drawn from `scores` with replacement (the
/// percentile bootstrap, Efron 1979), always the same ones.
///
/// It shows how much the threshold hangs on single images. A sample holds no image rarer than its
/// own, so that for rates below one in its length the interval is too narrow above.
pub fn tail_interval(scores: &[u32], rate: f64) -> (u32, u32) {
    if scores.is_empty() {
        return (0, 0);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut resample = || -> Vec<u32> {
        let drawn = scores.iter().map(|_| rng.random_range(0..scores.len()));
        drawn.map(|index| scores[index]).collect()
    };
    let mut thresholds: Vec<u32> = (0..RESAMPLES)
        .map(|_| tail_threshold(&resample(), rate).threshold)
        .collect();
    thresholds.sort_unstable();
    let outer = RESAMPLES / 40;
    (thresholds[outer], thresholds[RESAMPLES - 1 - outer])
}

/// The generalized Pareto distribution of what exceeds a sample's median (Pickands 1975):
/// P(X > x) = `share` · (1 - shape · (x - median) / scale)^(1 / shape).
///
/// The shape is kept within 0 (an exponential tail) and 1 (a uniform one): residuals are bounded,
/// so that their tail is never heavier, whatever a small sample looks like.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pareto {
    pub median: f64,
    /// Of the values that exceed the median.
    pub share: f64,
    pub scale: f64,
    pub shape: f64,
}

impl Pareto {
    /// Fits by L-moments (Hosking and Wallis 1987), which outliers move less than plain moments:
    /// shape = λ1 / λ2 - 2 and scale = (1 + shape) λ1 of the excesses. `None` where fewer than two
    /// values exceed the median.
    pub fn fit(values: &[u32]) -> Option<Self> {
        let median = exceeded_by(values.to_vec(), 0.5);
        let excesses = values.iter().filter_map(|v| v.checked_sub(median));
        let mut excesses: Vec<f64> = excesses.filter(|&v| v > 0).map(f64::from).collect();
        if excesses.len() < 2 {
            return None;
        }
        excesses.sort_unstable_by(f64::total_cmp);
        let n = excesses.len() as f64;
        let mean = excesses.iter().sum::<f64>() / n;
        // Probability-weighted moment b1, unbiased: mean of (rank - 1) / (n - 1) · value.
        let ranked = (0_u32..).zip(&excesses);
        let weighted = ranked.map(|(below, v)| f64::from(below) * v).sum::<f64>() / (n * (n - 1.0));
        // λ2 = 2 b1 - λ1 is 0 where all excesses are equal: a tail that ends there.
        let shape = (mean / (2.0 * weighted - mean) - 2.0).clamp(0.0, 1.0);
        Some(Self {
            median: median.into(),
            share: n / values.len() as f64,
            scale: (1.0 + shape) * mean,
            shape,
        })
    }

    /// The value exceeded with probability `rate`, in 0 to [`Self::share`].
    pub fn exceeded_by(self, rate: f64) -> f64 {
        let ratio = rate / self.share;
        let excess = if self.shape == 0.0 {
            -ratio.ln()
        } else {
            (1.0 - ratio.powf(self.shape)) / self.shape
        };
        self.median + self.scale * excess
    }
}
