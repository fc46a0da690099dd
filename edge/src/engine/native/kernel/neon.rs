//! aarch64: plain NEON, and NEON with the dot product. Both multiply signed bytes, so that lines
//! hold a - 128.
#![allow(unsafe_code)]

#[cfg(feature = "std")]
mod dot;

use core::arch::{aarch64::*, asm};

use super::{
    Block, Format, Kernel, Row, Stretch,
    tiles::{Tile, Walk, cover},
};

#[cfg(feature = "std")]
pub use dot::NeonDot;

/// The kernel for every aarch64 processor: NEON belongs to the architecture.
#[derive(Clone, Copy, Debug)]
pub struct Neon;

const LANES: usize = 4;
const PIXELS: usize = 4;
const FORMAT: Format = Format::doubled(LANES, 8, CENTRE);
const CENTRE: u8 = 128;

impl Kernel for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn formats(&self) -> &'static [Format] {
        &[FORMAT]
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        assert_eq!(row.format, FORMAT);
        // SAFETY: NEON belongs to the architecture; the format is the tile's.
        unsafe { cover::<Four, PIXELS, LANES>(row, output) }
    }

    fn sums(&self, row: &Row<'_>, output: &mut [i32]) {
        sums(row, output);
    }
}

/// Four pixels by four channels.
struct Four {
    weights: *const u8,
    requantize: Requantize,
}

/// The products of one pixel's 16 taps, in one register, and four channels' weights, in four.
///
/// Weights are within ±127 and taps within -128 to 127, so that a sum of two products, at most
/// 2 · 127 · 128 = 32512, fits 16 bits: one addition into 32 bits serves both.
macro_rules! sixteen {
    ($taps:literal, $($sum:literal),*) => {
        concat!(
            "ldr q4, ", $taps, "\n",
            "smull v8.8h, v4.8b, v0.8b\n",
            "smull v9.8h, v4.8b, v1.8b\n",
            "smull v10.8h, v4.8b, v2.8b\n",
            "smull v11.8h, v4.8b, v3.8b\n",
            "smlal2 v8.8h, v4.16b, v0.16b\n",
            "smlal2 v9.8h, v4.16b, v1.16b\n",
            "smlal2 v10.8h, v4.16b, v2.16b\n",
            "smlal2 v11.8h, v4.16b, v3.16b\n",
            add_up!($($sum),*)
        )
    };
}

/// The same for 8 taps.
macro_rules! eight {
    ($taps:literal, $($sum:literal),*) => {
        concat!(
            "ldr d4, ", $taps, "\n",
            "smull v8.8h, v4.8b, v0.8b\n",
            "smull v9.8h, v4.8b, v1.8b\n",
            "smull v10.8h, v4.8b, v2.8b\n",
            "smull v11.8h, v4.8b, v3.8b\n",
            add_up!($($sum),*)
        )
    };
}

macro_rules! add_up {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "sadalp ",
            $a,
            ".4s, v8.8h\n",
            "sadalp ",
            $b,
            ".4s, v9.8h\n",
            "sadalp ",
            $c,
            ".4s, v10.8h\n",
            "sadalp ",
            $d,
            ".4s, v11.8h\n",
        )
    };
}

impl Tile<PIXELS, LANES> for Four {
    fn new(block: &Block<'_>) -> Self {
        // SAFETY: a block of the format has as many biases and shifts as lanes.
        let (biases, shifts) = unsafe { (load(block.biases, 0), load(block.shifts, 0)) };
        Self {
            weights: block.weights.as_ptr(),
            requantize: Requantize::new(biases, shifts),
        }
    }

