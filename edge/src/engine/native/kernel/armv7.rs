//! 32-bit Arm with NEON, on Linux. The compiler's own intrinsics for it are not stable; the same
//! products as in [`super`]'s kernel for aarch64, in assembly.
#![allow(unsafe_code)]

use core::arch::asm;

use super::{
    Block, Format, Kernel, Row,
    tiles::{Tile, Walk, cover},
};

/// The kernel; there is a value of it only where the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct Neon32(());

static NEON32: Neon32 = Neon32(());

const LANES: usize = 4;
const PIXELS: usize = 2;
const FORMAT: Format = Format::new(LANES, 8, 128);

/// Of getauxval(3): the entry that names what the processor can do, and the bit for NEON.
const AT_HWCAP: u32 = 16;
const HWCAP_NEON: u32 = 1 << 12;

impl Neon32 {
    /// The kernel, where this processor can run it, as Linux says.
    pub fn detect() -> Option<&'static Self> {
        let vector = std::fs::read("/proc/self/auxv").unwrap_or_default();
        let word = |bytes: &[u8; 4]| u32::from_ne_bytes(*bytes);
        let (words, _) = vector.as_chunks::<4>();
        let (entries, _) = words.as_chunks::<2>();
        let mut entries = entries
            .iter()
            .map(|[name, value]| (word(name), word(value)));
        let there = entries.any(|(name, value)| name == AT_HWCAP && value & HWCAP_NEON != 0);
        there.then_some(&NEON32)
    }
}

impl Kernel for Neon32 {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn formats(&self) -> &'static [Format] {
        &[FORMAT]
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert_eq!(row.format, FORMAT);
        // SAFETY: `self` exists, so the processor has the instructions; the format is the tile's.
        unsafe { cover::<Two, PIXELS, LANES>(row, output) }
    }
}

/// Two pixels by four channels, and the numbers that requantize them as in
/// [`super::scalar::requantize`], in the order in which the assembly loads them.
#[repr(C)]
struct Two {
    biases: [i32; LANES],
    /// A shift by -1 is one to the right.
    right: [i32; LANES],
    /// 1 where there is a shift.
    any: [i32; LANES],
    /// Half a step less 1, or 0.
    half: [i32; LANES],
    weights: *const u8,
}

/// The products of a pixel's 16 taps, in two registers, with the weights of the same two groups for
/// one channel.
///
/// Weights are within ±127 and taps within -128 to 127, so that a sum of two products, at most
/// 2 · 127 · 128 = 32512, fits 16 bits: one addition into 32 bits serves both.
macro_rules! sixteen {
    ($first:literal, $second:literal, $a:literal, $b:literal) => {
        concat!(
            "vmull.s8 q6, d8, ",
            $first,
            "\n",
            "vmull.s8 q7, d10, ",
            $first,
            "\n",
            "vmlal.s8 q6, d9, ",
            $second,
            "\n",
            "vmlal.s8 q7, d11, ",
            $second,
            "\n",
            "vpadal.s16 ",
            $a,
            ", q6\n",
            "vpadal.s16 ",
            $b,
            ", q7\n",
        )
    };
}

/// The same for 8 taps.
macro_rules! eight {
    ($weights:literal, $a:literal, $b:literal) => {
        concat!(
            "vmull.s8 q6, d8, ",
            $weights,
            "\n",
            "vmull.s8 q7, d10, ",
            $weights,
            "\n",
            "vpadal.s16 ",
            $a,
            ", q6\n",
            "vpadal.s16 ",
            $b,
            ", q7\n",
        )
    };
}

impl Tile<PIXELS, LANES> for Two {
    fn new(block: &Block<'_>) -> Self {
        let lanes = |bytes: &[u8]| -> [i32; LANES] {
            core::array::from_fn(|lane| {
                let mut value = [0; 4];
                value.copy_from_slice(&bytes[lane * 4..][..4]);
                i32::from_le_bytes(value)
            })
        };
        let shifts = lanes(block.shifts);
        let any = shifts.map(|shift| shift.min(1));
        Self {
            biases: lanes(block.biases),
            right: shifts.map(|shift| -shift),
            any,
            half: core::array::from_fn(|lane| ((1_u32 << shifts[lane]) >> 1) as i32 - any[lane]),
            weights: block.weights.as_ptr(),
        }
    }

