//! Which model this is, and how it was made.

use maud::{Markup, html};

use super::Report;
use crate::{
    calibrate::short,
    eval::{GreyThreshold, grey},
};

/// What is said of a model, and its name.
pub(super) type Fact = (&'static str, String);

/// All facts of the model.
pub(super) fn facts(report: &Report) -> [Fact; 15] {
    let manifest = report.manifest;
    let (rule, calibration, training) = (manifest.rule, &manifest.calibration, &manifest.training);
    let threshold = |t| {
        let t = GreyThreshold::from(t);
        format!("{} grey levels ({} map steps)", grey(t.grey), t.raw)
    };
    let box_size = rule.scale().box_size();
    let ground = rule.scale().ground();
    let contrast = ground.map(|ground| format!(" as a contrast on a ground of {ground}"));
    let roughness = rule.scale().roughness();
    let weighed = roughness.map(|roughness| format!(", weighed by a roughness of {roughness}"));
    let columns = rule.columns().map(|_| ", by zones of columns");
    let guard = (calibration.guard > 0.0)
        .then(|| format!(", raised by {} %", short(100.0 * calibration.guard)));
    [
        ("Model", format!("{} at {}", manifest.name, report.model)),
        ("Network", format!("preset {}", manifest.preset)),
        ("Digest (SHA-256)", manifest.digest.to_string()),
        (
            "Images",
            format!("{}, graph {}", manifest.input, manifest.graph),
        ),
        ("Engine", engine(report)),
        (
            "Anomaly map",
            format!(
                "{} residual{}{}, {box_size}x{box_size} box{}, {} fraction bits",
                format!("{:?}", rule.comparison()).to_lowercase(),
                contrast.unwrap_or_default(),
                columns.unwrap_or_default(),
                weighed.unwrap_or_default(),
                rule.scale().fraction_bits()
            ),
        ),
        ("Image threshold", threshold(rule.image_threshold())),
        ("Pixel threshold", threshold(rule.pixel_threshold())),
        ("Smallest region", format!("{} pixels", rule.min_area())),
        (
            "Calibration",
            format!(
                "{} held-out good images, {}{}; {} of good pixels may be suspect",
                calibration.images,
                calibration.method,
                guard.unwrap_or_default(),
                calibration.pixel_rate
            ),
        ),
        (
            "False alarms",
            format!(
                "asked for: {} of good images; sure from the sample alone (95 %): below {:.2} %",
                calibration.false_alarm_rate,
                100.0 * calibration.false_alarm_bound
            ),
        ),
        (
            "Quantization",
            format!(
                "{}, scales from {} good images",
                manifest.quantization.method, manifest.quantization.images
            ),
        ),
        (
            "Training",
            format!(
                "{} epochs, kept epoch {}, seed {}",
                training.epochs, training.kept_epoch, training.seed
            ),
        ),
        (
            "Training data",
            format!(
                "{} layout, split seed {}",
                training.layout, training.split_seed
            ),
        ),
        ("Data digest (SHA-256)", training.data.to_string()),
    ]
}

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section {
            h2 { "The model" }
            table.facts {
                tbody {
                    @for (name, value) in facts(report) {
                        tr { th scope="row" { (name) } td { (value) } }
                    }
                }
            }
        }
    }
}

fn engine(report: &Report) -> String {
    match report.evaluation.figures.ms_per_image {
        Some(time) => format!(
            "{}, {time:.1} ms an image (median, reading the file not counted)",
            report.engine
        ),
        None => report.engine.to_owned(),
    }
}
