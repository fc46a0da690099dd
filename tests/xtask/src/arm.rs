//! Standard libraries for ARM targets, and cargo with the toolchain that holds them.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{
    run::{output, run, succeeds},
    workspace::Workspace,
};

/// The Cortex-M4F and M7F: the proof that the inspection path needs neither std nor a heap.
pub const CORTEX_M: &str = "thumbv7em-none-eabihf";

/// Every target whose libraries are installed. One more target is one more entry.
const TARGETS: &[&str] = &[CORTEX_M];

/// Installs what is missing: from rustup where it can deliver the target, else built from Debian's
/// packaged library source.
pub fn install(workspace: &Workspace) -> Result<()> {
    let delivered = delivered_by_rustup(workspace)?;
    for target in TARGETS {
        if has(&delivered, target) || (!built_for_debian(target) && add(workspace, target)) {
            println!("{target}: from rustup");
            continue;
        }
        run(workspace
            .command("tests/toolchain/debian-target.sh")
            .arg(target))?;
    }
    Ok(())
}

/// Cargo of a toolchain that can build for `target`, after [`install`].
pub fn cargo(workspace: &Workspace, target: &str) -> Result<Command> {
    if has(&delivered_by_rustup(workspace)?, target) {
        return Ok(workspace.command("cargo"));
    }
    let mut command = workspace.command("rustup");
    command.args(["run", "debian", "cargo"]);
    Ok(command)
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
}
