//! Convolutions as candle operators.
//!
//! A convolution and the transposed convolution with the same weight are adjoint: one gathers a
//! fine grid into a coarse one, the other scatters the coarse into the fine, and either's gradient
//! with respect to its input is the other. The weight is `[coarse, fine, k, k]` for both, and so is
//! its gradient. With stride 1 both grids have the same size.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::kernels::{self, Geometry};
use super::simd::Real;

/// fine `[n, f, h, w]`, weight `[c, f, k, k]` → coarse `[n, c, ⌈h/stride⌉, ⌈w/stride⌉]`.
pub struct Gather {
    pub stride: usize,
}

/// coarse `[n, c, h, w]`, weight `[c, f, k, k]` → fine `[n, f, ..]`.
pub struct Scatter {
    pub stride: usize,
    /// The fine grid's height and width.
    pub fine: [usize; 2],
}

/// coarse `[n, c, ..]`, fine `[n, f, ..]` → gradient of the weight `[c, f, k, k]`.
struct WeightGradient {
    kernel: usize,
    stride: usize,
}

/// A tensor's elements, which must lie in a row.
pub fn elements<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let all = T::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => bail!("a convolution's arguments must be contiguous"),
    }
}

/// Evaluates the expression with `$T` standing for the storage's element type.
macro_rules! by_type {
    ($storage:ident, $T:ident => $body:expr) => {
        match $storage {
            CpuStorage::F32(_) => {
                type $T = f32;
                $body
            }
            CpuStorage::F64(_) => {
                type $T = f64;
                $body
            }
            _ => bail!("only f32 and f64 tensors can be trained"),
        }
    };
}
pub(super) use by_type;

fn ensure_equal(what: &str, a: usize, b: usize) -> Result<()> {
    if a != b {
        bail!("convolution: {what} do not fit: {a} and {b}");
    }
    Ok(())
}

impl Gather {
    fn run<T: Real>(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, fine_channels, height, width) = l1.shape().dims4()?;
        let (coarse_channels, weight_channels, kernel, _) = l2.shape().dims4()?;
        ensure_equal("channels", fine_channels, weight_channels)?;
        let geometry = Geometry {
            batch,
            coarse_channels,
            fine_channels,
            fine: [height, width],
            kernel,
            stride: self.stride,
        };
        let out = kernels::gather(&geometry, elements::<T>(s1, l1)?, elements(s2, l2)?);
        let [height, width] = geometry.coarse();
        Ok((
            T::to_cpu_storage_owned(out),
            (batch, coarse_channels, height, width).into(),
        ))
    }
}

impl CustomOp2 for Gather {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_type!(s1, T => self.run::<T>(s1, l1, s2, l2))
    }

    fn bwd(
        &self,
        fine: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let stride = self.stride;
        let gradient = gradient.contiguous()?;
        let (_, _, height, width) = fine.dims4()?;
        let for_fine = fine.track_op().then(|| {
            let fine = [height, width];
            gradient.apply_op2_no_bwd(weight, &Scatter { stride, fine })
        });
        let for_weight = weight.track_op().then(|| {
            let kernel = weight.dim(3)?;
            gradient.apply_op2_no_bwd(fine, &WeightGradient { kernel, stride })
        });
        Ok((for_fine.transpose()?, for_weight.transpose()?))
    }
}

impl Scatter {
    fn run<T: Real>(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, coarse_channels, height, width) = l1.shape().dims4()?;
        let (weight_channels, fine_channels, kernel, _) = l2.shape().dims4()?;
        ensure_equal("channels", coarse_channels, weight_channels)?;
        let geometry = Geometry {
            batch,
            coarse_channels,
            fine_channels,
            fine: self.fine,
            kernel,
            stride: self.stride,
        };
        ensure_equal("heights", geometry.coarse()[0], height)?;
        ensure_equal("widths", geometry.coarse()[1], width)?;
        let out = kernels::scatter(&geometry, elements::<T>(s1, l1)?, elements(s2, l2)?);
        let [height, width] = self.fine;
        Ok((
            T::to_cpu_storage_owned(out),
            (batch, fine_channels, height, width).into(),
        ))
    }
}

impl CustomOp2 for Scatter {
    fn name(&self) -> &'static str {
        "conv-transpose2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_type!(s1, T => self.run::<T>(s1, l1, s2, l2))
    }

    fn bwd(
        &self,
        coarse: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let stride = self.stride;
        let gradient = gradient.contiguous()?;
        let for_coarse = coarse
            .track_op()
            .then(|| gradient.apply_op2_no_bwd(weight, &Gather { stride }));
        let for_weight = weight.track_op().then(|| {
            let kernel = weight.dim(3)?;
            coarse.apply_op2_no_bwd(&gradient, &WeightGradient { kernel, stride })
        });
        Ok((for_coarse.transpose()?, for_weight.transpose()?))
    }
}

impl WeightGradient {
    fn run<T: Real>(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, coarse_channels, _, _) = l1.shape().dims4()?;
        let (_, fine_channels, height, width) = l2.shape().dims4()?;
        let kernel = self.kernel;
        let geometry = Geometry {
            batch,
            coarse_channels,
            fine_channels,
            fine: [height, width],
            kernel,
            stride: self.stride,
        };
        let out = kernels::weight_gradient(&geometry, elements::<T>(s1, l1)?, elements(s2, l2)?);
        Ok((
            T::to_cpu_storage_owned(out),
            (coarse_channels, fine_channels, kernel, kernel).into(),
        ))
    }
}

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv2d-weight-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_type!(s1, T => self.run::<T>(s1, l1, s2, l2))
    }
}
