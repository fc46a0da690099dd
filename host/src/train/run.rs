//! The run folder: everything that a training leaves behind, safe against being killed.
//!
//! `config.toml` says what is trained on what; `state.json` says how far it came and is written
//! last, by renaming, so that what it names is always complete: `last-N.safetensors` and
//! `optimizer-N.safetensors` to go on from, `best-N.safetensors` to export. `metrics.jsonl` has a
//! line for each epoch and `curve.svg` shows them.

use std::{
    fs,
    io::Write,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;
use clap::ValueEnum;
use residua_shared::{
    frame::Size,
    manifest::{Digest, Training},
};
use serde::{Deserialize, Serialize};

use super::{
    adam::Adam,
    augmentation::Augmentation,
    checkpoint::Files,
    curve,
    loss::Loss,
    options::{Objective, Schedule},
};
use crate::{
    data::{self, Dataset, Layout},
    net::{
        autoencoder::Autoencoder,
        config::{Config, Preset, Skips},
    },
    save,
};

const CONFIG: &str = "config.toml";
const STATE: &str = "state.json";
const METRICS: &str = "metrics.jsonl";
const CURVE: &str = "curve.svg";

/// What batch and crop may be.
pub const COUNTS: RangeInclusive<usize> = 1..=65_536;

/// What is trained on what: `config.toml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    pub preset: Preset,
    pub data: DataConfig,
    pub training: TrainingConfig,
    pub network: Config,
}

impl RunConfig {
    /// Which of the preset's skips the network has.
    pub fn skips(&self) -> Skips {
        if self.network == self.preset.with(Skips::Coarse) {
            Skips::Coarse
        } else {
            Skips::All
        }
    }

    /// Checks what serde cannot; the file may have been edited.
    fn check(&self) -> Result<()> {
        self.network.layers()?;
        let TrainingConfig {
            batch,
            crop,
            learning_rate,
            ..
        } = self.training;
        for (field, count) in [("batch", batch), ("crop", crop)] {
            ensure!(
                COUNTS.contains(&count),
                "training.{field}: {count} is not within 1 to 65536"
            );
        }
        ensure!(
            learning_rate.is_finite() && learning_rate > 0.0,
            "training.learning_rate: {learning_rate} is not a number above 0"
        );
        self.training
            .augmentation()
            .check()
            .context("training.augmentation")
    }
}

/// The images.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    pub folder: PathBuf,
    pub layout: Layout,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Size>,
    pub split_seed: u64,
    pub digest: Digest,
    /// Absent in runs that were made before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_digest: Option<Digest>,
}

impl DataConfig {
    /// Whether `dataset` deals the same images to learn from and to calibrate on.
    pub fn is_dealt_as(&self, dataset: &Dataset) -> bool {
        self.pool_digest.map_or_else(
            || self.digest == dataset.digest(),
            |digest| digest == dataset.pool_digest(),
        )
    }
}

/// How they are learned from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    pub objective: Objective,
    /// Mean squared error in runs made before there was a choice.
    #[serde(default)]
    pub loss: Loss,
    pub epochs: u32,
    /// Epochs without a lower held-out loss after which training ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
    /// Crops in a step.
    pub batch: usize,
    /// The side of a crop in pixels, at most.
    pub crop: usize,
    pub learning_rate: f64,
    pub schedule: Schedule,
    pub seed: u64,
    /// The objective's default in runs made before there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
}

impl TrainingConfig {
    /// How crops are varied.
    pub fn augmentation(&self) -> Augmentation {
        self.augmentation
            .unwrap_or_else(|| Augmentation::of(self.objective))
    }
}

/// How far a training came: `state.json`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct State {
    /// Epochs done.
    pub epoch: u32,
    /// The epoch with the lowest held-out loss, whose weights are kept; 0 before the first.
    pub kept_epoch: u32,
    /// The held-out loss of that epoch.
    pub kept_loss: f64,
    /// Time trained.
    pub seconds: f64,
}

impl State {
    const START: Self = Self {
        epoch: 0,
        kept_epoch: 0,
        kept_loss: f64::MAX,
        seconds: 0.0,
    };