    unsafe fn compute(&self, walks: &[Walk], x: usize) -> [[u8; LANES]; PIXELS] {
        let (first, second): (u32, u32);
        // SAFETY: the processor has the instructions, since the caller has a kernel. Reads of each
        // walk what the caller allows, of the weights LANES times as much, and the head of `self`;
        // writes nothing but registers. `length` is a multiple of 8 and not 0.
        unsafe {
            asm!(
                ".fpu neon",
                "vmov.i32 q8, #0", "vmov.i32 q9, #0", "vmov.i32 q10, #0", "vmov.i32 q11, #0",
                "vmov.i32 q12, #0", "vmov.i32 q13, #0", "vmov.i32 q14, #0", "vmov.i32 q15, #0",
                "2:",
                "ldm {walk}!, {{r0, r1, r2}}",
                "mla r0, {x}, r1, r0",
                "add r1, r0, r1",
                "subs r2, r2, #16",
                "blo 4f",
                "3:",
                "vld1.8 {{d0-d3}}, [{weights}]!",
                "vld1.8 {{d4-d7}}, [{weights}]!",
                "vld1.8 {{d8-d9}}, [r0]!",
                "vld1.8 {{d10-d11}}, [r1]!",
                sixteen!("d0", "d4", "q8", "q12"),
                sixteen!("d1", "d5", "q9", "q13"),
                sixteen!("d2", "d6", "q10", "q14"),
                sixteen!("d3", "d7", "q11", "q15"),
                "subs r2, r2, #16",
                "bhs 3b",
                "4:",
                // Of -16 or -8.
                "tst r2, #8",
                "beq 5f",
                "vld1.8 {{d0-d3}}, [{weights}]!",
                "vld1.8 {{d8}}, [r0]",
                "vld1.8 {{d10}}, [r1]",
                eight!("d0", "q8", "q12"),
                eight!("d1", "q9", "q13"),
                eight!("d2", "q10", "q14"),
                eight!("d3", "q11", "q15"),
                "5:",
                "cmp {walk}, {end}",
                "bne 2b",
                // Sums across registers, then biases.
                "vldm {head}, {{d0-d7}}",
                "vpadd.i32 d16, d16, d17", "vpadd.i32 d18, d18, d19",
                "vpadd.i32 d20, d20, d21", "vpadd.i32 d22, d22, d23",
                "vpadd.i32 d24, d24, d25", "vpadd.i32 d26, d26, d27",
                "vpadd.i32 d28, d28, d29", "vpadd.i32 d30, d30, d31",
                "vpadd.i32 d16, d16, d18", "vpadd.i32 d17, d20, d22",
                "vpadd.i32 d18, d24, d26", "vpadd.i32 d19, d28, d30",
                "vadd.i32 q8, q8, q0", "vadd.i32 q9, q9, q0",
                // Halves to even.
                "vshl.s32 q10, q8, q1", "vshl.s32 q11, q9, q1",
                "vand q10, q10, q2", "vand q11, q11, q2",
                "vadd.i32 q8, q8, q3", "vadd.i32 q9, q9, q3",
                "vadd.i32 q8, q8, q10", "vadd.i32 q9, q9, q11",
                "vshl.s32 q8, q8, q1", "vshl.s32 q9, q9, q1",
                "vqmovun.s32 d16, q8", "vqmovun.s32 d17, q9",
                "vqmovn.u16 d16, q8",
                // As lines hold them.
                "vmov.i8 d17, #128",
                "veor d16, d16, d17",
                "vmov r0, r1, d16",
                walk = inout(reg) walks.as_ptr() => _,
                end = in(reg) walks.as_ptr_range().end,
                weights = inout(reg) self.weights => _,
                head = in(reg) self,
                x = in(reg) x,
                out("r0") first, out("r1") second, out("r2") _,
                // The halves of q0 to q7: for a target without NEON, the compiler does not know the
                // whole registers, and neither saves nor spares what they hold.
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                out("d8") _, out("d9") _, out("d10") _, out("d11") _,
                out("d12") _, out("d13") _, out("d14") _, out("d15") _,
                out("q8") _, out("q9") _, out("q10") _, out("q11") _,
                out("q12") _, out("q13") _, out("q14") _, out("q15") _,
                options(readonly, nostack),
            );
        }
        [first.to_le_bytes(), second.to_le_bytes()]
    }
}
