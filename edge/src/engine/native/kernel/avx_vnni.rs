//! x86-64 with AVX-VNNI, on processors that have `vpdpbusd` for 32 bytes and not for 64.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::{Block, Format, Kernel, Row, avx2::requantize, eight_lanes::eight_lanes, next, spans};

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

eight_lanes!("avx2,avxvnni", as_they_are, as_they_are, add);

#[target_feature(enable = "avx2,avxvnni")]
fn as_they_are(bytes: __m256i) -> __m256i {
    bytes
}

#[target_feature(enable = "avx2,avxvnni")]
fn add(sums: __m256i, taps: __m256i, weights: __m256i) -> __m256i {
    _mm256_dpbusd_avx_epi32(sums, taps, weights)
}
