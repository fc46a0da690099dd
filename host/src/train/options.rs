//! What a training is asked to do, and what of it a resumed run may change.

use std::{
    fmt::Display,
    path::{self, Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::Device;
use clap::ValueEnum;
use residua_shared::frame::Size;
use serde::{Deserialize, Serialize};

use super::augmentation::{Augmentation, Flip};
use super::loss::Loss;
use super::run::{DataConfig, RunConfig, RunFolder, TrainingConfig};
use crate::{
    data::{self, Dataset, Layout},
    net::{
        config::{Preset, Skips},
        ops::Precision,
    },
};

/// Where to train.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum DeviceChoice {
    /// CUDA where this build and machine have it, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda,
}

impl DeviceChoice {
    /// The device; errors where CUDA is asked for and missing.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Auto if candle_core::utils::cuda_is_available() => {
                Ok(Device::new_cuda(0).unwrap_or(Device::Cpu))
            }
            Self::Auto | Self::Cpu => Ok(Device::Cpu),
            Self::Cuda if !candle_core::utils::cuda_is_available() => bail!(
                "--device cuda: this program was built without CUDA; build it with \
                 `--features cuda` where a CUDA toolkit is, or use --device cpu"
            ),
            Self::Cuda => Device::new_cuda(0).map_err(|error| {
                let error = error.to_string();
                // A backtrace may follow.
                let reason = error.lines().next().unwrap_or_default();
                anyhow!(
                    "--device cuda: no CUDA device answers ({reason}); check the driver with \
                     nvidia-smi, or use --device cpu"
                )
            }),
        }
    }
}

/// What the network learns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Give the image back, as published.
    Mse,
    /// Give the clean image back for one with synthetic blemishes: learns not to copy defects.
    Repair,
}

/// How the learning rate changes over the training.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Not at all, as published.
    Constant,
    /// Up over the first 30 %, then down to nothing (Smith and Topin 2019).
    OneCycle,
    /// Down to nothing along half a cosine wave.
    Cosine,
}

/// What to train, on what, where to. What is `None` takes its default in a new run and its stored
/// value in a resumed one.
#[derive(Clone, Debug)]
pub struct Options {
    pub data: PathBuf,
    pub out: PathBuf,
    pub resume: bool,
    pub layout: Option<Layout>,
    pub patch: Option<Size>,
    pub split_seed: Option<u64>,
    pub preset: Option<Preset>,
    pub skips: Option<Skips>,
    pub objective: Option<Objective>,
    pub loss: Option<Loss>,
    pub gain: Option<f64>,
    pub offset: Option<f64>,
    pub gradient: Option<f64>,
    pub flip: Option<Flip>,
    pub blemished: Option<f64>,
    pub epochs: Option<u32>,
    pub minutes: Option<f64>,
    pub patience: Option<u32>,
    pub batch: Option<usize>,
    pub crop: Option<usize>,
    pub learning_rate: Option<f64>,
    pub schedule: Option<Schedule>,
    pub seed: Option<u64>,
    pub device: DeviceChoice,
    pub precision: Precision,
}

impl Options {
    /// A new training on `data` into `out`, everything at its default.
    pub fn new(data: PathBuf, out: PathBuf) -> Self {
        Self {
            data,
            out,
            resume: false,
            layout: None,
            patch: None,
            split_seed: None,
            preset: None,
            skips: None,
            objective: None,
            loss: None,
            gain: None,
            offset: None,
            gradient: None,
            flip: None,
            blemished: None,
            epochs: None,
            minutes: None,
            patience: None,
            batch: None,
            crop: None,
            learning_rate: None,
            schedule: None,
            seed: None,
            device: DeviceChoice::Auto,
            precision: Precision::F32,
        }
    }

    /// The time after which no new epoch begins.
    pub(super) fn budget(&self) -> Option<Duration> {
        self.minutes
            .map(|minutes| Duration::from_secs_f64(minutes * 60.0))
    }

    /// The device to train on, set to the precision asked for; errors where it is missing or has
    /// not that precision.
    pub(super) fn open_device(&self) -> Result<Device> {
        let device = self.device.open()?;
        self.precision.set(&device).context("--precision")?;
        Ok(device)
    }

    pub(super) fn dataset(&self) -> Result<Dataset> {
        if !self.resume {
            return data::open(&self.data, self.layout, self.patch);
        }
        let stored = RunFolder::open(&self.out)?.config().data.clone();
        data::open(&self.data, Some(stored.layout), stored.patch)
    }

    /// What is trained on what: by these options in a new run, else as before but for what they may
    /// change. Errors where they contradict the run, or where a new run has no place.
    pub(super) fn config(&self, dataset: &Dataset) -> Result<RunConfig> {
        if self.resume {
            return self.resumed_config(dataset);
        }
        RunFolder::check_free(&self.out)?;
        let config = self.new_config(dataset);
        ensure!(
            config.training.objective == Objective::Repair || self.blemished.is_none(),
            "--blemished: --objective mse blemishes no crop; leave the option out, or train with \
             --objective repair"
        );
        Ok(config)
    }

