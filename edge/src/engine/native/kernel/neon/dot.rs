//! NEON with the dot product, on processors from the Cortex-A55 and A76 on: `sdot` multiplies 16
//! bytes and adds them up by fours.

use core::{arch::aarch64::*, arch::asm};

use super::{
    super::{Block, Format, Kernel, Row, next, spans},
    CENTRE, centred, load, requantize, store,
};

/// The kernel; there is a value of it only where the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct NeonDot(());

static NEON_DOT: NeonDot = NeonDot(());

/// Two registers of four channels.
const LANES: usize = 8;
const DEPTH: usize = 4;
const FORMAT: Format = Format::new(LANES, DEPTH, CENTRE);

impl NeonDot {
    /// The kernel, where this processor can run it.
    pub fn detect() -> Option<&'static Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(&NEON_DOT)
    }
}

impl Kernel for NeonDot {
    fn name(&self) -> &'static str {
        "neon-dot"
    }

    fn formats(&self) -> &'static [Format] {
        &[FORMAT]
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert_eq!(row.format, FORMAT);
        row.check(output.len());
        let mut blocks = row.blocks();
        while blocks.len() > 0 {
            // SAFETY: `self` exists, so the processor has the instructions; the row was checked,
            // and its format is this kernel's.
            unsafe {
                match blocks.len() {
                    1 => tiles::<8, 1>(row, next(&mut blocks), output),
                    _ => tiles::<4, 2>(row, next(&mut blocks), output),
                }
            }
        }
    }
}

/// Covers the row with tiles of `PIXELS` or of 1.
///
/// # Safety
/// [`Row::check`] has passed for this output; the format is [`FORMAT`]; so below.
#[target_feature(enable = "neon,dotprod")]
unsafe fn tiles<const PIXELS: usize, const BLOCKS: usize>(
    row: &Row<'_>,
    blocks: [Block<'_>; BLOCKS],
    output: &mut [u8],
) {
    for (x, size) in spans([PIXELS, 1], row.width) {
        // SAFETY: x + size <= row.width; the rest is the caller's.
        unsafe {
            if size == PIXELS {
                tile::<PIXELS, BLOCKS>(row, &blocks, x, output);
            } else {
                tile::<1, BLOCKS>(row, &blocks, x, output);
            }
        }
    }
}

/// # Safety
/// Beside the above: x + `PIXELS` <= `row.width`.
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile<const PIXELS: usize, const BLOCKS: usize>(
    row: &Row<'_>,
    blocks: &[Block<'_>; BLOCKS],
    x: usize,
    output: &mut [u8],
) {
    // SAFETY: a block has as many biases and shifts as lanes.
    let head = |values: &[u8]| unsafe { [load(values, 0), load(values, 4)] };
    let mut sums = blocks.map(|block| [head(block.biases); PIXELS]);
    let mut weights = blocks.map(|block| block.weights.as_ptr().cast::<i8>());
    for stretch in row.stretches {
        // SAFETY: pixel x + PIXELS - 1 < width reads `length` bytes from `step` times it on: the
        // check has found them inside `bytes`. A block's weights are LANES times the stretches'
        // lengths, in their order.
        unsafe {
            let mut taps = stretch.bytes.as_ptr().add(x * stretch.step);
            let at = |taps: *const u8, pixel: usize| taps.add(pixel * stretch.step);
            for _ in 0..stretch.length / 16 {
                let these: [int8x16_t; PIXELS] =
                    core::array::from_fn(|pixel| vld1q_s8(at(taps, pixel).cast()));
                multiply::<PIXELS, BLOCKS, 0>(&mut sums, &these, &mut weights);
                multiply::<PIXELS, BLOCKS, 1>(&mut sums, &these, &mut weights);
                multiply::<PIXELS, BLOCKS, 2>(&mut sums, &these, &mut weights);
                multiply::<PIXELS, BLOCKS, 3>(&mut sums, &these, &mut weights);
                taps = taps.add(16);
            }
            for _ in 0..stretch.length % 16 / DEPTH {
                let these: [int8x16_t; PIXELS] = core::array::from_fn(|pixel| {
                    let taps = at(taps, pixel).cast::<u32>().read_unaligned();
                    vreinterpretq_s8_u32(vdupq_n_u32(taps))
                });
                multiply::<PIXELS, BLOCKS, 0>(&mut sums, &these, &mut weights);
                taps = taps.add(DEPTH);
            }
        }
    }
    for (block, sums) in blocks.iter().zip(sums) {
        let shifts = head(block.shifts);
        for (pixel, sums) in sums.into_iter().enumerate() {
            let words = [0, 1].map(|half| requantize(sums[half], shifts[half]));
            let bytes = centred(vqmovn_u16(vcombine_u16(words[0], words[1])));
            let bytes = vget_lane_u64::<0>(vreinterpret_u64_u8(bytes)).to_le_bytes();
            let output = &mut output[block.start + (x + pixel) * row.step..][..block.used];
            store(output, bytes);
        }
    }
}

/// Adds the products of the taps at `4 * PLACE` of each pixel and the next weights of each block.
///
/// # Safety
/// There are LANES * DEPTH weights at each pointer.
#[target_feature(enable = "neon,dotprod")]
unsafe fn multiply<const PIXELS: usize, const BLOCKS: usize, const PLACE: usize>(
    sums: &mut [[[int32x4_t; 2]; PIXELS]; BLOCKS],
    taps: &[int8x16_t; PIXELS],
    weights: &mut [*const i8; BLOCKS],
) {
    for (sums, weights) in sums.iter_mut().zip(weights) {
        // SAFETY: the caller's.
        let these = unsafe { [vld1q_s8(*weights), vld1q_s8(weights.add(16))] };
        // SAFETY: the caller's; the next ones begin, or the weights end, there.
        *weights = unsafe { weights.add(LANES * DEPTH) };
        for (sums, &taps) in sums.iter_mut().zip(taps) {
            for (sum, weights) in sums.iter_mut().zip(these) {
                *sum = dot::<PLACE>(*sum, weights, taps);
            }
        }
    }
}

/// Adds to each sum the products of its four weights and the four taps at `4 * PLACE`.
#[target_feature(enable = "neon,dotprod")]
fn dot<const PLACE: usize>(mut sums: int32x4_t, weights: int8x16_t, taps: int8x16_t) -> int32x4_t {
    // SAFETY: the processor has the instruction, which touches its operands alone. (The intrinsic
    // for it is not stable.)
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {taps:v}.4b[{place}]",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            taps = in(vreg) taps,
            place = const PLACE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
