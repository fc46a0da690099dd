//! ARM targets: their standard libraries, QEMU and linkers, and the runner programs.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    run::{output, run, succeeds},
    system::apt_install,
    workspace::Workspace,
};

/// A target that the parity suite runs on.
pub struct Target {
    /// Rust's name of it.
    pub name: &'static str,
    /// The C compiler, which also links; microcontrollers take the linker that comes with Rust.
    pub linker: Option<&'static str>,
    /// The environment variable through which tests find the runner program.
    pub variable: &'static str,
    /// The board that the firmware runs on, and the variable through which tests find it.
    pub firmware: Option<(&'static str, &'static str)>,
}

/// The runner programs' packages.
const LINUX_RUNNER: &str = "residua-runner";
const BARE_RUNNER: &str = "residua-runner-cortex-m";

/// Every target. One more is one more entry, beside the one in the tests.
pub const TARGETS: &[Target] = &[
    Target {
        name: "aarch64-unknown-linux-gnu",
        linker: Some("aarch64-linux-gnu-gcc"),
        variable: "RESIDUA_RUNNER_AARCH64",
        firmware: None,
    },
    Target {
        name: "armv7-unknown-linux-gnueabihf",
        linker: Some("arm-linux-gnueabihf-gcc"),
        variable: "RESIDUA_RUNNER_ARMV7",
        firmware: None,
    },
    Target {
        name: "thumbv7em-none-eabihf",
        linker: None,
        variable: "RESIDUA_RUNNER_CORTEX_M7",
        firmware: Some(("mps2-an500", "RESIDUA_FIRMWARE_CORTEX_M7")),
    },
    Target {
        name: "thumbv8m.main-none-eabihf",
        linker: None,
        variable: "RESIDUA_RUNNER_CORTEX_M55",
        firmware: Some(("mps3-an547", "RESIDUA_FIRMWARE_CORTEX_M55")),
    },
];

/// The programs that are needed, and Debian's packages of them.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("qemu-aarch64", &["qemu-user"]),
    ("qemu-system-arm", &["qemu-system-arm"]),
    (
        "aarch64-linux-gnu-gcc",
        &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    ),
    (
        "arm-linux-gnueabihf-gcc",
        &["gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"],
    ),
];

/// Installs the standard libraries that are missing: from rustup where it can deliver the target,
/// else built from Debian's packaged library source.
pub fn install(workspace: &Workspace) -> Result<()> {
    let delivered = delivered_by_rustup(workspace)?;
    for Target { name, .. } in TARGETS {
        if has(&delivered, name) || (!built_for_debian(name) && add(workspace, name)) {
            println!("{name}: from rustup");
            continue;
        }
        run(workspace
            .command("tests/toolchain/debian-target.sh")
            .arg(name))?;
    }
    Ok(())
}

/// Installs QEMU and the linkers, where they are missing.
pub fn install_programs(workspace: &Workspace) -> Result<()> {
    let missing =
        |(program, _): &&(&str, _)| !succeeds(workspace.command(program).arg("--version"));
    let packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(missing)
        .flat_map(|(_, packages)| *packages)
        .copied()
        .collect();
    if packages.is_empty() {
        println!("all there");
        return Ok(());
    }
    apt_install(&packages)
}

/// Builds the runner program of every target. That those for microcontrollers link shows that the
/// inspection path needs neither std nor an allocator: rustc refuses a program with a crate that
/// does.
pub fn build_runners(workspace: &Workspace) -> Result<()> {
    let runner = ["--package", LINUX_RUNNER, "--features", "linux"];
    run_cargo(workspace, "build", &linux(), &runner)?;
    let runner = ["--package", BARE_RUNNER];
    run_cargo(workspace, "build", &bare(), &runner)
}

/// Builds the device program, with the native engine alone.
pub fn build_devices(workspace: &Workspace) -> Result<()> {
    run_cargo(
        workspace,
        "build",
        &linux(),
        &["--package", "residua-device"],
    )
}

/// Lints the inspection path as each target sees it: half of the kernels are compiled nowhere else.
pub fn clippy(workspace: &Workspace) -> Result<()> {
    let edge = [
        "--package",
        "residua-edge",
        "--features",
        "std",
        "--",
        "-D",
        "warnings",
    ];
    run_cargo(workspace, "clippy", &linux(), &edge)?;
    let edge = ["--package", "residua-edge", "--", "-D", "warnings"];
    run_cargo(workspace, "clippy", &bare(), &edge)
}

/// The targets with an operating system, and with it tract.
fn linux() -> Vec<&'static Target> {
    TARGETS.iter().filter(|target| target.is_linux()).collect()
}

/// The targets without.
fn bare() -> Vec<&'static Target> {
    TARGETS.iter().filter(|target| !target.is_linux()).collect()
}

