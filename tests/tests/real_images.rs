//! Models trained on real images, and real images through all of their runtimes: equal
//! reconstructions everywhere, and the device's masks equal to the reference's, bit for bit.

use std::path::{Path, PathBuf};

use residua_edge::inspector::{Storage, decide};
use residua_host::{
    calibrate::{self, calibrate_run},
    data::{self, Grey},
    export,
    net::config::Preset,
    quantize,
    train::{self, DeviceChoice},
};
use residua_shared::{
    frame::{Frame, Size},
    reference::{
        map::map,
        mask,
        regions::{max_regions, regions},
        residual::residual,
        verdict::verdict,
    },
    rule::DecisionRule,
    verdict::{Outcome, Region},
};
use residua_tests::runners::{Judge, OnnxRuntime, Runner, TractRunner};

/// Good test images, and as many defective ones.
const EACH: usize = 8;

fn data_folder(name: &str) -> PathBuf {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    assert!(folder.is_dir(), "{} is missing", folder.display());
    folder
}

/// Trains `preset` for an epoch, then compares everything on test images.
fn compare(name: &str, preset: Preset) {
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
    let pixels: Vec<Vec<u8>> = images.iter().map(|image| image.pixels.clone()).collect();
    let reconstruct = |runner: &dyn Runner| {
        let found = runner.run(&onnx, input, network.fraction_bits, &pixels);
        found.unwrap_or_else(|error| panic!("{name}: {}: {error}", runner.name()))
    };
    let judged = reconstruct(&Judge);
    for runner in [&TractRunner as &dyn Runner, &OnnxRuntime] {
        for (number, (found, judged)) in reconstruct(runner).iter().zip(&judged).enumerate() {
            let differs = found.iter().zip(judged).position(|(a, b)| a != b);
            if let Some(at) = differs {
                panic!(
                    "{name}, test image {number}, row {}, column {}: {} has {}, the reference {}\n\
                     rerun: cargo test --release -p residua-tests --test real_images {name}",
                    at / input.width(),
                    at % input.width(),
                    runner.name(),
                    found[at],
                    judged[at]
                );
            }
            assert_eq!(found.len(), judged.len(), "{name}: {}", runner.name());
        }
    }

    let mut outcomes = Vec::new();
    for rule in [rule, halving(rule, &images, &judged)] {
        for (number, (image, reconstruction)) in images.iter().zip(&judged).enumerate() {
            let outcome = compare_paths(rule, image, reconstruction)
                .unwrap_or_else(|what| panic!("{name}, test image {number}: {what} differ"));
            outcomes.push(outcome);
        }
    }
    for outcome in [Outcome::Good, Outcome::Defect] {
        assert!(
            outcomes.contains(&outcome),
            "{name}: nothing is {outcome:?}"
        );
    }
}

fn test_images(run: &train::run::RunFolder) -> Vec<Grey> {
    let dataset = run.dataset(None).unwrap();
    let test = dataset.split(run.config().data.split_seed).unwrap().test;
    let (good, defect): (Vec<_>, Vec<_>) = test.into_iter().partition(|sample| sample.is_good());
    let chosen: Vec<_> = [&good[..EACH], &defect[..EACH]].concat();
    data::load_all(&chosen).unwrap()
}

/// A rule under which about half of the images are defects, with generous outlines.
fn halving(rule: DecisionRule, images: &[Grey], reconstructions: &[Vec<i32>]) -> DecisionRule {
    let mut peaks: Vec<u32> = images
        .iter()
        .zip(reconstructions)
        .map(|(image, reconstruction)| {
            let map = reference_map(rule, image, reconstruction);
            map.into_iter().max().unwrap()
        })
        .collect();
    peaks.sort_unstable();
    let median = peaks[peaks.len() / 2];
    DecisionRule::new(rule.comparison(), rule.scale(), median / 3, 1, median).unwrap()
}

fn reference_map(rule: DecisionRule, image: &Grey, reconstruction: &[i32]) -> Vec<u32> {
    let size = image.size;
    let (mut difference, mut values) = (vec![0; size.area()], vec![0; size.area()]);
    let frame = Frame::new(size, &image.pixels).unwrap();
    let bits = rule.scale().fraction_bits();
    residual(frame, bits, reconstruction, &mut difference).unwrap();
    map(
        size,
        &difference,
        rule.comparison(),
        rule.scale(),
        &mut values,
    )
    .unwrap();
    values
}

/// The reference's path against the device's, after the same reconstruction; what differs.
fn compare_paths(
    rule: DecisionRule,
    image: &Grey,
    reconstruction: &[i32],
) -> Result<Outcome, &'static str> {
    let size: Size = image.size;
    let values = reference_map(rule, image, reconstruction);
    let mut suspects = vec![0; size.area()];
    mask::suspects(rule, &values, &mut suspects).unwrap();
    let (mut labels, mut stack) = (vec![0; size.area()], vec![0; size.area()]);
    let nothing = Region {
        left: 0,
        top: 0,
        right: 0,
        bottom: 0,
        area: 0,
        peak: 0,
    };
    let mut found = vec![nothing; max_regions(size)];
    let count = regions(
        size,
        &suspects,
        &values,
        &mut labels,
        &mut stack,
        &mut found,
    )
    .unwrap();
    found.truncate(count);
    let mut defects = vec![0; size.area()];
    mask::defects(rule, &labels, &found, &mut defects).unwrap();

    let mut storage = Storage::new(size, rule);
    let mut buffers = storage.buffers();
    buffers.reconstruction.copy_from_slice(reconstruction);
    let frame = Frame::new(size, &image.pixels).unwrap();
    let inspection = decide(rule, frame, &mut buffers).unwrap();
    let mut device_mask = vec![0; size.area()];
    inspection.write_mask(&mut device_mask).unwrap();

    let equal = |equal: bool, what| if equal { Ok(()) } else { Err(what) };
    equal(inspection.map() == values, "maps")?;
    equal(inspection.suspects().eq(found.iter().copied()), "regions")?;
    equal(device_mask == defects, "masks")?;
    equal(inspection.verdict() == verdict(rule, &found), "verdicts")?;
    Ok(inspection.verdict().outcome)
}

#[test]
fn rsdds1_is_inspected_alike_everywhere() {
    compare("rsdds1", Preset::EdgeSmall);
}

#[test]
fn dagm_class8_is_inspected_alike_everywhere() {
    compare("dagm_class8", Preset::EdgeTiny);
}
