//! Models trained on real images, and real images through all of their runtimes and on all targets:
//! equal reconstructions everywhere, and equal masks, verdicts and wire frames, bit for bit.

use std::path::{Path, PathBuf};

use residua_edge::regions::{max_regions, max_runs};
use residua_host::{
    calibrate::{self, calibrate_run},
    data, export,
    net::config::Preset,
    quantize,
    train::{self, DeviceChoice},
};
use residua_runner::case::Engine;
use residua_shared::{frame::Size, rule::DecisionRule, verdict::Outcome};
use residua_tests::{
    judge,
    runners::{OnnxRuntime, Runner},
    suite::{Subject, check_on_targets},
    targets::Case,
};

/// Good test images, and as many defective ones.
const EACH: usize = 4;

fn data_folder(name: &str) -> PathBuf {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    assert!(folder.is_dir(), "{} is missing", folder.display());
    folder
}

/// Trains `preset` for an epoch, then compares everything on test images.
fn compare(name: &str, preset: Preset, test: &str) {
    let folder = data_folder(name);
    let scratch = tempfile::tempdir().unwrap();
    let run = train::train(&train::Options {
        preset: Some(preset),
        epochs: Some(1),
        device: DeviceChoice::Cpu,
        ..train::Options::new(folder, scratch.path().join("run"))
    })
    .unwrap();
    let calibrated = calibrate_run(&run, &calibrate::Options::default(), None).unwrap();
    let (input, rule) = (calibrated.input, calibrated.rule);
    let network = quantize::post_training(&run, input).unwrap();
    let graph = input.padded_to(network.side_multiple()).unwrap();
    let onnx = export::onnx(&network, graph).unwrap();

    let images = test_images(&run);
    let found = OnnxRuntime.run(&onnx, input, network.fraction_bits, &images);
    let found = found.unwrap_or_else(|error| panic!("{name}: onnxruntime: {error}"));

    let case = Case {
        engine: Engine::Tract(onnx),
        input,
        rule,
        runs: max_runs(input) as u32,
        regions: max_regions(input) as u32,
        images: images.concat(),
        first: 0,
        repetitions: 1,
    };
    let judged = judge::reconstructions(&case).unwrap();
    for (number, (found, judged)) in found.iter().zip(&judged).enumerate() {
        let differs = found.iter().zip(judged).position(|(a, b)| a != b);
        if let Some(at) = differs {
            panic!(
                "{name}, test image {number}, row {}, column {}: onnxruntime has {}, the reference \
                 {}",
                at / input.width(),
                at % input.width(),
                found[at],
                judged[at]
            );
        }
    }
    assert_eq!(found.len(), judged.len(), "{name}: onnxruntime");

    // The calibrated rule from the network on, the other one from its reconstructions on.
    let halving = Case {
        engine: Engine::Given(
            judged
                .iter()
                .flatten()
                .flat_map(|v| v.to_le_bytes())
                .collect(),
        ),
        rule: halving(rule, input, &images, &judged),
        ..case.clone()
    };
    let subject = |what, case| Subject {
        name: format!("{name}, {what} rule"),
        rerun: format!("cargo xtask test -p residua-tests --test real_images {test}"),
        case,
    };
    let answers = check_on_targets(&[subject("calibrated", case), subject("halving", halving)]);
    for outcome in [Outcome::Good, Outcome::Defect] {
        assert!(
            answers
                .iter()
                .flatten()
                .any(|answer| answer.verdict.outcome == outcome),
            "{name}: nothing is {outcome:?}"
        );
    }
}

fn test_images(run: &train::run::RunFolder) -> Vec<Vec<u8>> {
    let dataset = run.dataset(None).unwrap();
    let test = dataset.split(run.config().data.split_seed).unwrap().test;
    let (good, defect): (Vec<_>, Vec<_>) = test.into_iter().partition(|sample| sample.is_good());
    let chosen: Vec<_> = [&good[..EACH], &defect[..EACH]].concat();
    let images = data::load_all(&chosen).unwrap();
    images.into_iter().map(|image| image.pixels).collect()
}

/// A rule under which about half of the images are defects, with generous outlines.
fn halving(
    rule: DecisionRule,
    input: Size,
    images: &[Vec<u8>],
    reconstructions: &[Vec<i32>],
) -> DecisionRule {
    let mut peaks: Vec<u32> = images
        .iter()
        .zip(reconstructions)
        .map(|(image, reconstruction)| {
            let map = judge::anomaly_map(rule, input, image, reconstruction);
            map.into_iter().max().unwrap()
        })
        .collect();
    peaks.sort_unstable();
    let median = peaks[peaks.len() / 2];
    DecisionRule::new(rule.comparison(), rule.scale(), median / 3, 1, median).unwrap()
}

#[test]
fn rail_patches_are_inspected_alike_everywhere() {
    compare(
        "rsdds1",
        Preset::EdgeSmall,
        "rail_patches_are_inspected_alike_everywhere",
    );
}

#[test]
fn textures_are_inspected_alike_everywhere() {
    compare(
        "dagm_class8",
        Preset::EdgeTiny,
        "textures_are_inspected_alike_everywhere",
    );
}
