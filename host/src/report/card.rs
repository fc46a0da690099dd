//! A model card (Mitchell et al., "Model Cards for Model Reporting", 2019): what the model is, what it
//! was measured to do, and what it is known to miss.

use std::fmt::Write;

use super::{
    Report,
    provenance::{Fact, facts},
};
use crate::eval::{Figures, KindFigures, rows};

/// The card, in Markdown. Times are left out: they belong to a machine, not to a model.
pub fn card(report: &Report) -> String {
    let figures = &report.evaluation.figures;
    let mut text = format!("# {}\n", report.manifest.name);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\nFinds defects in grey images of {} pixels after learning from images of good parts alone.\n",
        report.manifest.input
    );
    let of_the_model = facts(report)
        .into_iter()
        .filter(|(name, _)| !matches!(*name, "Model" | "Engine"));
    let lines = of_the_model.map(|(name, value): Fact| [name.to_owned(), value]);
    section(&mut text, "The model", ["", ""], lines);
    let lines = rows(figures).into_iter().map(|row| {
        let level = row.level.unwrap_or_default().to_owned();
        [level, row.name.into(), row.value, row.threshold, row.images]
    });
    section(
        &mut text,
        "Figures",
        ["", "", "", "at threshold", "on images"],
        lines,
    );
    let _ = writeln!(text, "\nMeasured on {}. {}", report.data, report.part);
    text.push_str(&sensitivity(figures));
    let lines = figures.kinds.iter().map(|kind| {
        let auroc = kind
            .auroc
            .map_or_else(|| "–".into(), |auroc| format!("{auroc:.3}"));
        [
            kind.kind.clone(),
            format!("{} of {}", kind.found, kind.images),
            auroc,
        ]
    });
    section(
        &mut text,
        "Kinds of defects",
        ["kind", "caught", "image AUROC"],
        lines,
    );
    text.push_str("\n## Known failures\n\n");
    for failure in failures(figures) {
        let _ = writeln!(text, "- {failure}");
    }
    text
}

fn section<const COLUMNS: usize>(
    text: &mut String,
    title: &str,
    header: [&str; COLUMNS],
    lines: impl Iterator<Item = [String; COLUMNS]>,
) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n## {title}\n\n| {} |", header.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(COLUMNS));
    for line in lines {
        // A bar in a user's name of a kind would end its cell.
        let line = line.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", line.join(" | "));
    }
}

fn sensitivity(figures: &Figures) -> String {
    let nearby = figures.nearby;
    match (
        figures.image.f1,
        nearby.f1_20_percent_lower,
        nearby.f1_20_percent_higher,
    ) {
        (Some(f1), Some(lower), Some(higher)) => format!(
            "\nImage F1 is {f1:.3} at the calibrated threshold, {lower:.3} with it 20 % lower and \
             {higher:.3} with it 20 % higher.\n"
        ),
        _ => String::new(),
    }
}

/// What these images show the model to get wrong, worst kinds first, and what no image here can
/// show.
fn failures(figures: &Figures) -> Vec<String> {
    let mut missed: Vec<&KindFigures> = figures
        .kinds
        .iter()
        .filter(|kind| kind.found < kind.images)
        .collect();
    missed.sort_by(|a, b| (a.found * b.images).cmp(&(b.found * a.images)));
    let missed = missed.into_iter().map(|kind| {
        format!(
            "{}: {} of {} parts are called good.",
            kind.kind,
            kind.images - kind.found,
            kind.images
        )
    });
    let (images, image, region) = (figures.images, figures.image, figures.region);
    let stopped = (image.false_alarms > 0).then(|| {
        format!(
            "{} of {} good parts are called defect.",
            image.false_alarms, images.good
        )
    });
    let not_met = (region.found < region.defects).then(|| {
        format!(
            "{} of {} defects are met by no marked region, also in parts that are caught.",
            region.defects - region.found,
            region.defects
        )
    });
    let other = "It knows the surface, light, focus and scale of the images it learned from. On any \
                 other it must be trained or at least calibrated anew.";
    missed
        .chain(stopped)
        .chain(not_met)
        .chain([other.to_owned()])
        .collect()
}
