//! Random rows for kernels of the native engine: of every shape, and at the extremes.

use proptest::prelude::*;
use residua_edge::engine::native::kernel::{Format, Row, Stretch, scalar};
use residua_shared::reference::reconstruction::requantize;

/// The plain code for a format.
pub fn twin(row: &Row<'_>, output: &mut [u8]) {
    if row.format == Format::paired(8) {
        return scalar::paired::<8>(row, output);
    }
    if row.format == Format::doubled(4, 8, 128) {
        return scalar::doubled::<4, 8, 16>(row, output);
    }
    match (row.format.lanes, row.format.depth) {
        (4, 1) => scalar::activations::<4, 1>(row, output),
        (4, 8) => scalar::activations::<4, 8>(row, output),
        (4, 16) => scalar::activations::<4, 16>(row, output),
        (8, 4) => scalar::activations::<8, 4>(row, output),
        (8, 8) => scalar::activations::<8, 8>(row, output),
        (16, 4) => scalar::activations::<16, 4>(row, output),
        format => panic!("no twin for the format {format:?}"),
    }
}

/// The shape of a row.
#[derive(Clone, Debug)]
pub struct Shape {
    pub width: usize,
    pub channels: usize,
    /// Bytes between the channels of a pixel and those of the next.
    pub gap: usize,
    /// Step and length of each stretch, before it is filled up to the depth.
    pub stretches: Vec<(usize, usize)>,
    pub seed: u64,
    /// Which extremes its values take, or none.
    pub kind: u8,
}

/// Rows at most so wide, of at most so many stretches that are at most so long.
pub fn shapes(width: usize, count: usize, length: usize) -> impl Strategy<Value = Shape> {
    let stretches = prop::collection::vec((0_usize..40, 1..=length), 1..=count);
    let channels = prop_oneof![1_usize..=20, Just(32), Just(48), 60_usize..=70];
    (
        1..=width,
        channels,
        0_usize..3,
        stretches,
        any::<u64>(),
        0_u8..5,
    )
        .prop_map(|(width, channels, gap, stretches, seed, kind)| Shape {
            width,
            channels,
            gap,
            stretches,
            seed,
            kind,
        })
}

/// Numbers that the seed determines.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.0 >> 33
    }

    /// Noise, or one extreme, or both.
    fn activation(&mut self, kind: u8) -> u8 {
        match kind {
            0 => 255,
            1 => [0, 255][self.next() as usize % 2],
            _ => self.next() as u8,
        }
    }

    fn weight(&mut self, kind: u8) -> i8 {
        match kind {
            0 => 127,
            1 => -127,
            2 => [-127, 127][self.next() as usize % 2],
            _ => ((self.next() % 255) as i16 - 127) as i8,
        }
    }
}

/// One output channel, or a lane that is none.
struct Channel {
    bias: i32,
    shift: u32,
    /// For each byte that a pixel reads.
    weights: Vec<i8>,
}

impl Channel {
    fn new(random: &mut Random, taps: usize, kind: u8) -> Self {
        let most = (1 << 30) - 1 - 255 * 127 * taps as i64;
        let bias = (random.next() as i64 % most) as i32;
        let bias = if bias % 2 == 0 { bias } else { -bias };
        let shift = random.next() as u32 % 32;
        Self {
            bias: bias >> (bias & 15),
            shift: if shift > 20 { shift / 2 } else { shift },
            weights: (0..taps).map(|_| random.weight(kind)).collect(),
        }
    }
}

/// Buffers of a row for one format.
pub struct Case {
    pub lines: Vec<Vec<u8>>,
    pub weights: Vec<u8>,
    pub format: Format,
    pub shape: Shape,
    channels: Vec<Channel>,
}

impl Case {
    pub fn new(shape: &Shape, format: Format) -> Self {
        let mut random = Random(shape.seed);
        let mut shape = shape.clone();
        for (_, length) in &mut shape.stretches {
            *length = length.next_multiple_of(format.depth);
        }
        // No byte more than promised, so that a read beyond is one beyond the allocation.
        let bytes = |&(step, length): &(usize, usize)| (shape.width - 1) * step + length;
        let lines = shape.stretches.iter().map(bytes);
        let lines: Vec<Vec<u8>> = lines
            .map(|bytes| (0..bytes).map(|_| random.activation(shape.kind)).collect())
            .collect();
        let taps = shape.stretches.iter().map(|&(_, length)| length).sum();
        let lanes = shape.channels.next_multiple_of(format.lanes);
        let channel = |_| Channel::new(&mut random, taps, shape.kind);
        let channels: Vec<Channel> = (0..lanes).map(channel).collect();
        Self {
            lines,
            weights: packed(&channels, format, &shape.stretches),
            format,
            shape,
            channels,
        }
    }

