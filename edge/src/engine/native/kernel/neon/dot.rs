//! NEON with the dot product, on processors from the Cortex-A55 and A76 on: `sdot` multiplies 16
//! bytes and adds them up by fours.

use core::{
    arch::{aarch64::*, asm},
    mem::transmute,
};

use super::{
    super::{
        Block, Format, Kernel, Row,
        tiles::{Tile, Walk, cover},
    },
    CENTRE, Requantize, load, sums,
};

/// The kernel; there is a value of it only where the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct NeonDot(());

static NEON_DOT: NeonDot = NeonDot(());

/// Two registers of four channels.
const LANES: usize = 8;
const PIXELS: usize = 8;
const FORMAT: Format = Format::new(LANES, 4, CENTRE);

impl NeonDot {
    /// The kernel, where this processor can run it.
    pub fn detect() -> Option<&'static Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(&NEON_DOT)
    }
}

impl Kernel for NeonDot {
    fn name(&self) -> &'static str {
        "neon-dot"
    }

    fn formats(&self) -> &'static [Format] {
        &[FORMAT]
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert_eq!(row.format, FORMAT);
        // SAFETY: `self` exists, so the processor has the instructions; the format is the tile's.
        unsafe { cover::<Eight, PIXELS, LANES>(row, output) }
    }

    fn sums(&self, row: &Row<'_>, output: &mut [i32]) {
        sums(row, output);
    }
}

/// Eight pixels by eight channels.
struct Eight {
    weights: *const u8,
    requantize: [Requantize; 2],
}

/// The products of four taps of all pixels, at one place of the registers v0 to v7.
macro_rules! four {
    ($place:literal) => {
        concat!(
            "ldp q8, q9, [{weights}], #32\n",
            "sdot v16.4s, v8.16b, v0.4b[",
            $place,
            "]\n",
            "sdot v17.4s, v9.16b, v0.4b[",
            $place,
            "]\n",
            "sdot v18.4s, v8.16b, v1.4b[",
            $place,
            "]\n",
            "sdot v19.4s, v9.16b, v1.4b[",
            $place,
            "]\n",
            "sdot v20.4s, v8.16b, v2.4b[",
            $place,
            "]\n",
            "sdot v21.4s, v9.16b, v2.4b[",
            $place,
            "]\n",
            "sdot v22.4s, v8.16b, v3.4b[",
            $place,
            "]\n",
            "sdot v23.4s, v9.16b, v3.4b[",
            $place,
            "]\n",
            "sdot v24.4s, v8.16b, v4.4b[",
            $place,
            "]\n",
            "sdot v25.4s, v9.16b, v4.4b[",
            $place,
            "]\n",
            "sdot v26.4s, v8.16b, v5.4b[",
            $place,
            "]\n",
            "sdot v27.4s, v9.16b, v5.4b[",
            $place,
            "]\n",
            "sdot v28.4s, v8.16b, v6.4b[",
            $place,
            "]\n",
            "sdot v29.4s, v9.16b, v6.4b[",
            $place,
            "]\n",
            "sdot v30.4s, v8.16b, v7.4b[",
            $place,
            "]\n",
            "sdot v31.4s, v9.16b, v7.4b[",
            $place,
            "]\n",
        )
    };
}

/// The next taps of each pixel, as many as registers of one kind hold.
macro_rules! taps {
    ($register:literal, $bytes:literal) => {
        concat!(
            "ldr ",
            $register,
            "0, [{p0}], #",
            $bytes,
            "\n",
            "ldr ",
            $register,
            "1, [{p1}], #",
            $bytes,
            "\n",
            "ldr ",
            $register,
            "2, [{p2}], #",
            $bytes,
            "\n",
            "ldr ",
            $register,
            "3, [{p3}], #",
            $bytes,
            "\n",
            "ldr ",
            $register,
            "4, [{p4}], #",
            $bytes,
            "\n",
            "ldr ",
            $register,
            "5, [{p5}], #",
            $bytes,
            "\n",
            "ldr ",
            $register,
            "6, [{p6}], #",
            $bytes,
            "\n",
            "ldr ",
            $register,
            "7, [{p7}], #",
            $bytes,
            "\n",
        )
    };
}

impl Tile<PIXELS, LANES> for Eight {
    fn new(block: &Block<'_>) -> Self {
        // SAFETY: a block of the format has as many biases and shifts as lanes.
        let half = |first| unsafe {
            Requantize::new(load(block.biases, first), load(block.shifts, first))
        };
        Self {
            weights: block.weights.as_ptr(),
            requantize: [half(0), half(4)],
        }
    }

    unsafe fn compute(&self, walks: &[Walk], x: usize) -> [[u8; LANES]; PIXELS] {
        // SAFETY: a register of zeros.
        let mut sums = [[unsafe { vdupq_n_s32(0) }; 2]; PIXELS];
        // SAFETY: the processor has the instructions, since the caller has a kernel. Reads of each
        // walk what the caller allows, and of the weights LANES times as much; writes nothing but
        // registers. `length` is a multiple of 4 and not 0.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "2:",
                "ldp {p0}, {step}, [{walk}], #16",
                "ldr {left}, [{walk}], #8",
                "madd {p0}, {x}, {step}, {p0}",
                "add {p1}, {p0}, {step}",
                "add {p2}, {p1}, {step}",
                "add {p3}, {p2}, {step}",
                "add {p4}, {p3}, {step}",
                "add {p5}, {p4}, {step}",
                "add {p6}, {p5}, {step}",
                "add {p7}, {p6}, {step}",
                "subs {left}, {left}, #16",
                "b.lo 4f",
                "3:",
                taps!("q", "16"),
                four!("0"),
                four!("1"),
                four!("2"),
                four!("3"),
                "subs {left}, {left}, #16",
                "b.hs 3b",
                "4:",
                // Of -16, -12, -8 or -4.
                "tbz {left}, #3, 5f",
                taps!("d", "8"),
                four!("0"),
                four!("1"),
                "5:",
                "tbz {left}, #2, 6f",
                taps!("s", "4"),
                four!("0"),
                "6:",
                "cmp {walk}, {end}",
                "b.ne 2b",
                walk = inout(reg) walks.as_ptr() => _,
                end = in(reg) walks.as_ptr_range().end,
                weights = inout(reg) self.weights => _,
                x = in(reg) x,
                step = out(reg) _, left = out(reg) _,
                p0 = out(reg) _, p1 = out(reg) _, p2 = out(reg) _, p3 = out(reg) _,
                p4 = out(reg) _, p5 = out(reg) _, p6 = out(reg) _, p7 = out(reg) _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                out("v8") _, out("v9") _,
                inout("v16") sums[0][0], inout("v17") sums[0][1],
                inout("v18") sums[1][0], inout("v19") sums[1][1],
                inout("v20") sums[2][0], inout("v21") sums[2][1],
                inout("v22") sums[3][0], inout("v23") sums[3][1],
                inout("v24") sums[4][0], inout("v25") sums[4][1],
                inout("v26") sums[5][0], inout("v27") sums[5][1],
                inout("v28") sums[6][0], inout("v29") sums[6][1],
                inout("v30") sums[7][0], inout("v31") sums[7][1],
                options(readonly, nostack),
            );
        }
        sums.map(|[a, b]| {
            let (a, b) = (self.requantize[0].words(a), self.requantize[1].words(b));
            // SAFETY: NEON belongs to the architecture; both are 8 bytes, of which all values are
            // valid.
            unsafe {
                let bytes = vqmovn_u16(vcombine_u16(a, b));
                transmute(veor_u8(bytes, vdup_n_u8(CENTRE)))
            }
        })
    }
}
