//! `cargo xtask miri`: the paths without SIMD under Miri, which interprets them and reports undefined
//! behaviour: reads beyond an allocation, uninitialized values, data races, aliasing.

use anyhow::{Context, Result};

use crate::{
    run::{run as run_command, succeeds},
    steps::{Step, run_all},
    workspace::Workspace,
};

const STEPS: &[Step<Workspace>] = &[
    ("Miri", install),
    ("engine, bands, strip, map and regions", edge),
    ("wire protocol", wire),
];

/// Installs Miri, then runs the tests that it can interpret in a few minutes.
pub fn run() -> Result<()> {
    run_all(STEPS, &Workspace::of_this_program())
}

/// Miri is part of nightly toolchains alone.
fn install(workspace: &Workspace) -> Result<()> {
    if !succeeds(&mut nightly(workspace, &["--version"])) {
        let toolchain = ["toolchain", "install", "nightly", "--profile", "minimal"];
        run_command(workspace.command("rustup").args(toolchain))
            .context("Miri needs a nightly toolchain, which rustup cannot install here")?;
    }
    let component = ["component", "add", "--toolchain", "nightly"];
    run_command(
        workspace
            .command("rustup")
            .args(component)
            .args(["miri", "rust-src"]),
    )
    .context("rustup cannot install Miri for the nightly toolchain that is here")?;
    run_command(&mut nightly(workspace, &["miri", "setup"]))
}

/// The tests of the inspection path that are on small images when interpreted. The processor's own
/// instructions are not there, so that of the kernels the scalar one runs, and the twins of all.
fn edge(workspace: &Workspace) -> Result<()> {
    let mut command = nightly(workspace, &["miri", "test", "--package", "residua-edge"]);
    command.args(["--features", "std", "--lib"]);
    for test in ["native", "packed", "kernels", "equals_reference"] {
        command.args(["--test", test]);
    }
    run_command(&mut command)
}

/// All messages, damaged and whole, but for what other programs and recordings say of them.
fn wire(workspace: &Workspace) -> Result<()> {
    let mut command = nightly(workspace, &["miri", "test", "--package", "residua-shared"]);
    command.args(["--test", "wire", "--"]);
    command.args(["--skip", "python::", "--skip", "recorded::"]);
    run_command(command.env("PROPTEST_CASES", "4"))
}

fn nightly(workspace: &Workspace, arguments: &[&str]) -> std::process::Command {
    let mut command = workspace.command("rustup");
    command.args(["run", "nightly", "cargo"]).args(arguments);
    // Proptest looks for the failures that it has recorded.
    command.env("MIRIFLAGS", "-Zmiri-disable-isolation");
    command
}
