//! The native engine's kernels on ARM targets equal their scalar twins, on rows of every shape and at
//! the extremes, and write nothing beside their own bytes.

#[path = "../../edge/tests/rows/mod.rs"]
mod rows;

use std::thread;

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use residua_edge::engine::native::kernel::{DSP, Format, HELIUM};
use residua_runner::case::{Engine, GUARD, Row, Stretch};
use residua_shared::{
    frame::Size,
    rule::{Comparison, DecisionRule, MapScale},
};
use residua_tests::targets::{AARCH64, ARMV7, CORTEX_M7, CORTEX_M55, Case, Reply, Target};
use rows::{Shape, UNTOUCHED, shapes, twin};

/// Every kernel but the scalar one: its number among those of its target, and its format.
const KERNELS: [(&Target, &[(u8, Format)]); 4] = [
    (&CORTEX_M7, &[(1, DSP[0])]),
    (&CORTEX_M55, &[(1, DSP[0]), (2, HELIUM[0])]),
    (
        &AARCH64,
        &[(1, Format::doubled(4, 8, 128)), (2, Format::new(8, 4, 128))],
    ),
    (&ARMV7, &[(1, Format::new(4, 8, 128))]),
];

const ROWS: usize = 200;

#[test]
fn kernels_equal_their_twins() {
    let shapes = random_shapes();
    thread::scope(|scope| {
        for (target, kernels) in KERNELS {
            let shapes = &shapes;
            scope.spawn(move || {
                for &(kernel, format) in kernels {
                    check(target, kernel, format, shapes);
                    check_sums(target, kernel, Format::output(format.centre), shapes);
                }
            });
        }
    });
}

fn random_shapes() -> Vec<Shape> {
    let mut runner = TestRunner::deterministic();
    let shape = shapes(40, 22, 99);
    let shapes = (0..ROWS).map(|_| shape.new_tree(&mut runner).unwrap().current());
    shapes.collect()
}

fn check(target: &Target, kernel: u8, format: Format, shapes: &[Shape]) {
    let rows: Vec<rows::Case> = shapes
        .iter()
        .map(|shape| rows::Case::new(shape, format))
        .collect();
    let cases: Vec<Case> = rows.iter().map(|row| case(row, kernel)).collect();
    let replies = target.run(&cases).unwrap_or_else(|error| panic!("{error}"));
    for (row, replies) in rows.iter().zip(replies) {
        let mut expected = row.run(twin);
        assert_eq!(expected, row.expected(), "the twin, {:?}", row.shape);
        expected.extend([UNTOUCHED; GUARD]);
        let name = target.name;
        assert!(
            replies == [Reply::Activations(expected)],
            "{name}, kernel {kernel}, {:?}",
            row.shape
        );
    }
}

/// The last layer's rows: of the shapes as they are, and with the one stretch of most networks.
fn check_sums(target: &Target, kernel: u8, format: Format, shapes: &[Shape]) {
    let stretches = [None, Some((4, 4)), Some((8, 8)), Some((3, 5))];
    let shapes = shapes.iter().zip(stretches.iter().cycle());
    let rows = shapes.map(|(shape, stretch)| {
        let stretches = stretch.map_or_else(|| shape.stretches.clone(), |one| vec![one]);
        let shape = Shape {
            channels: 1,
            gap: 0,
            stretches,
            ..shape.clone()
        };
        rows::Case::new(&shape, format)
    });
    let rows: Vec<rows::Case> = rows.collect();
    let cases: Vec<Case> = rows.iter().map(|row| case(row, kernel)).collect();
    let replies = target.run(&cases).unwrap_or_else(|error| panic!("{error}"));
    for (row, replies) in rows.iter().zip(replies) {
        let sums = row.expected_sums().into_iter();
        let mut expected: Vec<u8> = sums.flat_map(i32::to_le_bytes).collect();
        expected.extend([UNTOUCHED; GUARD]);
        let name = target.name;
        assert!(
            replies == [Reply::Activations(expected)],
            "{name}, kernel {kernel}, the last layer's {:?}",
            row.shape
        );
    }
}

/// The row as a target takes it.
fn case(row: &rows::Case, kernel: u8) -> Case {
    let number = |n: usize| u32::try_from(n).unwrap();
    let stretches = row.lines.iter().zip(&row.shape.stretches);
    let stretches = stretches.map(|(bytes, &(step, length))| Stretch {
        bytes: bytes.clone(),
        step: number(step),
        length: number(length),
    });
    let row = Row {
        stretches: stretches.collect(),
        width: number(row.shape.width),
        weights: row.weights.clone(),
        last: row.format == Format::output(row.format.centre),
        outputs: number(row.shape.channels),
        step: number(row.step()),
    };
    let scale = MapScale::new(4, 1).unwrap();
    Case {
        engine: Engine::Row(row, kernel),
        input: Size::new(1, 1).unwrap(),
        rule: DecisionRule::new(Comparison::Absolute, scale, 0, 1, 0).unwrap(),
        runs: 0,
        regions: 0,
        images: vec![0],
        first: 0,
        repetitions: 1,
    }
}
