//! Batch norm fused with its activation, as candle operators.

use std::sync::{Arc, OnceLock};

use candle_core::{
    CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Storage, Tensor, bail,
};
use pulp::Arch;
use rayon::prelude::*;

use super::conv::{by_type, elements};
use super::simd::Real;

/// Added to every variance, as in PyTorch.
pub const EPSILON: f64 = 1e-5;
/// Elements summed in the tensor's own type before going on in f64.
const CHUNK: usize = 4096;
/// Sums kept beside each other, so that they go into vectors.
const LANES: usize = 16;

/// Mean and variance of each channel over a batch.
#[derive(Clone, Debug)]
pub struct Moments {
    pub mean: Vec<f64>,
    /// Divided by the number of values, not by one less.
    pub variance: Vec<f64>,
    /// Values a channel.
    pub count: usize,
}

struct BatchNorm {
    negative_slope: f64,
    moments: Arc<OnceLock<Moments>>,
}

/// See [`super::affine_activation`].
pub struct Affine {
    pub negative_slope: f64,
}

pub fn on_cpu(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    negative_slope: f64,
) -> Result<(Tensor, Moments)> {
    let moments = Arc::new(OnceLock::new());
    let op = BatchNorm {
        negative_slope,
        moments: moments.clone(),
    };
    let y = x.contiguous()?.apply_op3(weight, bias, op)?;
    match moments.get() {
        Some(moments) => Ok((y, moments.clone())),
        None => bail!("batch norm did not run"),
    }
}

pub fn on_device(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    negative_slope: f64,
) -> Result<(Tensor, Moments)> {
    let (batch, channels, height, width) = x.dims4()?;
    let mean = x.mean_keepdim((0, 2, 3))?;
    let centered = x.broadcast_sub(&mean)?;
    let variance = centered.sqr()?.mean_keepdim((0, 2, 3))?;
    let normal = centered.broadcast_div(&(&variance + EPSILON)?.sqrt()?)?;
    let moments = Moments {
        mean: mean.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?,
        variance: variance.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?,
        count: batch * height * width,
    };
    let channelwise = |t: &Tensor| t.reshape((1, channels, 1, 1));
    let y = normal
        .broadcast_mul(&channelwise(weight)?)?
        .broadcast_add(&channelwise(bias)?)?;
    Ok((activation(&y, negative_slope)?, moments))
}

pub fn affine_on_device(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    negative_slope: f64,
) -> Result<Tensor> {
    let channelwise = |t: &Tensor| t.reshape((1, x.dim(1)?, 1, 1));
    let y = x
        .broadcast_mul(&channelwise(scale)?)?
        .broadcast_add(&channelwise(shift)?)?;
    activation(&y, negative_slope)
}

fn activation(y: &Tensor, negative_slope: f64) -> Result<Tensor> {
    if negative_slope == 0.0 {
        y.relu()
    } else {
        y.relu()? - (y.neg()?.relu()? * negative_slope)?
    }
}

/// `x * scale + shift`, and the activation's slope there.
#[inline(always)]
fn affine<T: Real>(x: T, scale: T, shift: T, slope: T) -> (T, T) {
    let y = x * scale + shift;
    // In this order a NaN stays one.
    let slope = if y <= T::ZERO { slope } else { T::one() };
    (y, slope)
}

/// Writes `activation(x * scale + shift)` channel by channel.
fn affine_planes<T: Real>(x: &[T], plane: usize, coefficients: &[(T, T)], slope: T) -> Vec<T> {
    let arch = Arch::new();
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(plane)
        .zip(x.par_chunks(plane))
        .enumerate()
        .for_each(|(i, (y, x))| {
            let (scale, shift) = coefficients[i % coefficients.len()];
            arch.dispatch(|| {
                for (y, &x) in y.iter_mut().zip(x) {
                    let (value, slope) = affine(x, scale, shift, slope);
                    *y = value * slope;
                }
            });
        });
    y
}

