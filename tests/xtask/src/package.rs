//! `cargo xtask package`: Debian packages of residua-edge for ARM boards.

use std::{
    fs,
    path::{Path, PathBuf},
};

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
    ("packages", packages),
];

/// The environment variable through which tests find the packages' folder.
pub const VARIABLE: &str = "RESIDUA_PACKAGES";

/// Debian's names of the targets with Linux.
const ARCHITECTURES: [(&str, &str); 2] = [
    ("aarch64-unknown-linux-gnu", "arm64"),
    ("armv7-unknown-linux-gnueabihf", "armhf"),
];

/// Where the packages lie.
pub fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("package")
}

/// The package for an architecture, after [`packages`].
pub fn file(workspace: &Workspace, architecture: &str) -> PathBuf {
    let version = env!("CARGO_PKG_VERSION");
    folder(workspace).join(format!("residua-edge_{version}_{architecture}.deb"))
}

/// Builds the packages into `package` in the target folder.
pub fn run() -> Result<()> {
    run_all(STEPS, &Workspace::of_this_program())
}

/// Builds the device program for ARM boards with Linux, and its packages.
pub fn packages(workspace: &Workspace) -> Result<()> {
    arm::build_devices(workspace)?;
    for (name, architecture) in ARCHITECTURES {
        package(workspace, name, architecture)?;
    }
    Ok(())
}

fn package(workspace: &Workspace, target: &str, architecture: &str) -> Result<()> {
    let device = workspace.root.join("edge/device");
    let folder = folder(workspace).join(architecture);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let program = workspace.target.join(target).join("release/residua-edge");
    install(&program, &folder.join("usr/bin/residua-edge"))?;
    install(
        &device.join("residua-edge.toml"),
        &folder.join("etc/residua/residua-edge.toml"),
    )?;
    install(
        &device.join("debian/residua-edge.service"),
        &folder.join("usr/lib/systemd/system/residua-edge.service"),
    )?;
    install(
        &device.join("debian/residua-edge.rules"),
        &folder.join("usr/lib/udev/rules.d/50-residua-edge.rules"),
    )?;
    let version = env!("CARGO_PKG_VERSION");
    write(
        &folder.join("DEBIAN/control"),
        &format!(
            "Package: residua-edge\nVersion: {version}\nArchitecture: {architecture}\n\
             Maintainer: The residua developers <residua@localhost>\nDepends: libc6 (>= 2.34)\n\
             Section: science\nPriority: optional\n\
             Description: visual inspection beside the conveyor\n"
        ),
    )?;
    // What the operator has changed is kept when the package is upgraded.
    write(
        &folder.join("DEBIAN/conffiles"),
        "/etc/residua/residua-edge.toml\n",
    )?;
    run_command(
        workspace
            .command("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .arg(&folder)
            .arg(file(workspace, architecture)),
    )
}

fn install(from: &Path, to: &Path) -> Result<()> {
    make_folder(to)?;
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    make_folder(file)?;
    fs::write(file, text).with_context(|| file.display().to_string())
}

fn make_folder(file: &Path) -> Result<()> {
    let folder = file.parent().context("a file in a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}