    unsafe fn compute(&self, walks: &[Walk], x: usize) -> [[u8; LANES]; PIXELS] {
        let (a, b, c, d): (int32x4_t, int32x4_t, int32x4_t, int32x4_t);
        // SAFETY: reads of each walk what the caller allows, and of the weights LANES times as
        // much; writes nothing but registers. `length` is a multiple of 8 and not 0.
        unsafe {
            asm!(
                "movi v16.4s, #0", "movi v17.4s, #0", "movi v18.4s, #0", "movi v19.4s, #0",
                "movi v20.4s, #0", "movi v21.4s, #0", "movi v22.4s, #0", "movi v23.4s, #0",
                "movi v24.4s, #0", "movi v25.4s, #0", "movi v26.4s, #0", "movi v27.4s, #0",
                "movi v28.4s, #0", "movi v29.4s, #0", "movi v30.4s, #0", "movi v31.4s, #0",
                "2:",
                "ldp {p0}, {step}, [{walk}], #16",
                "ldr {left}, [{walk}], #8",
                "madd {p0}, {x}, {step}, {p0}",
                "add {p2}, {p0}, {step}, lsl #1",
                "subs {left}, {left}, #16",
                "b.lo 4f",
                "3:",
                "ldp q0, q1, [{weights}], #32",
                "ldp q2, q3, [{weights}], #32",
                sixteen!("[{p0}, {step}]", "v20", "v21", "v22", "v23"),
                sixteen!("[{p0}], #16", "v16", "v17", "v18", "v19"),
                sixteen!("[{p2}, {step}]", "v28", "v29", "v30", "v31"),
                sixteen!("[{p2}], #16", "v24", "v25", "v26", "v27"),
                "subs {left}, {left}, #16",
                "b.hs 3b",
                "4:",
                // Of -16 or -8.
                "tbz {left}, #3, 5f",
                "ldp d0, d1, [{weights}], #16",
                "ldp d2, d3, [{weights}], #16",
                eight!("[{p0}, {step}]", "v20", "v21", "v22", "v23"),
                eight!("[{p0}]", "v16", "v17", "v18", "v19"),
                eight!("[{p2}, {step}]", "v28", "v29", "v30", "v31"),
                eight!("[{p2}]", "v24", "v25", "v26", "v27"),
                "5:",
                "cmp {walk}, {end}",
                "b.ne 2b",
                "addp v16.4s, v16.4s, v17.4s", "addp v18.4s, v18.4s, v19.4s",
                "addp v20.4s, v20.4s, v21.4s", "addp v22.4s, v22.4s, v23.4s",
                "addp v24.4s, v24.4s, v25.4s", "addp v26.4s, v26.4s, v27.4s",
                "addp v28.4s, v28.4s, v29.4s", "addp v30.4s, v30.4s, v31.4s",
                "addp v16.4s, v16.4s, v18.4s", "addp v20.4s, v20.4s, v22.4s",
                "addp v24.4s, v24.4s, v26.4s", "addp v28.4s, v28.4s, v30.4s",
                walk = inout(reg) walks.as_ptr() => _,
                end = in(reg) walks.as_ptr_range().end,
                weights = inout(reg) self.weights => _,
                x = in(reg) x,
                step = out(reg) _, left = out(reg) _,
                p0 = out(reg) _, p2 = out(reg) _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                out("v4") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                out("v16") a, out("v17") _, out("v18") _, out("v19") _,
                out("v20") b, out("v21") _, out("v22") _, out("v23") _,
                out("v24") c, out("v25") _, out("v26") _, out("v27") _,
                out("v28") d, out("v29") _, out("v30") _, out("v31") _,
                options(readonly, nostack),
            );
        }
        let [a, b, c, d] = [a, b, c, d].map(|sums| self.requantize.words(sums));
        // SAFETY: NEON belongs to the architecture.
        let bytes = unsafe {
            let bytes = vqmovn_u16(vcombine_u16(a, b));
            let bytes = vcombine_u8(bytes, vqmovn_u16(vcombine_u16(c, d)));
            veorq_u8(bytes, vdupq_n_u8(CENTRE))
        };
        // SAFETY: both are 16 bytes, of which all values are valid.
        unsafe { core::mem::transmute(bytes) }
    }
}