    /// Checks what serde cannot; the file may have been edited.
    fn check(&self) -> Result<()> {
        ensure!(
            self.kept_epoch <= self.epoch,
            "kept_epoch: {} is after epoch {}",
            self.kept_epoch,
            self.epoch
        );
        ensure!(
            (0.0..1e12).contains(&self.seconds),
            "seconds: {} is no time that a training takes",
            self.seconds
        );
        Ok(())
    }

    /// The state after `epoch` ended with this held-out loss.
    pub(super) fn after(self, epoch: u32, held_out_loss: f64, seconds: f64) -> Self {
        let (kept_epoch, kept_loss) = if held_out_loss < self.kept_loss {
            (epoch, held_out_loss)
        } else {
            (self.kept_epoch, self.kept_loss)
        };
        Self {
            epoch,
            kept_epoch,
            kept_loss,
            seconds,
        }
    }
}

/// What an epoch was like: a line of `metrics.jsonl`. Losses are the run's own, of images in `0..=1`.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Metrics {
    pub epoch: u32,
    pub loss: f64,
    pub held_out_loss: f64,
    /// At the epoch's end.
    pub learning_rate: f64,
    /// Since the training's start.
    pub seconds: f64,
    pub images_per_second: f64,
    /// The share of the epoch's time in which the training thread waited for a batch.
    pub waiting: f64,
}

/// A run folder on disk.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    config: RunConfig,
    state: State,
}

impl RunFolder {
    /// Whether there is a run at `path`.
    pub(crate) fn exists(path: &Path) -> bool {
        path.join(CONFIG).exists()
    }

    /// Errors where there is a run at `path` already.
    pub(super) fn check_free(path: &Path) -> Result<()> {
        ensure!(
            !Self::exists(path),
            "{}: holds a run already; go on with it by --resume, or choose another --out",
            path.display()
        );
        Ok(())
    }

