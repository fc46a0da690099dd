//! Helium for the sums of a row: four pixels by an instruction.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use residua_shared::rule::Comparison;

use crate::{engine::native::kernel::cortex_m::Helium, residual::Plain};

/// Pixels computed together.
const PIXELS: usize = 4;

/// Puts the anomalies of pixels into the place of the oldest ones, and what that changes into the
/// sums, for as many pixels as are computed together, which it returns; none are without Helium.
///
/// # Panics
/// Where `oldest` or `sums` is shorter than the row.
pub fn take(
    row: &Plain<'_>,
    comparison: Comparison,
    oldest: &mut [u32],
    sums: &mut [u32],
) -> usize {
    let pixels = row.image.len().min(row.reconstruction.len());
    let groups = pixels / PIXELS;
    let (oldest, sums) = (&mut oldest[..pixels], &mut sums[..pixels]);
    if groups == 0 || Helium::detect().is_none() {
        return 0;
    }
    let (lowest, highest) = match comparison {
        Comparison::Absolute => (i32::MIN, i32::MAX),
        Comparison::Dark => (i32::MIN, 0),
        Comparison::Bright => (0, i32::MAX),
    };
    let work = Pixels {
        image: row.image.as_ptr(),
        reconstruction: row.reconstruction.as_ptr(),
        oldest: oldest.as_mut_ptr(),
        sums: sums.as_mut_ptr(),
        fraction_bits: row.fraction_bits.into(),
        white: 255 << row.fraction_bits,
        lowest,
        highest,
    };
    // SAFETY: the processor has Helium; all four have `pixels` elements or more, which are four
    // times `groups` at least, and `groups` is not 0.
    unsafe { take_groups(&work, groups) };
    groups * PIXELS
}

/// Writes `sum` and what entered and left up to each pixel, for as many pixels as are computed
/// together, and adds all that to it; their number. None are without Helium.
///
/// # Panics
/// Where the others are shorter than `sums`.
pub fn run(entering: &[u32], leaving: &[u32], sum: &mut u32, sums: &mut [u32]) -> usize {
    let groups = sums.len() / PIXELS;
    let (entering, leaving) = (&entering[..sums.len()], &leaving[..sums.len()]);
    if groups == 0 || Helium::detect().is_none() {
        return 0;
    }
    let work = Elements {
        entering: entering.as_ptr(),
        leaving: leaving.as_ptr(),
        sums: sums.as_mut_ptr(),
        sum: *sum,
    };
    // SAFETY: the processor has Helium; all three have four times `groups` elements or more, and
    // `groups` is not 0.
    *sum = unsafe { run_groups(&work, groups) };
    groups * PIXELS
}

/// In the order in which the assembly loads it.
#[repr(C)]
struct Pixels {
    image: *const u8,
    reconstruction: *const i32,
    oldest: *mut u32,
    sums: *mut u32,
    fraction_bits: u32,
    white: i32,
    /// Residuals are clamped to it before their sign is taken away.
    lowest: i32,
    highest: i32,
}

/// Four pixels take 16 instructions.
///
/// # Safety
/// The processor has Helium. Image, reconstruction, oldest and sums have 4 · `groups` elements, and
/// `groups` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn take_groups(work: &Pixels, groups: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r8, lr}}",
        "vpush {{d8-d13}}",
        "dls lr, r1",
        "ldm r0, {{r1-r8}}",
        "vmov.i32 q3, #0",
        "vdup.32 q4, r6",
        "vdup.32 q5, r7",
        "vdup.32 q6, r8",
        "2:",
        "vldrb.u32 q0, [r1], #4",
        "vldrw.32 q1, [r2], #16",
        "vmax.s32 q1, q1, q3",
        "vmin.s32 q1, q1, q4",
        "vshl.s32 q0, r5",
        "vsub.i32 q0, q0, q1",
        "vmax.s32 q0, q0, q5",
        "vmin.s32 q0, q0, q6",
        "vabs.s32 q0, q0",
        "vldrw.32 q1, [r3]",
        "vstrw.32 q0, [r3], #16",
        "vsub.i32 q0, q0, q1",
        "vldrw.32 q1, [r4]",
        "vadd.i32 q1, q1, q0",
        "vstrw.32 q1, [r4], #16",
        "le lr, 2b",
        "vpop {{d8-d13}}",
        "pop {{r4-r8, pc}}",
    )
}

/// In the order in which the assembly loads it.
#[repr(C)]
struct Elements {
    entering: *const u32,
    leaving: *const u32,
    sums: *mut u32,
    sum: u32,
}

/// Four elements take 11 instructions.
///
/// # Safety
/// The processor has Helium. All three have 4 · `groups` elements, and `groups` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn run_groups(work: &Elements, groups: usize) -> u32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r8, lr}}",
        "dls lr, r1",
        "ldm r0, {{r1-r3, r8}}",
        "2:",
        "vldrw.32 q0, [r1], #16",
        "vldrw.32 q1, [r2], #16",
        "vsub.i32 q0, q0, q1",
        "vmov r4, r6, q0[2], q0[0]",
        "vmov r5, r7, q0[3], q0[1]",
        "add r4, r8",
        "add r5, r4",
        "add r6, r5",
        "add r8, r6, r7",
        "stm r3!, {{r4-r6, r8}}",
        "le lr, 2b",
        "mov r0, r8",
        "pop {{r4-r8, pc}}",
    )
}
