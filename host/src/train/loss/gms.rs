//! Gradient-magnitude similarity (Xue, Zhang, Mou and Bovik, "Gradient Magnitude Similarity
//! Deviation", 2014) as a loss at one and at several scales (Zavrtanik, Kristan and Skočaj,
//! "Reconstruction by inpainting for visual anomaly detection", 2021).
//!
//! GMS = (2 g(x) g(y) + c) / (g(x)² + g(y)² + c), where g is the length of the gradient by Prewitt's
//! operator. Blind to what is equally bright over wide areas; mix it with another loss.

use candle_core::{Result, Tensor};

use super::scales;
use crate::net::ops;

/// The side of Prewitt's operator in pixels.
pub const WINDOW: usize = 3;
/// The papers' constant: 170 for images whose white is 255.
const C: f64 = 170.0 / (255.0 * 255.0);
/// Scales of the multi-scale form, as in the paper of 2021.
const SCALES: usize = 4;
/// Keeps the root's derivative finite where the image is even: a gradient of a quarter grey level.
const EPSILON: f64 = 1e-6;

/// Prewitt's operator is the product of these: the mean across, the difference along.
const MEAN: [f64; WINDOW] = [1.0 / 3.0; WINDOW];
const DIFFERENCE: [f64; WINDOW] = [1.0, 0.0, -1.0];

/// 1 - mean GMS over all places where the operator lies on the image.
pub fn single_scale(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    similarity(x, y)?.mean_all()?.affine(-1.0, 1.0)
}

/// GMS at every place where the operator lies on the images: [`WINDOW`] - 1 rows and columns fewer
/// than they have.
pub fn similarity(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let (x, y) = (magnitude(x)?, magnitude(y)?);
    let squares = (x.sqr()? + y.sqr()?)?.affine(1.0, C)?;
    (x * y)?.affine(2.0, C)? / squares
}

/// The mean of the losses at four scales, each half as large as the one before; of fewer where the
/// image is too small (all from sides of 24 pixels on).
pub fn multi_scale(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let scales = scales::count(height.min(width), WINDOW, SCALES).max(1);
    let (mut x, mut y) = (x.clone(), y.clone());
    let mut sum = single_scale(&x, &y)?;
    for _ in 1..scales {
        (x, y) = (scales::halve(&x)?, scales::halve(&y)?);
        sum = (sum + single_scale(&x, &y)?)?;
    }
    sum.affine(1.0 / scales as f64, 0.0)
}

/// The length of the gradient by Prewitt's operator, whose differences span two pixels.
fn magnitude(x: &Tensor) -> Result<Tensor> {
    let down = ops::filter(x, [&DIFFERENCE, &MEAN], 1)?;
    let along = ops::filter(x, [&MEAN, &DIFFERENCE], 1)?;
    (down.sqr()? + along.sqr()?)?.affine(1.0, EPSILON)?.sqrt()
}
