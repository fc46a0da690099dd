//! Coarser and coarser versions of an image.

use candle_core::{Result, Tensor};

use crate::net::ops;

/// How many scales, each half as large as the one before, have sides of at least `least` pixels;
/// no more than `most`.
pub fn count(side: usize, least: usize, most: usize) -> usize {
    let halves = std::iter::successors(Some(side), |side| Some(side / 2));
    halves.take(most).take_while(|&side| side >= least).count()
}

/// Means of 2x2 pixels; an odd last row or column is left out.
pub fn halve(x: &Tensor) -> Result<Tensor> {
    ops::filter(x, [&[0.5, 0.5]; 2], 2)
}

#[cfg(test)]
mod tests {
    #[test]
    fn as_many_scales_as_fit() {
        let of_ssim = [
            (10, 0),
            (11, 1),
            (21, 1),
            (64, 3),
            (128, 4),
            (176, 5),
            (4096, 5),
        ];
        for (side, scales) in of_ssim {
            assert_eq!(super::count(side, 11, 5), scales, "side {side}");
        }
    }
}
