//! Runs a model over labelled images.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use residua_shared::{manifest::Manifest, rule::DecisionRule};

use super::{Evaluation, Evaluator, Observation};
use crate::{
    data::{self, Dataset, Layout, Sample},
    model::Inspector,
};

/// Which images of a folder are measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Choice {
    /// The test part of the folder that the model was trained on, all images of any other folder.
    #[default]
    Auto,
    /// The test part.
    Test,
    /// All images, those that it was trained on included.
    All,
}

/// The images to be measured.
#[derive(Clone, Debug)]
pub struct Part {
    pub samples: Vec<Sample>,
    /// `test` or `all`.
    pub name: &'static str,
    /// Which these are and why, a sentence or two.
    pub meaning: &'static str,
}

/// Opens a data folder for the model of `manifest`: patches, where the layout has them, are of the
/// model's size.
///
/// Errors as [`data::open`], and where the images are not of the model's size.
pub fn open(
    folder: &std::path::Path,
    layout: Option<Layout>,
    manifest: &Manifest,
) -> Result<Dataset> {
    let layout = layout.map_or_else(|| data::detect(folder), Ok)?;
    let patch = (layout == Layout::Rsdds).then_some(manifest.input);
    let dataset = data::open(folder, Some(layout), patch)?;
    ensure!(
        dataset.size == manifest.input,
        "{}: the images are {} but the model takes {}; give images of this size, or export a model \
         for the others",
        folder.display(),
        dataset.size,
        manifest.input
    );
    Ok(dataset)
}

/// Chooses the images of `dataset` to measure the model of `manifest` on.
///
/// Errors where there are none.
pub fn part(dataset: &Dataset, manifest: &Manifest, choice: Choice) -> Result<Part> {
    let trained_here = dataset.digest() == manifest.training.data;
    let test = |meaning| {
        let split = dataset.split(manifest.training.split_seed)?;
        anyhow::Ok(Part {
            samples: split.test,
            name: "test",
            meaning,
        })
    };
    let all = |meaning| {
        anyhow::Ok(Part {
            samples: dataset.everything_as_test()?,
            name: "all",
            meaning,
        })
    };
    let part = match (choice, trained_here) {
        (Choice::Auto | Choice::Test, true) => test(
            "They are the test part of the folder that the model was trained on: it saw none of \
             them before.",
        ),
        (Choice::Auto, false) => all(
            "They are all images of the folder: it is not the one that the model was trained on, or has \
             changed since; if so, --split test measures on what it never saw.",
        ),
        (Choice::Test, false) => test(
            "They are the test part of the folder; it is not the one that the model was trained on, or \
             has changed since.",
        ),
        (Choice::All, true) => all(
            "They are all images of the folder that the model was trained on: the figures flatter \
             it, because it has seen the good ones.",
        ),
        (Choice::All, false) => all(
            "They are all images of the folder; it is not the one that the model was trained on, or has \
             changed since.",
        ),
    }?;
    ensure!(
        !part.samples.is_empty(),
        "{}: the folder has no test images; add some (mvtec: test/good and test/KIND), or measure \
         on its good images by --split all",
        dataset.root.display()
    );
    Ok(part)
}

/// Inspects all samples and measures what was found; a bar on the terminal shows how far it is.
///
/// Errors name the image that could not be read or inspected.
pub fn measure(
    inspector: &mut Inspector,
    rule: DecisionRule,
    samples: &[Sample],
) -> Result<Evaluation> {
    let mut evaluator = Evaluator::new(rule);
    let bar = ProgressBar::new(samples.len() as u64).with_style(
        ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {eta} left")
            .context("the progress bar's template")?,
    );
    for sample in bar.wrap_iter(samples.iter()) {
        let image = data::load(sample)?;
        let truth = data::load_mask(sample)?;
        let truth_by_kind = data::load_masks_by_kind(sample)?;
        let start = Instant::now();
        let inspected = inspector
            .inspect(&image)
            .with_context(|| sample.name.clone())?;
        evaluator.add(&Observation {
            name: &sample.name,
            label: &sample.label,
            truth: truth.as_ref(),
            truth_by_kind: &truth_by_kind,
            size: image.size,
            map: &inspected.map,
            mask: &inspected.mask,
            verdict: inspected.verdict,
            milliseconds: start.elapsed().as_secs_f64() * 1e3,
        })?;
    }
    bar.finish_and_clear();
    Ok(evaluator.finish())
}
