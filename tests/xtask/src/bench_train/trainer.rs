//! The two sides that train.

use anyhow::Result;

use crate::{engine::Engine, python::TORCH, workspace::Workspace};

/// A process that takes a training step each time.
pub struct Trainer {
    pub engine: Engine,
    /// The network, as JSON.
    pub config: String,
    /// Trained values.
    pub parameters: String,
}

impl Trainer {
    pub fn residua(
        workspace: &Workspace,
        preset: &str,
        batch: usize,
        side: usize,
        threads: usize,
    ) -> Result<Self> {
        let mut command = workspace.command(workspace.target.join("release/examples/train_step"));
        command
            .args([preset, &batch.to_string(), &side.to_string()])
            .env("RAYON_NUM_THREADS", threads.to_string());
        let mut engine = Engine::start("residua", &mut command)?;
        Ok(Self {
            config: engine.answer()?,
            parameters: engine.answer()?,
            engine,
        })
    }

    pub fn torch(
        workspace: &Workspace,
        config: &str,
        batch: usize,
        side: usize,
        threads: usize,
    ) -> Result<Self> {
        let mut command = workspace.command(TORCH.interpreter(workspace));
        command
            .arg(workspace.root.join("tests/python/train_step.py"))
            .arg(config)
            .args([batch, side, threads].map(|number| number.to_string()))
            .env("OMP_NUM_THREADS", threads.to_string());
        let mut engine = Engine::start("PyTorch", &mut command)?;
        Ok(Self {
            config: config.into(),
            parameters: engine.answer()?,
            engine,
        })
    }
}