/// Runs cargo once for all targets of a toolchain: parts of a cold build, as tract's largest crate,
/// keep one core busy alone, and another target's parts fill the others.
fn run_cargo(
    workspace: &Workspace,
    subcommand: &str,
    targets: &[&Target],
    arguments: &[&str],
) -> Result<()> {
    let delivered = delivered_by_rustup(workspace)?;
    let (rustup, debian): (Vec<&Target>, Vec<&Target>) = targets
        .iter()
        .partition(|target| has(&delivered, target.name));
    for targets in [rustup, debian] {
        if let Some(first) = targets.first() {
            let mut cargo = first.cargo(workspace)?;
            cargo.args([subcommand, "--release"]);
            for target in &targets {
                cargo.args(["--target", target.name]);
            }
            run(cargo.args(arguments))?;
        }
    }
    Ok(())
}

/// Builds the firmware of both boards, with the model of its test. The linker refuses what does not
/// fit their memory.
pub fn build_firmware(workspace: &Workspace) -> Result<()> {
    for target in TARGETS {
        if let Some((board, _)) = target.firmware {
            let mut cargo = target.cargo(workspace)?;
            cargo.args(["build", "--release", "--locked", "--target", target.name]);
            cargo.args([
                "--manifest-path",
                "edge/firmware/Cargo.toml",
                "--features",
                board,
            ]);
            cargo.arg("--target-dir").arg(firmware_folder(workspace));
            let model = workspace.root.join("tests/fixtures/firmware");
            cargo.env("RESIDUA_SETTINGS", model.join("firmware.toml"));
            run(cargo.env("RESIDUA_MODEL", model))?;
        }
    }
    Ok(())
}

/// Apart from the workspace's own, whose profile has other settings.
fn firmware_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("firmware")
}

impl Target {
    /// The firmware, after [`build_firmware`], and the variable for its path.
    pub fn firmware(&self, workspace: &Workspace) -> Option<(&'static str, PathBuf)> {
        let folder = firmware_folder(workspace).join(self.name).join("release");
        let (_, variable) = self.firmware?;
        Some((variable, folder.join("residua-firmware")))
    }

    /// Whether it has an operating system, and with it tract.
    pub fn is_linux(&self) -> bool {
        self.linker.is_some()
    }

    fn package(&self) -> &'static str {
        if self.is_linux() {
            LINUX_RUNNER
        } else {
            BARE_RUNNER
        }
    }

    /// The runner program, after [`build_runners`].
    pub fn runner(&self, workspace: &Workspace) -> PathBuf {
        let folder = workspace.target.join(self.name).join("release");
        folder.join(self.package())
    }

    /// Cargo of the toolchain that can build for it, after [`install`], and for the others that
    /// come from there.
    pub fn cargo(&self, workspace: &Workspace) -> Result<Command> {
        let from_rustup = has(&delivered_by_rustup(workspace)?, self.name);
        let mut command = if from_rustup {
            workspace.command("cargo")
        } else {
            let mut command = workspace.command("rustup");
            command.args(["run", "debian", "cargo"]);
            command
        };
        for target in TARGETS {
            let linker = match target.linker {
                Some(linker) => PathBuf::from(linker),
                // Debian's Rust comes without it.
                None if !from_rustup => rust_lld(workspace)?,
                None => continue,
            };
            command.env(linker_variable(target.name), linker);
        }
        Ok(command)
    }
}

/// Cargo's variable for a target's linker; in Cargo's configuration the dot in some targets' names
/// would be taken for a separator.
fn linker_variable(target: &str) -> String {
    let name = target.replace(['-', '.'], "_").to_uppercase();
    format!("CARGO_TARGET_{name}_LINKER")
}

/// The linker that rustup's toolchain brings along.
fn rust_lld(workspace: &Workspace) -> Result<PathBuf> {
    let mut rustc = workspace.command("rustc");
    let libraries = output(rustc.args(["--print", "target-libdir"]))?;
    let folder = Path::new(libraries.trim()).parent();
    let folder = folder.context("rustc has no folder for its host")?;
    Ok(folder.join("bin/rust-lld"))
}

fn delivered_by_rustup(workspace: &Workspace) -> Result<String> {
    output(
        workspace
            .command("rustup")
            .args(["target", "list", "--installed"]),
    )
}

fn has(targets: &str, target: &str) -> bool {
    targets.lines().any(|line| line == target)
}

/// The stamp that the script leaves; the script itself checks that it is still current.
fn built_for_debian(target: &str) -> bool {
    Path::new("/usr/lib/rustlib")
        .join(target)
        .join("lib/.built-by")
        .exists()
}

fn add(workspace: &Workspace, target: &str) -> bool {
    succeeds(
        workspace
            .command("rustup")
            .args(["target", "add"])
            .arg(target),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_found_by_its_whole_name() {
        let listed = "thumbv7em-none-eabihf\nx86_64-unknown-linux-gnu\n";
        assert!(has(listed, "thumbv7em-none-eabihf"));
        assert!(!has(listed, "thumbv7em-none-eabi"));
        assert!(!has("", "thumbv7em-none-eabihf"));
    }

    #[test]
    fn linker_variables_are_those_that_cargo_reads() {
        assert_eq!(
            linker_variable("thumbv8m.main-none-eabihf"),
            "CARGO_TARGET_THUMBV8M_MAIN_NONE_EABIHF_LINKER"
        );
    }
}
