//! onnxruntime on 64-bit ARM: the library from its package for Node.js, the only one that holds it,
//! and a program that runs a model by it.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    run::{run, succeeds},
    system::apt_install,
    workspace::Workspace,
};

const PACKAGE: &str = "onnxruntime-node";
/// Pinned: another version has other kernels.
const VERSION: &str = "1.30.0";
/// In the package.
const LIBRARY: &str = "package/bin/napi-v6/linux/arm64/libonnxruntime.so.1";
const COMPILER: &str = "aarch64-linux-gnu-gcc";

/// Where library and program lie.
pub fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("onnxruntime-arm64")
}

/// Fetches the library, unless it is there, and builds the program.
pub fn install(workspace: &Workspace) -> Result<()> {
    let folder = folder(workspace);
    let library = folder.join("libonnxruntime.so.1");
    let stamp = folder.join("version.txt");
    if fs::read_to_string(&stamp).is_ok_and(|version| version == VERSION) {
        println!("{} is up to date", library.display());
    } else {
        fetch(workspace)?;
        fs::write(&stamp, VERSION).with_context(|| stamp.display().to_string())?;
    }
    let sources = workspace.root.join("tests/qemu");
    let compile = || {
        let mut command = workspace.command(COMPILER);
        command.args(["-O2", "-Wall", "-o"]);
        command
    };
    run(compile()
        .arg(folder.join("onnxruntime"))
        .arg(sources.join("onnxruntime.c"))
        .arg(&library)
        // The library's own libraries are the target's, which QEMU finds.
        .args(["-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"]))?;
    run(compile()
        .arg(folder.join("cpuinfo.so"))
        .args(["-shared", "-fPIC"])
        .arg(sources.join("cpuinfo.c")))
}

fn fetch(workspace: &Workspace) -> Result<()> {
    let folder = folder(workspace);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    if !succeeds(workspace.command("npm").arg("--version")) {
        apt_install(&["npm"])?;
    }
    run(workspace
        .command("npm")
        .args(["pack", "--silent", &format!("{PACKAGE}@{VERSION}")])
        .arg("--pack-destination")
        .arg(&folder))?;
    let archive = folder.join(format!("{PACKAGE}-{VERSION}.tgz"));
    let parts = LIBRARY.matches('/').count();
    run(workspace
        .command("tar")
        .arg("--extract")
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(&folder)
        .arg(format!("--strip-components={parts}"))
        .arg(LIBRARY))?;
    fs::remove_file(&archive).with_context(|| archive.display().to_string())
}
