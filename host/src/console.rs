//! What the program says: results on standard output, all else on standard error.

use std::{
    fmt::Display,
    io::{self, Write},
};

use anyhow::{Context, Result};

/// Prints a line of a result; a standard output that is full or closed is an error, not a panic.
pub fn print(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("standard output: cannot be written to")
}

/// Says something beside the results. Where nobody can hear it, the work goes on all the same.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// An error with its causes, in one line.
pub fn one_line(error: &anyhow::Error) -> String {
    let causes: Vec<_> = error
        .chain()
        .map(|cause| flat(&cause.to_string()))
        .collect();
    causes.join(": ")
}

/// The text without its line ends, and without the backtrace that candle puts behind its messages
/// where `RUST_BACKTRACE` is set.
fn flat(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let words: Vec<_> = lines.take_while(|line| !is_frame(line)).collect();
    words.join(" ").trim().to_owned()
}

/// Whether the line is like `12: residua::main`.
fn is_frame(line: &str) -> bool {
    line.split_once(": ")
        .is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_take_one_line_without_a_backtrace() {
        let cause = anyhow::anyhow!("expected a\n  number\n   0: candle_core::f\n      at a.rs:1");
        let error = cause.context("run/state.json: restore it");
        assert_eq!(
            one_line(&error),
            "run/state.json: restore it: expected a number"
        );
    }
}
