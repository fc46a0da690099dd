//! Helium for the sums of a row: four pixels by an instruction.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use residua_shared::rule::Comparison;

use crate::{engine::native::kernel::cortex_m::Helium, residual::Plain};

/// Pixels computed together.
const PIXELS: usize = 4;

/// Writes the sums of the anomalies up to each pixel for as many pixels as are computed together;
/// their number and the last sum. None are without Helium.
///
/// # Panics
/// Where `sums` is shorter than the row.
pub fn sum_up(row: &Plain<'_>, comparison: Comparison, sums: &mut [u32]) -> (usize, u32) {
    let pixels = row.image.len().min(row.reconstruction.len());
    let groups = pixels / PIXELS;
    let sums = &mut sums[..pixels];
    if groups == 0 || Helium::detect().is_none() {
        return (0, 0);
    }
    let (lowest, highest) = match comparison {
        Comparison::Absolute => (i32::MIN, i32::MAX),
        Comparison::Dark => (i32::MIN, 0),
        Comparison::Bright => (0, i32::MAX),
    };
    let work = Pixels {
        image: row.image.as_ptr(),
        reconstruction: row.reconstruction.as_ptr(),
        sums: sums.as_mut_ptr(),
        fraction_bits: row.fraction_bits.into(),
        white: 255 << row.fraction_bits,
        lowest,
        highest,
    };
    // SAFETY: the processor has Helium; image, reconstruction and sums have `pixels` elements or
    // more, which are four times `groups` at least, and `groups` is not 0.
    (groups * PIXELS, unsafe { sum_up_groups(&work, groups) })
}

/// Puts the differences of `ends` and `starts` into `row`, and what that changes into `sums`, for as
/// many elements as are computed together, which it returns; none are without Helium.
///
/// # Panics
/// Where the others are shorter than `sums`.
pub fn replace(sums: &mut [u32], row: &mut [u32], starts: &[u32], ends: &[u32]) -> usize {
    let groups = sums.len() / PIXELS;
    let (row, starts, ends) = (
        &mut row[..sums.len()],
        &starts[..sums.len()],
        &ends[..sums.len()],
    );
    if groups == 0 || Helium::detect().is_none() {
        return 0;
    }
    let work = Elements {
        sums: sums.as_mut_ptr(),
        row: row.as_mut_ptr(),
        starts: starts.as_ptr(),
        ends: ends.as_ptr(),
    };
    // SAFETY: the processor has Helium; all four have four times `groups` elements or more, and
    // `groups` is not 0.
    unsafe { replace_groups(&work, groups) };
    groups * PIXELS
}

/// In the order in which the assembly loads it.
#[repr(C)]
struct Pixels {
    image: *const u8,
    reconstruction: *const i32,
    sums: *mut u32,
    fraction_bits: u32,
    white: i32,
    /// Residuals are clamped to it before their sign is taken away.
    lowest: i32,
    highest: i32,
}

/// Four pixels take 17 instructions.
///
/// # Safety
/// The processor has Helium. Image, reconstruction and sums have 4 · `groups` elements, and `groups`
/// is not 0.
#[unsafe(naked)]
unsafe extern "C" fn sum_up_groups(work: &Pixels, groups: usize) -> u32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r9, lr}}",
        "vpush {{d8-d13}}",
        "dls lr, r1",
        "ldm r0, {{r1-r7}}",
        "vmov.i32 q3, #0",
        "vdup.32 q4, r5",
        "vdup.32 q5, r6",
        "vdup.32 q6, r7",
        // The sum so far; and, as r4 is needed, the shift.
        "mov r8, #0",
        "mov r9, r4",
        "2:",
        "vldrb.u32 q0, [r1], #4",
        "vldrw.32 q1, [r2], #16",
        "vmax.s32 q1, q1, q3",
        "vmin.s32 q1, q1, q4",
        "vshl.s32 q0, r9",
        "vsub.i32 q0, q0, q1",
        "vmax.s32 q0, q0, q5",
        "vmin.s32 q0, q0, q6",
        "vabs.s32 q0, q0",
        "vmov r4, r6, q0[2], q0[0]",
        "vmov r5, r7, q0[3], q0[1]",
        "add r4, r8",
        "add r5, r4",
        "add r6, r5",
        "add r8, r6, r7",
        "stm r3!, {{r4-r6, r8}}",
        "le lr, 2b",
        "mov r0, r8",
        "vpop {{d8-d13}}",
        "pop {{r4-r9, pc}}",
    )
}

/// In the order in which the assembly loads it.
#[repr(C)]
struct Elements {
    sums: *mut u32,
    row: *mut u32,
    starts: *const u32,
    ends: *const u32,
}

/// Four elements take 10 instructions.
///
/// # Safety
/// The processor has Helium. All four have 4 · `groups` elements, and `groups` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn replace_groups(work: &Elements, groups: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r5, r7, lr}}",
        "dls lr, r1",
        "ldm r0, {{r2-r5}}",
        "2:",
        "vldrw.32 q0, [r5], #16",
        "vldrw.32 q1, [r4], #16",
        "vsub.i32 q0, q0, q1",
        "vldrw.32 q1, [r3]",
        "vstrw.32 q0, [r3], #16",
        "vsub.i32 q0, q0, q1",
        "vldrw.32 q1, [r2]",
        "vadd.i32 q1, q1, q0",
        "vstrw.32 q1, [r2], #16",
        "le lr, 2b",
        "pop {{r4-r5, r7, pc}}",
    )
}
