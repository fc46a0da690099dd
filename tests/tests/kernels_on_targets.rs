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
        &[(1, Format::new(4, 8, 128)), (2, Format::new(8, 4, 128))],
    ),
    (&ARMV7, &[(1, Format::new(4, 8, 128))]),
];

const ROWS: usize = 200;

#[test]
fn kernels_equal_their_twins() {
    let mut runner = TestRunner::deterministic();
    let shape = shapes(40, 22, 99);
    let shapes: Vec<Shape> = (0..ROWS)
        .map(|_| shape.new_tree(&mut runner).unwrap().current())
        .collect();
    thread::scope(|scope| {
        for (target, kernels) in KERNELS {
            let shapes = &shapes;
            scope.spawn(move || {
                for &(kernel, format) in kernels {
                    check(target, kernel, format, shapes);
                }
            });
        }
    });
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

/// The row as a target takes it.
fn case(row: &rows::Case, kernel: u8) -> Case {
    let number = |n: usize| u32::try_from(n).unwrap();
    let byte = |n: usize| u8::try_from(n).unwrap();
    let stretches = row.lines.iter().zip(&row.shape.stretches);
    let stretches = stretches.map(|(bytes, &(step, length))| Stretch {
        bytes: bytes.clone(),
        step: number(step),
        length: number(length),
    });
    let format = row.format;
    let row = Row {
        stretches: stretches.collect(),
        width: number(row.shape.width),
        weights: row.weights.clone(),
        format: (byte(format.lanes), byte(format.depth), format.centre),
        paired: format.paired,
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
