//! Thresholds that a stated share of good values exceeds.

/// So many good images must be expected above the threshold for their empirical quantile to be
/// trusted.
const EXPECTED_ABOVE: f64 = 10.0;

/// The Euler-Mascheroni constant: mean of the standard Gumbel distribution.
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

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
/// extrapolated: a score is a maximum over the many pixels of an image, so its distribution nears
/// Gumbel's (Fisher and Tippett 1928), fitted here by L-moments (Hosking 1990), which outliers move
/// less than plain moments. The result is never below the largest score seen; where it would be,
/// that score is taken, and the method says so.
pub fn tail_threshold(scores: &[u32], rate: f64) -> Tail {
    if scores.len() as f64 * rate >= EXPECTED_ABOVE {
        return Tail {
            threshold: exceeded_by(scores.to_vec(), rate),
            method: "empirical quantile",
        };
    }
    let largest = scores.iter().copied().max().unwrap_or(0);
    let extrapolated = Gumbel::fit(scores).map_or(0, |fit| fit.exceeded_by(rate).ceil() as u32);
    if extrapolated > largest {
        Tail {
            threshold: extrapolated,
            method: "gumbel l-moments",
        }
    } else {
        Tail {
            threshold: largest,
            method: "largest seen",
        }
    }
}

/// Gumbel's distribution of maxima: P(X <= x) = exp(-exp(-(x - location) / scale)).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gumbel {
    pub location: f64,
    pub scale: f64,
}

impl Gumbel {
    /// Fits by L-moments, scale = λ2 / ln 2 and location = λ1 - γ · scale; `None` with fewer than
    /// two values.
    pub fn fit(values: &[u32]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let mut ascending = values.to_vec();
        ascending.sort_unstable();
        let n = ascending.len() as f64;
        let mean = ascending.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        // Probability-weighted moment b1, unbiased: mean of (rank - 1) / (n - 1) · value.
        let weighted = (0_u32..)
            .zip(&ascending)
            .map(|(below, v)| f64::from(below) / (n - 1.0) * f64::from(*v))
            .sum::<f64>()
            / n;
        let scale = (2.0 * weighted - mean).max(0.0) / std::f64::consts::LN_2;
        Some(Self {
            location: mean - EULER_GAMMA * scale,
            scale,
        })
    }

    /// The value exceeded with probability `rate`, in 0..1.
    pub fn exceeded_by(self, rate: f64) -> f64 {
        self.location - self.scale * (-(-rate).ln_1p()).ln()
    }
}
