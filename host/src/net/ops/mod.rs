//! The network's operators: on a CPU our own, several times as fast as candle's there; on any
//! other device candle's. Only this module knows which.
//!
//! All tensors are `[batch, channels, height, width]`.

mod conv;
mod filter;
mod kernels;
mod norm;
mod precision;
mod saturate;
mod simd;

use candle_core::{Result, Tensor, bail};
use precision::at_set_precision;

pub(crate) use conv::elements;
pub use norm::{EPSILON, Moments};
pub use precision::Precision;

/// Convolution by `weight` `[out, in, k, k]`, k odd, zero padding k/2, stride 1 or 2: the output's
/// sides are the input's divided by the stride, rounded up. Differentiable in both.
pub fn conv2d(x: &Tensor, weight: &Tensor, stride: usize) -> Result<Tensor> {
    let kernel = checked_kernel(x, weight, stride)?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    if x.device().is_cpu() {
        x.apply_op2(&weight, conv::Gather { stride })
    } else {
        at_set_precision(&x, &weight, |x, weight| {
            x.conv2d(weight, kernel / 2, stride, 1, 1)
        })
    }
}

/// Transposed convolution by `weight` `[in, out, k, k]`, k odd, stride 2, padding k/2, output
/// padding 1: the output's sides are twice the input's. Differentiable in both.
pub fn conv_transpose2d(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let kernel = checked_kernel(x, weight, 2)?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let (_, _, height, width) = x.dims4()?;
    if x.device().is_cpu() {
        let fine = [2 * height, 2 * width];
        x.apply_op2(&weight, conv::Scatter { stride: 2, fine })
    } else {
        at_set_precision(&x, &weight, |x, weight| {
            x.conv_transpose2d(weight, kernel / 2, 1, 2, 1)
        })
    }
}

/// Batch norm with the batch's own moments, then ReLU (`negative_slope` 0) or LeakyReLU; and those
/// moments. `weight` and `bias` have one value a channel. Differentiable in all three.
pub fn batch_norm_activation(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    negative_slope: f64,
) -> Result<(Tensor, Moments)> {
    if x.device().is_cpu() {
        norm::on_cpu(x, weight, bias, negative_slope)
    } else {
        norm::on_device(x, weight, bias, negative_slope)
    }
}

/// `x * scale + shift` with one value a channel, then ReLU or LeakyReLU: batch norm with fixed
/// moments. No gradient: backward through it is an error.
pub fn affine_activation(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    negative_slope: f64,
) -> Result<Tensor> {
    if x.device().is_cpu() {
        x.contiguous()?
            .apply_op3(scale, shift, norm::Affine { negative_slope })
    } else {
        norm::affine_on_device(x, scale, shift, negative_slope)
    }
}

/// Accumulated sums in steps of an 8-bit activation → that activation: rounded to whole steps,
/// halves to even, within 0 to 255. Its gradient is that of the clamp alone, as if nothing were
/// rounded.
pub fn saturate(sums: &Tensor) -> Result<Tensor> {
    if sums.device().is_cpu() {
        saturate::on_cpu(sums)
    } else {
        saturate::on_device(sums)
    }
}

/// Every channel filtered by the product of `taps` down the rows and along them, where all taps lie on
/// the image: the output's sides are `(side - taps) / stride + 1`, rounded down. Differentiable.
///
/// Errors where an axis has no taps or fewer pixels than taps.
pub fn filter(x: &Tensor, taps: [&[f64]; 2], stride: usize) -> Result<Tensor> {
    let filter = filter::Filter::new(taps, stride);
    if x.device().is_cpu() {
        filter.on_cpu(x)
    } else {
        filter.on_device(x)
    }
}

fn checked_kernel(x: &Tensor, weight: &Tensor, stride: usize) -> Result<usize> {
    if x.elem_count() == 0 || weight.elem_count() == 0 {
        bail!("convolution of an empty tensor: {x:?} with {weight:?}");
    }
    let (_, _, height, width) = weight.dims4()?;
    if height != width || height % 2 == 0 || !matches!(stride, 1 | 2) {
        bail!("kernel {height}x{width}, stride {stride}: must be square and odd, stride 1 or 2");
    }
    Ok(height)
}
