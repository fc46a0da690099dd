//! x86-64 with AVX2. Its product of bytes, `vpmaddubsw`, saturates; so bytes are widened to 16 bits,
//! those at even places and those at odd ones apart, and multiplied by `vpmaddwd`, which is exact.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::{Block, Format, Kernel, Row, next, spans};

/// The kernel; there is a value of it only where the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

static AVX2: Avx2 = Avx2(());

const FORMAT: Format = Format::new(8, 4, 0);

impl Avx2 {
    /// The kernel, where this processor can run it.
    pub fn detect() -> Option<&'static Self> {
        std::is_x86_feature_detected!("avx2").then_some(&AVX2)
    }
}

impl Kernel for Avx2 {
    fn name(&self) -> &'static str {
        "avx2"
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
#[target_feature(enable = "avx2")]
fn sums(row: &Row<'_>, output: &mut [i32]) {
    super::scalar::sums(row, output);
}

/// Takes two blocks at a time, so that each activation read and widened serves both.
///
/// # Safety
/// [`Row::check`] has passed for this output, and the format is [`FORMAT`]; so below.
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
unsafe fn tile<const PIXELS: usize, const BLOCKS: usize>(
    row: &Row<'_>,
    blocks: &[Block<'_>; BLOCKS],
    x: usize,
    output: &mut [u8],
) {
    // SAFETY: a block has as many biases as lanes.
    let load = |bytes: &[u8]| unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let low = _mm256_set1_epi16(0xff);
    let mut sums = blocks.map(|block| [load(block.biases); PIXELS]);
    let mut weights = blocks.map(|block| block.weights.as_ptr());
    for stretch in row.stretches {
        // SAFETY: pixel x + PIXELS - 1 < width reads `length` bytes from `step` times it on: the
        // check has found them inside `bytes`. A block's weights are 32 bytes for each 4 of the
        // stretches' lengths, in their order.
        unsafe {
            let mut taps = stretch.bytes.as_ptr().add(x * stretch.step);
            for _ in 0..stretch.length / FORMAT.depth {
                let these = weights.map(|weights| {
                    let weights = _mm256_loadu_si256(weights.cast());
                    let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
                    (even, _mm256_srai_epi16::<8>(weights))
                });
                for pixel in 0..PIXELS {
                    let taps = taps.add(pixel * stretch.step).cast::<i32>();
                    let taps = _mm256_set1_epi32(taps.read_unaligned());
                    let even = _mm256_and_si256(taps, low);
                    let odd = _mm256_srli_epi16::<8>(taps);
                    for (sums, weights) in sums.iter_mut().zip(these) {
                        let even = _mm256_madd_epi16(even, weights.0);
                        let odd = _mm256_madd_epi16(odd, weights.1);
                        sums[pixel] = _mm256_add_epi32(sums[pixel], _mm256_add_epi32(even, odd));
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

/// [`super::scalar::requantize`], 8 times.
#[target_feature(enable = "avx2")]
pub(super) fn requantize(sums: __m256i, shifts: __m256i) -> u64 {
    let one = _mm256_set1_epi32(1);
    let any = _mm256_min_epu32(shifts, one);
    let half = _mm256_srli_epi32::<1>(_mm256_sllv_epi32(one, shifts));
    let odd = _mm256_and_si256(_mm256_srav_epi32(sums, shifts), any);
    let rounded = _mm256_add_epi32(sums, _mm256_add_epi32(_mm256_sub_epi32(half, any), odd));
    let shifted = _mm256_srav_epi32(rounded, shifts);
    // To 16 and to 8 bits with saturation; both work on each half apart.
    let words = _mm256_packs_epi32(shifted, shifted);
    let bytes = _mm256_packus_epi16(words, words);
    let halves = _mm256_unpacklo_epi32(bytes, _mm256_permute2x128_si256::<1>(bytes, bytes));
    _mm256_extract_epi64::<0>(halves) as u64
}
