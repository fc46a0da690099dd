//! One module a command of the `residua` program: its arguments and what it does with them.

mod bar;
pub mod bench_quality;
pub mod calibrate;
pub mod demo;
pub mod device;
pub mod eval;
pub mod export;
pub mod inspect;
pub mod inspect_model;
pub mod synth;
pub mod train;

use anyhow::Result;

/// Learns what a good part looks like from good images alone, then finds defects.
#[derive(clap::Parser)]
#[command(name = "residua", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Train an autoencoder on the good images of a folder.
    Train(train::Args),
    /// Set the decision thresholds from held-out good images.
    Calibrate(calibrate::Args),
    /// Write the integer ONNX model and its manifest.
    Export(export::Args),
    /// Measure a model on labelled images.
    Eval(eval::Args),
    /// Compare choices of training and decision on labelled images, seed by seed.
    BenchQuality(bench_quality::Args),
    /// Inspect images: a verdict, a mask and an overlay each.
    Inspect(inspect::Args),
    /// Print what a model costs on a device, layer by layer.
    InspectModel(inspect_model::Args),
    /// Make a synthetic data set with exact masks.
    Synth(synth::Args),
    /// Watch, question and change a device beside the conveyor.
    Device(device::Args),
    /// Make the key pair that signs models for devices.
    DeviceKey(device::KeyArgs),
    /// Do all of it once, on synthetic images.
    Demo(demo::Args),
}

impl Cli {
    /// Does what the command line asks for; yields the program's exit code where that is not an
    /// error's.
    pub fn run(self) -> Result<u8> {
        match self.command {
            Command::Train(args) => args.run().map(|()| OK),
            Command::Calibrate(args) => args.run().map(|()| OK),
            Command::Export(args) => args.run().map(|()| OK),
            Command::Eval(args) => args.run().map(|()| OK),
            Command::BenchQuality(args) => args.run().map(|()| OK),
            Command::Inspect(args) => args.run(),
            Command::InspectModel(args) => args.run().map(|()| OK),
            Command::Synth(args) => args.run().map(|()| OK),
            Command::Device(args) => args.run().map(|()| OK),
            Command::DeviceKey(args) => args.run().map(|()| OK),
            Command::Demo(args) => args.run().map(|()| OK),
        }
    }
}

/// The exit code of success; `inspect` has others beside it.
const OK: u8 = 0;

fn minutes(text: &str) -> Result<f64, String> {
    match positive(text)? {
        minutes if minutes <= 1e6 => Ok(minutes),
        _ => Err("must be at most 1000000".into()),
    }
}

/// TOML, and so a run's configuration, has no integers above this.
fn seed() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(..=i64::MAX as u64)
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) && number > 0.0 => Ok(number),
        _ => Err("must be a number above 0".into()),
    }
}
