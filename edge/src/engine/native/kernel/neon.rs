//! aarch64: plain NEON, and NEON with the dot product. Both multiply signed bytes, so that lines
//! hold a - 128.
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
const DEPTH: usize = 8;
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

/// Groups of taps are taken by twos: weights are within ±127 and activations within -128 to 127, so
/// that a sum of two products, at most 2 · 127 · 128 = 32512, fits 16 bits, and one addition into 32
/// bits serves both.
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
            for _ in 0..stretch.length / (2 * DEPTH) {
                let (first, second) = (group(weights), group(weights.add(LANES * DEPTH)));
                for (pixel, sums) in sums.iter_mut().enumerate() {
                    let taps = taps.add(pixel * stretch.step);
                    let (one, two) = (twice(taps), twice(taps.add(DEPTH)));
                    for half in 0..LANES / 2 {
                        let low = vmull_s8(vget_low_s8(one), vget_low_s8(first[half]));
                        let low = vmlal_s8(low, vget_low_s8(two), vget_low_s8(second[half]));
                        let high = vmull_high_s8(one, first[half]);
                        let high = vmlal_high_s8(high, two, second[half]);
                        sums[2 * half] = vpadalq_s16(sums[2 * half], low);
                        sums[2 * half + 1] = vpadalq_s16(sums[2 * half + 1], high);
                    }
                }
                taps = taps.add(2 * DEPTH);
                weights = weights.add(2 * LANES * DEPTH);
            }
            if !stretch.length.is_multiple_of(2 * DEPTH) {
                let these = group(weights);
                for (pixel, sums) in sums.iter_mut().enumerate() {
                    let taps = twice(taps.add(pixel * stretch.step));
                    for half in 0..LANES / 2 {
                        let low = vmull_s8(vget_low_s8(taps), vget_low_s8(these[half]));
                        let high = vmull_high_s8(taps, these[half]);
                        sums[2 * half] = vpadalq_s16(sums[2 * half], low);
                        sums[2 * half + 1] = vpadalq_s16(sums[2 * half + 1], high);
                    }
                }
                weights = weights.add(LANES * DEPTH);
            }
        }
    }
    // SAFETY: a block has as many biases and shifts as lanes.
    let (biases, shifts) = unsafe { (load(block.biases, 0), load(block.shifts, 0)) };
    for (pixel, [a, b, c, d]) in sums.into_iter().enumerate() {
        let sums = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
        let words = requantize(vaddq_s32(sums, biases), shifts);
        let bytes = centred(vqmovn_u16(vcombine_u16(words, words)));
        let bytes = vget_lane_u32::<0>(vreinterpret_u32_u8(bytes)).to_le_bytes();
        let output = &mut output[block.start + (x + pixel) * row.step..][..block.used];
        store(output, bytes);
    }
}

/// The weights of a group of taps, two lanes in each register.
///
/// # Safety
/// They are there: `LANES * DEPTH` bytes.
#[target_feature(enable = "neon")]
unsafe fn group(weights: *const i8) -> [int8x16_t; LANES / 2] {
    // SAFETY: the caller's.
    unsafe { [vld1q_s8(weights), vld1q_s8(weights.add(16))] }
}

/// Eight bytes in both halves of a register.
///
/// # Safety
/// They can be read.
#[target_feature(enable = "neon")]
unsafe fn twice(taps: *const u8) -> int8x16_t {
    // SAFETY: the caller's; the instruction needs no alignment.
    vreinterpretq_s8_u64(vdupq_n_u64(unsafe { taps.cast::<u64>().read_unaligned() }))
}

/// Less 128, as signed bytes.
#[target_feature(enable = "neon")]
fn centred(activations: uint8x8_t) -> uint8x8_t {
    veor_u8(activations, vdup_n_u8(CENTRE))
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

/// Writes the first bytes to `output`, usually all of them: then without calling for a copy.
fn store<const BYTES: usize>(output: &mut [u8], bytes: [u8; BYTES]) {
    match output.first_chunk_mut() {
        Some(all) => *all = bytes,
        None => {
            for (output, byte) in output.iter_mut().zip(bytes) {
                *output = byte;
            }
        }
    }
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
