//! `cargo xtask test`: from a machine with Rust and the package registries alone to every test run;
//! and the measurements and checks that take too long to be among the tests.
//!
//! Small and without dependencies beside anyhow, so that it compiles in seconds. Nothing is ever
//! skipped: what is missing is installed, and what cannot be installed fails its step.

mod arm;
mod bench;
mod bench_arm;
mod bench_train;
mod board;
mod check_cuda;
mod engine;
mod miri;
mod models;
mod package;
mod python;
mod run;
mod steps;
mod system;
mod test;
mod timing;
mod workspace;

use std::{path::Path, process::ExitCode};

use bench_arm::What;

const USAGE: &str = "\
usage: cargo xtask COMMAND

commands:
  test                    install what is missing, then check, build and test everything
  test ARGUMENTS          install what is missing, then `cargo test --release ARGUMENTS`
  package                 build Debian packages of residua-edge for arm64 and armhf
  bench                   time the native engine beside onnxruntime, tract and PyTorch, which is
                          installed for it (some GB)
  bench-arm [--onnxruntime | --layers]
                          count instructions per inference on ARM, under QEMU; also onnxruntime's on
                          64-bit ARM, whose library is taken from npm for it (about 0.1 GB); or by
                          layers of the native engine
  bench-train             time training steps beside PyTorch, which is installed for it (some GB)
  models [NAME..] [--dagm DIR]
                          train, export and measure the models in models/ anew
  miri                    interpret the paths without SIMD under Miri, which is slow; rustup installs
                          it, where it can
  check-cuda [--install]  check that it compiles for CUDA, by the toolkit of this machine or else
                          (--install) one from PyPI (about 0.5 GB)
";

enum Task<'a> {
    Test,
    TestSome(&'a [String]),
    Package,
    Bench,
    BenchArm(bench_arm::What),
    BenchTrain,
    Models {
        names: &'a [String],
        dagm: Option<&'a Path>,
    },
    Miri,
    CheckCuda {
        install: bool,
    },
}

fn parse(arguments: &[String]) -> Option<Task<'_>> {
    let (command, rest) = arguments.split_first()?;
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (command.as_str(), &words[..]) {
        ("test", []) => Some(Task::Test),
        ("test", _) => Some(Task::TestSome(rest)),
        ("package", []) => Some(Task::Package),
        ("bench", []) => Some(Task::Bench),
        ("bench-arm", []) => Some(Task::BenchArm(What::Engines)),
        ("bench-arm", ["--onnxruntime"]) => Some(Task::BenchArm(What::EnginesAndOnnxruntime)),
        ("bench-arm", ["--layers"]) => Some(Task::BenchArm(What::Layers)),
        ("bench-train", []) => Some(Task::BenchTrain),
        ("models", [.., "--dagm", folder]) => Some(Task::Models {
            names: named(&rest[..rest.len() - 2])?,
            dagm: Some(Path::new(*folder)),
        }),
        ("models", _) => Some(Task::Models {
            names: named(rest)?,
            dagm: None,
        }),
        ("miri", []) => Some(Task::Miri),
        ("check-cuda", []) => Some(Task::CheckCuda { install: false }),
        ("check-cuda", ["--install"]) => Some(Task::CheckCuda { install: true }),
        _ => None,
    }
}

/// Names, and no options among them.
fn named(words: &[String]) -> Option<&[String]> {
    let options = words.iter().any(|word| word.starts_with('-'));
    (!options).then_some(words)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(task) = parse(&arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = match task {
        Task::Test => test::run(),
        Task::TestSome(arguments) => test::run_some(arguments),
        Task::Package => package::run(),
        Task::Bench => bench::run(),
        Task::BenchArm(what) => bench_arm::run(what),
        Task::BenchTrain => bench_train::run(),
        Task::Models { names, dagm } => models::run(names, dagm),
        Task::Miri => miri::run(),
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
        let words = |words: &[&str]| words.iter().map(|w| (*w).into()).collect::<Vec<_>>();
        assert!(matches!(parse(&words(&["test"])), Some(Task::Test)));
        let some = words(&["test", "-p", "residua-edge"]);
        assert!(matches!(parse(&some), Some(Task::TestSome(some)) if some.len() == 2));
        assert!(matches!(
            parse(&words(&["check-cuda", "--install"])),
            Some(Task::CheckCuda { install: true })
        ));
        let two = words(&["models", "a", "b", "--dagm", "images"]);
        assert!(matches!(
            parse(&two),
            Some(Task::Models { names, dagm: Some(_) }) if names.len() == 2
        ));
        assert!(matches!(
            parse(&words(&["bench-arm", "--layers"])),
            Some(Task::BenchArm(What::Layers))
        ));
        assert!(parse(&words(&["models", "--dagm"])).is_none());
        assert!(parse(&[]).is_none());
        assert!(parse(&words(&["tset"])).is_none());
        assert!(
            parse(&words(&["bench-arm", "--fast"])).is_none(),
            "an unknown option must not be ignored"
        );
    }
}
