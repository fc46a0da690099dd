//! Helium: 16 products and their sum by one instruction, VMLADAVA, of signed bytes, which
//! lines hold as a - 128.

use core::arch::naked_asm;

use super::{
    super::{Format, HELIUM, Kernel, Row, Stretch, scalar},
    MVFR1, Taps, feature,
};

/// The kernel for processors with Helium (the M-profile vector extension).
#[derive(Clone, Copy, Debug)]
pub struct Helium(());

const LANES: usize = 4;
const DEPTH: usize = 16;
const FORMAT: Format = HELIUM[0];
/// Pixels of a tile.
const PIXELS: usize = 2;
/// Pixels of the reconstruction computed together.
const SUMS: usize = 8;

impl Helium {
    /// The kernel, where this processor can run it. It is asked through registers that are there
    /// in privileged mode only, the one after reset; coprocessors 10 and 11 have to be switched on,
    /// as start-up code does that lets floating-point registers be used.
    pub fn detect() -> Option<&'static Self> {
        (feature(MVFR1, 8) >= 1).then_some(&Self(()))
    }
}

impl Kernel for Helium {
    fn name(&self) -> &'static str {
        "helium"
    }

    fn formats(&self) -> &'static [Format] {
        HELIUM
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert_eq!(row.format, FORMAT);
        row.check(output.len());
        if row.width < PIXELS {
            return scalar::activations::<LANES, DEPTH>(row, output);
        }
        let table = Taps::table(row);
        for block in row.blocks() {
            let work = Tiles {
                table: table.as_ptr(),
                block: block.biases.as_ptr(),
                step: row.step,
                output: output[block.start..].as_mut_ptr(),
                used: (1 << (4 * block.used)) - 1,
            };
            for (x, end) in cover(row.width, PIXELS) {
                // SAFETY: pixels before `end` <= width read `length` bytes, a multiple of 16, from
                // `step` times each on: the check has found them inside the stretches, and what
                // the used lanes of these pixels write inside the output. A block's weights are 4
                // bytes for each byte read, in their order, behind biases and shifts. Who has this
                // kernel has found the processor to have the instructions.
                unsafe { tiles(&work, x, end) };
            }
        }
    }

    fn sums(&self, row: &Row<'_>, output: &mut [i32]) {
        assert_eq!(row.format, Format::output(FORMAT.centre));
        row.check(output.len());
        let &[
            Stretch {
                bytes,
                step,
                length,
            },
        ] = row.stretches
        else {
            return scalar::sums(row, output);
        };
        if row.width < SUMS || length == 0 {
            return scalar::sums(row, output);
        }
        let output = &mut output[..row.width];
        for block in row.blocks() {
            let [bias] = scalar::lanes(block.biases);
            let work = Sums {
                bytes: bytes.as_ptr(),
                step,
                weights: block.weights.as_ptr(),
                length,
                bias,
                output: output.as_mut_ptr(),
            };
            for (x, end) in cover(row.width, SUMS) {
                // SAFETY: pixels before `end` <= width read `length` bytes, not 0, from `step` times
                // each on: the check has found them inside the stretch, and as many weights in the
                // block; the output has `width` values. Who has this kernel has found the processor
                // to have the instructions.
                unsafe { sums(&work, x, end) };
            }
        }
    }
}

/// A row of at least `size` pixels as one range of whole tiles, and where pixels are left another one
/// of a single tile, which covers pixels of the last one again.
fn cover(width: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    let rest = width % size;
    let last = (rest > 0).then_some((width - size, width));
    [(0, width - rest)].into_iter().chain(last)
}

/// What all tiles of a block have in common, in the order in which the assembly loads it.
#[repr(C)]
struct Tiles {
    table: *const Taps,
    /// Biases, shifts and weights.
    block: *const u8,
    /// Bytes from an output pixel to the next.
    step: usize,
    /// Where the first lane of output pixel 0 goes.
    output: *mut u8,
    /// Four bits for each lane that is a channel, from the lowest.
    used: u32,
}

