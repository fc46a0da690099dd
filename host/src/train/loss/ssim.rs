//! Structural similarity (Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error
//! Visibility to Structural Similarity", 2004) and its multi-scale form (Wang, Simoncelli and Bovik,
//! "Multiscale Structural Similarity for Image Quality Assessment", 2003).
//!
//! Of the windows x and y at a place, with means μ, variances σ² and covariance σxy weighted by a
//! Gaussian:
//!
//! SSIM = l · cs, l = (2 μx μy + C₁) / (μx² + μy² + C₁), cs = (2 σxy + C₂) / (σx² + σy² + C₂)
//!
//! with C₁ = (K₁ L)², C₂ = (K₂ L)². Only windows that lie on the image count.

use candle_core::{Result, Tensor};

use super::scales;
use crate::net::ops;

/// The side of a window in pixels.
pub const WINDOW: usize = 11;
/// The Gaussian's standard deviation in pixels.
const SIGMA: f64 = 1.5;
/// (K₁ L)² and (K₂ L)² of the paper, white being L = 1.
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;
/// The exponents of the scales, finest first, of the paper of 2003.
const EXPONENTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// Below this a similarity's logarithm goes on as its tangent.
const LOW: f64 = 0.1;

/// 1 - mean SSIM over the windows of all images.
pub fn single_scale(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    similarity(x, y)?.mean_all()?.affine(-1.0, 1.0)
}

/// SSIM of every window that lies on the images: [`WINDOW`] - 1 rows and columns fewer than they
/// have.
pub fn similarity(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let (luminance, structure) = maps(x, y)?;
    luminance * structure
}

/// 1 - mean MS-SSIM over the images: the product of the means of cs over each scale but the
/// coarsest, where it is the mean of SSIM, each to the power of its exponent.
///
/// As many of the five scales are taken as have room for a window (all from sides of 176 pixels on,
/// four from 88, three from 44), and their exponents divided by their sum.
///
/// A negative similarity, as an untrained network's, has no such power: below 0.1 the logarithm of
/// a similarity is continued by its tangent, so that the loss stays smooth and still falls as any
/// of them rises.
pub fn multi_scale(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let scales = scales::count(height.min(width), WINDOW, EXPONENTS.len()).max(1);
    let exponents = &EXPONENTS[..scales];
    let sum: f64 = exponents.iter().sum();
    let (mut x, mut y) = (x.clone(), y.clone());
    let mut logarithm = None;
    for (scale, exponent) in exponents.iter().enumerate() {
        if scale > 0 {
            (x, y) = (scales::halve(&x)?, scales::halve(&y)?);
        }
        let (luminance, structure) = maps(&x, &y)?;
        let similarity = if scale + 1 == scales {
            (luminance * structure)?
        } else {
            structure
        };
        let by_image = similarity.flatten_from(1)?.mean(1)?;
        let term = continued_logarithm(&by_image)?.affine(exponent / sum, 0.0)?;
        logarithm = Some(match logarithm {
            None => term,
            Some(others) => (others + term)?,
        });
    }
    match logarithm {
        Some(logarithm) => logarithm.exp()?.mean_all()?.affine(-1.0, 1.0),
        None => candle_core::bail!("no scale to compare at"),
    }
}

/// l and cs of every window.
fn maps(x: &Tensor, y: &Tensor) -> Result<(Tensor, Tensor)> {
    let window = gaussian();
    let mean = |t: &Tensor| ops::filter(t, [&window; 2], 1);
    let (mean_x, mean_y) = (mean(x)?, mean(y)?);
    let means_product = (&mean_x * &mean_y)?;
    let means_squares = (mean_x.sqr()? + mean_y.sqr()?)?;
    let covariance = (mean(&(x * y)?)? - &means_product)?;
    // Of both together: one window fewer.
    let variances = (mean(&(x.sqr()? + y.sqr()?)?)? - &means_squares)?;
    let similarity = |product: &Tensor, squares: &Tensor, c: f64| {
        product.affine(2.0, c)? / squares.affine(1.0, c)?
    };
    Ok((
        similarity(&means_product, &means_squares, C1)?,
        similarity(&covariance, &variances, C2)?,
    ))
}

/// The window along one axis, with sum 1.
fn gaussian() -> [f64; WINDOW] {
    let centre = (WINDOW / 2) as f64;
    let weights: [f64; WINDOW] = std::array::from_fn(|i| {
        let distance = (i as f64 - centre) / SIGMA;
        (-0.5 * distance * distance).exp()
    });
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// ln s from [`LOW`] on, below it the tangent there.
fn continued_logarithm(s: &Tensor) -> Result<Tensor> {
    let above = s.affine(1.0, -LOW)?.relu()?.affine(1.0, LOW)?.log()?;
    let below = s.affine(-1.0, LOW)?.relu()?.affine(1.0 / LOW, 0.0)?;
    above - below
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_logarithm_goes_on_without_a_kink() {
        let s = [0.9, 0.1, 0.0, -0.4];
        let tensor = Tensor::new(&s, &Device::Cpu).unwrap();
        let logarithm = continued_logarithm(&tensor).unwrap();
        let tangent = |s: f64| LOW.ln() + (s - LOW) / LOW;
        let expected = [0.9_f64.ln(), LOW.ln(), tangent(0.0), tangent(-0.4)];
        for (ours, expected) in logarithm.to_vec1::<f64>().unwrap().iter().zip(expected) {
            assert!((ours - expected).abs() < 1e-12, "{ours}, not {expected}");
        }
    }
}
