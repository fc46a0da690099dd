//! Arm's microcontrollers: dual 16-bit multiplication (Cortex-M4, M7, M33 and on), and Helium
//! (Cortex-M55, M85). Inner loops are assembly, as Rust has no stable intrinsics for either.
#![allow(unsafe_code)]

mod dsp;
mod helium;

use core::ptr;

use heapless::Vec;
use residua_shared::net::MAX_KERNEL;

use super::Row;

pub use dsp::Dsp;
pub use helium::Helium;

/// A stretch as the assembly reads it. One of length 0 ends a table of them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Taps {
    bytes: *const u8,
    length: usize,
    step: usize,
}

impl Taps {
    const END: Self = Self {
        bytes: ptr::null(),
        length: 0,
        step: 0,
    };

    /// The row's stretches, and the end.
    fn table(row: &Row<'_>) -> Vec<Self, { 2 * MAX_KERNEL + 1 }> {
        let taps = row.stretches.iter().map(|stretch| Self {
            bytes: stretch.bytes.as_ptr(),
            length: stretch.length,
            step: stretch.step,
        });
        taps.filter(|taps| taps.length > 0)
            .chain([Self::END])
            .collect()
    }
}

/// Bits of a register that tells what the processor has, 4 to 7 from `low` on.
fn feature(register: usize, low: u32) -> u32 {
    // SAFETY: both registers read below exist in Arm's M profile from version 7 on, and to read
    // them changes nothing.
    let value = unsafe { ptr::with_exposed_provenance::<u32>(register).read_volatile() };
    value >> low & 15
}

/// Instruction set attributes 3, where dual multiplications show.
const ID_ISAR3: usize = 0xE000_ED6C;
/// Media and floating-point features 1, where Helium shows.
const MVFR1: usize = 0xE000_EF44;
