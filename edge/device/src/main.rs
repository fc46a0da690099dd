//! `residua-edge`: inspects what a camera sees beside the conveyor.

#![forbid(unsafe_code)]

use std::{fmt::Display, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use residua_device::{
    config::{Config, Source, Stdin, parse_size},
    events::{Level, log},
    program,
};
use residua_shared::frame::Size;

/// Inspects what a camera sees beside the conveyor, by a model of `residua export`.
#[derive(Parser)]
#[command(name = "residua-edge", version)]
enum Cli {
    /// Inspect until the source ends or SIGTERM comes.
    Run {
        /// The configuration file.
        #[arg(value_name = "CONFIG")]
        config: PathBuf,
        /// Take raw 8-bit grey images of this size from standard input, in place of the configured
        /// source.
        #[arg(long, value_name = "WxH", value_parser = parse_size)]
        stdin: Option<Size>,
    },
    /// Check the configuration and the model that it names, and end.
    Check {
        /// The configuration file.
        #[arg(value_name = "CONFIG")]
        config: PathBuf,
    },
}

impl Cli {
    fn run(self) -> Result<()> {
        match self {
            Self::Run { config, stdin } => {
                let mut config = Config::open(&config)?;
                if let Some(size) = stdin {
                    config.source = Source::Stdin(Stdin { size });
                }
                program::run(&config)
            }
            Self::Check { config } => {
                let model = program::check(&Config::open(&config)?)?;
                let manifest = &model.manifest;
                println!("{}: in order", config.display());
                println!(
                    "model {}, {}, for {} images, threshold {:.2} grey levels",
                    manifest.name,
                    manifest.digest,
                    manifest.input,
                    manifest.rule.image_threshold().grey()
                );
                Ok(())
            }
        }
    }
}

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: &dyn Display = &format_args!("{error:#}");
            log(Level::Error, "failed", &[("why", error)]);
            ExitCode::from(2)
        }
    }
}
