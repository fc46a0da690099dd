//! A small model that all tests share.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use crate::{
    files::{copy_folder, first_file},
    program::{args, residua},
};

/// A new, empty folder for one test, under cargo's target folder so that it can be looked at.
pub fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("cli")
        .join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old scratch folder can be removed");
    }
    fs::create_dir_all(&folder).expect("a scratch folder can be made");
    folder
}

/// Synthetic images of 64x64 and a model of them, trained so briefly that its verdicts mean
/// nothing. No test changes it: each copies what it wants to spoil.
pub struct Fixture {
    pub data: PathBuf,
    pub run: PathBuf,
    pub model: PathBuf,
}

impl Fixture {
    /// The fixture, made by the first test that asks.
    pub fn get() -> &'static Self {
        // Poisoned where it can't be made, so that one failure isn't trained for again by each test.
        static FIXTURE: LazyLock<Fixture> = LazyLock::new(Fixture::make);
        &FIXTURE
    }

    fn make() -> Self {
        let folder = scratch("fixture");
        let fixture = Self {
            data: folder.join("data"),
            run: folder.join("run"),
            model: folder.join("model"),
        };
        let Self { data, run, model } = &fixture;
        residua(args![
            "synth",
            "--out",
            *data,
            "--size",
            "64x64",
            "--train",
            "60",
            "--good",
            "6",
            "--per-kind",
            "2",
        ])
        .success();
        residua(args![
            "train",
            "--data",
            *data,
            "--out",
            *run,
            "--preset",
            "edge-small",
            "--epochs",
            "1",
            "--device",
            "cpu",
        ])
        .success();
        // After one epoch most defects are no louder than good images: many alarms, some found.
        residua(args!["calibrate", *run, "--false-alarms", "0.2"]).success();
        residua(args!["export", *run, "--out", *model]).success();
        fixture
    }

    /// A copy of the exported model that a test may spoil.
    pub fn model_copy(&self, scratch: &Path) -> PathBuf {
        copy_folder(&self.model, &scratch.join("model"))
    }

    /// A copy of the run folder that a test may spoil.
    pub fn run_copy(&self, scratch: &Path) -> PathBuf {
        copy_folder(&self.run, &scratch.join("run"))
    }

    /// A good image of the test part.
    pub fn good_image(&self) -> PathBuf {
        first_file(&self.data.join("test/good"))
    }

    /// A good image into whose left half a black and a white square were painted.
    pub fn spoilt_image(&self, scratch: &Path) -> PathBuf {
        let mut image = image::open(self.good_image())
            .expect("synth wrote an image")
            .to_luma8();
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            if (8..28).contains(&x) && (8..48).contains(&y) {
                pixel.0 = [if y < 28 { 0 } else { 255 }];
            }
        }
        let path = scratch.join("spoilt.png");
        image.save(&path).expect("an image can be written");
        path
    }
}
