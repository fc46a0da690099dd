//! x86-64 with AVX-512 VNNI: `vpdpbusd` multiplies 64 bytes of activations and weights at once,
//! exactly (unlike `vpmaddubsw` it does not saturate).
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::{Block, Format, Kernel, Row, Stretch, next, spans};

/// The kernel; there is a value of it only where the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

static AVX512: Avx512 = Avx512(());

/// One block fills a register: 16 channels by 4 taps.
const WIDE: Format = Format::new(16, 4, 0);
/// 8 channels leave no lane idle by 8 taps: neighbouring lanes hold the halves of a sum.
const DEEP: Format = Format::new(8, 8, 0);

impl Avx512 {
    /// The kernel, where this processor can run it.
    pub fn detect() -> Option<&'static Self> {
        let there = std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("avx512vnni");
        there.then_some(&AVX512)
    }
}

impl Kernel for Avx512 {
    fn name(&self) -> &'static str {
        "avx512-vnni"
    }

    fn formats(&self) -> &'static [Format] {
        &[WIDE, DEEP]
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert!(row.format == WIDE || row.format == DEEP);
        row.check(output.len());
        // SAFETY: `self` exists, so the processor has the instructions; the row was checked.
        unsafe {
            if row.format == WIDE {
                blocks::<4>(row, output);
            } else {
                blocks::<8>(row, output);
            }
        }
    }

    fn sums(&self, row: &Row<'_>, output: &mut [i32]) {
        row.check(output.len());
        // SAFETY: `self` exists, so the processor has the instructions; the row was checked.
        unsafe {
            match row.stretches {
                [stretch] if stretch.length == 8 && stretch.step == 8 && row.width >= 8 => {
                    sums_of_eight(row, stretch, output);
                }
                _ => sums(row, output),
            }
        }
    }
}

/// The scalar code, compiled for this processor.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn sums(row: &Row<'_>, output: &mut [i32]) {
    super::scalar::sums(row, output);
}

/// A 1x1 convolution of 8 channels: a register holds 8 pixels.
///
/// # Safety
/// [`Row::check`] has passed for this output; the one stretch has a length and a step of 8; there
/// are at least 8 pixels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn sums_of_eight(row: &Row<'_>, stretch: &Stretch<'_>, output: &mut [i32]) {
    for block in row.blocks() {
        let bias = i32::from_le_bytes(block.biases.try_into().expect("one lane"));
        let bias = _mm512_set1_epi64(i64::from(bias as u32));
        // SAFETY: the block has 8 weights; x + 8 <= width, so that the 8 pixels lie inside the
        // stretch and the 8 sums inside the output.
        unsafe {
            let weights = spread::<8>(block.weights.as_ptr());
            for (x, _) in spans([8, 1], row.width) {
                let taps = _mm512_loadu_si512(stretch.bytes.as_ptr().add(x * 8).cast());
                let sums = joined::<8>(_mm512_dpbusd_epi32(bias, taps, weights));
                let output = output.as_mut_ptr().add(x).cast();
                _mm256_storeu_si256(output, _mm512_castsi512_si256(sums));
            }
        }
    }
}

/// Takes as many blocks at a time as there are, up to four, so that each activation read serves
/// them all; and with fewer of them more pixels, so that there are sums enough to hide the latency
/// of the multiplication.
///
/// # Safety
/// [`Row::check`] has passed for this output, and the format's depth is `DEPTH`; so below.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn blocks<const DEPTH: usize>(row: &Row<'_>, output: &mut [u8]) {
    let mut blocks = row.blocks();
    while blocks.len() > 0 {
        // SAFETY: the caller's.
        unsafe {
            match blocks.len() {
                1 => tiles::<16, 1, DEPTH>(row, next(&mut blocks), output),
                2 => tiles::<8, 2, DEPTH>(row, next(&mut blocks), output),
                3 => tiles::<8, 3, DEPTH>(row, next(&mut blocks), output),
                _ => tiles::<4, 4, DEPTH>(row, next(&mut blocks), output),
            }
        }
    }
}

/// Covers the row with tiles of `PIXELS`, of 4 or of 1.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tiles<const PIXELS: usize, const BLOCKS: usize, const DEPTH: usize>(
    row: &Row<'_>,
    blocks: [Block<'_>; BLOCKS],
    output: &mut [u8],
) {
    for (x, size) in spans([PIXELS, 4, 1], row.width) {
        // SAFETY: x + size <= row.width; the rest is the caller's.
        unsafe {
            if size == PIXELS {
                tile::<PIXELS, BLOCKS, DEPTH>(row, &blocks, x, output);
            } else if size == 4 {
                tile::<4, BLOCKS, DEPTH>(row, &blocks, x, output);
            } else {
                tile::<1, BLOCKS, DEPTH>(row, &blocks, x, output);
            }
        }
    }
}

