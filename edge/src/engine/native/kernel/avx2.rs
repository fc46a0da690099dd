//! x86-64 with AVX2. Its product of bytes, `vpmaddubsw`, saturates; so bytes are widened to 16 bits,
//! those at even places and those at odd ones apart, and multiplied by `vpmaddwd`, which is exact.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::{Block, Format, Kernel, Row, eight_lanes::eight_lanes, next, spans};

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

eight_lanes!("avx2", halves, taps, add);

/// The bytes at even places and those at odd ones, as 16 bits each.
#[target_feature(enable = "avx2")]
fn halves(weights: __m256i) -> [__m256i; 2] {
    let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
    [even, _mm256_srai_epi16::<8>(weights)]
}

/// The same of bytes without sign.
#[target_feature(enable = "avx2")]
fn taps(taps: __m256i) -> [__m256i; 2] {
    let even = _mm256_and_si256(taps, _mm256_set1_epi16(0xff));
    [even, _mm256_srli_epi16::<8>(taps)]
}

#[target_feature(enable = "avx2")]
fn add(sums: __m256i, taps: [__m256i; 2], weights: [__m256i; 2]) -> __m256i {
    let even = _mm256_madd_epi16(taps[0], weights[0]);
    let odd = _mm256_madd_epi16(taps[1], weights[1]);
    _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
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
