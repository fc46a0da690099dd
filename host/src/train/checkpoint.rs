//! Weights and moments on disk, by epoch.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};

use super::{adam::Adam, run::State};
use crate::{
    net::{autoencoder::Autoencoder, config::Config},
    save,
};

const BEST: &str = "best";
const LAST: &str = "last";
const OPTIMIZER: &str = "optimizer";

/// The weights and moments of a run folder, by epoch.
pub struct Files<'a> {
    folder: &'a Path,
}

impl<'a> Files<'a> {
    pub fn new(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// The weights kept at `epoch`.
    pub fn best(&self, epoch: u32) -> PathBuf {
        self.file(BEST, epoch)
    }

    fn file(&self, kind: &str, epoch: u32) -> PathBuf {
        self.folder.join(format!("{kind}-{epoch}.safetensors"))
    }

    /// Writes what `state` will name.
    pub fn write(&self, net: &Autoencoder, adam: &Adam, state: State) -> Result<()> {
        let weights = net.tensors();
        save(&self.file(LAST, state.epoch), &weights)?;
        save(&self.file(OPTIMIZER, state.epoch), &adam.state()?)?;
        if state.kept_epoch == state.epoch {
            save(&self.best(state.epoch), &weights)?;
        }
        Ok(())
    }

    /// Network and optimizer as `epoch` left them.
    pub fn restore(
        &self,
        config: &Config,
        epoch: u32,
        device: &Device,
    ) -> Result<(Autoencoder, Adam)> {
        let file = self.file(LAST, epoch);
        let net = Autoencoder::load(config, &file, device).with_context(|| damaged(&file))?;
        let file = self.file(OPTIMIZER, epoch);
        let state =
            candle_core::safetensors::load(&file, device).with_context(|| damaged(&file))?;
        let adam = Adam::restore(net.parameters(), &state).with_context(|| damaged(&file))?;
        Ok((net, adam))
    }

    /// Removes the weights and moments that `state` does not name.
    pub fn remove_all_but(&self, state: State) -> Result<()> {
        let named = [
            self.file(LAST, state.epoch),
            self.file(OPTIMIZER, state.epoch),
            self.best(state.kept_epoch),
        ];
        let entries = fs::read_dir(self.folder).with_context(|| damaged(self.folder))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let ours = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(is_ours);
            if ours && !named.contains(&path) {
                fs::remove_file(&path).with_context(|| damaged(&path))?;
            }
        }
        Ok(())
    }
}

/// Whether a run writes files of this name: `best-3.safetensors` and the like.
fn is_ours(name: &str) -> bool {
    let parts = name
        .strip_suffix(".safetensors")
        .and_then(|name| name.split_once('-'));
    parts.is_some_and(|(kind, epoch)| {
        [BEST, LAST, OPTIMIZER].contains(&kind) && epoch.parse::<u32>().is_ok()
    })
}

fn damaged(file: &Path) -> String {
    format!(
        "{}: cannot be used; restore it or train again",
        file.display()
    )
}

fn save(file: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
    save::replace_by(file, |partial| {
        Ok(candle_core::safetensors::save(tensors, partial)?)
    })
}
