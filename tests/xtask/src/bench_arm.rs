//! `cargo xtask bench-arm`: instructions for one inference on ARM, counted by QEMU.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    arm,
    run::run as run_command,
    steps::{Step, run_all},
    workspace::Workspace,
};

const STEPS: &[Step<Workspace>] = &[
    ("ARM targets", arm::install),
    ("QEMU and cross linkers", arm::install_programs),
    ("runner programs for ARM", arm::build_runners),
    ("QEMU plugin", build_plugin),
    ("counting", count),
];

/// Installs what is missing, then counts and prints a table.
pub fn run() -> Result<()> {
    run_all(STEPS, &Workspace::of_this_program())
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
    let package = ["--package", "residua-tests", "--bin", "bench-arm"];
    let mut command = workspace.cargo(&["run", "--release", "--quiet"]);
    command.args(package).env("RESIDUA_QEMU", folder(workspace));
    for target in arm::TARGETS {
        command.env(target.variable, target.runner(workspace));
    }
    run_command(&mut command)
}
