//! `cargo xtask bench-arm`: instructions for one inference on ARM, counted by QEMU.

mod onnxruntime;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{
    arm,
    run::run as run_command,
    steps::{Step, run_all},
    workspace::Workspace,
};

const INSTALL: &[Step<Workspace>] = &[
    ("ARM targets", arm::install),
    ("QEMU and cross linkers", arm::install_programs),
    ("runner programs for ARM", arm::build_runners),
    ("QEMU plugin", build_plugin),
];

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Whole inferences.
    Engines,
    /// The same, by onnxruntime too, where it runs.
    EnginesAndOnnxruntime,
    /// Each part of the native engine's inferences.
    Layers,
}

/// Installs what is missing, then counts and prints a table.
pub fn run(what: What) -> Result<()> {
    let rest: &[Step<Workspace>] = match what {
        What::Engines => &[("counting", count)],
        What::EnginesAndOnnxruntime => &[
            ("onnxruntime for ARM", onnxruntime::install),
            ("counting", count_all),
        ],
        What::Layers => &[("counting", count_layers)],
    };
    run_all(&[INSTALL, rest].concat(), &Workspace::of_this_program())
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("qemu")
}

/// The plugin, for this machine, and the guests' library that fixes their random numbers.
fn build_plugin(workspace: &Workspace) -> Result<()> {
    let folder = folder(workspace);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    shared_library(workspace, "cc", "count.c", "count.so")?;
    for target in arm::TARGETS {
        if let Some(compiler) = target.linker {
            let library = format!("{}.so", target.name);
            shared_library(workspace, compiler, "fixed_random.c", &library)?;
        }
    }
    Ok(())
}

fn shared_library(workspace: &Workspace, compiler: &str, source: &str, out: &str) -> Result<()> {
    run_command(
        workspace
            .command(compiler)
            .args(["-O2", "-Wall", "-shared", "-fPIC", "-o"])
            .arg(folder(workspace).join(out))
            .arg(workspace.root.join("tests/qemu").join(source)),
    )
}

fn count(workspace: &Workspace) -> Result<()> {
    run_command(&mut counting(workspace))
}

fn count_all(workspace: &Workspace) -> Result<()> {
    let folder = onnxruntime::folder(workspace);
    run_command(counting(workspace).env("RESIDUA_ONNXRUNTIME", folder))
}

fn count_layers(workspace: &Workspace) -> Result<()> {
    run_command(counting(workspace).args(["--", "--layers"]))
}

fn counting(workspace: &Workspace) -> Command {
    let package = ["--package", "residua-tests", "--bin", "bench-arm"];
    let mut command = workspace.cargo(&["run", "--release", "--quiet"]);
    command.args(package).env("RESIDUA_QEMU", folder(workspace));
    for target in arm::TARGETS {
        command.env(target.variable, target.runner(workspace));
    }
    command
}
