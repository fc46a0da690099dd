use std::{io, num::NonZeroUsize, path::PathBuf};

use anyhow::{Result, ensure};

use crate::{
    inspect::{Pictures, Request, inspect_all},
    model::{EngineKind, Model, all_threads},
};

const ALL_GOOD: u8 = 0;
const A_DEFECT: u8 = 1;
const AN_ERROR: u8 = 2;

/// Inspects images: a verdict line each, and with --out a mask and an overlay each.
///
/// The exit code is 0 where all images are good, 1 where one is a defect, 2 where one could not be
/// inspected (the others are nevertheless).
#[derive(clap::Args)]
pub struct Args {
    /// The model: a folder with model.onnx and manifest.json, or the .onnx file alone.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The images, of the size that the model was made for.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Write NAME_mask.png (255 where a defect is) and NAME_overlay.png here for each image.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What runs the network; all give the same verdicts.
    #[arg(long, value_enum, default_value = "native")]
    engine: EngineKind,
    /// Threads that share each image; only the native engine has more than one [default: as many as
    /// the machine runs at once].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print one JSON object a line: image, outcome (good, defect), score, threshold, regions
    /// (left, top, right, bottom, area, peak), overflow, mask, overlay; or image and error. Scores
    /// are in grey levels, and in exact map steps as score_steps, threshold_steps, peak_steps.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<u8> {
        let model = Model::open(&self.model)?;
        let several = self.threads.is_some_and(|threads| threads.get() > 1);
        ensure!(
            !several || self.engine == EngineKind::Native,
            "--threads: only the native engine runs on several; leave out --threads or --engine"
        );
        let threads = self.threads.unwrap_or_else(all_threads);
        let mut inspector = model.inspector(self.engine, threads)?;
        let pictures = match &self.out {
            Some(dir) => Some(Pictures::plan(&self.images, dir)?),
            None => None,
        };
        let request = Request {
            images: &self.images,
            rule: &model.manifest().rule,
            pictures: pictures.as_deref(),
            json: self.json,
        };
        let tally = inspect_all(
            request,
            |image| inspector.inspect(image),
            &mut io::stdout().lock(),
        )?;
        Ok(match (tally.errors, tally.defects) {
            (0, 0) => ALL_GOOD,
            (0, _) => A_DEFECT,
            _ => AN_ERROR,
        })
    }
}
