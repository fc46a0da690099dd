//! The ablation: each choice of training and decision alone against a baseline, on any labelled
//! folders, over several seeds.
//!
//! A cell is one data set, one seed and one [`Variant`]. Cells whose training is the same share it:
//! it is trained once, its images are reconstructed once, and only what comes after differs. Every
//! finished cell is a line of [`CELLS`] in the state folder, so that a killed bench goes on; what
//! was made with other options is left aside.

mod cell;
mod comparison;
mod table;
mod variants;

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use indicatif::HumanDuration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use cell::{LightFigures, Measured, ScoreFigures, Trained};
pub use comparison::Rival;
pub use table::{Row, Style, Summary, rows, tables};
pub use variants::{BASELINE, Choices, VARIANTS, Variant};

use crate::{
    calibrate, console,
    data::{self, Dataset, Layout},
    train::{self, Objective, run::RunFolder},
};

/// The file of finished cells in the state folder, a JSON object a line.
pub const CELLS: &str = "cells.jsonl";

/// What to compare on what.
#[derive(Clone, Debug)]
pub struct Bench {
    pub data: Vec<PathBuf>,
    /// Each sets the split and the training.
    pub seeds: Vec<u64>,
    /// The state folder: finished cells and trained runs.
    pub out: PathBuf,
    /// Names of the variants; all where empty. The baseline is always there.
    pub only: Vec<String>,
    /// Whether baseline and choices of light and augmentation are measured under other light too.
    pub light: bool,
    /// What every variant changes one choice of. Data, place and seeds do not matter.
    pub baseline: Choices,
}

/// A finished cell.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cell {
    pub data: String,
    pub seed: u64,
    pub variant: String,
    /// SHA-256, in hex, of everything that the figures depend on.
    pub key: String,
    pub measured: Measured,
}

/// What a bench came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub cells: Vec<Cell>,
    /// Cells that could not be made; the reasons were said.
    pub failed: usize,
}

/// A cell that may have to be made.
struct Planned {
    data: String,
    seed: u64,
    variant: &'static str,
    choices: Choices,
    key: String,
    /// As `key`, of the training alone.
    training: String,
    /// Measured under other light too.
    light: bool,
}

impl Bench {
    /// Makes the cells that are not there yet and returns all that were asked for: by data set,
    /// seed and variant, without the variants that are what the baseline is already.
    ///
    /// A training that fails (it may diverge, or not fit 8 bits) is reported and takes only its own
    /// cells with it. Errors where a variant is unknown or a data set cannot be used.
    pub fn run(&self) -> Result<Outcome> {
        let planned = self.plan()?;
        let mut done = self.finished()?;
        let others = done.iter().filter(|cell| {
            let same = |plan: &&Planned| {
                (&*plan.data, plan.seed, plan.variant) == (&cell.data, cell.seed, &cell.variant)
            };
            planned
                .iter()
                .find(same)
                .is_some_and(|plan| plan.key != cell.key)
        });
        let others = others.count();
        if others > 0 {
            console::note(format_args!(
                "{}: {others} finished cells were made with other options or images; they are \
                 left aside",
                self.out.join(CELLS).display()
            ));
        }
        let mut open: Vec<Vec<&Planned>> = Vec::new();
        for plan in planned
            .iter()
            .filter(|plan| self.find(&done, plan).is_none())
        {
            match open
                .iter_mut()
                .find(|group| group[0].training == plan.training)
            {
                Some(group) => group.push(plan),
                None => open.push(vec![plan]),
            }
        }
        let (start, count) = (Instant::now(), open.len());
        let mut failed = 0;
        for (index, group) in open.iter().enumerate() {
            let left = match index {
                0 => String::new(),
                _ => {
                    let each = start.elapsed() / index as u32;
                    format!(", {} left", HumanDuration(each * (count - index) as u32))
                }
            };
            let names: Vec<_> = group.iter().map(|plan| plan.variant).collect();
            console::note(format_args!(
                "training {} of {count}{left}: {}, seed {}, for: {}",
                index + 1,
                group[0].data,
                group[0].seed,
                names.join(", ")
            ));
            let before = done.len();
            if let Err(error) = self.group(group, &mut done) {
                failed += group.len() - (done.len() - before);
                console::note(format_args!("warning: {}", console::one_line(&error)));
            }
        }
        let cells = planned.iter().filter_map(|plan| {
            let found = self.find(&done, plan)?;
            Some(Cell {
                data: plan.data.clone(),
                seed: plan.seed,
                variant: plan.variant.into(),
                ..found.clone()
            })
        });
        Ok(Outcome {
            cells: cells.collect(),
            failed,
        })
    }

