//! Python environments in the target folder, each with the packages of one file of requirements.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    run::{output, run, succeeds},
    system::apt_install,
    workspace::Workspace,
};

/// The environment variable through which tests find the interpreter of [`TESTS`].
pub const VARIABLE: &str = "RESIDUA_PYTHON";

/// In which tests ask onnx and onnxruntime for their opinion.
pub const TESTS: Environment = Environment {
    folder: "python",
    requirements: "tests/python/requirements.txt",
    proof: "import onnx, onnxruntime",
};

/// PyTorch, which training and inference are timed against. Some gigabytes.
pub const TORCH: Environment = Environment {
    folder: "torch",
    requirements: "tests/python/torch.txt",
    proof: "import torch",
};

/// A CUDA toolkit without its libraries: enough to compile with.
pub const CUDA_TOOLKIT: Environment = Environment {
    folder: "cuda-toolkit",
    requirements: "tests/toolchain/cuda.txt",
    proof: "import nvidia.cu13",
};

/// An environment of its own, so that nobody pays for what another needs.
pub struct Environment {
    /// In the target folder.
    folder: &'static str,
    /// From the workspace's root.
    requirements: &'static str,
    /// Python that fails where the packages are not there.
    proof: &'static str,
}

impl Environment {
    pub fn folder(&self, workspace: &Workspace) -> PathBuf {
        workspace.target.join(self.folder)
    }

    /// The interpreter of the environment that [`Self::install`] makes.
    pub fn interpreter(&self, workspace: &Workspace) -> PathBuf {
        self.folder(workspace).join("bin/python")
    }

    /// Where its packages lie.
    pub fn packages(&self, workspace: &Workspace) -> Result<PathBuf> {
        let ask = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let path = output(
            workspace
                .command(self.interpreter(workspace))
                .args(["-c", ask]),
        )?;
        Ok(path.trim().into())
    }

    /// Whether it stands, with the very packages that are asked for.
    pub fn stands(&self, workspace: &Workspace) -> Result<bool> {
        let wanted = self.wanted(workspace)?;
        let installed = fs::read_to_string(self.stamp(workspace));
        Ok(installed.is_ok_and(|installed| installed == wanted)
            && succeeds(
                workspace
                    .command(self.interpreter(workspace))
                    .args(["-c", self.proof]),
            ))
    }

    /// Makes the environment, unless it stands already.
    pub fn install(&self, workspace: &Workspace) -> Result<()> {
        let folder = self.folder(workspace);
        if self.stands(workspace)? {
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
            .command(self.interpreter(workspace))
            .args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "-r"])
            .arg(workspace.root.join(self.requirements)))?;
        let stamp = self.stamp(workspace);
        fs::write(&stamp, self.wanted(workspace)?)
            .with_context(|| format!("cannot write {}", stamp.display()))
    }

    fn wanted(&self, workspace: &Workspace) -> Result<String> {
        let path = workspace.root.join(self.requirements);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Written last, so that an interrupted installation is not taken for a whole one.
    fn stamp(&self, workspace: &Workspace) -> PathBuf {
        self.folder(workspace).join("installed.txt")
    }
}
