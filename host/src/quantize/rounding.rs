//! Rounding one output channel's weights.

use super::{MAX_WEIGHT, activations::Moments};

/// One output channel in integers, and what that costs.
pub struct Row {
    pub weights: Vec<i8>,
    pub bias: i64,
    pub exponent: i32,
    /// Expected squared error of the accumulator from the weights, were the taps of a kernel
    /// uncorrelated: compares exponents of one row.
    pub error: f64,
}

impl Row {
    /// Rounds `weights` `[in, kernel, kernel]` at `exponent`, for inputs on the `input` exponent.
    ///
    /// Within a kernel the neighbours in an image are nearly equal, so what counts most is the
    /// error of the kernel's sum: it is kept below half a step by rounding the closest calls the
    /// other way (the kernel-wise step of Guo et al., "SQuant", 2022). The bias takes up the mean
    /// of the remaining error.
    pub fn round(
        weights: &[f64],
        bias: f64,
        inputs: &[Moments],
        input: i32,
        exponent: i32,
    ) -> Self {
        let step = f64::from(exponent).exp2();
        let taps = weights.len() / inputs.len();
        let mut rounded = Vec::with_capacity(weights.len());
        let (mut error, mut drift) = (0.0, 0.0);
        for (kernel, moments) in weights.chunks_exact(taps).zip(inputs) {
            let scaled: Vec<f64> = kernel.iter().map(|w| w / step).collect();
            let kernel = if std::env::var("ABL").is_ok_and(|v| v.contains("noround")) {
                scaled
                    .iter()
                    .map(|w| w.round_ties_even().clamp(-127.0, 127.0) as i8)
                    .collect()
            } else {
                round_kernel(&scaled)
            };
            for (rounded, exact) in kernel.iter().zip(&scaled) {
                let difference = (f64::from(*rounded) - exact) * step;
                error += difference * difference * moments.square;
                if !std::env::var("ABL").is_ok_and(|v| v.contains("nobias")) {
                    drift += difference * moments.mean;
                }
            }
            rounded.extend(kernel);
        }
        let accumulator = f64::from(input + exponent).exp2();
        Self {
            weights: rounded,
            bias: ((bias - drift) / accumulator).round_ties_even() as i64,
            exponent,
            error,
        }
    }

    /// The largest magnitude that the accumulator can reach.
    pub fn bound(&self) -> i64 {
        let sum: i64 = self
            .weights
            .iter()
            .map(|w| i64::from(w.unsigned_abs()))
            .sum();
        (sum * 255).saturating_add(self.bias.saturating_abs())
    }
}

fn round_kernel(exact: &[f64]) -> Vec<i8> {
    let limit = f64::from(MAX_WEIGHT);
    let mut rounded: Vec<f64> = exact
        .iter()
        .map(|w| w.round_ties_even().clamp(-limit, limit))
        .collect();
    let excess: f64 = rounded.iter().zip(exact).map(|(r, e)| r - e).sum();
    let direction = -excess.signum();
    // Those already off in the direction of the excess cost least to move back.
    let mut order: Vec<usize> = (0..exact.len())
        .filter(|&i| (rounded[i] - exact[i]) * direction < 0.0)
        .filter(|&i| (rounded[i] + direction).abs() <= limit)
        .collect();
    order.sort_by(|&a, &b| {
        let off = |i: usize| (rounded[i] - exact[i]).abs();
        off(b).total_cmp(&off(a)).then(a.cmp(&b))
    });
    for &i in order.iter().take(excess.abs().round() as usize) {
        rounded[i] += direction;
    }
    rounded.iter().map(|&w| w as i8).collect()
}