/// # Safety
/// Beside the above: x + `PIXELS` <= `row.width`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<const PIXELS: usize, const BLOCKS: usize, const DEPTH: usize>(
    row: &Row<'_>,
    blocks: &[Block<'_>; BLOCKS],
    x: usize,
    output: &mut [u8],
) {
    // SAFETY: a block has as many biases as lanes.
    let biases = blocks.map(|block| unsafe { head::<DEPTH>(block.biases) });
    let mut sums = biases.map(|bias| [bias; PIXELS]);
    let mut weights = blocks.map(|block| block.weights.as_ptr());
    for stretch in row.stretches {
        // SAFETY: pixel x + PIXELS - 1 < width reads `length` bytes from `step` times it on: the
        // check has found them inside `bytes`. A block's weights are 64 bytes for each DEPTH of
        // the stretches' lengths, in their order.
        unsafe {
            let step = stretch.step;
            let mut taps = stretch.bytes.as_ptr().add(x * step);
            for _ in 0..stretch.length / DEPTH {
                let these = weights.map(|weights| _mm512_loadu_si512(weights.cast()));
                for pixel in 0..PIXELS {
                    let taps = spread::<DEPTH>(taps.add(pixel * step));
                    for (sums, weights) in sums.iter_mut().zip(these) {
                        sums[pixel] = _mm512_dpbusd_epi32(sums[pixel], taps, weights);
                    }
                }
                taps = taps.add(DEPTH);
                weights = weights.map(|weights| weights.add(64));
            }
        }
    }
    for (block, sums) in blocks.iter().zip(sums) {
        let mask = ((1_u32 << block.used) - 1) as __mmask16;
        // SAFETY: a block has as many shifts as lanes. Pixel x + PIXELS - 1 < width writes `used`
        // bytes from `start` plus `channels` times it on: the check has found them inside.
        unsafe {
            let shifts = head::<4>(block.shifts);
            let mut output = output.as_mut_ptr().add(block.start + x * row.step);
            for sums in sums {
                let bytes = requantize(joined::<DEPTH>(sums), shifts);
                _mm_mask_storeu_epi8(output.cast(), mask, bytes);
                output = output.add(row.step);
            }
        }
    }
}

/// One i32 a lane of the block, at depth 8 in every other lane.
///
/// # Safety
/// `values` has 4 bytes for each lane of the format with this depth.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn head<const DEPTH: usize>(values: &[u8]) -> __m512i {
    // SAFETY: the caller's.
    unsafe {
        if DEPTH == 4 {
            _mm512_loadu_si512(values.as_ptr().cast())
        } else {
            _mm512_cvtepu32_epi64(_mm256_loadu_si256(values.as_ptr().cast()))
        }
    }
}

/// `DEPTH` bytes over and over.
///
/// # Safety
/// They can be read.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn spread<const DEPTH: usize>(taps: *const u8) -> __m512i {
    // SAFETY: the caller's.
    unsafe {
        if DEPTH == 4 {
            _mm512_set1_epi32(taps.cast::<i32>().read_unaligned())
        } else {
            _mm512_set1_epi64(taps.cast::<i64>().read_unaligned())
        }
    }
}

/// The sums, one a lane of the block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn joined<const DEPTH: usize>(sums: __m512i) -> __m512i {
    if DEPTH == 4 {
        return sums;
    }
    let halves = _mm512_add_epi32(sums, _mm512_srli_epi64::<32>(sums));
    _mm512_castsi256_si512(_mm512_cvtepi64_epi32(halves))
}

/// [`super::scalar::requantize`], 16 times.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn requantize(sums: __m512i, shifts: __m512i) -> __m128i {
    let one = _mm512_set1_epi32(1);
    let any = _mm512_min_epu32(shifts, one);
    let half = _mm512_srli_epi32::<1>(_mm512_sllv_epi32(one, shifts));
    let odd = _mm512_and_si512(_mm512_srav_epi32(sums, shifts), any);
    let rounded = _mm512_add_epi32(sums, _mm512_add_epi32(_mm512_sub_epi32(half, any), odd));
    let shifted = _mm512_srav_epi32(rounded, shifts);
    _mm512_cvtusepi32_epi8(_mm512_max_epi32(shifted, _mm512_setzero_si512()))
}