/// Sums `term` of every pair, in f64 over chunks.
#[inline(always)]
fn sums<T: Real, const N: usize>(a: &[T], b: &[T], term: impl Fn(T, T) -> [T; N]) -> [f64; N] {
    let mut total = [0.0; N];
    for (a, b) in a.chunks(CHUNK).zip(b.chunks(CHUNK)) {
        let mut lanes = [[T::ZERO; LANES]; N];
        let (a_vectors, a_rest) = a.as_chunks::<LANES>();
        let (b_vectors, b_rest) = b.as_chunks::<LANES>();
        for (a, b) in a_vectors.iter().zip(b_vectors) {
            for lane in 0..LANES {
                let terms = term(a[lane], b[lane]);
                for n in 0..N {
                    lanes[n][lane] += terms[n];
                }
            }
        }
        for (&a, &b) in a_rest.iter().zip(b_rest) {
            let terms = term(a, b);
            for n in 0..N {
                lanes[n][0] += terms[n];
            }
        }
        for n in 0..N {
            for lane in lanes[n] {
                total[n] += lane.to_f64();
            }
        }
    }
    total
}

/// The planes of one channel, image after image.
fn planes<T>(x: &[T], channels: usize, plane: usize, channel: usize) -> impl Iterator<Item = &[T]> {
    x.chunks_exact(plane).skip(channel).step_by(channels)
}

fn moments<T: Real>(x: &[T], batch: usize, channels: usize, plane: usize) -> Moments {
    let arch = Arch::new();
    let count = batch * plane;
    let both: Vec<(f64, f64)> = (0..channels)
        .into_par_iter()
        .map(|channel| {
            arch.dispatch(|| {
                // Around a value of the channel itself, so that a large mean costs no digits.
                let around = planes(x, channels, plane, channel)
                    .next()
                    .map_or(T::ZERO, |p| p[0]);
                let mut total = [0.0; 2];
                for p in planes(x, channels, plane, channel) {
                    let part = sums(p, p, |x, _| {
                        let d = x - around;
                        [d, d * d]
                    });
                    total[0] += part[0];
                    total[1] += part[1];
                }
                let mean = total[0] / count as f64;
                let variance = total[1] / count as f64 - mean * mean;
                (around.to_f64() + mean, variance.max(0.0))
            })
        })
        .collect();
    let (mean, variance) = both.into_iter().unzip();
    Moments {
        mean,
        variance,
        count,
    }
}

/// Scale and shift that normalize by the moments, then apply weight and bias.
fn coefficients<T: Real>(moments: &Moments, weight: &[T], bias: &[T]) -> Vec<(T, T)> {
    let channels = moments.mean.iter().zip(&moments.variance);
    channels
        .zip(weight.iter().zip(bias))
        .map(|((mean, variance), (weight, bias))| {
            let scale = weight.to_f64() / (variance + EPSILON).sqrt();
            let shift = bias.to_f64() - mean * scale;
            (T::from_f64(scale), T::from_f64(shift))
        })
        .collect()
}

type Arguments<'a> = [(&'a CpuStorage, &'a Layout); 3];

/// Input, weight and bias, and the input's `[batch, channels, height * width]`.
type Checked<'a, T> = (&'a [T], &'a [T], &'a [T], [usize; 3]);

/// The three arguments' elements, checked against each other.
fn checked<'a, T: Real>(arguments: &Arguments<'a>) -> Result<Checked<'a, T>> {
    let [x, weight, bias] = *arguments;
    let (batch, channels, height, width) = x.1.shape().dims4()?;
    let weight = elements::<T>(weight.0, weight.1)?;
    let bias = elements::<T>(bias.0, bias.1)?;
    if weight.len() != channels || bias.len() != channels || batch * height * width == 0 {
        bail!(
            "batch norm: {channels} channels, {} weights, {} biases, {batch} images of {width}x{height}",
            weight.len(),
            bias.len()
        );
    }
    let x = elements::<T>(x.0, x.1)?;
    Ok((x, weight, bias, [batch, channels, height * width]))
}

impl BatchNorm {
    fn run<T: Real>(&self, arguments: &Arguments) -> Result<(CpuStorage, Shape)> {
        let (x, weight, bias, [batch, channels, plane]) = checked::<T>(arguments)?;
        let moments = moments(x, batch, channels, plane);
        let coefficients = coefficients(&moments, weight, bias);
        let y = affine_planes(x, plane, &coefficients, T::from_f64(self.negative_slope));
        if self.moments.set(moments).is_err() {
            bail!("batch norm ran twice");
        }
        let shape = arguments[0].1.shape().clone();
        Ok((T::to_cpu_storage_owned(y), shape))
    }

