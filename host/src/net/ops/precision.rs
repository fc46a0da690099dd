//! How exactly a CUDA device multiplies in the convolutions. Like candle's own switch, which it
//! sets, this is the process's and not a tensor's.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use candle_core::{DType, Device, Result, Tensor};

/// The numbers that products in convolutions are made of; sums, weights and all else are f32.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Precision {
    /// 24 bits.
    #[default]
    F32,
    /// 11 bits, faster where convolutions are matrix products: from NVIDIA's Ampere on.
    Tf32,
    /// 8 bits, in half the memory: from NVIDIA's Ampere on.
    Bf16,
}

static BF16: AtomicBool = AtomicBool::new(false);

impl Precision {
    /// Has all convolutions on this device compute so from now on.
    ///
    /// Errors where the device knows f32 alone, as a CPU does.
    pub fn set(self, device: &Device) -> anyhow::Result<()> {
        ensure!(
            self == Self::F32 || device.is_cuda(),
            "only CUDA devices have tf32 and bf16; train with --device cuda, or in f32"
        );
        candle_core::cuda::set_gemm_reduced_precision_f32(self == Self::Tf32);
        BF16.store(self == Self::Bf16, Ordering::Relaxed);
        Ok(())
    }
}

/// What `convolve` makes of `x` and `weight` at the precision that was set, of their own type.
pub fn at_set_precision(
    x: &Tensor,
    weight: &Tensor,
    convolve: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if BF16.load(Ordering::Relaxed) {
        through(DType::BF16, x, weight, convolve)
    } else {
        convolve(x, weight)
    }
}

/// Rounds both arguments to `dtype` on the way in; and the gradients on their way back.
fn through(
    dtype: DType,
    x: &Tensor,
    weight: &Tensor,
    convolve: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    convolve(&x.to_dtype(dtype)?, &weight.to_dtype(dtype)?)?.to_dtype(x.dtype())
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    #[test]
    fn a_cpu_refuses_what_it_does_not_have() {
        for precision in [Precision::Tf32, Precision::Bf16] {
            let error = precision.set(&Device::Cpu).unwrap_err().to_string();
            assert!(error.contains("CUDA"), "{error}");
        }
        Precision::F32.set(&Device::Cpu).unwrap();
    }

    /// By a matrix product, as candle's CPU has no convolution of bf16.
    #[test]
    fn bf16_rounds_the_factors_and_leaves_values_and_gradients_f32() {
        let var = |values: [[f32; 2]; 2]| Var::new(&values, &Device::Cpu).unwrap();
        let (x, weight) = (
            var([[1.0, -2.5], [0.3, 7.0]]),
            var([[0.7, 1.1], [-3.0, 0.2]]),
        );
        let product = |x: &Tensor, weight: &Tensor| x.matmul(weight);
        let exact = product(&x, &weight).unwrap();
        let rounded = through(DType::BF16, &x, &weight, product).unwrap();
        let gradients = |y: &Tensor| y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let (exact_gradients, gradients) = (gradients(&exact), gradients(&rounded));
        let mut pairs = vec![(exact.clone(), rounded.clone())];
        for var in [&x, &weight] {
            let of = |store: &candle_core::backprop::GradStore| store.get(var).unwrap().clone();
            pairs.push((of(&exact_gradients), of(&gradients)));
        }
        for (exact, rounded) in pairs {
            assert_eq!(rounded.dtype(), DType::F32);
            let largest = |t: Tensor| {
                let t = t.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
                t.to_scalar::<f32>().unwrap()
            };
            let difference = largest((&exact - &rounded).unwrap());
            assert!(difference > 0.0, "nothing was rounded");
            assert!(difference < 0.02 * largest(exact), "{difference}");
        }
    }
}
