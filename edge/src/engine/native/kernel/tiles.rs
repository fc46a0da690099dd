//! Rows cut into tiles of a fixed number of pixels, for kernels in assembly: left to allocate
//! registers for so many sums, the compiler spills them in the innermost loop.
#![allow(unsafe_code)]

use heapless::Vec;
use residua_shared::net::MAX_KERNEL;

use super::{Block, Row};

/// A stretch as assembly reads it: from a tile's first tap on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// The first tap of output pixel 0.
    pub bytes: *const u8,
    /// Bytes from an output pixel's first tap to the next one's.
    pub step: usize,
    /// Bytes that each output pixel reads.
    pub length: usize,
}

/// The code that computes a tile: `PIXELS` neighbours by the `LANES` channels of a block.
pub trait Tile<const PIXELS: usize, const LANES: usize> {
    /// Ready for a block.
    fn new(block: &Block<'_>) -> Self;

    /// The tile that starts with output pixel `x`, less the centre as lines hold it.
    ///
    /// # Safety
    /// The block that it is ready for still exists and has the format of this code, its weights in
    /// the order of `walks`; these are one or more, and each may read `length` bytes, a multiple of
    /// the format's depth and not 0, from `step` times each of the tile's pixels on.
    unsafe fn compute(&self, walks: &[Walk], x: usize) -> [[u8; LANES]; PIXELS];
}

/// Computes a row by tiles of one kind, the last of which may cover pixels of the one before again.
///
/// # Panics
/// Where a buffer of the row is too short.
///
/// # Safety
/// The processor has the tile's instructions, and the row's format is the tile's.
pub unsafe fn cover<T: Tile<PIXELS, LANES>, const PIXELS: usize, const LANES: usize>(
    row: &Row<'_>,
    output: &mut [u8],
) {
    row.check(output.len());
    let walks = walks(row);
    if walks.is_empty() {
        return;
    }
    for block in row.blocks() {
        let tile = T::new(&block);
        let mut store = |x: usize, bytes: [u8; LANES]| {
            let start = block.start + x * row.step;
            if block.used == LANES {
                // SAFETY: the check has found `outputs` bytes from `step` times each pixel on
                // inside the output, and all lanes of this block are among them.
                unsafe {
                    output
                        .as_mut_ptr()
                        .add(start)
                        .cast::<[u8; LANES]>()
                        .write(bytes)
                };
            } else {
                for (output, byte) in output[start..][..block.used].iter_mut().zip(bytes) {
                    *output = byte;
                }
            }
        };
        if row.width < PIXELS {
            for x in 0..row.width {
                let walks = walks_of_one(&walks, x);
                // SAFETY: pixel x < width reads `length` bytes from `step` times it on, which the
                // check has found inside; all pixels of this tile read the same.
                store(x, unsafe { tile.compute(&walks, 0) }[0]);
            }
            continue;
        }
        for x in (0..row.width).step_by(PIXELS) {
            let x = x.min(row.width - PIXELS);
            // SAFETY: the check has found what the pixels up to x + PIXELS - 1 < width read inside
            // the stretches, and the block's weights complete.
            let pixels = unsafe { tile.compute(&walks, x) };
            for (pixel, bytes) in pixels.into_iter().enumerate() {
                store(x + pixel, bytes);
            }
        }
    }
}

/// The row's stretches, without those of no length.
fn walks(row: &Row<'_>) -> Vec<Walk, { 2 * MAX_KERNEL }> {
    let stretches = row.stretches.iter();
    let walks = stretches.filter(|stretch| stretch.length > 0);
    let walks = walks.map(|stretch| Walk {
        bytes: stretch.bytes.as_ptr(),
        step: stretch.step,
        length: stretch.length,
    });
    walks.collect()
}

/// Walks that read pixel `x` for every pixel of a tile.
fn walks_of_one(walks: &[Walk], x: usize) -> Vec<Walk, { 2 * MAX_KERNEL }> {
    let walks = walks.iter().map(|walk| Walk {
        bytes: walk.bytes.wrapping_add(x * walk.step),
        step: 0,
        length: walk.length,
    });
    walks.collect()
}
