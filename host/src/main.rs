use std::process::ExitCode;

use clap::{Parser, Subcommand};
use residua_host::commands::{calibrate, demo, eval, export, inspect, synth, train};

/// Learns what a good part looks like from good images alone, then finds defects.
#[derive(Parser)]
#[command(name = "residua", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train an autoencoder on the good images of a folder.
    Train(train::Args),
    /// Set the decision thresholds from held-out good images.
    Calibrate(calibrate::Args),
    /// Write the integer ONNX model and its manifest.
    Export(export::Args),
    /// Measure a model on labelled images.
    Eval(eval::Args),
    /// Inspect images: a verdict, a mask and an overlay each.
    Inspect(inspect::Args),
    /// Make a synthetic data set with exact masks.
    Synth(synth::Args),
    /// Do all of it once, on synthetic images.
    Demo(demo::Args),
}

/// Exit code of a run that found no defect, or of any other success.
const OK: u8 = 0;
/// Exit code of `inspect` that found a defect: clap's own 2 stays for errors.
const ERROR: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Train(args) => args.run().map(|()| OK),
        Command::Calibrate(args) => args.run().map(|()| OK),
        Command::Export(args) => args.run().map(|()| OK),
        Command::Eval(args) => args.run().map(|()| OK),
        Command::Inspect(args) => args.run(),
        Command::Synth(args) => args.run().map(|()| OK),
        Command::Demo(args) => args.run().map(|()| OK),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ERROR
    }))
}
