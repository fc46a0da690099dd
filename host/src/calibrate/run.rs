//! Calibration of a training run: its held-out good images through the integer network.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use residua_edge::{
    engine::Engine,
    inspector::{Inspector, Storage},
};
use residua_shared::{
    frame::{Frame, Size},
    manifest::{Calibration, Digest},
    rule::DecisionRule,
};
use serde::{Deserialize, Serialize};

use super::{
    Calibrating, Options, calibrate,
    marks::{Marks, copied, marks},
};
use crate::{
    data::{self, Grey},
    engine, export,
    quantize::{self, Quantized},
    save,
    train::run::RunFolder,
};

/// The calibration's file in a run folder.
pub const FILE: &str = "calibration.toml";

/// A calibrated run: `calibration.toml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibrated {
    /// SHA-256 of the ONNX file, without a manifest, that the maps were made with.
    pub digest: Digest,
    /// The images that the model inspects.
    pub input: Size,
    pub rule: DecisionRule,
    pub calibration: Calibration,
    /// What it would see of marks in good images, by contrast; not kept in the file.
    #[serde(skip)]
    pub marks: Vec<Marks>,
    /// What the user should know before trusting it, a sentence each; not kept in the file.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// Quantizes a run's best weights, inspects its held-out good images with the integer network, sets
/// the decision rule, and writes it into the run folder.
///
/// `size` is that of the images to inspect; without it, that of the training images. Only patches
/// (RSDDs) can be cut to another.
///
/// Errors where the run, its images or an option cannot be used, or the file cannot be written.
pub fn calibrate_run(run: &RunFolder, options: &Options, size: Option<Size>) -> Result<Calibrated> {
    options.check()?;
    let input = run.dataset(size)?.size;
    let network = quantize::post_training(run, input)?;
    let calibrated = calibrate_network(run, &network, input, options)?;
    calibrated.save(run)?;
    Ok(calibrated)
}

/// Sets the decision rule of an integer network made from a run, for images of `input`, and writes
/// nothing.
///
/// Errors as [`calibrate_run`].
pub fn calibrate_network(
    run: &RunFolder,
    network: &Quantized,
    input: Size,
    options: &Options,
) -> Result<Calibrated> {
    options.check()?;
    let dataset = run.dataset(Some(input))?;
    let split = dataset.split(run.config().data.split_seed)?;
    let scale = options.scale(network.fraction_bits)?;
    let onnx = export::onnx(network, input.padded_to(network.side_multiple())?)?;
    let mut engine = engine::fastest(&onnx, input, network.fraction_bits)?;
    // Not those that the thresholds come from, which would then look too good.
    let good = data::load_all(&split.validation)?;
    let columns = if options.columns {
        let reconstructions = reconstructions(&mut *engine, &good)?;
        let pairs = good.iter().zip(&reconstructions);
        options.learn_columns(input, scale, pairs.map(|(image, r)| (image, r.as_slice())))?
    } else {
        None
    };
    // Maps do not depend on thresholds: with the highest there are, nothing is a region.
    let blind = DecisionRule::new(options.comparison, scale, u32::MAX, 1, u32::MAX)?;
    let blind = blind.weighing(columns);
    let maps = maps(&mut *engine, &data::load_all(&split.calibration)?, blind)?;
    let Calibrating {
        rule,
        calibration,
        mut warnings,
        ..
    } = calibrate(&maps, input, scale, options)?;
    let rule = rule.weighing(columns);
    let marks = marks(&mut *engine, rule, &good)?;
    warnings.extend(copied(&marks));
    Ok(Calibrated {
        digest: residua_shared::onnx::digest(&onnx)?,
        input,
        rule,
        calibration,
        marks,
        warnings,
    })
}

impl Calibrated {
    /// The calibration in a run folder.
    ///
    /// Errors where there is none, or it is damaged.
    pub fn load(run: &RunFolder) -> Result<Self> {
        let file = file(run);
        let again = format!("residua calibrate {}", run.path().display());
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{}: cannot read it; run: {again}", file.display()))?;
        toml::from_str(&text).map_err(|error| {
            let message = error.message().replace('\n', " ");
            anyhow::anyhow!("{}: {message}; run: {again}", file.display())
        })
    }

    /// What it was asked for.
    pub fn options(&self) -> Options {
        let (rule, calibration) = (self.rule, &self.calibration);
        Options {
            false_alarm_rate: calibration.false_alarm_rate,
            guard: calibration.guard,
            comparison: rule.comparison(),
            ground: rule.scale().ground(),
            roughness: rule.scale().roughness(),
            columns: rule.columns().is_some(),
            box_size: rule.scale().box_size() as u8,
            min_area: rule.min_area(),
            pixel_rate: calibration.pixel_rate,
        }
    }

    fn save(&self, run: &RunFolder) -> Result<()> {
        let text = toml::to_string(self).context("the calibration cannot be written as TOML")?;
        save::replace(&file(run), text.as_bytes())
    }
}

fn file(run: &RunFolder) -> PathBuf {
    run.path().join(FILE)
}

/// The reconstructions of `images`.
fn reconstructions(engine: &mut dyn Engine, images: &[Grey]) -> Result<Vec<Vec<i32>>> {
    let reconstruct = |image: &Grey| {
        let mut reconstruction = vec![0; image.size.area()];
        let frame = Frame::new(image.size, &image.pixels)?;
        engine.reconstruct(frame, &mut reconstruction)?;
        Ok(reconstruction)
    };
    images.iter().map(reconstruct).collect()
}

/// The anomaly maps of `images` by the path of the device.
fn maps(engine: &mut dyn Engine, images: &[Grey], rule: DecisionRule) -> Result<Vec<Vec<u32>>> {
    let mut storage = Storage::new(engine.input(), rule);
    let mut inspector = Inspector::new(engine, rule)?;
    images
        .iter()
        .map(|image| {
            let frame = Frame::new(image.size, &image.pixels)?;
            let mut buffers = storage.buffers();
            let inspection = inspector.inspect(frame, &mut buffers)?;
            Ok(inspection.map().to_vec())
        })
        .collect()
}