    fn plan(&self) -> Result<Vec<Planned>> {
        for name in &self.only {
            ensure!(
                VARIANTS.iter().any(|variant| variant.name == name),
                "--only: `{name}` is no variant; choose from: {}",
                VARIANTS
                    .iter()
                    .map(|v| v.name)
                    .collect::<Vec<_>>()
                    .join("; ")
            );
        }
        for (index, seed) in self.seeds.iter().enumerate() {
            ensure!(
                !self.seeds[..index].contains(seed),
                "--seeds: {seed} is given twice; give each seed once"
            );
        }
        let (mut planned, mut cut) = (Vec::new(), false);
        for data in &self.data {
            let layout = data::detect(data)?;
            cut |= layout == Layout::Rsdds;
            let patch = self
                .baseline
                .train
                .patch
                .filter(|_| layout == Layout::Rsdds);
            let dataset = data::open(data, Some(layout), patch)?;
            for &seed in &self.seeds {
                planned.extend(self.plan_seed(data, &dataset, patch, seed)?);
            }
        }
        ensure!(
            cut || self.baseline.train.patch.is_none(),
            "--patch: only the rsdds layout is cut into patches, and no folder has it; leave it out"
        );
        Ok(planned)
    }

    fn plan_seed(
        &self,
        data: &std::path::Path,
        dataset: &Dataset,
        patch: Option<residua_shared::frame::Size>,
        seed: u64,
    ) -> Result<Vec<Planned>> {
        ensure!(
            !dataset.split(seed)?.test.is_empty(),
            "{}: the folder has no test images; add some (mvtec: test/good and test/KIND)",
            data.display()
        );
        let mut planned: Vec<Planned> = Vec::new();
        for variant in VARIANTS {
            let wanted = self.only.is_empty() || self.only.iter().any(|n| n == variant.name);
            if !wanted && variant.name != BASELINE {
                continue;
            }
            let mut choices = self.baseline.clone();
            choices.train.data = data.to_owned();
            choices.train.layout = Some(dataset.layout);
            choices.train.patch = patch;
            choices.train.seed = Some(seed);
            choices.train.split_seed = Some(seed);
            (variant.change)(&mut choices);
            choices.calibrate.check()?;
            // Nothing else blemishes crops.
            let config = choices.train.new_config(dataset);
            if choices.train.blemished.is_some() && config.training.objective != Objective::Repair {
                ensure!(
                    self.only.is_empty(),
                    "--only: `{}` is of --objective repair alone; leave one of them out",
                    variant.name
                );
                continue;
            }
            let training = training_key(&choices.train, dataset)?;
            let key = match choices.rival {
                None => digest(&format!("{training} {:?}", choices.calibrate)),
                Some(rival) => digest(&format!("{training} {:?} {rival:?}", choices.calibrate)),
            };
            choices.train.out = self.run_folder(data, seed, &training);
            // What changes nothing is the baseline, which comes first.
            if planned.first().is_none_or(|baseline| baseline.key != key) {
                planned.push(Planned {
                    data: data.display().to_string(),
                    seed,
                    variant: variant.name,
                    choices,
                    key,
                    training,
                    light: self.light && (variant.name == BASELINE || variant.is_of_light()),
                });
            }
        }
        Ok(planned)
    }