/// Tiles of two pixels by four lanes, from pixel `x` to `end`: 128 products take 16 instructions. The
/// end of each is [`scalar::requantize`] less 128, four times at once.
///
/// # Safety
/// The processor has Helium. `end` - `x` is a multiple of 2 and not 0. For each pixel from `x` to
/// `end`, each stretch of the table up to its end has `length` bytes, a multiple of 16, from `step`
/// times it on, and the output as many as there are used lanes from `step` times it on; `block` has
/// four biases, four shifts and 4 bytes for each of the stretches'.
#[unsafe(naked)]
unsafe extern "C" fn tiles(work: &Tiles, x: usize, end: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d13}}",
        "mov r11, r1",
        "ldm r0, {{r3-r7}}",
        "push {{r2-r6}}",
        "vmsr p0, r7",
        // q3: 1 where there is a shift; q5: half a step less it; q4: the shift to the right.
        "vldrb.u8 q4, [r4, #16]",
        "vmov.i32 q2, #1",
        "vmin.s32 q3, q4, q2",
        "vsub.i32 q5, q4, q2",
        "vshl.s32 q5, q2, q5",
        "vsub.i32 q5, q5, q3",
        "vneg.s32 q4, q4",
        "vmov.i16 q6, #128",
        // The next tile: sums of the first pixel in r0, r2, r4, r6, of the second in r8, r10, r12,
        // lr.
        "5:",
        "ldrd r1, r3, [sp, #4]",
        "ldrd r0, r2, [r3]",
        "ldrd r4, r6, [r3, #8]",
        "adds r3, #32",
        "mov r8, r0",
        "mov r10, r2",
        "mov r12, r4",
        "mov lr, r6",
        // The next stretch: r5 and r9 are at the pixels' bytes, r3 at the weight.
        "2:",
        "ldm r1!, {{r5, r7, r9}}",
        "cbz r7, 4f",
        "mla r5, r9, r11, r5",
        "add r9, r5",
        "3:",
        "vldrb.u8 q0, [r5], #16",
        "vldrb.u8 q1, [r9], #16",
        "vldrb.u8 q2, [r3], #16",
        "vmladava.s8 r0, q0, q2",
        "vmladava.s8 r8, q1, q2",
        "vldrb.u8 q2, [r3], #16",
        "vmladava.s8 r2, q0, q2",
        "vmladava.s8 r10, q1, q2",
        "vldrb.u8 q2, [r3], #16",
        "vmladava.s8 r4, q0, q2",
        "vmladava.s8 r12, q1, q2",
        "vldrb.u8 q2, [r3], #16",
        "vmladava.s8 r6, q0, q2",
        "vmladava.s8 lr, q1, q2",
        "subs r7, #16",
        "bne 3b",
        "b 2b",
        "4:",
        "vmov q0[2], q0[0], r0, r4",
        "vmov q0[3], q0[1], r2, r6",
        "vmov q1[2], q1[0], r8, r12",
        "vmov q1[3], q1[1], r10, lr",
        "vshl.s32 q2, q0, q4",
        "vand q2, q2, q3",
        "vadd.i32 q0, q0, q5",
        "vadd.i32 q0, q0, q2",
        "vshl.s32 q0, q0, q4",
        "vshl.s32 q2, q1, q4",
        "vand q2, q2, q3",
        "vadd.i32 q1, q1, q5",
        "vadd.i32 q1, q1, q2",
        "vshl.s32 q1, q1, q4",
        // The first pixel's in the lower halves of q0, the second's in the upper ones; and as lines
        // hold them.
        "vqmovunb.s32 q0, q0",
        "vqmovunt.s32 q0, q1",
        "vqmovnb.u16 q0, q0",
        "veor q0, q0, q6",
        "vshr.u32 q1, q0, #16",
        "ldrd r5, r7, [sp, #12]",
        "mla r7, r5, r11, r7",
        "add r5, r7",
        "vpstt",
        "vstrbt.32 q0, [r7]",
        "vstrbt.32 q1, [r5]",
        "ldr r0, [sp]",
        "add r11, #2",
        "cmp r11, r0",
        "bne 5b",
        "add sp, #20",
        "vpop {{d8-d13}}",
        "pop {{r4-r11, pc}}",
    )
}

/// What all pixels of a row of the reconstruction have in common, in the order in which the assembly
/// loads it.
#[repr(C)]
struct Sums {
    /// The first tap of pixel 0.
    bytes: *const u8,
    /// Bytes from a pixel's first tap to the next one's.
    step: usize,
    weights: *const u8,
    /// Taps of a pixel.
    length: usize,
    bias: i32,
    /// Where pixel 0 goes.
    output: *mut i32,
}

/// Sums of eight pixels at a time from pixel `x` to `end`: eight products take 7 instructions.
///
/// # Safety
/// The processor has Helium. `end` - `x` is a multiple of 8 and not 0, `length` is not 0. Each pixel
/// from `x` to `end` has `length` bytes from `step` times it on, and the output a value; there are
/// `length` weights.
#[unsafe(naked)]
unsafe extern "C" fn sums(work: &Sums, x: usize, end: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r9, lr}}",
        "vpush {{d8-d9}}",
        "ldm r0, {{r3-r8}}",
        "mla r3, r1, r4, r3",
        "add r9, r8, r2, lsl #2",
        "add r8, r8, r1, lsl #2",
        // Where the pixels' bytes lie: of the first four in q3, of the others in q4.
        "movs r0, #0",
        "vidup.u32 q3, r0, #1",
        "vmul.i32 q3, q3, r4",
        "lsls r4, r4, #2",
        "vadd.i32 q4, q3, r4",
        "lsls r4, r4, #1",
        // The next eight pixels.
        "2:",
        "vdup.32 q0, r7",
        "vmov q1, q0",
        "mov r0, r3",
        "mov r1, r5",
        "dls lr, r6",
        "3:",
        "ldrsb r2, [r1], #1",
        "vldrb.s32 q2, [r0, q3]",
        "vmla.i32 q0, q2, r2",
        "vldrb.s32 q2, [r0, q4]",
        "vmla.i32 q1, q2, r2",
        "adds r0, #1",
        "le lr, 3b",
        "vstrw.32 q0, [r8], #16",
        "vstrw.32 q1, [r8], #16",
        "add r3, r4",
        "cmp r8, r9",
        "bne 2b",
        "vpop {{d8-d9}}",
        "pop {{r4-r9, pc}}",
    )
}
