use std::process::ExitCode;

use clap::Parser;
use residua_host::{commands::Cli, console};

/// The exit code of errors, which is also clap's for a command line that it can't read.
const ERROR: u8 = 2;

fn main() -> ExitCode {
    ExitCode::from(Cli::parse().run().unwrap_or_else(|error| {
        console::note(format_args!("error: {}", console::one_line(&error)));
        ERROR
    }))
}
