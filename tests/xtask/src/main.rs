//! `cargo xtask test`: from a machine with Rust and the package registries alone to every test run.
//!
//! Small and without dependencies beside anyhow, so that it compiles in seconds. Nothing is ever
//! skipped: what is missing is installed, and what cannot be installed fails its step.

mod arm;
mod python;
mod run;
mod steps;
mod system;
mod test;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

commands:
  test    install what is missing, then check, build and test everything
";

enum Task {
    Test,
}

fn parse(arguments: &[String]) -> Option<Task> {
    match arguments {
        [command] if command == "test" => Some(Task::Test),
        _ => None,
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(task) = parse(&arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = match task {
        Task::Test => test::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_commands_are_accepted() {
        let parse = |words: &[&str]| parse(&words.iter().map(|w| (*w).into()).collect::<Vec<_>>());
        assert!(matches!(parse(&["test"]), Some(Task::Test)));
        assert!(parse(&[]).is_none());
        assert!(parse(&["tset"]).is_none());
        assert!(
            parse(&["test", "--fast"]).is_none(),
            "an unknown option must not be ignored"
        );
    }
}
