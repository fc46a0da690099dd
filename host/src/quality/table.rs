//! Cells to tables: mean and spread over seeds.

use serde::Serialize;

use super::{BASELINE, Cell, Measured, VARIANTS};

/// Mean and sample standard deviation over seeds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Summary {
    pub mean: f64,
    /// 0 of one seed.
    pub deviation: f64,
}

impl Summary {
    /// Of the values that are there; `None` where none is.
    pub fn of(values: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let values: Vec<f64> = values.flatten().collect();
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
        Some(Self { mean, deviation })
    }

    fn text(this: Option<Self>, seeds: usize) -> String {
        match this {
            None => "–".into(),
            Some(s) if seeds < 2 => format!("{:.3}", s.mean),
            Some(s) => format!("{:.3} ± {:.3}", s.mean, s.deviation),
        }
    }
}

/// One variant on one data set.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row<'c> {
    pub data: &'c str,
    pub what: &'static str,
    pub variant: &'c str,
    pub seeds: usize,
    pub image_auroc: Option<Summary>,
    pub image_f1: Option<Summary>,
    pub image_f1_best: Option<Summary>,
    pub region_f1: Option<Summary>,
    pub pixel_f1: Option<Summary>,
    pub pixel_f1_best: Option<Summary>,
    /// Good parts called defect, of all good ones, over all seeds; caught likewise.
    pub stopped: (usize, usize),
    pub caught: (usize, usize),
    /// Image F1 and good parts stopped under the light that is worst for either, where measured.
    pub worst_light_f1: Option<Summary>,
    pub worst_light_stopped: Option<(usize, usize)>,
}

/// How tables are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    Text,
    Markdown,
}

/// The rows, by data set and variant in the order of the cells.
pub fn rows(cells: &[Cell]) -> Vec<Row<'_>> {
    let mut groups: Vec<Vec<&Cell>> = Vec::new();
    for cell in cells {
        let same = |group: &&mut Vec<&Cell>| {
            group[0].data == cell.data && group[0].variant == cell.variant
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups.iter().map(|group| row(group)).collect()
}

fn row<'c>(group: &[&'c Cell]) -> Row<'c> {
    let summary =
        |of: fn(&Measured) -> Option<f64>| Summary::of(group.iter().map(|cell| of(&cell.measured)));
    let total = |of: fn(&Measured) -> usize| group.iter().map(|c| of(&c.measured)).sum::<usize>();
    let lit = group.iter().all(|cell| !cell.measured.lights.is_empty());
    let worst_stopped = |m: &Measured| m.lights.iter().map(|l| l.stopped).max().unwrap_or(0);
    let variant = VARIANTS.iter().find(|v| v.name == group[0].variant);
    Row {
        data: &group[0].data,
        what: variant.map_or("", |variant| variant.what),
        variant: &group[0].variant,
        seeds: group.len(),
        image_auroc: summary(|m| m.image_auroc),
        image_f1: summary(|m| m.image_f1),
        image_f1_best: summary(|m| m.image_f1_best),
        region_f1: summary(|m| m.region_f1),
        pixel_f1: summary(|m| m.pixel_f1),
        pixel_f1_best: summary(|m| m.pixel_f1_best),
        stopped: (total(|m| m.stopped), total(|m| m.good)),
        caught: (total(|m| m.caught), total(|m| m.defect)),
        worst_light_f1: summary(|m| m.lights.iter().filter_map(|l| l.f1).reduce(f64::min)),
        worst_light_stopped: lit.then(|| (total(worst_stopped), total(|m| m.good))),
    }
}

/// For each data set the variants, then for the baseline the image scores and, where measured, the
/// verdicts under other light.
pub fn tables(cells: &[Cell], style: Style) -> String {
    let rows = rows(cells);
    let mut datasets: Vec<&str> = rows.iter().map(|row| row.data).collect();
    datasets.dedup();
    let mut parts = Vec::new();
    for data in datasets {
        let own: Vec<_> = rows.iter().filter(|row| row.data == data).collect();
        let baseline: Vec<&Cell> = cells
            .iter()
            .filter(|cell| cell.data == data && cell.variant == BASELINE)
            .collect();
        let heading = format!("{data}: mean ± standard deviation over seeds");
        parts.push(part(style, &heading, &variants(&own)));
        parts.push(part(
            style,
            &format!("{data}: image scores, baseline"),
            &scores(&baseline),
        ));
        if own.iter().any(|row| row.worst_light_stopped.is_some()) {
            let heading = format!("{data}: other light, baseline, thresholds as calibrated");
            parts.push(part(style, &heading, &lights(&baseline)));
        }
    }
    parts.join("\n\n")
}

