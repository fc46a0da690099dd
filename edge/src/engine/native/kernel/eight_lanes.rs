//! Rows by tiles of eight lanes, for the kernels of x86-64 whose registers hold 32 bytes: they differ
//! in how they multiply. A macro, since a function that is generic over kernels cannot have the
//! instructions of one.

/// Defines `blocks`, which computes a row of activations with these features of the processor; from
/// there on
///
/// - `weights` makes of 32 bytes of weights (4 taps of 8 lanes) what `add` multiplies,
/// - `taps` does so of 4 activations, 8 times over,
/// - `add` adds their products to 8 sums.
macro_rules! eight_lanes {
    ($features:literal, $weights:ident, $taps:ident, $add:ident) => {
        /// Takes two blocks at a time, so that each activation read serves both.
        ///
        /// # Safety
        /// [`Row::check`] has passed for this output, and the format is [`FORMAT`]; so below.
        #[target_feature(enable = $features)]
        unsafe fn blocks(row: &Row<'_>, output: &mut [u8]) {
            let mut blocks = row.blocks();
            while blocks.len() > 0 {
                // SAFETY: the caller's.
                unsafe {
                    match blocks.len() {
                        1 => tiles::<8, 1>(row, next(&mut blocks), output),
                        _ => tiles::<4, 2>(row, next(&mut blocks), output),
                    }
                }
            }
        }

        /// Covers the row with tiles of `PIXELS` or of 1.
        #[target_feature(enable = $features)]
        unsafe fn tiles<const PIXELS: usize, const BLOCKS: usize>(
            row: &Row<'_>,
            blocks: [Block<'_>; BLOCKS],
            output: &mut [u8],
        ) {
            for (x, size) in spans([PIXELS, 1], row.width) {
                // SAFETY: x + size <= row.width; the rest is the caller's.
                unsafe {
                    if size == PIXELS {
                        tile::<PIXELS, BLOCKS>(row, &blocks, x, output);
                    } else {
                        tile::<1, BLOCKS>(row, &blocks, x, output);
                    }
                }
            }
        }

        /// # Safety
        /// Beside the above: x + `PIXELS` <= `row.width`.
        #[target_feature(enable = $features)]
        unsafe fn tile<const PIXELS: usize, const BLOCKS: usize>(
            row: &Row<'_>,
            blocks: &[Block<'_>; BLOCKS],
            x: usize,
            output: &mut [u8],
        ) {
            // SAFETY: a block has as many biases as lanes.
            let load = |bytes: &[u8]| unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
            let mut sums = blocks.map(|block| [load(block.biases); PIXELS]);
            let mut weights = blocks.map(|block| block.weights.as_ptr());
            for stretch in row.stretches {
                // SAFETY: pixel x + PIXELS - 1 < width reads `length` bytes from `step` times it
                // on: the check has found them inside `bytes`. A block's weights are 32 bytes for
                // each 4 of the stretches' lengths, in their order.
                unsafe {
                    let mut taps = stretch.bytes.as_ptr().add(x * stretch.step);
                    for _ in 0..stretch.length / FORMAT.depth {
                        let these =
                            weights.map(|weights| $weights(_mm256_loadu_si256(weights.cast())));
                        for pixel in 0..PIXELS {
                            let taps = taps.add(pixel * stretch.step).cast::<i32>();
                            let taps = $taps(_mm256_set1_epi32(taps.read_unaligned()));
                            for (sums, weights) in sums.iter_mut().zip(these) {
                                sums[pixel] = $add(sums[pixel], taps, weights);
                            }
                        }
                        taps = taps.add(FORMAT.depth);
                        weights = weights.map(|weights| weights.add(32));
                    }
                }
            }
            for (block, sums) in blocks.iter().zip(sums) {
                let shifts = load(block.shifts);
                for (pixel, sums) in sums.into_iter().enumerate() {
                    let bytes = requantize(sums, shifts).to_le_bytes();
                    let start = block.start + (x + pixel) * row.step;
                    output[start..][..block.used].copy_from_slice(&bytes[..block.used]);
                }
            }
        }
    };
}

pub(super) use eight_lanes;
