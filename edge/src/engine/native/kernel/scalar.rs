//! The plain kernel, for every target; and the twins of the others, generic over their formats.

use residua_shared::net::MAX_SHIFT;

use super::{Block, Format, Kernel, Row};

/// The plain kernel.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

const LANES: usize = 4;

impl Kernel for Scalar {
    fn name(&self) -> &'static str {
        "scalar"
    }

    fn formats(&self) -> &'static [Format] {
        const FORMATS: &[Format] = &[Format::new(LANES, 1, 0)];
        FORMATS
    }

    fn activations(&self, row: &Row<'_>, output: &mut [u8]) {
        activations::<LANES, 1>(row, output);
    }
}

/// [`Kernel::activations`] for weights of one format.
pub fn activations<const LANES: usize, const DEPTH: usize>(row: &Row<'_>, output: &mut [u8]) {
    let format = Format::new(LANES, DEPTH, row.format.centre);
    assert_eq!(row.format, format);
    requantized(row, output, dot::<LANES, DEPTH>);
}

/// [`Kernel::activations`] for weights of one format of twice the depth.
pub fn doubled<const LANES: usize, const DEPTH: usize, const TWICE: usize>(
    row: &Row<'_>,
    output: &mut [u8],
) {
    let format = Format::doubled(LANES, DEPTH, row.format.centre);
    assert_eq!(row.format, format);
    assert_eq!(TWICE, 2 * DEPTH);
    requantized(row, output, doubled_dot::<LANES, DEPTH, TWICE>);
}

/// [`Kernel::activations`] for pairs of weights.
pub fn paired<const LANES: usize>(row: &Row<'_>, output: &mut [u8]) {
    assert_eq!(row.format, Format::paired(LANES));
    requantized(row, output, paired_dot::<LANES>);
}

/// Every pixel's sums by `dot`, from biases on, requantized.
#[inline(always)]
fn requantized<const LANES: usize>(
    row: &Row<'_>,
    output: &mut [u8],
    dot: impl Fn(&Row<'_>, &Block<'_>, usize, [i32; LANES]) -> [i32; LANES],
) {
    row.check(output.len());
    for block in row.blocks() {
        let (biases, shifts): ([i32; LANES], [i32; LANES]) =
            (lanes(block.biases), lanes(block.shifts));
        for x in 0..row.width {
            let sums = dot(row, &block, x, biases);
            let pixel = &mut output[block.start + x * row.step..][..block.used];
            for ((out, sum), shift) in pixel.iter_mut().zip(sums).zip(shifts) {
                *out = requantize(sum, shift as u32) ^ row.format.centre;
            }
        }
    }
}

/// [`Kernel::sums`].
#[inline(always)]
pub fn sums(row: &Row<'_>, output: &mut [i32]) {
    assert_eq!(row.format, Format::output(row.format.centre));
    match row.format.centre {
        0 => sums_less::<0>(row, output),
        128 => sums_less::<128>(row, output),
        centre => panic!("no instruction set takes {centre} from activations"),
    }
}

#[inline(always)]
fn sums_less<const CENTRE: u8>(row: &Row<'_>, output: &mut [i32]) {
    row.check(output.len());
    for block in row.blocks() {
        let [bias] = lanes(block.biases);
        let output = &mut output[..row.width];
        output.fill(bias);
        let mut weights = block.weights;
        for stretch in row.stretches {
            let (these, rest) = weights.split_at(stretch.length);
            weights = rest;
            match (stretch.step, stretch.length) {
                (4, 4) => add_few::<4, CENTRE>(stretch.bytes, these, output),
                (8, 8) => add_few::<8, CENTRE>(stretch.bytes, these, output),
                (step, length) => {
                    for (x, out) in output.iter_mut().enumerate() {
                        let taps = &stretch.bytes[x * step..][..length];
                        let products = taps.iter().zip(these);
                        *out += products.map(|(&a, &w)| product(a, w, CENTRE)).sum::<i32>();
                    }
                }
            }
        }
    }
}

/// Adds the products of pixels that lie side by side and have so few taps that the compiler keeps
/// all weights in registers.
#[inline(always)]
fn add_few<const LENGTH: usize, const CENTRE: u8>(
    bytes: &[u8],
    weights: &[u8],
    output: &mut [i32],
) {
    let weights: [u8; LENGTH] = core::array::from_fn(|tap| weights[tap]);
    let (pixels, _) = bytes.as_chunks::<LENGTH>();
    for (out, taps) in output.iter_mut().zip(pixels) {
        let products = taps.iter().zip(weights);
        *out += products.map(|(&a, w)| product(a, w, CENTRE)).sum::<i32>();
    }
}

/// One value a lane.
pub(super) fn lanes<const LANES: usize>(bytes: &[u8]) -> [i32; LANES] {
    core::array::from_fn(|lane| {
        let mut value = [0; 4];
        value.copy_from_slice(&bytes[lane * 4..][..4]);
        i32::from_le_bytes(value)
    })
}