    /// Bytes of the output.
    pub fn output_len(&self) -> usize {
        (self.shape.width - 1) * self.step() + self.shape.channels
    }

    /// Bytes from an output pixel to the next.
    pub fn step(&self) -> usize {
        self.shape.channels + self.shape.gap
    }

    /// The output of some code for this row, among bytes that it must leave alone.
    pub fn run(&self, code: impl Fn(&Row<'_>, &mut [u8])) -> Vec<u8> {
        let mut output = vec![UNTOUCHED; self.output_len()];
        self.with(|row| code(row, &mut output));
        output
    }

    /// Hands the row to some code.
    pub fn with(&self, code: impl FnOnce(&Row<'_>)) {
        let stretches = self.lines.iter().zip(&self.shape.stretches);
        let stretches: Vec<Stretch<'_>> = stretches
            .map(|(bytes, &(step, length))| Stretch {
                bytes,
                step,
                length,
            })
            .collect();
        code(&Row {
            stretches: &stretches,
            width: self.shape.width,
            weights: &self.weights,
            format: self.format,
            outputs: self.shape.channels,
            step: self.step(),
        });
    }

    /// What any code's output must be, from the definition.
    pub fn expected(&self) -> Vec<u8> {
        let mut output = vec![UNTOUCHED; self.output_len()];
        let sums = self.expected_sums();
        for (x, sums) in sums.chunks(self.shape.channels).enumerate() {
            for (c, (&sum, channel)) in sums.iter().zip(&self.channels).enumerate() {
                let activation = requantize(sum, channel.shift);
                output[x * self.step() + c] = activation ^ self.format.centre;
            }
        }
        output
    }

    /// The channels' sums of one pixel after the other, from the definition.
    pub fn expected_sums(&self) -> Vec<i32> {
        let centre = self.format.centre;
        let value = |byte: u8| i32::from(byte ^ centre) - i32::from(centre);
        let mut sums = Vec::new();
        for x in 0..self.shape.width {
            let stretches = self.lines.iter().zip(&self.shape.stretches);
            let taps: Vec<i32> = stretches
                .flat_map(|(bytes, &(step, length))| &bytes[x * step..][..length])
                .map(|&byte| value(byte))
                .collect();
            for channel in self.channels.iter().take(self.shape.channels) {
                let products = taps.iter().zip(&channel.weights);
                let products = products.map(|(a, &w)| a * i32::from(w));
                sums.push(channel.bias + products.sum::<i32>());
            }
        }
        sums
    }
}

/// What lies in an output before.
pub const UNTOUCHED: u8 = 0xcc;

/// Blocks of a format.
fn packed(channels: &[Channel], format: Format, stretches: &[(usize, usize)]) -> Vec<u8> {
    let order: &[usize] = if format.paired { &[0, 2, 1, 3] } else { &[] };
    let mut bytes = Vec::new();
    for block in channels.chunks(format.lanes) {
        bytes.extend(block.iter().flat_map(|lane| lane.bias.to_le_bytes()));
        bytes.extend(block.iter().flat_map(|lane| lane.shift.to_le_bytes()));
        let mut start = 0;
        for size in stretches
            .iter()
            .flat_map(|&(_, length)| groups(length, format))
        {
            for lane in block {
                for place in 0..size {
                    let place = order.get(place).unwrap_or(&place);
                    let weight = i16::from(lane.weights[start + place]).to_le_bytes();
                    bytes.extend(&weight[..format.weight()]);
                }
            }
            start += size;
        }
    }
    bytes
}

/// How many weights of a lane lie together, one group after the other.
fn groups(mut length: usize, format: Format) -> Vec<usize> {
    let mut groups = Vec::new();
    while length > 0 {
        let twice = format.doubled && length >= 2 * format.depth;
        groups.push(if twice {
            2 * format.depth
        } else {
            format.depth
        });
        length -= groups[groups.len() - 1];
    }
    groups
}
