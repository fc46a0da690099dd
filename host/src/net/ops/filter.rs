//! Fixed separable filters as candle operators: windows, derivatives and pooling of losses.
//!
//! The taps of either axis are applied one after the other, only where all of them lie on the image.
//! Gathering and scattering are adjoint, so either's gradient is the other.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use pulp::Arch;
use rayon::prelude::*;

use super::conv::{by_type, elements};
use super::simd::Real;

/// The taps down the rows and along them, and the step between outputs.
#[derive(Clone)]
pub struct Filter {
    vertical: Vec<f64>,
    horizontal: Vec<f64>,
    stride: usize,
}

/// fine `[n, c, h, w]` → coarse `[n, c, ..]`.
struct Gather(Filter);

/// coarse `[n, c, ..]` → fine, its height and width given.
struct Scatter(Filter, [usize; 2]);

impl Filter {
    pub fn new([vertical, horizontal]: [&[f64]; 2], stride: usize) -> Self {
        Self {
            vertical: vertical.to_vec(),
            horizontal: horizontal.to_vec(),
            stride,
        }
    }

    pub fn on_cpu(self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(Gather(self))
    }

    pub fn on_device(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        let [coarse_height, coarse_width] = self.coarse([height, width])?;
        let taps: Vec<f64> = self
            .vertical
            .iter()
            .flat_map(|v| self.horizontal.iter().map(move |h| v * h))
            .collect();
        let shape = (1, 1, self.vertical.len(), self.horizontal.len());
        let taps = Tensor::from_vec(taps, shape, x.device())?.to_dtype(x.dtype())?;
        x.reshape((batch * channels, 1, height, width))?
            .conv2d(&taps, 0, self.stride, 1, 1)?
            .reshape((batch, channels, coarse_height, coarse_width))
    }

    /// The output's height and width.
    fn coarse(&self, fine: [usize; 2]) -> Result<[usize; 2]> {
        let taps = [self.vertical.len(), self.horizontal.len()];
        if taps.contains(&0) || self.stride == 0 || fine[0] < taps[0] || fine[1] < taps[1] {
            bail!(
                "filter of {} by {} taps, stride {}: does not fit an image of {} by {} pixels",
                taps[0],
                taps[1],
                self.stride,
                fine[0],
                fine[1]
            );
        }
        Ok([0, 1].map(|axis| (fine[axis] - taps[axis]) / self.stride + 1))
    }

    fn gather<T: Real>(&self, fine: &[T], fine_sides: [usize; 2], coarse: &mut [T]) {
        let (vertical, horizontal) = (of(&self.vertical), of(&self.horizontal));
        let [width, coarse_width] = [
            fine_sides[1],
            (fine_sides[1] - horizontal.len()) / self.stride + 1,
        ];
        let mut line = vec![T::ZERO; width];
        for (y, out) in coarse.chunks_exact_mut(coarse_width).enumerate() {
            line.fill(T::ZERO);
            let rows = fine[y * self.stride * width..].chunks_exact(width);
            for (&tap, row) in vertical.iter().zip(rows) {
                add(tap, row, &mut line);
            }
            for (&tap, start) in horizontal.iter().zip(0..) {
                let line = &line[start..];
                if self.stride == 1 {
                    add(tap, line, out);
                } else {
                    let line = line.iter().step_by(self.stride);
                    out.iter_mut().zip(line).for_each(|(o, &x)| *o += tap * x);
                }
            }
        }
    }

    fn scatter<T: Real>(&self, coarse: &[T], coarse_width: usize, fine: &mut [T], width: usize) {
        let (vertical, horizontal) = (of(&self.vertical), of(&self.horizontal));
        let mut line = vec![T::ZERO; width];
        for (y, row) in coarse.chunks_exact(coarse_width).enumerate() {
            line.fill(T::ZERO);
            for (&tap, start) in horizontal.iter().zip(0..) {
                let line = &mut line[start..];
                if self.stride == 1 {
                    add(tap, row, line);
                } else {
                    let line = line.iter_mut().step_by(self.stride);
                    line.zip(row).for_each(|(l, &x)| *l += tap * x);
                }
            }
            let rows = fine[y * self.stride * width..].chunks_exact_mut(width);
            for (&tap, row) in vertical.iter().zip(rows) {
                add(tap, &line, row);
            }
        }
    }
}

fn of<T: Real>(taps: &[f64]) -> Vec<T> {
    taps.iter().map(|&tap| T::from_f64(tap)).collect()
}

/// `y += tap * x`, as far as both reach.
#[inline(always)]
fn add<T: Real>(tap: T, x: &[T], y: &mut [T]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += tap * x);
}

impl Gather {
    fn run<T: Real>(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let sides = [height, width];
        let [coarse_height, coarse_width] = self.0.coarse(sides)?;
        let area = coarse_height * coarse_width;
        let mut out = vec![T::ZERO; batch * channels * area];
        let arch = Arch::new();
        out.par_chunks_exact_mut(area)
            .zip(elements::<T>(storage, layout)?.par_chunks_exact(height * width))
            .for_each(|(coarse, fine)| arch.dispatch(|| self.0.gather(fine, sides, coarse)));
        let shape = (batch, channels, coarse_height, coarse_width);
        Ok((T::to_cpu_storage_owned(out), shape.into()))
    }
}

impl CustomOp1 for Gather {
    fn name(&self) -> &'static str {
        "filter"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(storage, T => self.run::<T>(storage, layout))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, height, width) = x.dims4()?;
        let scatter = Scatter(self.0.clone(), [height, width]);
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&scatter)?))
    }
}

impl Scatter {
    fn run<T: Real>(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, coarse_height, coarse_width) = layout.shape().dims4()?;
        let Self(filter, [height, width]) = self;
        let area = height * width;
        let mut out = vec![T::ZERO; batch * channels * area];
        let arch = Arch::new();
        out.par_chunks_exact_mut(area)
            .zip(elements::<T>(storage, layout)?.par_chunks_exact(coarse_height * coarse_width))
            .for_each(|(fine, coarse)| {
                arch.dispatch(|| filter.scatter(coarse, coarse_width, fine, *width));
            });
        let shape = (batch, channels, *height, *width);
        Ok((T::to_cpu_storage_owned(out), shape.into()))
    }
}

impl CustomOp1 for Scatter {
    fn name(&self) -> &'static str {
        "filter-adjoint"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(storage, T => self.run::<T>(storage, layout))
    }
}
