//! The Python environment in which tests ask onnx and onnxruntime for their opinion.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    run::{run, succeeds},
    system::apt_install,
    workspace::Workspace,
};

/// The environment variable through which tests find the interpreter.
pub const VARIABLE: &str = "RESIDUA_PYTHON";

/// The interpreter of the environment that [`install`] makes.
pub fn interpreter(workspace: &Workspace) -> PathBuf {
    folder(workspace).join("bin/python")
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("python")
}

/// Makes the environment, unless it stands already with the very packages that are asked for.
pub fn install(workspace: &Workspace) -> Result<()> {
    let folder = folder(workspace);
    let requirements = workspace.root.join("tests/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    // Written last, so that an interrupted installation is not taken for a whole one.
    let stamp = folder.join("installed.txt");
    let python = interpreter(workspace);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
        && succeeds(
            workspace
                .command(&python)
                .args(["-c", "import onnx, onnxruntime"]),
        )
    {
        println!("{} is up to date", folder.display());
        return Ok(());
    }
    if !succeeds(
        workspace
            .command("python3")
            .args(["-c", "import ensurepip, venv"]),
    ) {
        apt_install(&["python3-venv"])?;
    }
    run(workspace
        .command("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    run(workspace
        .command(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(&requirements))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
