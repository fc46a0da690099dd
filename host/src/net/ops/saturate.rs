//! The integer network's activation on floats: add a bias, round, saturate.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use pulp::Arch;
use rayon::prelude::*;

use super::conv::elements;

/// The largest value of an 8-bit activation, in steps.
const FULL: f32 = 255.0;
/// Elements a thread takes at once.
const CHUNK: usize = 1 << 14;

struct Saturate;

pub fn on_cpu(sums: &Tensor) -> Result<Tensor> {
    sums.contiguous()?.apply_op1(Saturate)
}

/// candle rounds halves away from zero: a step's difference where a sum ends in exactly a half.
pub fn on_device(sums: &Tensor) -> Result<Tensor> {
    let clamped = sums.clamp(0_f32, FULL)?;
    let change = (clamped.round()? - &clamped)?;
    clamped + change.detach()
}

impl CustomOp1 for Saturate {
    fn name(&self) -> &'static str {
        "saturate"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = elements::<f32>(storage, layout)?;
        let mut y = vec![0.0; x.len()];
        let arch = Arch::new();
        y.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK))
            .for_each(|(y, x)| {
                arch.dispatch(|| {
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = x.clamp(0.0, FULL).round_ties_even();
                    }
                });
            });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let inside = (x.gt(0_f32)? * x.lt(FULL)?)?;
        Ok(Some((gradient * inside.to_dtype(x.dtype())?)?))
    }
}
