use std::path::PathBuf;

use anyhow::{Result, ensure};
use candle_core::Device;
use clap::ValueEnum;
use serde::Serialize;

use crate::{
    console,
    data::Layout,
    eval::{self, Choice, Figures},
    model::{EngineKind, Inspector, Model, all_threads},
    report, save,
    train::run::RunFolder,
};

/// Measures a model on labelled images.
#[derive(clap::Args)]
pub struct Args {
    /// The model: a folder with model.onnx and manifest.json, or the .onnx file alone.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The folder of labelled images.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// How the folder is laid out [default: what it looks like].
    #[arg(long)]
    layout: Option<Layout>,
    /// What runs the network; all give the same figures.
    #[arg(long, value_enum, default_value = "native")]
    engine: EngineKind,
    /// Reconstruct by the float weights of this run instead, to see what quantization costs.
    #[arg(long, value_name = "RUN", conflicts_with = "engine")]
    float: Option<PathBuf>,
    /// Which images: the test part, all, or as fits (auto: the test part of the folder that the
    /// model was trained on, all of any other).
    #[arg(long, value_enum, default_value = "auto")]
    split: Choice,
    /// Write the figures, curves and worst cases to this file, as one HTML page.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Write the facts of the model and its figures to this file, as a model card in Markdown.
    #[arg(long, value_name = "FILE.md")]
    card: Option<PathBuf>,
    /// Print one JSON object. Thresholds are objects of exact map steps (raw) and grey levels
    /// (grey); null is what the images cannot give.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Record<'a> {
    model: &'a str,
    part: &'a str,
    engine: &'a str,
    #[serde(flatten)]
    figures: &'a Figures,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let model = Model::open(&self.model)?;
        let manifest = model.manifest();
        let dataset = eval::open(&self.data, self.layout, manifest)?;
        let part = eval::part(&dataset, manifest, self.split)?;
        console::note(format_args!(
            "{} images. {}",
            part.samples.len(),
            part.meaning
        ));
        let (mut inspector, engine) = self.inspector(&model)?;
        let evaluation = eval::measure(&mut inspector, manifest.rule, &part.samples)?;
        let mut report = report::Report {
            manifest,
            model: &self.model.to_string_lossy(),
            data: &self.data.to_string_lossy(),
            part: part.meaning,
            engine: &engine,
            evaluation: &evaluation,
            groups: &[],
        };
        if let Some(file) = &self.card {
            save::replace(file, report::card(&report).as_bytes())?;
            console::note(format_args!("the model card is in {}", file.display()));
        }
        let groups;
        if let Some(file) = &self.report {
            groups = report::draw(&evaluation, &part.samples, &mut inspector)?;
            report.groups = &groups;
            save::replace(file, report::page(&report).as_bytes())?;
            console::note(format_args!("the report is in {}", file.display()));
        }
        let text = if self.json {
            serde_json::to_string(&Record {
                model: &manifest.name,
                part: part.name,
                engine: &engine,
                figures: &evaluation.figures,
            })?
        } else {
            eval::text(&evaluation.figures, &engine)
        };
        console::print(&text)
    }

    /// What inspects, and its engine's name.
    fn inspector<'m>(&self, model: &'m Model) -> Result<(Inspector<'m>, String)> {
        let Some(run) = &self.float else {
            let inspector = model.inspector(self.engine, all_threads())?;
            return Ok((inspector, engine_name(self.engine)));
        };
        let run = RunFolder::open(run)?;
        let manifest = model.manifest();
        let data = manifest.training.data;
        let its_data = data == run.config().data.digest
            || run.dataset(None).is_ok_and(|now| now.digest() == data);
        ensure!(
            its_data
                && manifest.training == run.training(data)?
                && *manifest.preset == *run.preset(),
            "--float: {} is not the run that the model was exported from, or was trained on since; \
             give that run, or export it again",
            run.path().display()
        );
        let net = run.best(&Device::Cpu)?;
        Ok((model.float_inspector(net)?, "float".into()))
    }
}

/// The engine's name on the command line.
fn engine_name(engine: EngineKind) -> String {
    let name = engine.to_possible_value();
    name.map_or_else(String::new, |value| value.get_name().to_owned())
}
