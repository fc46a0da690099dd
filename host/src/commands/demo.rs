use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use super::Cli;
use crate::{console, synth::Family};

/// Does the whole way once, on synthetic images, by the commands that a user would type.
#[derive(clap::Args)]
pub struct Args {
    /// The folder for everything that the demo makes.
    #[arg(long, value_name = "DIR", default_value = "residua-demo")]
    out: PathBuf,
    /// What the parts look like.
    #[arg(long, value_enum, default_value = "brushed")]
    family: Family,
    /// How long to train.
    #[arg(long, value_name = "M", default_value = "3", value_parser = super::minutes)]
    minutes: f64,
    /// Determines the images and the training.
    #[arg(long, value_name = "N", default_value = "0", value_parser = super::seed())]
    seed: u64,
}

impl Args {
    pub fn run(self) -> Result<()> {
        ensure!(
            !self.out.exists(),
            "{}: exists already; remove it, or choose another folder by --out",
            self.out.display()
        );
        let path = |name: &str| text(&self.out.join(name));
        let (data, run, model) = (path("data")?, path("run")?, path("model")?);
        let (report, inspected) = (path("report.html")?, path("inspected")?);
        let (minutes, seed) = (self.minutes.to_string(), self.seed.to_string());
        let family = clap::ValueEnum::to_possible_value(&self.family).context("--family")?;

        say("1/6  Images of good parts, and for the test some defective ones with exact masks")?;
        type_in(&[
            "synth",
            "--out",
            &data,
            "--family",
            family.get_name(),
            "--seed",
            &seed,
        ])?;
        say(
            "2/6  Training: from good images alone, the network learns to repair what is not good",
        )?;
        type_in(&[
            "train",
            "--data",
            &data,
            "--out",
            &run,
            "--preset",
            "edge-small",
            "--epochs",
            "60",
            "--minutes",
            &minutes,
            "--seed",
            &seed,
        ])?;
        say("3/6  Calibration: the thresholds, from good images that the network has not seen")?;
        type_in(&["calibrate", &run])?;
        say("4/6  Export: integers only, so that every board decides as this machine does")?;
        type_in(&["export", &run, "--out", &model])?;
        say("5/6  Measuring the exported model on the test images")?;
        type_in(&["eval", &model, "--data", &data, "--report", &report])?;
        say("6/6  One good part and one defective part, as beside the line")?;
        let good = first_image(&Path::new(&data).join("test/good"))?;
        let defect = first_image(&Path::new(&data).join("test/crack"))?;
        type_in(&["inspect", &model, &good, "--out", &inspected])?;
        let code = type_in(&["inspect", &model, &defect, "--out", &inspected])?;

        say(if code == 0 {
            "The crack in the second part was missed; longer training (--minutes) helps."
        } else {
            "The second part has a crack: residua found it, and a gate would now reject the part."
        })?;
        console::print("Where to look:")?;
        console::print(&format!(
            "  {inspected}/  the parts with their defects outlined (…overlay.png), the masks"
        ))?;
        console::print(&format!(
            "  {report}  how well it works, in figures, curves and pictures"
        ))?;
        console::print(&format!("  {model}/  the model that goes on the board"))?;
        console::print("Next: the same commands on a folder of your own images; see the README.")?;
        Ok(())
    }
}

/// Runs the program with these arguments, having shown them.
fn type_in(arguments: &[&str]) -> Result<u8> {
    console::print(&format!("$ residua {}", arguments.join(" ")))?;
    Cli::try_parse_from(["residua"].iter().chain(arguments))?.run()
}

fn say(text: &str) -> Result<()> {
    console::print(&format!("\n{text}"))
}

fn text(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("{}: not UTF-8; choose another --out", path.display()))?;
    Ok(text.to_owned())
}

fn first_image(folder: &Path) -> Result<String> {
    let images = std::fs::read_dir(folder)
        .with_context(|| format!("{}: cannot be listed", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    let first = images.iter().map(|image| image.path()).min();
    text(&first.with_context(|| format!("{}: no images", folder.display()))?)
}