    fn run_folder(&self, data: &std::path::Path, seed: u64, training: &str) -> PathBuf {
        let name = data.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{name}-seed{seed}-{}", &training[..12]);
        self.out.join("runs").join(name)
    }

    /// Makes the cells of one training.
    fn group(&self, group: &[&Planned], done: &mut Vec<Cell>) -> Result<()> {
        let run = trained(&group[0].choices.train)?;
        let mut trained = Trained::new(&run)?;
        for plan in group {
            let measured = trained.measure(&plan.choices, plan.light);
            let cell = Cell {
                data: plan.data.clone(),
                seed: plan.seed,
                variant: plan.variant.into(),
                key: plan.key.clone(),
                measured: measured.with_context(|| plan.variant.to_owned())?,
            };
            self.append(&cell)?;
            done.push(cell);
        }
        Ok(())
    }

    fn find<'c>(&self, done: &'c [Cell], plan: &Planned) -> Option<&'c Cell> {
        let mut same = done.iter().filter(|cell| cell.key == plan.key);
        same.find(|cell| !plan.light || !cell.measured.lights.is_empty())
    }

    /// The cells in the state folder. A last line that was cut off is dropped: its cell is made
    /// again.
    fn finished(&self) -> Result<Vec<Cell>> {
        let file = self.out.join(CELLS);
        if !file.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{}: cannot be read", file.display()))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        if whole.len() < text.len() {
            crate::save::replace(&file, whole.as_bytes())?;
        }
        let cells = whole.lines().enumerate().map(|(index, line)| {
            serde_json::from_str(line).with_context(|| {
                format!(
                    "{}: line {} is damaged; remove it, and its cell is made again",
                    file.display(),
                    index + 1
                )
            })
        });
        cells.collect()
    }

    fn append(&self, cell: &Cell) -> Result<()> {
        let file = self.out.join(CELLS);
        let line = serde_json::to_string(cell)? + "\n";
        let write = || {
            fs::create_dir_all(&self.out)?;
            let mut out = OpenOptions::new().create(true).append(true).open(&file)?;
            out.write_all(line.as_bytes())?;
            out.sync_data()
        };
        write().with_context(|| {
            format!(
                "{}: cannot be written; make room or check the rights, then run the bench again",
                file.display()
            )
        })
    }
}

/// Trains, goes on training, or finds the training done.
fn trained(options: &train::Options) -> Result<RunFolder> {
    let mut options = options.clone();
    if RunFolder::exists(&options.out) {
        let run = RunFolder::open(&options.out)?;
        let left = options.minutes.map(|m| m - run.state().seconds / 60.0);
        if run.state().epoch > 0 && left.is_some_and(|left| left <= 0.0) {
            return Ok(run);
        }
        options.minutes = left;
        options.resume = true;
    }
    train::train(&options)
}

/// What a training's result depends on: its configuration with the defaults filled in, the images,
/// and how long it may take. Where the images lie does not matter.
fn training_key(options: &train::Options, dataset: &Dataset) -> Result<String> {
    let mut config = options.new_config(dataset);
    config.data.folder = PathBuf::new();
    let mut fields = BTreeMap::new();
    fields.insert("config", serde_json::to_value(&config)?);
    fields.insert("minutes", serde_json::to_value(options.minutes)?);
    Ok(digest(&serde_json::to_string(&fields)?))
}

fn digest(text: &str) -> String {
    let bytes: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    residua_shared::manifest::Digest(bytes).to_string()
}

/// The choices that a bench has where nothing else is asked for.
pub fn default_baseline() -> Choices {
    Choices {
        train: train::Options::new(PathBuf::new(), PathBuf::new()),
        calibrate: calibrate::Options::default(),
        rival: None,
    }
}