    /// Gradients of input, weight and bias, given the output's.
    fn gradients<T: Real>(
        &self,
        arguments: &Arguments,
        dy: (&CpuStorage, &Layout),
    ) -> Result<[Vec<T>; 3]> {
        let Some(moments) = self.moments.get() else {
            bail!("batch norm: backward before forward");
        };
        let (x, weight, bias, [_, channels, plane]) = checked::<T>(arguments)?;
        let dy = elements::<T>(dy.0, dy.1)?;
        let slope = T::from_f64(self.negative_slope);
        let coefficients = coefficients(moments, weight, bias);
        let arch = Arch::new();
        // Of each channel: the sums of the gradient, and of it times the centered input.
        let totals: Vec<[f64; 2]> = (0..channels)
            .into_par_iter()
            .map(|channel| {
                let (scale, shift) = coefficients[channel];
                let mean = T::from_f64(moments.mean[channel]);
                arch.dispatch(|| {
                    let pairs = planes(x, channels, plane, channel)
                        .zip(planes(dy, channels, plane, channel));
                    let mut total = [0.0; 2];
                    for (x, dy) in pairs {
                        let part = sums(x, dy, |x, dy| {
                            let (_, slope) = affine(x, scale, shift, slope);
                            let dy = dy * slope;
                            [dy, dy * (x - mean)]
                        });
                        total[0] += part[0];
                        total[1] += part[1];
                    }
                    total
                })
            })
            .collect();

        let count = moments.count as f64;
        let mut dx = vec![T::ZERO; x.len()];
        dx.par_chunks_mut(plane)
            .zip(x.par_chunks(plane).zip(dy.par_chunks(plane)))
            .enumerate()
            .for_each(|(i, (dx, (x, dy)))| {
                let channel = i % channels;
                let (scale, shift) = coefficients[channel];
                let [total, total_x] = totals[channel];
                let inverse_variance = 1.0 / (moments.variance[channel] + EPSILON);
                // dx = scale · (dy - mean(dy) - (x - mean) · mean(dy · (x - mean)) / variance)
                let a = -scale.to_f64() * inverse_variance * total_x / count;
                let b = -scale.to_f64() * total / count - a * moments.mean[channel];
                let (a, b) = (T::from_f64(a), T::from_f64(b));
                arch.dispatch(|| {
                    for (dx, (&x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                        let (_, slope) = affine(x, scale, shift, slope);
                        *dx = dy * slope * scale + (x * a + b);
                    }
                });
            });
        let dweight = totals.iter().zip(&moments.variance);
        let dweight = dweight.map(|(t, v)| T::from_f64(t[1] / (v + EPSILON).sqrt()));
        let dbias = totals.iter().map(|t| T::from_f64(t[0]));
        Ok([dx, dweight.collect(), dbias.collect()])
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch-norm-activation"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let arguments = [(s1, l1), (s2, l2), (s3, l3)];
        by_type!(s1, T => self.run::<T>(&arguments))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (weight_storage, weight_layout) = weight.storage_and_layout();
        let (bias_storage, bias_layout) = bias.storage_and_layout();
        let (dy_storage, dy_layout) = gradient.storage_and_layout();
        let (Storage::Cpu(s1), Storage::Cpu(s2), Storage::Cpu(s3), Storage::Cpu(dy)) =
            (&*x_storage, &*weight_storage, &*bias_storage, &*dy_storage)
        else {
            bail!("batch norm: not all tensors are on the CPU");
        };
        let arguments = [(s1, x_layout), (s2, weight_layout), (s3, bias_layout)];
        by_type!(s1, T => {
            let [dx, dweight, dbias] = self.gradients::<T>(&arguments, (dy, dy_layout))?;
            Ok((
                Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?),
                Some(Tensor::from_vec(dweight, weight.shape(), &Device::Cpu)?),
                Some(Tensor::from_vec(dbias, bias.shape(), &Device::Cpu)?),
            ))
        })
    }
}

impl Affine {
    fn run<T: Real>(&self, arguments: &Arguments) -> Result<(CpuStorage, Shape)> {
        let (x, scale, shift, [_, _, plane]) = checked::<T>(arguments)?;
        let coefficients: Vec<(T, T)> = scale.iter().copied().zip(shift.iter().copied()).collect();
        let y = affine_planes(x, plane, &coefficients, T::from_f64(self.negative_slope));
        let shape = arguments[0].1.shape().clone();
        Ok((T::to_cpu_storage_owned(y), shape))
    }
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine-activation"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let arguments = [(s1, l1), (s2, l2), (s3, l3)];
        by_type!(s1, T => self.run::<T>(&arguments))
    }
}
