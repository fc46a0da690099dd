//! aarch64: plain NEON, and NEON with the dot product. Both multiply signed bytes, so that
//! activations are taken as a - 128.
#![allow(unsafe_code)]

#[cfg(feature = "std")]
mod dot;

use core::arch::aarch64::*;

use super::{Block, Format, Kernel, Row, next, spans};

#[cfg(feature = "std")]
pub use dot::NeonDot;

/// The kernel for every aarch64 processor: NEON belongs to the architecture.
#[derive(Clone, Copy, Debug)]
pub struct Neon;

const LANES: usize = 4;
const DEPTH: usize = 16;
const FORMAT: Format = Format::new(LANES, DEPTH, CENTRE);
const CENTRE: u8 = 128;

impl Kernel for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn formats(&self) -> &'static [Format] {
        &[FORMAT]
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert_eq!(row.format, FORMAT);
        row.check(output.len());
        let mut blocks = row.blocks();
        while blocks.len() > 0 {
            let [block] = next(&mut blocks);
            for (x, size) in spans([4, 1], row.width) {
                // SAFETY: the row was checked, its format is this kernel's, and x + size <=
                // row.width.
                unsafe {
                    if size == 4 {
                        tile::<4>(row, &block, x, output);
                    } else {
                        tile::<1>(row, &block, x, output);
                    }
                }
            }
        }
    }
}

/// 16 products a pair of multiplications: weights are within ±127 and activations within -128 to
/// 127, so that a sum of two products, at most 2 · 127 · 128 = 32512, fits 16 bits.
///
/// # Safety
/// [`Row::check`] has passed for this output; the format is [`FORMAT`]; x + `PIXELS` <=
/// `row.width`.
#[target_feature(enable = "neon")]
unsafe fn tile<const PIXELS: usize>(row: &Row<'_>, block: &Block<'_>, x: usize, output: &mut [u8]) {
    let mut sums = [[vdupq_n_s32(0); LANES]; PIXELS];
    let mut weights = block.weights.as_ptr().cast::<i8>();
    for stretch in row.stretches {
        // SAFETY: pixel x + PIXELS - 1 < width reads `length` bytes from `step` times it on: the
        // check has found them inside `bytes`. A block's weights are LANES times the stretches'
        // lengths, in their order.
        unsafe {
            let mut taps = stretch.bytes.as_ptr().add(x * stretch.step);
            for _ in 0..stretch.length / DEPTH {
                let these: [int8x16_t; LANES] =
                    core::array::from_fn(|lane| vld1q_s8(weights.add(lane * DEPTH)));
                for (pixel, sums) in sums.iter_mut().enumerate() {
                    let taps = centred(vld1q_u8(taps.add(pixel * stretch.step)));
                    for (sum, weights) in sums.iter_mut().zip(these) {
                        let products = vmull_s8(vget_low_s8(taps), vget_low_s8(weights));
                        let products = vmlal_high_s8(products, taps, weights);
                        *sum = vpadalq_s16(*sum, products);
                    }
                }
                taps = taps.add(DEPTH);
                weights = weights.add(LANES * DEPTH);
            }
        }
    }
    // SAFETY: a block has as many biases and shifts as lanes.
    let (biases, shifts) = unsafe { (load(block.biases, 0), load(block.shifts, 0)) };
    for (pixel, [a, b, c, d]) in sums.into_iter().enumerate() {
        let sums = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
        let words = requantize(vaddq_s32(sums, biases), shifts);
        let bytes = vqmovn_u16(vcombine_u16(words, words));
        let start = block.start + (x + pixel) * row.channels;
        store(&mut output[start..][..block.used], bytes);
    }
}

/// Activations less 128.
#[target_feature(enable = "neon")]
fn centred(activations: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(activations, vdupq_n_u8(CENTRE)))
}

/// Four values from the `first` on.
///
/// # Safety
/// They are there.
#[target_feature(enable = "neon")]
unsafe fn load(values: &[u8], first: usize) -> int32x4_t {
    // SAFETY: the caller's; bytes need no alignment.
    unsafe { vreinterpretq_s32_u8(vld1q_u8(values.as_ptr().add(first * 4))) }
}

#[target_feature(enable = "neon")]
fn store(output: &mut [u8], bytes: uint8x8_t) {
    let bytes = vget_lane_u64::<0>(vreinterpret_u64_u8(bytes)).to_le_bytes();
    output.copy_from_slice(&bytes[..output.len()]);
}

/// [`super::scalar::requantize`], four times, but for the upper limit: that of u16 instead of 255.
#[target_feature(enable = "neon")]
fn requantize(sums: int32x4_t, shifts: int32x4_t) -> uint16x4_t {
    let one = vdupq_n_s32(1);
    let any = vminq_s32(shifts, one);
    let right = vnegq_s32(shifts);
    // A shift by -1 is one to the right.
    let half = vshlq_s32(one, vsubq_s32(shifts, one));
    let odd = vandq_s32(vshlq_s32(sums, right), any);
    let rounded = vaddq_s32(sums, vaddq_s32(vsubq_s32(half, any), odd));
    vqmovun_s32(vshlq_s32(rounded, right))
}
