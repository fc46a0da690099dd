//! `cargo xtask test`.

use anyhow::Result;

use crate::{
    arm, board, package,
    python::{self, TESTS},
    run::run as run_command,
    steps::{Step, run_all},
    system::install_components,
    workspace::Workspace,
};

/// The cheap checks.
const FORM: &[Step<Workspace>] = &[
    ("rustfmt and clippy installed", install_components),
    ("formatting", formatting),
];

/// What tests need.
const INSTALL: &[Step<Workspace>] = &[
    ("Python environment", |workspace| TESTS.install(workspace)),
    ("ARM targets", arm::install),
    ("QEMU and cross linkers", arm::install_programs),
    ("runner programs for ARM", arm::build_runners),
    ("firmware", arm::build_firmware),
    (
        "device program for ARM, and its packages",
        package::packages,
    ),
    ("board", board::build),
];

/// What compiles everything, once, in the profile of the tests.
const CHECK: &[Step<Workspace>] = &[
    ("clippy", clippy),
    ("clippy for ARM", arm::clippy),
    ("documentation", documentation),
    ("tests", tests),
];

/// Installs what is missing, then runs everything; errors at the first step that fails.
pub fn run() -> Result<()> {
    let steps = [FORM, INSTALL, CHECK].concat();
    run_all(&steps, &Workspace::of_this_program())
}

/// Installs what is missing, then runs `cargo test --release` with these arguments.
pub fn run_some(arguments: &[String]) -> Result<()> {
    let workspace = Workspace::of_this_program();
    run_all(INSTALL, &workspace)?;
    programs(&workspace)?;
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

/// Builds the programs that tests of other packages run. The tests of the whole workspace come with
/// them.
fn programs(workspace: &Workspace) -> Result<()> {
    let packages = ["--package", "residua-host", "--package", "residua-device"];
    let mut command = workspace.cargo(&["build", "--release", "--bins"]);
    run_command(command.args(packages))
}

/// Tells the tests where Python and the runner programs are.
fn with_runners<'c>(
    workspace: &Workspace,
    command: &'c mut std::process::Command,
) -> &'c mut std::process::Command {
    command.env(python::VARIABLE, TESTS.interpreter(workspace));
    for target in arm::TARGETS {
        command.env(target.variable, target.runner(workspace));
        command.envs(target.firmware(workspace));
    }
    command.env(package::VARIABLE, package::folder(workspace));
    command.env(board::VARIABLE, board::folder(workspace))
}
