use std::path::PathBuf;

use anyhow::Result;
use residua_shared::frame::Size;

use crate::{
    console,
    data::{self, Layout},
    net::config::{Preset, Skips},
    train::{
        self, DeviceChoice, Objective, Options, Precision, Schedule,
        augmentation::{Flip, LARGEST_OFFSET, LARGEST_SHARE},
        loss::Loss,
        run::COUNTS,
    },
};

#[derive(clap::Args)]
pub struct Args {
    /// The folder of images; only good ones are learned from.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The run folder to make, or with --resume to go on with.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Go on with the run in --out from its last complete epoch.
    #[arg(long)]
    resume: bool,
    /// How the folder is laid out [default: what it looks like].
    #[arg(long)]
    layout: Option<Layout>,
    /// The size of the patches that rsdds images are cut into [default: 160x200].
    #[arg(long, value_name = "WxH", value_parser = data::parse_size)]
    patch: Option<Size>,
    /// Deals the images into training, validation, calibration and test [default: 0].
    #[arg(long, value_name = "N", value_parser = super::seed())]
    split_seed: Option<u64>,
    /// The network [default: edge].
    #[arg(long)]
    preset: Option<Preset>,
    /// Which skip connections it has. Without the finest (coarse) it cannot copy what is thinner than
    /// a few pixels [default: all for the paper presets, coarse for the others].
    #[arg(long)]
    skips: Option<Skips>,
    /// What to learn [default: mse for the paper presets, repair for the others].
    #[arg(long)]
    objective: Option<Objective>,
    /// How far a reconstruction is from its target: mse, l1 (mean squared and absolute error), ssim,
    /// ms-ssim (structural similarity, at one and at several scales), gms or ms-gms (similarity of
    /// gradients, likewise), alone or mixed by weight, as mse:0.5,ms-ssim:0.5 [default: mse].
    #[arg(long, value_name = "LOSS[:WEIGHT],..")]
    loss: Option<Loss>,
    /// Multiply each crop's grey levels by 1 ± this, 0 to 0.9 [default: 0.15 for repair, 0 for mse].
    /// Like all variations of light and place it is for input and target alike, and white stays
    /// white, as a camera's does.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    gain: Option<f64>,
    /// Add up to ± so many grey levels to each crop, 0 to 128 [default: 0].
    #[arg(long, value_name = "LEVELS", value_parser = offset)]
    offset: Option<f64>,
    /// Let light rise across each crop in any direction, by up to ± this share from its middle to
    /// an edge, 0 to 0.9 [default: 0].
    #[arg(long, value_name = "SHARE", value_parser = share)]
    gradient: Option<f64>,
    /// Turn crops over, where a good part so turned is a good part [default: none].
    #[arg(long)]
    flip: Option<Flip>,
    /// The share of crops that repair blemishes, 0 to 1 [default: 0.8].
    #[arg(long, value_name = "SHARE", value_parser = blemished)]
    blemished: Option<f64>,
    /// Epochs; in one, each image's area is seen about once [default: 50].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Begin no new epoch after this time; schedules end with it too.
    #[arg(long, value_name = "M", value_parser = super::minutes)]
    minutes: Option<f64>,
    /// End when the held-out loss has not fallen for this many epochs [default: never].
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,
    /// Crops in a step [default: 8].
    #[arg(long, value_name = "N", value_parser = count)]
    batch: Option<usize>,
    /// The side of a crop in pixels, at most the image's [default: 128].
    #[arg(long, value_name = "PIXELS", value_parser = count)]
    crop: Option<usize>,
    /// The (highest) learning rate [default: 0.001 for the paper presets, 0.003 for the others].
    #[arg(long = "lr", value_name = "RATE", value_parser = super::positive)]
    learning_rate: Option<f64>,
    /// How it changes [default: constant for the paper presets, one-cycle for the others].
    #[arg(long)]
    schedule: Option<Schedule>,
    /// Determines the first weights, the crops and the blemishes [default: 0].
    #[arg(long, value_name = "N", value_parser = super::seed())]
    seed: Option<u64>,
    /// Where to train.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// How exactly convolutions multiply, on CUDA alone. With cuDNN f32 may mean tf32 too, unless
    /// NVIDIA_TF32_OVERRIDE is 0.
    #[arg(long, default_value = "f32")]
    precision: Precision,
}

fn share(text: &str) -> Result<f64, String> {
    within(text, LARGEST_SHARE)
}

fn offset(text: &str) -> Result<f64, String> {
    within(text, LARGEST_OFFSET)
}

fn blemished(text: &str) -> Result<f64, String> {
    within(text, 1.0)
}

fn within(text: &str, most: f64) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from 0 to {most}")),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if COUNTS.contains(&number) => Ok(number),
        _ => Err(format!(
            "must be a number from {} to {}",
            COUNTS.start(),
            COUNTS.end()
        )),
    }
}

impl Args {
    pub fn run(self) -> Result<()> {
        let run = train::train(&Options {
            data: self.data,
            out: self.out,
            resume: self.resume,
            layout: self.layout,
            patch: self.patch,
            split_seed: self.split_seed,
            preset: self.preset,
            skips: self.skips,
            objective: self.objective,
            loss: self.loss,
            gain: self.gain,
            offset: self.offset,
            gradient: self.gradient,
            flip: self.flip,
            blemished: self.blemished,
            epochs: self.epochs,
            minutes: self.minutes,
            patience: self.patience,
            batch: self.batch,
            crop: self.crop,
            learning_rate: self.learning_rate,
            schedule: self.schedule,
            seed: self.seed,
            device: self.device,
            precision: self.precision,
        })?;
        let path = run.path().display();
        console::note(format_args!(
            "the run is in {path}; next: residua calibrate {path}"
        ));
        Ok(())
    }
}