/// Of a byte of a line, which is an activation less the centre, and a weight. Less 128 is the highest
/// bit changed, once the byte is taken as signed.
fn product(byte: u8, weight: u8, centre: u8) -> i32 {
    (i32::from(byte ^ centre) - i32::from(centre)) * i32::from(weight as i8)
}

fn dot<const LANES: usize, const DEPTH: usize>(
    row: &Row<'_>,
    block: &Block<'_>,
    x: usize,
    mut sums: [i32; LANES],
) -> [i32; LANES] {
    let mut weights = block.weights;
    for stretch in row.stretches {
        let taps = &stretch.bytes[x * stretch.step..][..stretch.length];
        let (these, rest) = weights.split_at(taps.len() * LANES);
        weights = rest;
        add_products::<LANES, DEPTH>(taps, these, row.format.centre, &mut sums);
    }
    sums
}

fn doubled_dot<const LANES: usize, const DEPTH: usize, const TWICE: usize>(
    row: &Row<'_>,
    block: &Block<'_>,
    x: usize,
    mut sums: [i32; LANES],
) -> [i32; LANES] {
    let centre = row.format.centre;
    let mut weights = block.weights;
    for stretch in row.stretches {
        let taps = &stretch.bytes[x * stretch.step..][..stretch.length];
        let (twice, once) = taps.split_at(taps.len() / TWICE * TWICE);
        let (of_twice, rest) = weights.split_at(twice.len() * LANES);
        let (of_once, rest) = rest.split_at(once.len() * LANES);
        weights = rest;
        add_products::<LANES, TWICE>(twice, of_twice, centre, &mut sums);
        add_products::<LANES, DEPTH>(once, of_once, centre, &mut sums);
    }
    sums
}

#[inline(always)]
fn add_products<const LANES: usize, const DEPTH: usize>(
    taps: &[u8],
    weights: &[u8],
    centre: u8,
    sums: &mut [i32; LANES],
) {
    let (taps, _) = taps.as_chunks::<DEPTH>();
    let (groups, _) = weights.as_chunks::<DEPTH>();
    let (weights, _) = groups.as_chunks::<LANES>();
    for (taps, weights) in taps.iter().zip(weights) {
        for (sum, weights) in sums.iter_mut().zip(weights) {
            let products = taps.iter().zip(weights);
            *sum += products.map(|(&a, &w)| product(a, w, centre)).sum::<i32>();
        }
    }
}

fn paired_dot<const LANES: usize>(
    row: &Row<'_>,
    block: &Block<'_>,
    x: usize,
    mut sums: [i32; LANES],
) -> [i32; LANES] {
    let (pairs, _) = block.weights.as_chunks::<4>();
    let (mut weights, _) = pairs.as_chunks::<2>();
    for stretch in row.stretches {
        let (taps, _) = stretch.bytes[x * stretch.step..][..stretch.length].as_chunks::<4>();
        for &[a, b, c, d] in taps {
            for sum in &mut sums {
                let Some((&[even, odd], rest)) = weights.split_first() else {
                    break;
                };
                weights = rest;
                *sum += dual_product([a, c], even) + dual_product([b, d], odd);
            }
        }
    }
    sums
}

fn dual_product([first, second]: [u8; 2], [a, b, c, d]: [u8; 4]) -> i32 {
    i32::from(first) * i32::from(i16::from_le_bytes([a, b]))
        + i32::from(second) * i32::from(i16::from_le_bytes([c, d]))
}

/// clamp(round_half_even(sum · 2^-shift), 0, 255) for |sum| < 2^30 and shifts of 0 to 31.
///
/// Half a step less one is added, and one more where the floor is odd: only then does exactly half
/// a step carry. None of it leaves i32.
pub fn requantize(sum: i32, shift: u32) -> u8 {
    let shift = shift.min(MAX_SHIFT);
    let any = i32::from(shift > 0);
    let half = ((1_u32 << shift) >> 1) as i32;
    let rounded = (sum + (half - any) + ((sum >> shift) & any)) >> shift;
    rounded.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use residua_shared::reference::reconstruction;

    use super::requantize;

    #[test]
    fn requantization_equals_the_reference() {
        // Interpreted, all of them take minutes.
        let (shifts, halves) = if cfg!(miri) { (5, 6) } else { (1, 600) };
        for shift in (0..=31).step_by(shifts) {
            let step = 1_i64 << shift;
            let halves = (-halves..=halves).flat_map(|n| [-1, 0, 1].map(|d| n * step / 2 + d));
            let limits = [(1 << 30) - 1, 1 - (1 << 30)];
            for sum in halves.chain(limits).filter(|sum| sum.abs() < 1 << 30) {
                let sum = sum as i32;
                let expected = reconstruction::requantize(sum, shift);
                assert_eq!(requantize(sum, shift), expected, "{sum} >> {shift}");
            }
        }
    }
}
