use std::{num::NonZeroU8, path::PathBuf};

use anyhow::{Result, ensure};
use residua_shared::{frame::Size, rule::Comparison};
use serde::Serialize;

use crate::{
    calibrate, console, data,
    net::config::{Preset, Skips},
    quality::{self, Bench, Cell, Outcome, Row, Style},
    train::{DeviceChoice, Objective, loss::Loss},
};

/// Compares choices of training and decision, each alone against a baseline, on labelled folders.
///
/// The options below the first five set the baseline. Every seed deals the images anew and trains
/// anew; figures are of the integer model, thresholds from good images only. A bench that was
/// killed goes on where it was when it is started again.
#[derive(clap::Args)]
pub struct Args {
    /// A folder of labelled images; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    /// The state folder: finished cells (cells.jsonl) and trained runs.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The seeds, of split and training.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "0,1,2",
          value_parser = super::seed())]
    seeds: Vec<u64>,
    /// Only these choices beside the baseline, as "mse;box 3" [default: all].
    #[arg(long, value_name = "NAME;..", value_delimiter = ';')]
    only: Vec<String>,
    /// Measure the baseline and the choices of light and augmentation under other light too: gain,
    /// offset and gradients.
    #[arg(long)]
    light: bool,
    /// The size of the patches that rsdds images are cut into [default: 160x200].
    #[arg(long, value_name = "WxH", value_parser = data::parse_size)]
    patch: Option<Size>,
    /// The network [default: edge].
    #[arg(long)]
    preset: Option<Preset>,
    /// Which skip connections it has [default: as in `residua train`].
    #[arg(long)]
    skips: Option<Skips>,
    /// What to learn [default: as in `residua train`].
    #[arg(long)]
    objective: Option<Objective>,
    /// How far a reconstruction is from its target [default: mse].
    #[arg(long, value_name = "LOSS[:WEIGHT],..")]
    loss: Option<Loss>,
    /// Epochs of each training [default: 50].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Minutes that a training may take; it begins no new epoch after them.
    #[arg(long, value_name = "M", value_parser = super::minutes)]
    minutes: Option<f64>,
    /// Where to train.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// The share of good parts that may be called defect.
    #[arg(long, value_name = "SHARE",
          default_value_t = calibrate::Options::default().false_alarm_rate)]
    false_alarms: f64,
    /// Raise the threshold by this share above that.
    #[arg(long, value_name = "SHARE", default_value_t = calibrate::Options::default().guard)]
    guard: f64,
    /// What counts as a defect: what is darker than its reconstruction, brighter, or both.
    #[arg(long, default_value = "absolute", value_parser = super::calibrate::comparison())]
    comparison: Comparison,
    /// Measure differences as contrasts on this ground [default: as they are].
    #[arg(long, value_name = "GREY")]
    contrast: Option<NonZeroU8>,
    /// Weigh differences by this roughness of the reconstruction [default: not].
    #[arg(long, value_name = "GREY")]
    roughness: Option<NonZeroU8>,
    /// Learn from good images what differences count by column.
    #[arg(long)]
    columns: bool,
    /// Side of the box over which differences are averaged, in pixels, odd.
    #[arg(long = "box", value_name = "PIXELS",
          default_value_t = calibrate::Options::default().box_size)]
    box_size: u8,
    /// Print one JSON object: all cells, and their means and standard deviations.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the tables as Markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(Serialize)]
struct Record<'c> {
    cells: &'c [Cell],
    rows: Vec<Row<'c>>,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let mut baseline = quality::default_baseline();
        let train = &mut baseline.train;
        train.patch = self.patch;
        train.preset = self.preset;
        train.skips = self.skips;
        train.objective = self.objective;
        train.loss = self.loss;
        train.epochs = self.epochs;
        train.minutes = self.minutes;
        train.device = self.device;
        baseline.calibrate.false_alarm_rate = self.false_alarms;
        baseline.calibrate.guard = self.guard;
        baseline.calibrate.comparison = self.comparison;
        baseline.calibrate.ground = self.contrast;
        baseline.calibrate.roughness = self.roughness;
        baseline.calibrate.columns = self.columns;
        baseline.calibrate.box_size = self.box_size;
        let bench = Bench {
            data: self.data,
            seeds: self.seeds,
            out: self.out,
            only: self.only,
            light: self.light,
            baseline,
        };
        let Outcome { cells, failed } = bench.run()?;
        let text = if self.json {
            serde_json::to_string(&Record {
                cells: &cells,
                rows: quality::rows(&cells),
            })?
        } else if self.markdown {
            quality::tables(&cells, Style::Markdown)
        } else {
            quality::tables(&cells, Style::Text)
        };
        console::print(&text)?;
        ensure!(
            failed == 0,
            "{failed} cells could not be made, for the reasons above, and are left out; start the \
             same bench again to retry them"
        );
        Ok(())
    }
}
