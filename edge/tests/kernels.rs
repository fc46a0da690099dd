//! Every kernel of the native engine equals its scalar twin, and every twin the definition, on rows
//! of every shape, at the extremes too; none writes beside its own bytes.

mod rows;

use proptest::prelude::*;
use residua_edge::engine::native::kernel::{self, DSP, Format, HELIUM};
use rows::{Case, Shape, shapes, twin};

/// The formats of all kernels, also of those for other processors.
const FORMATS: [Format; 9] = [
    Format::new(4, 1, 0),
    Format::new(8, 4, 128),
    Format::new(4, 8, 128),
    Format::doubled(4, 8, 128),
    Format::new(8, 4, 0),
    Format::new(8, 8, 0),
    Format::new(16, 4, 0),
    DSP[0],
    HELIUM[0],
];

/// How wide rows are, how many stretches they have and how long these are, at most.
const LARGEST: (usize, usize, usize) = (70, 22, 99);
/// The same where every product counts. Interpreted, it takes a thousand times as long.
const SMALLER: (usize, usize, usize) = if cfg!(miri) { (2, 2, 6) } else { (20, 22, 40) };
const CASES: u32 = if cfg!(miri) { 3 } else { 400 };

fn large() -> impl Strategy<Value = Shape> {
    let (width, count, length) = if cfg!(miri) { SMALLER } else { LARGEST };
    shapes(width, count, length)
}

fn small() -> impl Strategy<Value = Shape> {
    let (width, count, length) = SMALLER;
    shapes(width, count, length)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn kernels_equal_their_twins(shape in large()) {
        for kernel in kernel::all() {
            for &format in kernel.formats() {
                let case = Case::new(&shape, format);
                let found = case.run(|row, output| kernel.activations(row, output));
                prop_assert_eq!(found, case.run(twin), "{}, {:?}", kernel.name(), format);
            }
        }
    }

    #[test]
    fn twins_compute_what_is_defined(shape in small()) {
        for format in FORMATS {
            let case = Case::new(&shape, format);
            prop_assert_eq!(case.run(twin), case.expected(), "{:?}", format);
        }
    }

    #[test]
    fn sums_equal_what_is_defined(shape in large(), few in 0..3_usize) {
        let stretches = match few {
            0 => shape.stretches.clone(),
            few => vec![(4 * few, 4 * few)],
        };
        let shape = Shape { channels: 1, gap: 0, stretches, ..shape };
        for kernel in kernel::all() {
            let case = Case::new(&shape, Format::output(kernel.centre()));
            let mut sums = vec![7; shape.width];
            case.with(|row| kernel.sums(row, &mut sums));
            prop_assert_eq!(sums, case.expected_sums(), "{}", kernel.name());
        }
    }
}

#[test]
fn the_formats_are_those_of_the_kernels_here() {
    let mut formats = kernel::all()
        .into_iter()
        .flat_map(|kernel| kernel.formats());
    assert!(formats.all(|format| FORMATS.contains(format)));
}

/// The rows reach both ends of the output's range and its inside; else kernels agree by accident.
#[test]
fn the_rows_are_alive() {
    let shape = Shape {
        width: if cfg!(miri) { 5 } else { 50 },
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