/// Four values from the `first` on.
///
/// # Safety
/// They are there.
unsafe fn load(values: &[u8], first: usize) -> int32x4_t {
    // SAFETY: the caller's; bytes need no alignment.
    unsafe { vreinterpretq_s32_u8(vld1q_u8(values.as_ptr().add(first * 4))) }
}

/// [`super::scalar::requantize`] of bias and sum, for four channels, but for the upper limit: that
/// of u16 instead of 255.
#[derive(Clone, Copy)]
struct Requantize {
    biases: int32x4_t,
    /// A shift by -1 is one to the right.
    right: int32x4_t,
    /// 1 where there is a shift.
    any: int32x4_t,
    /// Half a step less 1, or 0.
    half: int32x4_t,
}

impl Requantize {
    fn new(biases: int32x4_t, shifts: int32x4_t) -> Self {
        // SAFETY: NEON belongs to the architecture.
        unsafe {
            let one = vdupq_n_s32(1);
            let any = vminq_s32(shifts, one);
            let half = vshlq_s32(one, vsubq_s32(shifts, one));
            Self {
                biases,
                right: vnegq_s32(shifts),
                any,
                half: vsubq_s32(half, any),
            }
        }
    }

    fn words(&self, sums: int32x4_t) -> uint16x4_t {
        // SAFETY: NEON belongs to the architecture.
        unsafe {
            let sums = vaddq_s32(sums, self.biases);
            let odd = vandq_s32(vshlq_s32(sums, self.right), self.any);
            let rounded = vaddq_s32(sums, vaddq_s32(self.half, odd));
            vqmovun_s32(vshlq_s32(rounded, self.right))
        }
    }
}

/// A 1x1 convolution of 4 or 8 channels by vectors of four pixels, others by the scalar code.
fn sums(row: &Row<'_>, output: &mut [i32]) {
    assert_eq!(row.format, Format::output(CENTRE));
    row.check(output.len());
    match row.stretches {
        // SAFETY: the row was checked, and is as the function asks.
        [
            Stretch {
                bytes,
                step: 8,
                length: 8,
            },
        ] if row.width >= 4 => unsafe {
            sums_of_one_stretch::<8>(row, bytes, output);
        },
        // SAFETY: as above.
        [
            Stretch {
                bytes,
                step: 4,
                length: 4,
            },
        ] if row.width >= 4 => unsafe {
            sums_of_one_stretch::<4>(row, bytes, output);
        },
        _ => super::scalar::sums(row, output),
    }
}

/// # Safety
/// [`Row::check`] has passed for this output; the row has one stretch, these bytes with a length
/// and a step of `LENGTH`, 4 or 8, and at least 4 pixels.
unsafe fn sums_of_one_stretch<const LENGTH: usize>(
    row: &Row<'_>,
    bytes: &[u8],
    output: &mut [i32],
) {
    for block in row.blocks() {
        let bias = i32::from_le_bytes(block.biases.try_into().expect("one lane"));
        // 4 weights twice, or 8.
        let weights: [u8; 8] = core::array::from_fn(|index| block.weights[index % LENGTH]);
        for x in (0..row.width).step_by(4) {
            let x = x.min(row.width - 4);
            // SAFETY: x + 4 <= width, so that the four pixels lie inside the stretch and the four
            // sums inside the output. NEON belongs to the architecture.
            unsafe {
                let weights = vld1_s8(weights.as_ptr().cast());
                let products = |index: usize| {
                    let taps = vld1_s8(bytes.as_ptr().add(x * LENGTH + 8 * index).cast());
                    vpaddlq_s16(vmull_s8(taps, weights))
                };
                let sums = if LENGTH == 8 {
                    let first = vpaddq_s32(products(0), products(1));
                    vpaddq_s32(first, vpaddq_s32(products(2), products(3)))
                } else {
                    vpaddq_s32(products(0), products(1))
                };
                let sums = vaddq_s32(sums, vdupq_n_s32(bias));
                vst1q_s32(output.as_mut_ptr().add(x), sums);
            }
        }
    }
}
