//! x86-64 with AVX-VNNI, on processors that have `vpdpbusd` for 32 bytes and not for 64.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::{Block, Format, Kernel, Row, avx2::requantize, next, spans};

/// The kernel; there is a value of it only where the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct AvxVnni(());

static AVX_VNNI: AvxVnni = AvxVnni(());

const FORMAT: Format = Format::new(8, 4, 0);

impl AvxVnni {
    /// The kernel, where this processor can run it.
    pub fn detect() -> Option<&'static Self> {
        let there =
            std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("avxvnni");
        there.then_some(&AVX_VNNI)
    }
}

impl Kernel for AvxVnni {
    fn name(&self) -> &'static str {
        "avx-vnni"
    }

    fn formats(&self) -> &'static [Format] {
        &[FORMAT]
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert_eq!(row.format, FORMAT);
        row.check(output.len());
        // SAFETY: `self` exists, so the processor has the instructions; the row was checked.
        unsafe { blocks(row, output) }
    }

    fn sums(&self, row: &Row<'_>, output: &mut [i32]) {
        // SAFETY: `self` exists, so the processor has the instructions.
        unsafe { sums(row, output) }
    }
}

/// The scalar code, compiled for this processor.
#[target_feature(enable = "avx2,avxvnni")]
fn sums(row: &Row<'_>, output: &mut [i32]) {
    super::scalar::sums(row, output);
}

/// Takes two blocks at a time, so that each activation read serves both.
///
/// # Safety
/// [`Row::check`] has passed for this output, and the format is [`FORMAT`]; so below.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn blocks(row: &Row<'_>, output: &mut [u8]) {
    let mut blocks = row.blocks();
    while blocks.len() > 0 {
        // SAFETY: the caller's.
        unsafe {
            match blocks.len() {
                1 => tiles::<8, 1>(row, next(&mut blocks), output),
                _ => tiles::<4, 2>(row, next(&mut blocks), output),
            }
        }
    }
}

/// Covers the row with tiles of `PIXELS` or of 1.
#[target_feature(enable = "avx2,avxvnni")]
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
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn tile<const PIXELS: usize, const BLOCKS: usize>(
    row: &Row<'_>,
    blocks: &[Block<'_>; BLOCKS],
    x: usize,
    output: &mut [u8],
) {
    // SAFETY: a block has as many biases as lanes.
    let load = |bytes: &[u8]| unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let mut sums = blocks.map(|block| [load(block.biases); PIXELS]);
    let mut weights = blocks.map(|block| block.weights.as_ptr());
    for stretch in row.stretches {
        // SAFETY: pixel x + PIXELS - 1 < width reads `length` bytes from `step` times it on: the
        // check has found them inside `bytes`. A block's weights are 32 bytes for each 4 of the
        // stretches' lengths, in their order.
        unsafe {
            let mut taps = stretch.bytes.as_ptr().add(x * stretch.step);
            for _ in 0..stretch.length / FORMAT.depth {
                let these = weights.map(|weights| _mm256_loadu_si256(weights.cast()));
                for pixel in 0..PIXELS {
                    let taps = taps.add(pixel * stretch.step).cast::<i32>();
                    let taps = _mm256_set1_epi32(taps.read_unaligned());
                    for (sums, weights) in sums.iter_mut().zip(these) {
                        sums[pixel] = _mm256_dpbusd_avx_epi32(sums[pixel], taps, weights);
                    }
                }
                taps = taps.add(FORMAT.depth);
                weights = weights.map(|weights| weights.add(32));
            }
        }
    }
    for (block, sums) in blocks.iter().zip(sums) {
        let shifts = load(block.shifts);
        for (pixel, sums) in sums.into_iter().enumerate() {
            let bytes = requantize(sums, shifts).to_le_bytes();
            let start = block.start + (x + pixel) * row.step;
            output[start..][..block.used].copy_from_slice(&bytes[..block.used]);
        }
    }
}
