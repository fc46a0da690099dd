//! `cargo xtask test`: from a machine with Rust and the package registries alone to every test run;
//! and the measurements and checks that take too long to be among the tests.
//!
//! Small and without dependencies beside anyhow, so that it compiles in seconds. Nothing is ever
//! skipped: what is missing is installed, and what cannot be installed fails its step.

mod arm;
mod bench_train;
mod check_cuda;
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
  test                    install what is missing, then check, build and test everything
  bench-train             time training steps beside PyTorch, which is installed for it (some GB)
  check-cuda [--install]  check that it compiles for CUDA, by the toolkit of this machine or else
                          (--install) one from PyPI (about 0.5 GB)
";

enum Task {
    Test,
    BenchTrain,
    CheckCuda { install: bool },
}

fn parse(arguments: &[String]) -> Option<Task> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["test"] => Some(Task::Test),
        ["bench-train"] => Some(Task::BenchTrain),
        ["check-cuda"] => Some(Task::CheckCuda { install: false }),
        ["check-cuda", "--install"] => Some(Task::CheckCuda { install: true }),
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
        Task::BenchTrain => bench_train::run(),
        Task::CheckCuda { install } => check_cuda::run(install),
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
        assert!(matches!(
            parse(&["check-cuda", "--install"]),
            Some(Task::CheckCuda { install: true })
        ));
        assert!(parse(&[]).is_none());
        assert!(parse(&["tset"]).is_none());
        assert!(
            parse(&["test", "--fast"]).is_none(),
            "an unknown option must not be ignored"
        );
    }
}
