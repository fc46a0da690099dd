//! Direct convolution on slices, for any processor: no unfolded matrix.
//!
//! A slab of input rows that fits the second-level cache is copied with its zero padding; for
//! stride 2 its even and odd columns are separated. Then every tap of the kernel reads a whole
//! vector of neighbouring outputs' inputs at one offset from the vector's base, and a tile of
//! output channels by vectors accumulates in registers over all input channels and taps: a matrix
//! product whose right side is read in place. A scattering (transposed) convolution of stride s
//! is s² such products, one for each phase of the fine grid.
//!
//! The weight's gradient is such a product too, with the sum over the pixels: by channels where a
//! vector can be filled with them, else by lines of pixels.
//!
//! Every output is summed in one fixed order, so results do not depend on the number of threads.

mod gradient;
mod gradient_by_channels;
mod gradient_by_lines;
mod map;
mod slab;

use pulp::{Arch, Simd, WithSimd};

use super::simd::Real;

/// Enough tasks that threads end together.
const TASKS_PER_THREAD: usize = 4;

/// The fine and the coarse grid of a convolution, see [`super::conv`].
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub batch: usize,
    pub coarse_channels: usize,
    pub fine_channels: usize,
    /// Height and width of the fine grid.
    pub fine: [usize; 2],
    pub kernel: usize,
    pub stride: usize,
}

impl Geometry {
    /// Height and width of the coarse grid.
    pub fn coarse(&self) -> [usize; 2] {
        self.fine.map(|side| side.div_ceil(self.stride))
    }

    fn weight_at(&self, coarse: usize, fine: usize, ky: usize, kx: usize) -> usize {
        ((coarse * self.fine_channels + fine) * self.kernel + ky) * self.kernel + kx
    }
}

/// What the processor offers.
#[derive(Clone, Copy)]
struct Machine {
    lanes: usize,
    /// 32 vector registers, not 16.
    wide: bool,
}

impl Machine {
    fn of<T: Real>(arch: Arch) -> Self {
        struct Probe<T>(std::marker::PhantomData<T>);
        impl<T: Real> WithSimd for Probe<T> {
            type Output = Machine;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Machine {
                Machine {
                    lanes: T::lanes::<S>(),
                    wide: S::REGISTER_COUNT >= 32,
                }
            }
        }
        arch.dispatch(Probe::<T>(std::marker::PhantomData))
    }
}

/// Coarse outputs from fine inputs `[batch, fine, ..]` and `weight` `[coarse, fine, k, k]`.
pub fn gather<T: Real>(g: &Geometry, fine: &[T], weight: &[T]) -> Vec<T> {
    map::gather(Arch::new(), g, fine, weight)
}

/// Fine outputs from coarse inputs `[batch, coarse, ..]` and `weight` `[coarse, fine, k, k]`.
pub fn scatter<T: Real>(g: &Geometry, coarse: &[T], weight: &[T]) -> Vec<T> {
    map::scatter(Arch::new(), g, coarse, weight)
}

/// Gradient of the weight `[coarse, fine, k, k]` from the two grids `[batch, coarse, ..]` and
/// `[batch, fine, ..]`, of which one is an input and the other the output's gradient.
pub fn weight_gradient<T: Real>(g: &Geometry, coarse: &[T], fine: &[T]) -> Vec<T> {
    gradient::weight_gradient(Arch::new(), g, coarse, fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every instruction set that this processor can run, the plain one first.
    fn machines() -> Vec<Arch> {
        let mut machines = vec![Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        machines.extend(pulp::x86::V3::try_new().map(Arch::V3));
        machines.push(Arch::new());
        machines
    }

    fn values(count: usize, seed: u32) -> Vec<f32> {
        let mix = |i: usize| (i as u32 ^ seed).wrapping_mul(0x9e37_79b1) >> 8;
        (0..count)
            .map(|i| mix(i) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        for (coarse_channels, fine_channels, kernel, stride, fine) in [
            (1, 13, 1, 1, [5, 9]),
            (12, 1, 11, 1, [20, 37]),
            (8, 4, 9, 2, [31, 64]),
            (5, 6, 7, 2, [16, 16]),
            (17, 24, 5, 2, [9, 70]),
            (2, 3, 3, 2, [2, 1]),
            (48, 2, 5, 1, [7, 9]),
            (33, 3, 11, 2, [30, 21]),
            (16, 1, 3, 2, [40, 36]),
        ] {
            let g = Geometry {
                batch: 2,
                coarse_channels,
                fine_channels,
                fine,
                kernel,
                stride,
            };
            let [height, width] = g.coarse();
            let coarse = values(2 * coarse_channels * height * width, 1);
            let fine = values(2 * fine_channels * fine[0] * fine[1], 2);
            let weight = values(coarse_channels * fine_channels * kernel * kernel, 3);
            let all = |arch| {
                [
                    map::gather(arch, &g, &fine, &weight),
                    map::scatter(arch, &g, &coarse, &weight),
                    gradient::weight_gradient(arch, &g, &coarse, &fine),
                ]
            };
            let plain = all(Arch::Scalar);
            for arch in machines() {
                for (plain, ours) in plain.iter().zip(all(arch)) {
                    assert_eq!(plain.len(), ours.len());
                    for (plain, ours) in plain.iter().zip(ours) {
                        // Only the order of summing and the fused rounding differ.
                        assert!(
                            (plain - ours).abs() < 1e-3,
                            "{arch:?} {g:?}: {plain} {ours}"
                        );
                    }
                }
            }
        }
    }
}
