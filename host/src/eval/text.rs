//! The figures for the terminal.

use std::fmt::Write;

use super::{
    figures::{Figures, GreyPlateau, KindRegions, Nearby},
    table::{Row, grey, rows},
};

/// A table of all figures, one of the defects by kind where there are several, then what they mean
/// for the line.
pub fn text(figures: &Figures, engine: &str) -> String {
    let mut lines = table(&rows(figures));
    lines.extend(kinds(&figures.regions_by_kind));
    let (images, image) = (figures.images, figures.image);
    lines.push(String::new());
    lines.push(format!(
        "Defective parts caught: {} of {}. Good parts stopped by mistake: {} of {}.",
        images.defect - image.missed,
        images.defect,
        image.false_alarms,
        images.good
    ));
    if images.overflowed > 0 {
        lines.push(format!(
            "{} images had more regions than the tables hold; each was called defect.",
            images.overflowed
        ));
    }
    for (level, plateau) in [
        ("Image", figures.plateau.image),
        ("Pixel", figures.plateau.pixel),
    ] {
        lines.extend(plateau.map(|plateau| sensitivity(level, plateau)));
    }
    lines.extend(nearby(figures.nearby));
    lines.extend(figures.ms_per_image.map(|time| {
        format!("{time:.1} ms an image (median, engine {engine}, reading the file not counted).")
    }));
    lines.join("\n")
}

fn table(rows: &[Row]) -> Vec<String> {
    let widest = |of: fn(&Row) -> &str| {
        let widths = rows.iter().map(|row| of(row).chars().count());
        widths.max().unwrap_or(0)
    };
    let (name, threshold) = (widest(|row| row.name), widest(|row| &row.threshold));
    let line = |level: &str, figure: &str, value: &str, at: &str, on: &str| {
        let mut line = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            "{level:<8}{figure:<name$}  {value:>6}  {at:<threshold$}  {on}"
        );
        line
    };
    let header = line("", "", "", "at threshold", "on images");
    let body = rows.iter().map(|row| {
        let level = row.level.unwrap_or_default();
        line(level, row.name, &row.value, &row.threshold, &row.images)
    });
    std::iter::once(header).chain(body).collect()
}

/// Nothing where there is one kind only: the rows on regions say it all.
fn kinds(kinds: &[KindRegions]) -> Vec<String> {
    if kinds.len() < 2 {
        return Vec::new();
    }
    let names = kinds.iter().map(|kind| kind.kind.chars().count());
    let width = names.max().unwrap_or(0).max("Kind".len());
    let line = |kind: &str, numbers: [&str; 5]| {
        let [images, met, defects, found, recall] = numbers;
        format!("{kind:<width$}  {images:>6}  {met:>6}  {defects:>7}  {found:>5}  {recall:>6}")
    };
    let header = line("Kind", ["images", "met in", "defects", "found", "recall"]);
    let body = kinds.iter().map(|kind| {
        let [images, met, defects, found] =
            [kind.images, kind.images_met, kind.defects, kind.found].map(|n| n.to_string());
        let recall = format!("{:.3}", kind.recall);
        line(&kind.kind, [&images, &met, &defects, &found, &recall])
    });
    [String::new(), header].into_iter().chain(body).collect()
}

/// Of interest where there is an F1 at all.
fn nearby(nearby: Nearby) -> Option<String> {
    let (lower, higher) = (nearby.f1_20_percent_lower?, nearby.f1_20_percent_higher?);
    Some(format!(
        "Image F1 with the calibrated threshold 20 % lower: {lower:.3}; 20 % higher: {higher:.3}."
    ))
}

fn sensitivity(level: &str, plateau: GreyPlateau) -> String {
    format!(
        "{level} F1 stays within 0.02 of its best at thresholds from {} to {} grey levels (± {:.0} %); \
         the calibrated one lies {}.",
        grey(plateau.low.grey),
        grey(plateau.high.grey),
        100.0 * plateau.relative,
        if plateau.holds_calibrated {
            "inside"
        } else {
            "outside"
        }
    )
}
