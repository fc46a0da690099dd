use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::print;
use crate::{
    data::Layout,
    eval::{self, Choice, Figures},
    model::{EngineKind, Model},
    report, save,
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
    /// Which images: the test part, all, or as fits (auto: the test part of the folder that the
    /// model was trained on, all of any other).
    #[arg(long, value_enum, default_value = "auto")]
    split: Choice,
    /// Write the figures, curves and worst cases to this file, as one HTML page.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
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
        eprintln!("{} images. {}", part.samples.len(), part.meaning);
        let mut inspector = model.inspector(self.engine)?;
        let evaluation = eval::measure(&mut inspector, manifest.rule, &part.samples)?;
        let engine = engine_name(self.engine);
        if let Some(file) = &self.report {
            let groups = report::draw(&evaluation, &part.samples, &mut inspector)?;
            let page = report::page(&report::Report {
                manifest,
                model: &self.model.to_string_lossy(),
                data: &self.data.to_string_lossy(),
                part: part.meaning,
                engine: &engine,
                evaluation: &evaluation,
                groups: &groups,
            });
            save::replace(file, page.as_bytes())?;
            eprintln!("the report is in {}", file.display());
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
        print(&text)
    }
}

/// The engine's name on the command line.
fn engine_name(engine: EngineKind) -> String {
    let name = engine.to_possible_value();
    name.map_or_else(String::new, |value| value.get_name().to_owned())
}
