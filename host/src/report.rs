//! An evaluation as one self-contained HTML page (no script, no file beside it, nothing fetched), and
//! as a model card in Markdown.

mod card;
mod cases;
mod chart;
mod curves;
mod figures;
mod picture;
mod provenance;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use residua_shared::manifest::Manifest;

pub use card::card;
pub use cases::{Case, Group, choose, draw};

use crate::eval::Evaluation;

/// What the page tells of.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    pub manifest: &'a Manifest,
    /// Where the model lies, as the user named it.
    pub model: &'a str,
    /// Where the images lie, as the user named it.
    pub data: &'a str,
    /// Which of them were measured, and why: a sentence.
    pub part: &'a str,
    /// The engine that ran the network.
    pub engine: &'a str,
    pub evaluation: &'a Evaluation,
    /// The pictures, in the order of the page.
    pub groups: &'a [Group<Case>],
}

/// The page.
pub fn page(report: &Report) -> String {
    let title = format!("{}: how well it finds defects", report.manifest.name);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("report/style.css"))) }
            }
            body {
                main {
                    (header(report))
                    (figures::headline(&report.evaluation.figures))
                    (figures::meaning(&report.evaluation.figures))
                    (curves::section(report.evaluation))
                    (cases::section(report.groups, report.evaluation))
                    (figures::table(&report.evaluation.figures))
                    (figures::kinds(&report.evaluation.figures.kinds))
                    (figures::regions_by_kind(&report.evaluation.figures.regions_by_kind))
                    (provenance::section(report))
                }
            }
        }
    }
    .into_string()
}

fn header(report: &Report) -> Markup {
    let images = report.evaluation.figures.images;
    html! {
        header {
            p.brand { "residua report" }
            h1 { (report.manifest.name) }
            p.lead {
                "Measured on " strong { (images.good + images.defect) " images" } " ("
                (images.good) " good, " (images.defect) " defect) of "
                span.path { (report.data) } ". " (report.part)
            }
        }
    }
}