fn variants(rows: &[&Row]) -> Vec<Vec<String>> {
    let lit = rows.iter().any(|row| row.worst_light_stopped.is_some());
    let mut header = vec![
        "choice",
        "",
        "seeds",
        "image AUROC",
        "image F1",
        "best",
        "region F1",
        "pixel F1",
        "best",
        "good stopped",
        "defects caught",
    ];
    if lit {
        header.extend(["worst light: F1", "good stopped"]);
    }
    let mut lines = vec![header.into_iter().map(String::from).collect()];
    for row in rows {
        let summary = |value| Summary::text(value, row.seeds);
        let mut line = vec![
            row.what.to_owned(),
            row.variant.to_owned(),
            row.seeds.to_string(),
            summary(row.image_auroc),
            summary(row.image_f1),
            summary(row.image_f1_best),
            summary(row.region_f1),
            summary(row.pixel_f1),
            summary(row.pixel_f1_best),
            share(row.stopped),
            share(row.caught),
        ];
        if lit {
            line.push(summary(row.worst_light_f1));
            line.push(row.worst_light_stopped.map_or("–".into(), share));
        }
        lines.push(line);
    }
    lines
}

fn scores(cells: &[&Cell]) -> Vec<Vec<String>> {
    let header = ["score", "AUROC", "F1", "best"];
    let mut lines = vec![header.map(String::from).to_vec()];
    let names = cells.first().map_or(&[][..], |cell| &cell.measured.scores);
    for (index, first) in names.iter().enumerate() {
        let of = |take: fn(&super::ScoreFigures) -> Option<f64>| {
            let values = cells
                .iter()
                .map(|cell| cell.measured.scores.get(index).and_then(take));
            Summary::text(Summary::of(values), cells.len())
        };
        lines.push(vec![
            first.name.clone(),
            of(|s| s.auroc),
            of(|s| s.f1),
            of(|s| s.f1_best),
        ]);
    }
    lines
}

fn lights(cells: &[&Cell]) -> Vec<Vec<String>> {
    let header = ["light", "image F1", "good stopped", "defects caught"];
    let mut lines = vec![header.map(String::from).to_vec()];
    let names = cells.first().map_or(&[][..], |cell| &cell.measured.lights);
    for (index, first) in names.iter().enumerate() {
        let all = || {
            cells
                .iter()
                .filter_map(|c| Some((c.measured.lights.get(index)?, &c.measured)))
        };
        let (mut stopped, mut caught) = ((0, 0), (0, 0));
        for (light, measured) in all() {
            stopped = (stopped.0 + light.stopped, stopped.1 + measured.good);
            caught = (caught.0 + light.caught, caught.1 + measured.defect);
        }
        let f1 = Summary::of(all().map(|(light, _)| light.f1));
        lines.push(vec![
            first.light.clone(),
            Summary::text(f1, cells.len()),
            share(stopped),
            share(caught),
        ]);
    }
    lines
}

fn share((part, all): (usize, usize)) -> String {
    format!("{part} of {all}")
}

fn part(style: Style, heading: &str, lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let join = |line: &Vec<String>, between: &str| {
        let cells = line.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join(between)
    };
    let mut text = vec![heading.to_owned(), String::new()];
    for (index, line) in lines.iter().enumerate() {
        match style {
            Style::Text => text.push(join(line, "  ").trim_end().to_owned()),
            Style::Markdown => {
                text.push(format!("| {} |", join(line, " | ")));
                if index == 0 {
                    let rules = widths.iter().map(|width| "-".repeat((*width).max(3)));
                    text.push(format!("| {} |", rules.collect::<Vec<_>>().join(" | ")));
                }
            }
        }
    }
    text.join("\n")
}
