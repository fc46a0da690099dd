use anyhow::{Context, Result, ensure};
use residua_shared::{rule::Threshold, wire::Command};

use super::Connection;
use crate::console;

#[derive(clap::Args)]
pub struct Args {
    /// The new threshold in grey levels of mean anomaly over the model's box.
    #[arg(value_name = "GREY", value_parser = crate::commands::positive)]
    grey: Option<f64>,
    /// The new threshold in exact map steps instead.
    #[arg(long, value_name = "STEPS", conflicts_with = "grey")]
    steps: Option<u32>,
}

impl Args {
    pub fn run(self, device: &mut Connection) -> Result<()> {
        let model = device.hello()?.model;
        let model = model.with_context(|| {
            format!("{}: the device has no model; send it one", device.address())
        })?;
        let old = model.threshold;
        let raw = match (self.steps, self.grey) {
            (Some(steps), _) => steps,
            (None, Some(grey)) => steps(grey, old)?,
            (None, None) => return console::print(&line(old)),
        };
        let new = Threshold { raw, ..old };
        device.obey(Command::SetThreshold(new))?;
        console::print(&format!("{}, before {}", line(new), line(old)))
    }
}

fn steps(grey: f64, threshold: Threshold) -> Result<u32> {
    let steps = (grey * f64::from(threshold.scale.steps_per_grey())).round();
    ensure!(
        steps <= f64::from(u32::MAX),
        "{grey} grey levels: no image is that different; give less"
    );
    Ok(steps as u32)
}

fn line(threshold: Threshold) -> String {
    format!(
        "{:.2} grey levels ({} steps)",
        threshold.grey(),
        threshold.raw
    )
}
