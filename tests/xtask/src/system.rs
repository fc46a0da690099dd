//! Debian packages and rustup components.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{
    run::{output, run, succeeds},
    workspace::Workspace,
};

/// The formatter and the linter, which a minimal Rust installation lacks.
pub fn install_components(workspace: &Workspace) -> Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !succeeds(&mut workspace.cargo(&[subcommand, "--version"])) {
            run(workspace
                .command("rustup")
                .args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// Installs Debian packages, as root or through sudo.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    ensure!(
        succeeds(Command::new("apt-get").arg("--version")),
        "{} is missing and there is no apt-get here: install it, then run this again",
        packages.join(" ")
    );
    let root = output(Command::new("id").arg("-u"))?.trim() == "0";
    run(&mut apt_get(root, &["update", "-q"]))?;
    let install = ["install", "-y", "-q", "--no-install-recommends"];
    run(apt_get(root, &install).args(packages))
}

fn apt_get(root: bool, arguments: &[&str]) -> Command {
    // sudo drops the environment, so the variable is set behind it.
    let mut command = Command::new(if root { "env" } else { "sudo" });
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_is_used_only_where_needed() {
        assert_eq!(apt_get(true, &["update"]).get_program(), "env");
        let command = apt_get(false, &["update"]);
        assert_eq!(command.get_program(), "sudo");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(
            arguments,
            ["DEBIAN_FRONTEND=noninteractive", "apt-get", "update"]
        );
    }
}
