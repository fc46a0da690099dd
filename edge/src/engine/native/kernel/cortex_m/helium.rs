//! Helium: 16 products and their sum by one instruction, VMLADAVA, of signed bytes, which
//! lines hold as a - 128.

use core::arch::naked_asm;

use super::{
    super::{Format, HELIUM, Kernel, Row, scalar, spans},
    MVFR1, Taps, feature,
};

/// The kernel for processors with Helium (the M-profile vector extension).
#[derive(Clone, Copy, Debug)]
pub struct Helium(());

const LANES: usize = 4;
const DEPTH: usize = 16;
const FORMAT: Format = HELIUM[0];
const PIXELS: usize = 2;

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
            for (x, _) in spans([PIXELS], row.width) {
                let mut pixels = [[0; LANES]; PIXELS];
                // SAFETY: pixel x + 1 < width reads `length` bytes, a multiple of 16, from `step`
                // times it on: the check has found them inside the stretch. A block's weights are
                // 4 bytes for each of them, in their order, behind biases and shifts. Who has this
                // kernel has found the processor to have the instructions.
                unsafe { tile(table.as_ptr(), x, block.biases.as_ptr(), &mut pixels) };
                for (x, pixel) in (x..).zip(pixels) {
                    let output = &mut output[block.start + x * row.step..][..block.used];
                    output.copy_from_slice(&pixel[..block.used]);
                }
            }
        }
    }
}

/// Two pixels of four lanes: 128 products take 16 instructions. The end is
/// [`scalar::requantize`] less 128, four times at once.
///
/// # Safety
/// The processor has Helium. Each stretch of the table up to its end has `length` bytes, a multiple
/// of 16, from `step` times x on and from `step` times x + 1 on; `block` has four biases, four
/// shifts and 4 bytes for each of these bytes.
#[unsafe(naked)]
unsafe extern "C" fn tile(
    table: *const Taps,
    x: usize,
    block: *const u8,
    pixels: &mut [[u8; LANES]; PIXELS],
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r2-r11, lr}}",
        "sub sp, #4",
        "str r1, [sp]",
        "mov r1, r0",
        "add r3, r2, #32",
        // Sums of the first pixel: r0, r2, r4, r6; of the second: r8, r10, r12, lr.
        "movs r0, #0",
        "movs r2, #0",
        "movs r4, #0",
        "movs r6, #0",
        "mov r8, r0",
        "mov r10, r0",
        "mov r12, r0",
        "mov lr, r0",
        // The next stretch: r5 and r7 are at the pixels' bytes, r3 at the weight.
        "2:",
        "ldm r1!, {{r5, r7, r9}}",
        "cmp r9, #0",
        "beq 4f",
        "ldr r11, [sp]",
        "mla r5, r7, r11, r5",
        "add r7, r5",
        "3:",
        "vldrb.u8 q0, [r5], #16",
        "vldrb.u8 q1, [r7], #16",
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
        "subs r9, #16",
        "bne 3b",
        "b 2b",
        "4:",
        "vpush {{d8-d13}}",
        // The sums in q0 and q1, and a pointer to biases and shifts.
        "vmov q0[2], q0[0], r0, r4",
        "vmov q0[3], q0[1], r2, r6",
        "vmov q1[2], q1[0], r8, r12",
        "vmov q1[3], q1[1], r10, lr",
        "ldrd r2, r3, [sp, #52]",
        "vldrb.u8 q2, [r2]",
        "vadd.i32 q0, q0, q2",
        "vadd.i32 q1, q1, q2",
        // q3: 1 where there is a shift; q5: half a step less it; q4: the shift to the right.
        "vldrb.u8 q4, [r2, #16]",
        "vmov.i32 q2, #1",
        "vmin.s32 q3, q4, q2",
        "vsub.i32 q5, q4, q2",
        "vshl.s32 q5, q2, q5",
        "vsub.i32 q5, q5, q3",
        "vneg.s32 q4, q4",
        "vmov.i32 q6, #255",
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
        "vmov.i32 q2, #0",
        "vmax.s32 q0, q0, q2",
        "vmax.s32 q1, q1, q2",
        "vmin.s32 q0, q0, q6",
        "vmin.s32 q1, q1, q6",
        // As lines hold them.
        "vmov.i32 q2, #128",
        "veor q0, q0, q2",
        "veor q1, q1, q2",
        "vstrb.32 q0, [r3]",
        "vstrb.32 q1, [r3, #4]",
        "vpop {{d8-d13}}",
        "add sp, #12",
        "pop {{r4-r11, pc}}",
    )
}