    /// The run folder: a new one, or with `resume` the one that is there.
    pub(super) fn open_run(&self, config: RunConfig) -> Result<RunFolder> {
        if !self.resume {
            return RunFolder::create(&self.out, config);
        }
        let mut run = RunFolder::open(&self.out)?;
        run.set_config(config)?;
        run.tidy()?;
        Ok(run)
    }

    /// The published settings for the published networks; for the others those that let a small
    /// network find defects best.
    pub(crate) fn new_config(&self, dataset: &Dataset) -> RunConfig {
        let preset = self.preset.unwrap_or(Preset::Edge);
        let (skips, objective, learning_rate, schedule) = match preset {
            Preset::Paper | Preset::PaperLeaky => {
                (Skips::All, Objective::Mse, 1e-3, Schedule::Constant)
            }
            _ => (Skips::Coarse, Objective::Repair, 3e-3, Schedule::OneCycle),
        };
        let objective = self.objective.unwrap_or(objective);
        RunConfig {
            preset,
            data: DataConfig {
                folder: absolute(&self.data),
                layout: dataset.layout,
                patch: self.patch,
                split_seed: self.split_seed.unwrap_or(0),
                digest: dataset.digest(),
                pool_digest: Some(dataset.pool_digest()),
            },
            training: TrainingConfig {
                objective,
                loss: self.loss.clone().unwrap_or_default(),
                epochs: self.epochs.unwrap_or(50),
                patience: self.patience,
                batch: self.batch.unwrap_or(8),
                crop: self.crop.unwrap_or(128),
                learning_rate: self.learning_rate.unwrap_or(learning_rate),
                schedule: self.schedule.unwrap_or(schedule),
                seed: self.seed.unwrap_or(0),
                augmentation: Some(self.augmentation(Augmentation::of(objective))),
            },
            network: preset.with(self.skips.unwrap_or(skips)),
        }
    }

    fn augmentation(&self, default: Augmentation) -> Augmentation {
        Augmentation {
            gain: self.gain.unwrap_or(default.gain),
            offset: self.offset.unwrap_or(default.offset),
            gradient: self.gradient.unwrap_or(default.gradient),
            flip: self.flip.unwrap_or(default.flip),
            blemished: self.blemished.unwrap_or(default.blemished),
        }
    }

    fn resumed_config(&self, dataset: &Dataset) -> Result<RunConfig> {
        let mut config = RunFolder::open(&self.out)?.config().clone();
        same("skips", self.skips.map(name), name(config.skips()))?;
        let RunConfig {
            preset,
            data,
            training,
            ..
        } = &mut config;
        ensure!(
            data.is_dealt_as(dataset),
            "{}: not the images that {} was trained on (file names or lengths differ); give the \
             same folder, or train a new run",
            self.data.display(),
            self.out.display()
        );
        same("preset", self.preset.map(name), name(*preset))?;
        same("layout", self.layout.map(name), name(data.layout))?;
        same("patch", self.patch, dataset.size)?;
        same("split-seed", self.split_seed, data.split_seed)?;
        let objective = name(training.objective);
        same("objective", self.objective.map(name), objective)?;
        same("loss", self.loss.as_ref(), &training.loss)?;
        let augmentation = training.augmentation();
        same("gain", self.gain, augmentation.gain)?;
        same("offset", self.offset, augmentation.offset)?;
        same("gradient", self.gradient, augmentation.gradient)?;
        same("flip", self.flip.map(name), name(augmentation.flip))?;
        same("blemished", self.blemished, augmentation.blemished)?;
        same("batch", self.batch, training.batch)?;
        same("crop", self.crop, training.crop)?;
        same("schedule", self.schedule.map(name), name(training.schedule))?;
        same("seed", self.seed, training.seed)?;
        // The images may have moved; calibrating looks for them where they are now.
        data.folder = absolute(&self.data);
        training.epochs = self.epochs.unwrap_or(training.epochs);
        training.patience = self.patience.or(training.patience);
        training.learning_rate = self.learning_rate.unwrap_or(training.learning_rate);
        Ok(config)
    }
}

/// The path as it is from wherever the run is used later.
fn absolute(path: &Path) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Errors where an option contradicts the run that it should go on with.
fn same<T: PartialEq + Display>(option: &str, given: Option<T>, stored: T) -> Result<()> {
    match given {
        Some(given) if given != stored => bail!(
            "--{option}: {given} is given, but the run to resume has {stored}; leave the option \
             out, or train a new run"
        ),
        _ => Ok(()),
    }
}

/// What a value is called on the command line.
fn name<T: ValueEnum>(value: T) -> String {
    let name = value.to_possible_value();
    name.map_or_else(String::new, |value| value.get_name().to_owned())
}
