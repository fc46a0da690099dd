//! Every kernel of the native engine equals its scalar twin on rows of every shape, at the extremes
//! too, and writes nothing beside its own bytes.

use proptest::prelude::*;
use residua_edge::engine::native::kernel::{self, Format, Kernel, Row, Stretch, scalar};

/// The plain code for a format.
fn twin(row: &Row<'_>, output: &mut [u8]) {
    if row.format == Format::paired(8) {
        return scalar::paired::<8>(row, output);
    }
    match (row.format.lanes, row.format.depth) {
        (4, 1) => scalar::activations::<4, 1>(row, output),
        (4, 8) => scalar::activations::<4, 8>(row, output),
        (8, 4) => scalar::activations::<8, 4>(row, output),
        (8, 8) => scalar::activations::<8, 8>(row, output),
        (16, 4) => scalar::activations::<16, 4>(row, output),
        format => panic!("no twin for the format {format:?}"),
    }
}

/// The shape of a row.
#[derive(Clone, Debug)]
struct Shape {
    width: usize,
    channels: usize,
    /// Bytes between the channels of a pixel and those of the next.
    gap: usize,
    /// Step and length of each stretch, before it is filled up to the depth.
    stretches: Vec<(usize, usize)>,
    seed: u64,
    kind: u8,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let stretches = prop::collection::vec((0_usize..40, 1_usize..100), 1..=22);
    let channels = prop_oneof![1_usize..=20, Just(32), Just(48), 60_usize..=70];
    (
        1_usize..=70,
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

/// Buffers of a row for one format.
struct Case {
    lines: Vec<Vec<u8>>,
    weights: Vec<u8>,
    format: Format,
    shape: Shape,
}

impl Case {
    fn new(shape: &Shape, format: Format) -> Self {
        let mut random = Random(shape.seed);
        let filled = |length: usize| length.next_multiple_of(format.depth);
        // No byte more than promised, so that a read beyond is one beyond the allocation.
        let bytes = |&(step, length): &(usize, usize)| (shape.width - 1) * step + filled(length);
        let lines = shape.stretches.iter().map(bytes);
        let lines: Vec<Vec<u8>> = lines
            .map(|bytes| (0..bytes).map(|_| random.activation(shape.kind)).collect())
            .collect();
        let lengths = shape.stretches.iter().map(|&(_, length)| filled(length));
        let taps: usize = lengths.sum();
        let mut weights = Vec::new();
        for _ in 0..shape.channels.div_ceil(format.lanes) {
            let most = (1 << 30) - 1 - 255 * 127 * taps as i64;
            let biases = (0..format.lanes).map(|_| (random.next() as i64 % most) as i32);
            let signed: Vec<i32> = biases
                .map(|bias| if bias % 2 == 0 { bias } else { -bias })
                .collect();
            weights.extend(
                signed
                    .iter()
                    .flat_map(|bias| (bias >> (bias & 15)).to_le_bytes()),
            );
            let shifts = (0..format.lanes).map(|_| random.next() as i32 % 32);
            let shifts: Vec<i32> = shifts
                .map(|shift| if shift > 20 { shift / 2 } else { shift })
                .collect();
            weights.extend(shifts.iter().flat_map(|shift| shift.to_le_bytes()));
            weights.extend((0..taps * format.lanes).map(|_| random.weight(shape.kind) as u8));
        }
        Self {
            lines,
            weights,
            format,
            shape: shape.clone(),
        }
    }

    /// The output of some code for this row, among bytes that it must leave alone.
    fn run(&self, code: impl Fn(&Row<'_>, &mut [u8])) -> Vec<u8> {
        let Shape {
            width,
            channels,
            gap,
            ..
        } = self.shape;
        let stretches = self.lines.iter().zip(&self.shape.stretches);
        let stretches: Vec<Stretch<'_>> = stretches
            .map(|(bytes, &(step, length))| Stretch {
                bytes,
                step,
                length: length.next_multiple_of(self.format.depth),
            })
            .collect();
        let step = channels + gap;
        let row = Row {
            stretches: &stretches,
            width,
            weights: &self.weights,
            format: self.format,
            outputs: channels,
            step,
        };
        let mut output = vec![0xcc; (width - 1) * step + channels];
        code(&row, &mut output);
        output
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn kernels_equal_their_twins(shape in shapes()) {
        for kernel in kernel::all() {
            for &format in kernel.formats() {
                let case = Case::new(&shape, format);
                let found = case.run(|row, output| kernel.activations(row, output));
                prop_assert_eq!(found, case.run(twin), "{}, {:?}", kernel.name(), format);
            }
        }
    }

    #[test]
    fn sums_equal_the_plain_ones(shape in shapes(), eight in any::<bool>()) {
        let stretches = if eight { vec![(8, 8)] } else { shape.stretches.clone() };
        let shape = Shape { channels: 1, gap: 0, stretches, ..shape };
        for kernel in kernel::all() {
            let case = Case::new(&shape, Format::output(kernel.centre()));
            let sums = |kernel: &dyn Kernel| {
                let sums = std::cell::RefCell::new(vec![7; shape.width]);
                case.run(|row, _| kernel.sums(row, &mut sums.borrow_mut()));
                sums.into_inner()
            };
            prop_assert_eq!(sums(kernel), sums(&scalar::Scalar), "{}", kernel.name());
        }
    }
}

/// The rows reach both ends of the output's range and its inside; else kernels agree by accident.
#[test]
fn the_rows_are_alive() {
    let shape = Shape {
        width: 50,
        channels: 40,
        gap: 0,
        stretches: vec![(8, 24); 3],
        seed: 5,
        kind: 4,
    };
    let case = Case::new(&shape, Format::new(8, 4, 0));
    let output = case.run(twin);
    for inside in [0..=0, 1..=254, 255..=255] {
        let share = output
            .iter()
            .filter(|value| inside.contains(*value))
            .count();
        assert!(
            share * 50 > output.len(),
            "{inside:?}: {share} of {}",
            output.len()
        );
    }
}
