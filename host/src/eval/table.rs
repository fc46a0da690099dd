//! All figures as rows: the same for the terminal and the report.

use super::figures::{Figures, GreyThreshold};

/// A figure, the threshold it was taken at, and the images it rests on.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Given on the first row of each level.
    pub level: Option<&'static str>,
    pub name: &'static str,
    /// Three digits, or a dash where the images cannot give it.
    pub value: String,
    pub threshold: String,
    pub images: String,
}

/// A map value in grey levels, to about three digits.
pub fn grey(value: f64) -> String {
    let digits = match value {
        v if v < 1.0 => 3,
        v if v < 10.0 => 2,
        _ => 1,
    };
    format!("{value:.digits$}")
}

/// The rows, level by level.
pub fn rows(figures: &Figures) -> Vec<Row> {
    let (images, rule) = (figures.images, figures.threshold);
    let all = format!("{} good, {} defect", images.good, images.defect);
    let masked = format!(
        "{} good, {} defect with a mask",
        images.good, images.defect_with_mask
    );
    let every = "every one".to_owned();
    let decided = format!("calibrated, {} grey levels", grey(rule.image.grey));
    let outlined = format!("{decided}, outlined above {}", grey(rule.pixel.grey));
    let best = |threshold: Option<GreyThreshold>| {
        threshold.map_or_else(
            || "none".into(),
            |t| format!("best, {} grey levels", grey(t.grey)),
        )
    };
    let (image, region, pixel) = (figures.image, figures.region, figures.pixel);
    // No pixel threshold alone is better than the rule.
    let best_outline = if pixel.f1_best == pixel.f1 {
        outlined.clone()
    } else {
        best(pixel.threshold_best)
    };
    let level = |level, images: &str, rows: &[(&'static str, Option<f64>, &str)]| {
        let rows = rows.iter().enumerate();
        rows.map(|(index, &(name, value, threshold))| Row {
            level: (index == 0).then_some(level),
            name,
            value: value.map_or_else(|| "–".into(), |value| format!("{value:.3}")),
            threshold: threshold.to_owned(),
            images: images.to_owned(),
        })
        .collect::<Vec<_>>()
    };
    [
        level(
            "Image",
            &all,
            &[
                ("AUROC", image.auroc, &every),
                ("F1", image.f1, &decided),
                ("precision", image.precision, &decided),
                ("recall", image.recall, &decided),
                ("best F1", image.f1_best, &best(image.threshold_best)),
            ],
        ),
        level(
            "Region",
            &masked,
            &[
                ("F1", region.f1, &outlined),
                ("precision", region.precision, &outlined),
                ("recall", region.recall, &outlined),
            ],
        ),
        level(
            "Pixel",
            &masked,
            &[
                ("AUROC", pixel.auroc, &every),
                ("average precision", pixel.ap, &every),
                ("AUPRO to 30 %", pixel.aupro, &every),
                ("F1", pixel.f1, &outlined),
                ("IoU", pixel.iou, &outlined),
                ("best F1", pixel.f1_best, &best_outline),
            ],
        ),
    ]
    .concat()
}
