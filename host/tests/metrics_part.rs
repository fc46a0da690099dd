//! Which images of a folder a model is measured on.

use std::{fs, path::Path};

use image::GrayImage;
use residua_host::{
    data::{Dataset, Layout, Sample},
    eval::{Choice, open, part},
};
use residua_shared::{
    frame::Size,
    manifest::{Calibration, Digest, Manifest, Quantization, Training},
    rule::{Comparison, DecisionRule, MapScale},
};
use tempfile::TempDir;

fn write(folder: &Path, name: &str, width: u32, height: u32) {
    fs::create_dir_all(folder).unwrap();
    let image = GrayImage::from_fn(width, height, |x, y| [(x * 5 + y) as u8].into());
    image.save(folder.join(name)).unwrap();
}

/// Ten good images to train on, two good ones and a crack to test on.
fn mvtec() -> TempDir {
    let root = TempDir::new().unwrap();
    for index in 0..10 {
        write(
            &root.path().join("train/good"),
            &format!("{index}.png"),
            24,
            16,
        );
    }
    for index in 0..2 {
        write(
            &root.path().join("test/good"),
            &format!("{index}.png"),
            24,
            16,
        );
    }
    write(&root.path().join("test/crack"), "0.png", 24, 16);
    write(
        &root.path().join("ground_truth/crack"),
        "0_mask.png",
        24,
        16,
    );
    root
}

/// A model for images of 24x16 that was trained on the folder with this digest.
fn manifest(data: Digest) -> Manifest {
    let input = Size::new(24, 16).unwrap();
    let scale = MapScale::new(4, 5).unwrap();
    Manifest {
        version: 1,
        name: "part".try_into().unwrap(),
        preset: "edge".try_into().unwrap(),
        digest: Digest([0; 32]),
        input,
        graph: Size::new(32, 16).unwrap(),
        streaming: None,
        rule: DecisionRule::new(Comparison::Absolute, scale, 10, 4, 20).unwrap(),
        calibration: Calibration {
            images: 2,
            false_alarm_rate: 0.001,
            method: "largest seen".try_into().unwrap(),
            threshold_interval: None,
            guard: 0.0,
            false_alarm_bound: 0.8,
            pixel_rate: 0.001,
        },
        quantization: Quantization {
            method: "ptq".try_into().unwrap(),
            images: 2,
        },
        training: Training {
            layout: "mvtec".try_into().unwrap(),
            data,
            split_seed: 0,
            seed: 0,
            epochs: 1,
            kept_epoch: 1,
        },
    }
}

fn in_training_folder(samples: &[Sample]) -> usize {
    let of_training = samples.iter().filter(|s| s.name.starts_with("train"));
    of_training.count()
}

fn measured(
    dataset: &Dataset,
    manifest: &Manifest,
    choice: Choice,
) -> (usize, usize, &'static str) {
    let part = part(dataset, manifest, choice).unwrap();
    (
        part.samples.len(),
        in_training_folder(&part.samples),
        part.meaning,
    )
}

#[test]
fn a_model_is_not_measured_on_what_it_learned_from_unless_asked() {
    let root = mvtec();
    let other = manifest(Digest([9; 32]));
    let dataset = open(root.path(), None, &other).unwrap();
    let own = manifest(dataset.digest());

    let (images, learned, meaning) = measured(&dataset, &own, Choice::Auto);
    assert_eq!((images, learned), (3, 0));
    assert!(meaning.contains("test part"), "{meaning}");

    let (images, learned, meaning) = measured(&dataset, &own, Choice::All);
    assert_eq!((images, learned), (13, 10));
    assert!(meaning.contains("flatter"), "{meaning}");

    let (images, _, meaning) = measured(&dataset, &other, Choice::Auto);
    assert_eq!(images, 13);
    assert!(meaning.contains("not the one"), "{meaning}");

    let (images, learned, _) = measured(&dataset, &other, Choice::Test);
    assert_eq!((images, learned), (3, 0));
}

#[test]
fn a_folder_without_a_test_part_is_refused_with_the_remedy() {
    let root = TempDir::new().unwrap();
    for index in 0..10 {
        write(root.path(), &format!("{index}.png"), 24, 16);
    }
    let other = manifest(Digest([9; 32]));
    let dataset = open(root.path(), Some(Layout::Folder), &other).unwrap();
    let own = manifest(dataset.digest());
    let line = part(&dataset, &own, Choice::Auto).unwrap_err().to_string();
    assert!(line.contains("--split all"), "{line}");
    assert!(line.contains(&*root.path().to_string_lossy()), "{line}");
    assert_eq!(part(&dataset, &own, Choice::All).unwrap().samples.len(), 10);
}

#[test]
fn images_of_another_size_are_refused_with_both_sizes() {
    let root = TempDir::new().unwrap();
    for index in 0..4 {
        write(root.path(), &format!("{index}.png"), 32, 16);
    }
    let error = open(root.path(), None, &manifest(Digest([9; 32]))).unwrap_err();
    let line = format!("{error:#}");
    assert!(line.contains("32x16") && line.contains("24x16"), "{line}");
}

#[test]
fn rails_are_cut_to_the_models_size() {
    let rails = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/rsdds1"
    ));
    let mut model = manifest(Digest([9; 32]));
    model.input = Size::new(160, 208).unwrap();
    let dataset = open(rails, None, &model).unwrap();
    assert_eq!(dataset.size, model.input);
}

#[test]
fn rails_that_only_the_models_size_fits_are_cut_to_it() {
    let root = TempDir::new().unwrap();
    for name in ["0.png", "1.png", "2.png"] {
        write(&root.path().join("images"), name, 24, 80);
        let masks = root.path().join("ground_truth");
        fs::create_dir_all(&masks).unwrap();
        let mask = GrayImage::from_fn(24, 80, |_, y| [if y > 70 { 255 } else { 0 }].into());
        mask.save(masks.join(name)).unwrap();
    }
    let model = manifest(Digest([9; 32]));
    let dataset = open(root.path(), None, &model).unwrap();
    assert_eq!(dataset.size, model.input);
    assert_eq!(dataset.everything_as_test().unwrap().len(), 15);
}
