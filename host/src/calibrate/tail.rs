//! Thresholds that a stated share of good values exceeds.

/// So many good images must be expected above the threshold for their empirical quantile to be
/// trusted.
const EXPECTED_ABOVE: f64 = 10.0;

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
/// With at least ten expected above it, the sample's own quantile. With fewer, the tail is
/// extrapolated by a [`Pareto`] fit. The result is never below the largest score seen; where it
/// would be, that score is taken, and the method says so.
pub fn tail_threshold(scores: &[u32], rate: f64) -> Tail {
    if scores.len() as f64 * rate >= EXPECTED_ABOVE {
        return Tail {
            threshold: exceeded_by(scores.to_vec(), rate),
            method: "empirical quantile",
        };
    }
    let largest = scores.iter().copied().max().unwrap_or(0);
    let extrapolated = Pareto::fit(scores).map_or(0, |fit| fit.exceeded_by(rate).ceil() as u32);
    if extrapolated > largest {
        Tail {
            threshold: extrapolated,
            method: "generalized pareto",
        }
    } else {
        Tail {
            threshold: largest,
            method: "largest seen",
        }
    }
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
