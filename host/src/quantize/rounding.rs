//! Rounding one output channel's weights.

use super::MAX_WEIGHT;

/// The weights `[in, taps]` in steps, rounded kernel by kernel.
///
/// Neighbours in an image are nearly equal, so what counts most is the error of a kernel's sum: it
/// is kept within half a step by rounding the closest calls the other way (the kernel-wise part of
/// Guo et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation",
/// 2022).
pub fn round(steps: &[f64], taps: usize) -> Vec<i8> {
    steps.chunks_exact(taps).flat_map(round_kernel).collect()
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
    let off = |i: usize| (rounded[i] - exact[i]).abs();
    order.sort_by(|&a, &b| off(b).total_cmp(&off(a)).then(a.cmp(&b)));
    for &i in order.iter().take(excess.abs().round() as usize) {
        rounded[i] += direction;
    }
    rounded.iter().map(|&w| w as i8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_kernels_sum_stays_within_half_a_step() {
        let exact = [0.4, 0.45, 0.3, -0.4, 0.35, 0.49, 0.2, 126.9, -127.0];
        let rounded = round(&exact, 9);
        let sum: f64 = rounded.iter().map(|&w| f64::from(w)).sum();
        assert!(
            (sum - exact.iter().sum::<f64>()).abs() <= 0.5,
            "{rounded:?}"
        );
        for (rounded, exact) in rounded.iter().zip(&exact) {
            assert!((f64::from(*rounded) - exact).abs() < 1.0);
        }
        // The two closest calls are the ones moved.
        assert_eq!(rounded, [0, 1, 0, 0, 0, 1, 0, 127, -127]);
    }

    #[test]
    fn no_weight_passes_the_limit() {
        assert_eq!(round(&[127.2, 127.2, 127.2, 0.1], 2), [127, 127, 127, 0]);
    }
}
