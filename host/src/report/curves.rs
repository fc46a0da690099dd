//! The charts: scores, F1 over the threshold, ROC and precision-recall.

use maud::{Markup, html};
use residua_shared::rule::Threshold;

use super::chart::{Axis, Chart};
use crate::eval::{Evaluation, GreyPlateau, GreyThreshold, Point, Scores, grey};

/// Points of an F1 curve.
const SAMPLES: usize = 400;
/// Curves leave out points nearer than this.
const STEP: f64 = 0.002;
/// Bars of the histogram.
const BARS: usize = 36;

pub(super) fn section(evaluation: &Evaluation) -> Markup {
    let axis = score_axis(evaluation);
    html! {
        section {
            h2 { "Curves" }
            div.charts {
                (histogram(evaluation, axis))
                (image_f1(evaluation, axis))
                (roc(evaluation))
                (precision_recall(evaluation))
                (pixel_f1(evaluation))
                (overlaps(evaluation))
            }
        }
    }
}

/// Covers all image scores and the calibrated threshold.
fn score_axis(evaluation: &Evaluation) -> Axis {
    let scale = evaluation.rule.scale();
    let scores = evaluation.images.iter().map(|image| image.score);
    let raws = scores.chain([evaluation.rule.image_threshold().raw]);
    let positive = raws.filter(|raw| *raw > 0);
    let (low, high) = positive.fold((u32::MAX, 1), |(low, high), raw| {
        (low.min(raw), high.max(raw))
    });
    let grey = |raw| GreyThreshold::new(raw, scale).grey;
    Axis::around(grey(low.min(high)), grey(high))
}

fn histogram(evaluation: &Evaluation, axis: Axis) -> Markup {
    let scale = evaluation.rule.scale();
    let counts = |sorted: &[u32]| {
        let mut counts = [0_usize; BARS];
        for raw in sorted {
            let share = axis.share(GreyThreshold::new(*raw, scale).grey);
            counts[((share * BARS as f64) as usize).min(BARS - 1)] += 1;
        }
        counts
    };
    let good = counts(evaluation.image_scores.negatives());
    let defect = counts(evaluation.image_scores.positives());
    let tallest = good.iter().chain(&defect).copied().max().unwrap_or(0);
    let mut chart = Chart::new(axis, Axis::counts(tallest.max(1) as f64 * 1.05));
    for (class, counts) in [("good", good), ("defect", defect)] {
        for (index, count) in counts.into_iter().enumerate().filter(|(_, n)| *n > 0) {
            let edge = |i: usize| axis.value(i as f64 / BARS as f64);
            chart = chart.bar(edge(index), edge(index + 1), count as f64, class);
        }
    }
    let threshold = GreyThreshold::from(evaluation.rule.image_threshold());
    let drawing = chart.mark(threshold.grey, "calibrated").render(
        "Scores of good and defect images",
        "score of the image, grey levels",
        "images",
    );
    html! {
        figure {
            h3 { "Scores of the images" }
            (drawing)
            figcaption {
                (key("swatch good", "good")) (key("swatch defect", "defect"))
                (key("rule calibrated", &format!("calibrated threshold, {}", grey(threshold.grey))))
                p { "Right of the threshold a part is called defect. The emptier the space around it, the safer." }
            }
        }
    }
}

fn image_f1(evaluation: &Evaluation, axis: Axis) -> Markup {
    let chart = F1Chart {
        scores: &evaluation.image_scores,
        calibrated: evaluation.rule.image_threshold(),
        plateau: evaluation.figures.plateau.image,
        axis,
    };
    chart.figure(
        "Image F1 over the threshold",
        "image threshold, grey levels",
        "How well parts are told apart, if the threshold were elsewhere.",
        "No defective parts were given, so there is no F1.",
    )
}

fn pixel_f1(evaluation: &Evaluation) -> Markup {
    let scale = evaluation.rule.scale();
    let scores = &evaluation.pixel_scores;
    let highest = [scores.positives(), scores.negatives()].map(|s| s.last().copied());
    let highest = highest.into_iter().flatten().max().unwrap_or(1).max(1);
    let calibrated = evaluation.rule.pixel_threshold();
    // A hundredth of the highest value is far inside the noise, where F1 no longer changes.
    let low = (highest / 100).clamp(1, calibrated.raw.max(1));
    let grey = |raw| GreyThreshold::new(raw, scale).grey;
    let chart = F1Chart {
        scores,
        calibrated,
        plateau: evaluation.figures.plateau.pixel,
        axis: Axis::around(grey(low), grey(highest.max(calibrated.raw))),
    };
    chart.figure(
        "Pixel F1 over the threshold",
        "pixel threshold, grey levels",
        "How well the outline is drawn by one threshold on every pixel. The device's own outlines \
         differ from this at the same threshold: it drops the regions that do not count.",
        "No defect masks were given, so there is no pixel F1.",
    )
}

