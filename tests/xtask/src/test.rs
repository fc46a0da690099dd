//! `cargo xtask test`.

use anyhow::Result;

use crate::{
    arm, python,
    run::run as run_command,
    steps::{Step, run_all},
    system::install_components,
    workspace::Workspace,
};

/// The cheap checks first; then what compiles everything, once, in the profile of the tests.
const STEPS: &[Step<Workspace>] = &[
    ("rustfmt and clippy installed", install_components),
    ("formatting", formatting),
    ("Python environment", python::install),
    ("ARM targets", arm::install),
    ("QEMU and cross linkers", arm::install_programs),
    ("runner programs for ARM", arm::build_runners),
    ("clippy", clippy),
    ("documentation", documentation),
    ("tests", tests),
];

/// What tests need, without the checks.
const INSTALL: &[Step<Workspace>] = &[
    ("Python environment", python::install),
    ("ARM targets", arm::install),
    ("QEMU and cross linkers", arm::install_programs),
    ("runner programs for ARM", arm::build_runners),
];

/// Installs what is missing, then runs everything; errors at the first step that fails.
pub fn run() -> Result<()> {
    run_all(STEPS, &Workspace::of_this_program())
}

/// Installs what is missing, then runs `cargo test --release` with these arguments.
pub fn run_some(arguments: &[String]) -> Result<()> {
    let workspace = Workspace::of_this_program();
    run_all(INSTALL, &workspace)?;
    let mut command = workspace.cargo(&["test", "--release"]);
    run_command(with_runners(&workspace, command.args(arguments)))
}

fn formatting(workspace: &Workspace) -> Result<()> {
    run_command(&mut workspace.cargo(&["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    run_command(&mut workspace.cargo(&[
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Of the whole workspace, so that the dependencies' features, and with them the artifacts, are
/// those of the step before.
fn documentation(workspace: &Workspace) -> Result<()> {
    run_command(
        workspace
            .cargo(&["doc", "--release", "--workspace", "--lib", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn tests(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["test", "--release", "--workspace", "--no-fail-fast"]);
    run_command(with_runners(workspace, &mut command))
}

/// Tells the tests where Python and the runner programs are.
fn with_runners<'c>(
    workspace: &Workspace,
    command: &'c mut std::process::Command,
) -> &'c mut std::process::Command {
    command.env(python::VARIABLE, python::interpreter(workspace));
    for target in arm::TARGETS {
        command.env(target.variable, target.runner(workspace));
    }
    command
}
