//! The most multiply-accumulates that this processor does: what shares of its peak are shares of.

use std::hint::black_box;

use pulp::{Arch, Simd, WithSimd};
use residua_edge::engine::native::kernel::{Kernel, Row, Stretch};

/// Bytes that each output pixel of [`IntegerPeak`] reads. Row and weights lie in a first-level cache.
const TAPS: usize = 256;
const PIXELS: usize = 64;
/// Blocks of lanes, enough for a kernel to use each activation as often as it ever does.
const BLOCKS: usize = 4;

/// A row on which a kernel of the native engine is bound by its multiplications alone: long dot
/// products of what lies in the first-level cache.
pub struct IntegerPeak {
    kernel: &'static dyn Kernel,
    bytes: Vec<u8>,
    weights: Vec<u8>,
    outputs: usize,
    output: Vec<u8>,
}

impl IntegerPeak {
    /// Such a row for a kernel's first format.
    pub fn new(kernel: &'static dyn Kernel) -> Self {
        let format = kernel.formats()[0];
        let outputs = BLOCKS * format.lanes;
        let block = format.head() + TAPS * format.lanes * format.weight();
        Self {
            kernel,
            bytes: vec![1; TAPS],
            weights: vec![0; BLOCKS * block],
            outputs,
            output: vec![0; PIXELS * outputs],
        }
    }

    /// Computes the row; yields the multiply-accumulates that it took.
    pub fn run(&mut self) -> u64 {
        let row = Row {
            // Every pixel reads the same.
            stretches: &[Stretch {
                bytes: black_box(&self.bytes),
                step: 0,
                length: TAPS,
            }],
            width: PIXELS,
            weights: black_box(&self.weights),
            format: self.kernel.formats()[0],
            outputs: self.outputs,
            step: self.outputs,
        };
        self.kernel.activations(&row, &mut self.output);
        black_box(&self.output);
        (PIXELS * self.outputs * TAPS) as u64
    }
}

/// Fused multiplications and additions of floats in registers, each independent of the ones before.
pub struct FloatPeak;

/// Sums side by side: more than two units with a latency of four cycles keep busy, and few enough
/// for sixteen registers.
const SUMS: usize = 12;
const ROUNDS: u64 = 10_000;

impl FloatPeak {
    /// Computes for a while; yields the multiply-accumulates that it took.
    pub fn run(&mut self) -> u64 {
        Arch::new().dispatch(self)
    }
}

impl WithSimd for &mut FloatPeak {
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> u64 {
        // Towards 1, far from slow denormal numbers.
        let half = black_box(simd.splat_f32s(0.5));
        let mut sums = [half; SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, half, half);
            }
        }
        black_box(sums);
        ROUNDS * (SUMS * S::F32_LANES) as u64
    }
}

#[cfg(test)]
mod tests {
    use residua_edge::engine::native::kernel;

    use super::*;

    #[test]
    fn every_kernel_has_a_peak() {
        for kernel in kernel::all() {
            let lanes = kernel.formats()[0].lanes;
            let macs = IntegerPeak::new(kernel).run();
            assert_eq!(macs, (64 * 4 * lanes * 256) as u64, "{}", kernel.name());
        }
        assert!(FloatPeak.run().is_multiple_of(ROUNDS * SUMS as u64));
    }
}
