//! `cargo xtask test`.

use anyhow::Result;

use crate::{
    arm,
    python::{self, TESTS},
    run::run as run_command,
    steps::{Step, run_all},
    system::install_components,
    workspace::Workspace,
};

/// The cheap checks first; then what compiles everything, once, in the profile of the tests.
const STEPS: &[Step<Workspace>] = &[
    ("rustfmt and clippy installed", install_components),
    ("formatting", formatting),
    ("Python environment", |workspace| TESTS.install(workspace)),
    ("ARM targets", arm::install),
    ("bare metal: no std, no heap", bare_metal),
    ("clippy", clippy),
    ("documentation", documentation),
    ("tests", tests),
];

/// Installs what is missing, then runs everything; errors at the first step that fails.
pub fn run() -> Result<()> {
    run_all(STEPS, &Workspace::of_this_program())
}

fn formatting(workspace: &Workspace) -> Result<()> {
    run_command(&mut workspace.cargo(&["fmt", "--all", "--check"]))
}

/// A `staticlib` is a final artifact: rustc refuses it where any crate of its graph needs an
/// allocator and none is given, and `tests/bare_metal` gives none.
fn bare_metal(workspace: &Workspace) -> Result<()> {
    run_command(
        arm::cargo(workspace, arm::CORTEX_M)?
            .args(["rustc", "--release", "--package", "residua-bare-metal"])
            .args(["--target", arm::CORTEX_M, "--crate-type", "staticlib"]),
    )
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
    run_command(
        workspace
            .cargo(&["test", "--release", "--workspace", "--no-fail-fast"])
            .env(python::VARIABLE, TESTS.interpreter(workspace)),
    )
}
