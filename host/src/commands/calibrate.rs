use std::{num::NonZeroU8, path::PathBuf};

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use residua_shared::{frame::Size, rule::Comparison};

use crate::{
    calibrate::{self, Options},
    console, data,
    train::run::RunFolder,
};

/// Sets the decision thresholds of a trained run from its held-out good images, and writes them
/// into it as calibration.toml. No defect is looked at.
#[derive(clap::Args)]
pub struct Args {
    /// The run folder that `residua train --out` made.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The share of good parts that may be called defect.
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().false_alarm_rate)]
    false_alarms: f64,
    /// Raise the threshold by this share above that: a guard band. With 0.25 good parts may differ by a
    /// quarter more, as light, lens and machine age, before more of them are stopped; defects must
    /// stand out by a quarter more.
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().guard)]
    guard: f64,
    /// What counts as a defect: what is darker than its reconstruction, brighter, or both.
    #[arg(long, default_value = "absolute", value_parser = comparison())]
    comparison: Comparison,
    /// Measure the difference as a contrast: as a share of the reconstruction's brightness plus this
    /// many grey levels, 1 to 255 (32 suits most). A mark then weighs the same in good light and in
    /// bad.
    #[arg(long, value_name = "GREY")]
    contrast: Option<NonZeroU8>,
    /// Count a difference less where the reconstruction is rough: by half where its grey levels
    /// deviate by this many from those beside them, 1 to 64 (8 suits rails). Where good parts are
    /// structured their reconstruction errs more.
    #[arg(long, value_name = "GREY")]
    roughness: Option<NonZeroU8>,
    /// Learn from good images what a difference counts by where across the image it is: less where
    /// good parts differ from their reconstruction anyway. For parts that always lie alike, as
    /// rails.
    #[arg(long)]
    columns: bool,
    /// Side of the box over which differences are averaged, in pixels, odd: about the width of the
    /// smallest defect.
    #[arg(long = "box", value_name = "PIXELS", default_value_t = Options::default().box_size)]
    box_size: u8,
    /// The smallest region that counts, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = Options::default().min_area)]
    min_area: u32,
    /// The share of good pixels that may lie inside a region's outline: more draws it wider.
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().pixel_rate)]
    pixel_rate: f64,
    /// The size of the patches to inspect, for rsdds images [default: as in training].
    #[arg(long, value_name = "WxH", value_parser = data::parse_size)]
    size: Option<Size>,
}

pub(super) fn comparison() -> impl TypedValueParser<Value = Comparison> {
    PossibleValuesParser::new(["absolute", "dark", "bright"]).map(|name| match &*name {
        "dark" => Comparison::Dark,
        "bright" => Comparison::Bright,
        _ => Comparison::Absolute,
    })
}

impl Args {
    pub fn run(self) -> Result<()> {
        let run = RunFolder::open(&self.run)?;
        let options = Options {
            false_alarm_rate: self.false_alarms,
            guard: self.guard,
            comparison: self.comparison,
            ground: self.contrast,
            roughness: self.roughness,
            columns: self.columns,
            box_size: self.box_size,
            min_area: self.min_area,
            pixel_rate: self.pixel_rate,
        };
        let calibrated = calibrate::calibrate_run(&run, &options, self.size)?;
        for warning in &calibrated.warnings {
            console::note(format_args!("warning: {warning}"));
        }
        console::print(&calibrated.words().to_string())?;
        console::note(format_args!(
            "written to {}; next: residua export {} --out MODEL",
            run.path().join(calibrate::FILE).display(),
            run.path().display()
        ));
        Ok(())
    }
}