    /// Makes a new run folder.
    pub(super) fn create(path: &Path, config: RunConfig) -> Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("{}: cannot make the run folder", path.display()))?;
        let mut run = Self {
            path: path.to_owned(),
            config: config.clone(),
            state: State::START,
        };
        run.set_config(config)?;
        Ok(run)
    }

    /// Opens the run folder at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(CONFIG);
        let text = fs::read_to_string(&file).with_context(|| {
            format!(
                "{}: cannot read it; give a folder that `residua train --out` made",
                file.display()
            )
        })?;
        let config: RunConfig = toml::from_str(&text).map_err(|error| {
            let message = error.message().replace('\n', " ");
            anyhow::anyhow!("{}: {message}; restore it or train again", file.display())
        })?;
        config
            .check()
            .with_context(|| format!("{}: restore it or train again", file.display()))?;
        let file = path.join(STATE);
        let state = match fs::read(&file) {
            Ok(bytes) => state(&bytes)
                .with_context(|| format!("{}: restore it or train again", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // Drawn only once the state of an epoch is written.
                ensure!(
                    !path.join(CURVE).exists(),
                    "{}: missing, though epochs were trained; restore it or train again",
                    file.display()
                );
                State::START
            }
            Err(error) => bail!("{}: {error}", file.display()),
        };
        Ok(Self {
            path: path.to_owned(),
            config,
            state,
        })
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is trained on what.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// What its network is called in manifests.
    pub fn preset(&self) -> String {
        let preset = self.config.preset.to_possible_value();
        let preset = preset.map_or_else(String::new, |preset| preset.get_name().to_owned());
        match self.config.skips() {
            Skips::All => preset,
            Skips::Coarse => preset + ", coarse skips",
        }
    }

    /// What manifests say of its training on the data set with this digest.
    pub fn training(&self, digest: Digest) -> Result<Training> {
        let data = &self.config.data;
        let layout = data.layout.to_possible_value().context("layout")?;
        Ok(Training {
            layout: layout.get_name().try_into().ok().context("layout")?,
            data: digest,
            split_seed: data.split_seed,
            seed: self.config.training.seed,
            epochs: self.state.epoch,
            kept_epoch: self.state.kept_epoch,
        })
    }

    /// How far it came.
    pub fn state(&self) -> State {
        self.state
    }

    /// The network with the weights that were best on held-out good images.
    ///
    /// Errors where no epoch was completed, or the weights are damaged.
    pub fn best(&self, device: &Device) -> Result<Autoencoder> {
        ensure!(
            self.state.kept_epoch > 0,
            "{}: no epoch of this training was completed; train it with --resume",
            self.path.display()
        );
        let file = self.files().best(self.state.kept_epoch);
        Autoencoder::load(&self.config.network, &file, device)
            .with_context(|| format!("{}: restore it or train again", file.display()))
    }

    /// The images that it was trained on, for images of `size` or else the training's own.
    ///
    /// Errors where they have changed or are gone, and where they have not that size: only rsdds
    /// images are cut.
    pub fn dataset(&self, size: Option<Size>) -> Result<Dataset> {
        let config = &self.config.data;
        let patch = match config.layout {
            Layout::Rsdds => size.or(config.patch),
            _ => None,
        };
        let dataset = data::open(&config.folder, Some(config.layout), patch).with_context(|| {
            format!(
                "the images of {} (where they have moved, tell it by: residua train --resume --out \
                 {} --data FOLDER)",
                self.path.display(),
                self.path.display()
            )
        })?;
        ensure!(
            config.is_dealt_as(&dataset),
            "{}: the images are not those that {} was trained on (file names or lengths differ); \
             restore them or train again",
            config.folder.display(),
            self.path.display()
        );
        if let Some(size) = size {
            ensure!(
                size == dataset.size,
                "{}: the images are {}, not {size}, and only rsdds images are cut; leave --size \
                 out",
                config.folder.display(),
                dataset.size
            );
        }
        Ok(dataset)
    }

    /// The log of all epochs so far.
    pub fn metrics(&self) -> Result<Vec<Metrics>> {
        let file = self.path.join(METRICS);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => bail!("{}: {error}", file.display()),
        };
        // A line without its end was being written when the training was killed.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut metrics = Vec::new();
        for line in complete.lines() {
            let line: Metrics = serde_json::from_str(line)
                .with_context(|| format!("{}: remove the damaged line", file.display()))?;
            // Of an epoch whose state was not written any more, and which is trained again.
            if line.epoch <= self.state.epoch {
                metrics.push(line);
            }
        }
        Ok(metrics)
    }

    pub(super) fn set_config(&mut self, config: RunConfig) -> Result<()> {
        let text = toml::to_string(&config).context("the run's configuration")?;
        save::replace(&self.path.join(CONFIG), text.as_bytes())?;
        self.config = config;
        Ok(())
    }

    /// Network and optimizer as the last epoch left them; `None` before the first.
    pub(super) fn restore(&self, device: &Device) -> Result<Option<(Autoencoder, Adam)>> {
        if self.state.epoch == 0 {
            return Ok(None);
        }
        self.files()
            .restore(&self.config.network, self.state.epoch, device)
            .map(Some)
    }

    /// Writes an epoch's result; only once all of it is on disk does the state name it.
    pub(super) fn commit(
        &mut self,
        net: &Autoencoder,
        adam: &Adam,
        state: State,
        metrics: &Metrics,
    ) -> Result<()> {
        let mut log = self.metrics()?;
        log.push(*metrics);
        let mut text = Vec::new();
        for line in &log {
            serde_json::to_writer(&mut text, line).context(METRICS)?;
            writeln!(text)?;
        }
        self.files().write(net, adam, state)?;
        save::replace(&self.path.join(METRICS), &text)?;
        save::replace(&self.path.join(STATE), &serde_json::to_vec_pretty(&state)?)?;
        self.state = state;
        self.tidy()
    }

    /// Leaves the files that the state names, and the curve of its epochs. A training that was
    /// killed may not have come to it.
    pub(super) fn tidy(&self) -> Result<()> {
        if self.state.epoch == 0 {
            return Ok(());
        }
        self.files().remove_all_but(self.state)?;
        let curve = curve::draw(&self.metrics()?, &self.config.training.loss)?;
        save::replace(&self.path.join(CURVE), curve.as_bytes())
    }

    fn files(&self) -> Files<'_> {
        Files::new(&self.path)
    }
}

fn state(json: &[u8]) -> Result<State> {
    let state: State = serde_json::from_slice(json)?;
    state.check()?;
    Ok(state)
}