/// How many defect images have which overlap.
fn overlaps(evaluation: &Evaluation) -> Markup {
    const TENTHS: usize = 10;
    let title = "Overlap of the outlines";
    let mut counts = [0_usize; TENTHS];
    for iou in evaluation.images.iter().filter_map(|image| image.iou) {
        counts[((iou * TENTHS as f64) as usize).min(TENTHS - 1)] += 1;
    }
    let tallest = counts.into_iter().max().unwrap_or(0);
    if tallest == 0 {
        let missing = "No defect masks were given, so there is no overlap.";
        return html! { figure { h3 { (title) } p.missing { (missing) } } };
    }
    let mut chart = Chart::new(Axis::UNIT, Axis::counts(tallest as f64 * 1.05));
    for (tenth, count) in counts.into_iter().enumerate().filter(|(_, n)| *n > 0) {
        let edge = |i: usize| i as f64 / TENTHS as f64;
        chart = chart.bar(edge(tenth), edge(tenth + 1), count as f64, "defect");
    }
    let drawing = chart.render(title, "overlap (IoU) with the true defect", "defect images");
    html! {
        figure {
            h3 { (title) }
            (drawing)
            figcaption {
                p {
                    "Pixels both marked and truly defect, of all that are either, image by image at the "
                    "calibrated thresholds. 0: missed, or marked elsewhere. 1: drawn exactly."
                }
            }
        }
    }
}

struct F1Chart<'a> {
    scores: &'a Scores,
    calibrated: Threshold,
    plateau: Option<GreyPlateau>,
    axis: Axis,
}

impl F1Chart<'_> {
    fn figure(&self, title: &str, x_name: &str, meaning: &str, missing: &str) -> Markup {
        if self.scores.positives().is_empty() {
            return html! { figure { h3 { (title) } p.missing { (missing) } } };
        }
        let mut chart = Chart::new(self.axis, Axis::UNIT);
        if let Some(plateau) = self.plateau {
            chart = chart.band(plateau.low.grey, plateau.high.grey, "plateau");
        }
        let calibrated = GreyThreshold::from(self.calibrated).grey;
        let drawing = chart
            .line(self.points(), "ink")
            .mark(calibrated, "calibrated")
            .render(title, x_name, "F1");
        html! {
            figure {
                h3 { (title) }
                (drawing)
                figcaption {
                    (key("rule calibrated", &format!("calibrated, {}", grey(calibrated))))
                    @if let Some(plateau) = self.plateau {
                        (key("swatch plateau", &format!(
                            "within 0.02 of the best: {} to {}",
                            grey(plateau.low.grey),
                            grey(plateau.high.grey),
                        )))
                    }
                    p { (meaning) }
                }
            }
        }
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let steps = f64::from(self.calibrated.scale.steps_per_grey());
        (0..=SAMPLES).filter_map(move |i| {
            let grey = self.axis.value(i as f64 / SAMPLES as f64);
            Some((grey, self.scores.f1_at((grey * steps) as u32)?))
        })
    }
}

fn roc(evaluation: &Evaluation) -> Markup {
    let figures = &evaluation.figures;
    two_levels(
        "ROC",
        ["false-positive rate", "true-positive rate"],
        [&evaluation.image_scores, &evaluation.pixel_scores].map(|scores| scores.roc(STEP)),
        ("area", [figures.image.auroc, figures.pixel.auroc]),
        Some([(0.0, 0.0), (1.0, 1.0)]),
        "How many defects are found at the price of how many false alarms; the upper left corner \
         is perfect, the grey line is guessing.",
    )
}

fn precision_recall(evaluation: &Evaluation) -> Markup {
    let scores = [&evaluation.image_scores, &evaluation.pixel_scores];
    two_levels(
        "Precision and recall",
        ["recall", "precision"],
        scores.map(|scores| scores.precision_recall(STEP)),
        (
            "average precision",
            scores.map(|scores| scores.average_precision()),
        ),
        None,
        "Of what is called defect, how much is (precision), against how much of all defects is \
         found (recall); the upper right corner is perfect.",
    )
}

fn two_levels(
    title: &str,
    [x_name, y_name]: [&str; 2],
    [image, pixel]: [Vec<Point>; 2],
    (area_name, [image_area, pixel_area]): (&str, [Option<f64>; 2]),
    guess: Option<[(f64, f64); 2]>,
    meaning: &str,
) -> Markup {
    if image.is_empty() && pixel.is_empty() {
        return html! {
            figure { h3 { (title) } p.missing { "This needs both good and defective parts." } }
        };
    }
    let points = |curve: Vec<Point>| curve.into_iter().map(|point| (point.x, point.y));
    let area = |level: &str, area: Option<f64>| match area {
        Some(area) => format!("{level}, {area_name} {area:.3}"),
        None => format!("{level}, unknown"),
    };
    let drawing = Chart::new(Axis::UNIT, Axis::UNIT)
        .line(guess.into_iter().flatten(), "guess")
        .line(points(pixel), "pixel")
        .line(points(image), "image")
        .render(title, x_name, y_name);
    html! {
        figure {
            h3 { (title) }
            (drawing)
            figcaption {
                (key("rule image", &area("images", image_area)))
                (key("rule pixel", &area("pixels", pixel_area)))
                p { (meaning) }
            }
        }
    }
}

fn key(class: &str, name: &str) -> Markup {
    html! { span.key { i class=(class) {} (name) } }
}
