//! Dual 16-bit multiplication: two products and their sum by one instruction, SMLAD.

use core::arch::naked_asm;

use super::{
    super::{DSP, Format, Kernel, Row, scalar},
    ID_ISAR3, Taps, feature,
};

/// The kernel for processors with dual multiplications.
#[derive(Clone, Copy, Debug)]
pub struct Dsp(());

const LANES: usize = 8;
const FORMAT: Format = DSP[0];

impl Dsp {
    /// The kernel, where this processor can run it. It is asked through registers that are there
    /// in privileged mode only, the one after reset.
    pub fn detect() -> Option<&'static Self> {
        (feature(ID_ISAR3, 4) >= 3).then_some(&Self(()))
    }
}

impl Kernel for Dsp {
    fn name(&self) -> &'static str {
        "dsp"
    }

    fn formats(&self) -> &'static [Format] {
        DSP
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert_eq!(row.format, FORMAT);
        row.check(output.len());
        if !row.weights.as_ptr().cast::<u32>().is_aligned() {
            // Loads of two registers want their words aligned, as every engine's weights are.
            return scalar::paired::<LANES>(row, output);
        }
        let table = Taps::table(row);
        for block in row.blocks() {
            let (biases, shifts): ([i32; LANES], [i32; LANES]) =
                (scalar::lanes(block.biases), scalar::lanes(block.shifts));
            for x in 0..row.width {
                let mut sums = biases;
                // SAFETY: pixel x < width reads `length` bytes, a multiple of 4, from `step` times
                // x on: the check has found them inside the stretch. A block's weights are 16
                // bytes for each of them, in their order, and aligned, as blocks are multiples of
                // 4 bytes. Who has this kernel has found the processor to have the instructions.
                unsafe { dot(table.as_ptr(), x, block.weights.as_ptr(), &mut sums) };
                let pixel = &mut output[block.start + x * row.step..][..block.used];
                for ((out, sum), shift) in pixel.iter_mut().zip(sums).zip(shifts) {
                    *out = scalar::requantize(sum, shift as u32);
                }
            }
        }
    }
}

/// Adds a pixel's products to eight sums: four bytes of a stretch are taken at a time, as two
/// pairs, and meet two pairs of weights of each lane. 32 products take 30 instructions.
///
/// # Safety
/// The processor has SMLAD. Each stretch of the table up to its end has `length` bytes, a multiple
/// of 4, from `step` times x on; `weights`, a multiple of 4, have 16 times the lengths' sum.
#[unsafe(naked)]
unsafe extern "C" fn dot(
    table: *const Taps,
    x: usize,
    weights: *const u8,
    sums: &mut [i32; LANES],
) {
    naked_asm!(
        ".cpu cortex-m33",
        "push {{r3-r11, lr}}",
        "sub sp, #16",
        "str r1, [sp, #4]",
        "ldm r3, {{r4-r11}}",
        // The next stretch: r1 is at its byte, r2 at its weight.
        "2:",
        "ldm r0!, {{r1, r3, r12}}",
        "cmp r3, #0",
        "beq 4f",
        "str r0, [sp]",
        "ldr lr, [sp, #4]",
        "mla r1, r12, lr, r1",
        "add r12, r1, r3",
        "str r12, [sp, #8]",
        // The next four bytes: 0 and 2 in r12, 1 and 3 in lr.
        "3:",
        "ldr r12, [r1], #4",
        "uxtb16 lr, r12, ror #8",
        "uxtb16 r12, r12",
        "ldrd r0, r3, [r2], #8",
        "smlad r4, r12, r0, r4",
        "smlad r4, lr, r3, r4",
        "ldrd r0, r3, [r2], #8",
        "smlad r5, r12, r0, r5",
        "smlad r5, lr, r3, r5",
        "ldrd r0, r3, [r2], #8",
        "smlad r6, r12, r0, r6",
        "smlad r6, lr, r3, r6",
        "ldrd r0, r3, [r2], #8",
        "smlad r7, r12, r0, r7",
        "smlad r7, lr, r3, r7",
        "ldrd r0, r3, [r2], #8",
        "smlad r8, r12, r0, r8",
        "smlad r8, lr, r3, r8",
        "ldrd r0, r3, [r2], #8",
        "smlad r9, r12, r0, r9",
        "smlad r9, lr, r3, r9",
        "ldrd r0, r3, [r2], #8",
        "smlad r10, r12, r0, r10",
        "smlad r10, lr, r3, r10",
        "ldrd r0, r3, [r2], #8",
        "smlad r11, r12, r0, r11",
        "smlad r11, lr, r3, r11",
        "ldr r0, [sp, #8]",
        "cmp r1, r0",
        "bne 3b",
        "ldr r0, [sp]",
        "b 2b",
        "4:",
        "add sp, #16",
        "pop {{r3}}",
        "stm r3, {{r4-r11}}",
        "pop {{r4-r11, pc}}",
    )
}
