//! The exported networks of every preset, on every runtime and target, at small sizes and also
//! where the image is smaller than the network's graph.

use residua_edge::regions::{max_regions, max_runs};
use residua_host::net::config::Preset;
use residua_runner::case::Engine;
use residua_shared::{
    frame::Size,
    rule::{Comparison, DecisionRule, MapScale},
};
use residua_tests::{
    judge,
    presets::{Exported, images, untrained},
    runners::{OnnxRuntime, Runner},
    suite::{Subject, check_on_targets, rule_for},
    targets::Case,
};

fn check(preset: Preset, test: &str, sizes: &[(usize, usize)]) {
    let subjects: Vec<Subject> = sizes
        .iter()
        .map(|&(width, height)| subject(preset, test, Size::new(width, height).unwrap()))
        .collect();
    for (subject, answers) in subjects.iter().zip(check_on_targets(&subjects)) {
        let case = &subject.case;
        let area = case.input.area();
        let expected: Vec<Vec<i32>> = judge::reconstructions(case).unwrap();
        let inner = expected.concat();
        let distinct = inner.iter().collect::<std::collections::HashSet<_>>().len();
        assert!(
            distinct > area / 8,
            "{}: {distinct} values alone",
            subject.name
        );
        assert!(answers.iter().any(|answer| !answer.suspects.is_empty()));

        let Engine::Tract(onnx) = &case.engine else {
            unreachable!("subjects are networks")
        };
        let images: Vec<Vec<u8>> = case.images.chunks(area).map(<[u8]>::to_vec).collect();
        let bits = case.rule.scale().fraction_bits();
        let found = OnnxRuntime.run(onnx, case.input, bits, &images).unwrap();
        assert!(found == expected, "{}: onnxruntime differs", subject.name);
    }
}

fn subject(preset: Preset, test: &str, input: Size) -> Subject {
    let Exported {
        onnx,
        fraction_bits,
    } = untrained(preset, input).unwrap();
    let scale = MapScale::new(fraction_bits, 5).unwrap();
    let mut images = images(input);
    images.extend([vec![0; input.area()], vec![255; input.area()]]);
    let mut case = Case {
        engine: Engine::Tract(onnx),
        input,
        rule: DecisionRule::new(Comparison::Absolute, scale, 0, 1, 0).unwrap(),
        runs: max_runs(input) as u32,
        regions: max_regions(input) as u32,
        images: images[1].clone(),
        first: 0,
        repetitions: 1,
    };
    let values = judge::reconstructions(&case).unwrap();
    let map = judge::anomaly_map(case.rule, input, &images[1], &values[0]);
    case.rule = rule_for(Comparison::Absolute, scale, 2, map, (0.2, 0.05));
    case.images = images.concat();
    Subject {
        name: format!("{preset:?} at {input}"),
        rerun: format!("cargo xtask test -p residua-tests --test presets {test}"),
        case,
    }
}

#[test]
fn paper() {
    check(Preset::Paper, "paper", &[(32, 16)]);
}

#[test]
fn edge() {
    check(Preset::Edge, "edge", &[(32, 32), (45, 17)]);
}

#[test]
fn edge_small() {
    check(Preset::EdgeSmall, "edge_small", &[(48, 32), (45, 17)]);
}

#[test]
fn edge_tiny() {
    check(Preset::EdgeTiny, "edge_tiny", &[(48, 32), (45, 17), (1, 1)]);
}
