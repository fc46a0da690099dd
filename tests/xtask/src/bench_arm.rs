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

/// Installs what is missing, then counts and prints a table; with onnxruntime where it runs.
pub fn run(onnxruntime: bool) -> Result<()> {
    let rest: &[Step<Workspace>] = if onnxruntime {
        &[
            ("onnxruntime for ARM", onnxruntime::install),
            ("counting", count_all),
        ]
    } else {
        &[("counting", count)]
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

fn counting(workspace: &Workspace) -> Command {
    let package = ["--package", "residua-tests", "--bin", "bench-arm"];
    let mut command = workspace.cargo(&["run", "--release", "--quiet"]);
    command.args(package).env("RESIDUA_QEMU", folder(workspace));
    for target in arm::TARGETS {
        command.env(target.variable, target.runner(workspace));
    }
    command
}
