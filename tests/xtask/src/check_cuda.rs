//! `cargo xtask check-cuda`: does it compile for CUDA? No GPU is needed for that.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    python::CUDA_TOOLKIT,
    run::{output, run as run_command},
    workspace::Workspace,
};

/// The compute capability compiled for where nothing else is asked for: an A100's, from which on
/// there are TF32 and bf16.
const COMPUTE_CAPABILITY: (&str, &str) = ("CUDA_COMPUTE_CAP", "80");

/// Compiles candle's kernels by nvcc and checks the host's code with and without cuDNN, in a target
/// folder of its own, so that the ordinary artifacts stay. With `install` a toolkit from PyPI is put
/// into the target folder first.
///
/// Errors where no toolkit is found, or something does not compile.
pub fn run(install: bool) -> Result<()> {
    let workspace = Workspace::of_this_program();
    if install {
        CUDA_TOOLKIT.install(&workspace)?;
    }
    let toolkit = toolkit(&workspace)?;
    let nvcc = toolkit.join("bin/nvcc");
    let version = output(workspace.command(&nvcc).arg("--version"))?;
    let release = version.lines().find(|line| line.contains("release"));
    println!("{}: {}", nvcc.display(), release.unwrap_or("?").trim());

    let mut path = vec![toolkit.join("bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path = env::join_paths(path).context("PATH")?;
    let (variable, default) = COMPUTE_CAPABILITY;
    let capability = env::var_os(variable).unwrap_or_else(|| default.into());
    for feature in ["cuda", "cudnn"] {
        run_command(
            workspace
                .cargo(&["check", "--package", "residua-host", "--all-targets"])
                .args(["--features", feature, "--target-dir"])
                .arg(workspace.target.join("cuda"))
                .env("CUDA_HOME", &toolkit)
                .env("NVCC", &nvcc)
                .env(variable, &capability)
                .env("PATH", &path),
        )?;
    }
    println!("compiles for CUDA, with and without cuDNN; it was not linked, nor run on a GPU");
    Ok(())
}

/// The folder of the toolkit: what CUDA_HOME or CUDA_PATH name, else that of the nvcc on PATH, else
/// what an earlier `--install` put into the target folder.
fn toolkit(workspace: &Workspace) -> Result<PathBuf> {
    for variable in ["CUDA_HOME", "CUDA_PATH"] {
        if let Some(folder) = env::var_os(variable).map(PathBuf::from) {
            ensure!(
                has_nvcc(&folder),
                "{variable} is {}, which has no bin/nvcc; correct or unset it",
                folder.display()
            );
            return Ok(folder);
        }
    }
    if let Some(folder) = on_path(&env::var_os("PATH").unwrap_or_default()) {
        return Ok(folder);
    }
    if CUDA_TOOLKIT.stands(workspace)? {
        return Ok(CUDA_TOOLKIT.packages(workspace)?.join("nvidia/cu13"));
    }
    bail!(
        "no CUDA toolkit here: CUDA_HOME is not set, and there is no nvcc on PATH; install one, or \
         run `cargo xtask check-cuda --install`, which puts one from PyPI into {}",
        CUDA_TOOLKIT.folder(workspace).display()
    )
}

/// The toolkit of the first nvcc on this path.
fn on_path(path: &std::ffi::OsStr) -> Option<PathBuf> {
    env::split_paths(path).find_map(|folder| {
        // A link to it may lie anywhere, the toolkit only where it points to.
        let nvcc = folder.join("nvcc").canonicalize().ok()?;
        let toolkit = nvcc.parent()?.parent()?;
        has_nvcc(toolkit).then(|| toolkit.to_owned())
    })
}

fn has_nvcc(toolkit: &Path) -> bool {
    toolkit.join("bin/nvcc").is_file()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_toolkit_is_found_through_a_link_to_its_compiler() {
        let scratch = env::temp_dir().join(format!("residua-xtask-{}", std::process::id()));
        let (toolkit, links) = (scratch.join("cuda"), scratch.join("links"));
        fs::create_dir_all(toolkit.join("bin")).unwrap();
        fs::create_dir_all(&links).unwrap();
        let path = env::join_paths([scratch.join("absent"), links.clone()]).unwrap();
        let before = on_path(&path);
        fs::write(toolkit.join("bin/nvcc"), "").unwrap();
        symlink(toolkit.join("bin/nvcc"), links.join("nvcc")).unwrap();
        let after = on_path(&path);
        let expected = toolkit.canonicalize().unwrap();
        fs::remove_dir_all(&scratch).unwrap();
        assert_eq!(before, None);
        assert_eq!(after, Some(expected));
    }
}
