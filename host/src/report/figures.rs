//! Figures in words, cards and tables.

use maud::{Markup, html};

use crate::eval::{Figures, GreyPlateau, GreyThreshold, KindFigures, KindRegions, grey, rows};

/// A share or F1 to three digits, or a dash where the images cannot give it.
fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.3}"))
}

fn percent(share: f64) -> String {
    format!("{:.1}\u{a0}%", 100.0 * share)
}

fn threshold(threshold: Option<GreyThreshold>) -> String {
    threshold.map_or_else(|| "–".into(), |t| format!("{} grey levels", grey(t.grey)))
}

/// The four figures that decide whether the model can be used.
pub(super) fn headline(figures: &Figures) -> Markup {
    let (images, image, region) = (figures.images, figures.image, figures.region);
    let of = |part: usize, whole: usize| match whole {
        0 => html! { "–" },
        _ => html! { (part) span.of { " of " (whole) } },
    };
    html! {
        section.cards {
            (card(
                "Defective parts caught",
                of(images.defect - image.missed, images.defect),
                match image.recall {
                    Some(recall) => format!("{} of the defective parts were called defect.", percent(recall)),
                    None => "No defective parts were given, so this is unknown.".into(),
                },
            ))
            (card(
                "Good parts stopped by mistake",
                of(image.false_alarms, images.good),
                false_alarms(figures),
            ))
            (card(
                "Defects met by a marked region",
                of(region.found, region.defects),
                match region.recall {
                    Some(_) => format!(
                        "Of {} regions marked, {} lie on a true defect.",
                        region.predicted, region.right
                    ),
                    None => "No defect masks were given, so this is unknown.".into(),
                },
            ))
            (card(
                "Overlap of the outlines",
                html! { (figures.pixel.iou.map_or_else(|| "–".into(), percent)) },
                match figures.pixel.f1 {
                    Some(f1) => format!(
                        "Shared share of marked and true defect pixels (IoU). Pixel F1 {f1:.3}."
                    ),
                    None => "No defect masks were given, so this is unknown.".into(),
                },
            ))
        }
    }
}

fn false_alarms(figures: &Figures) -> String {
    match figures.images.good {
        0 => "No good parts were given, so this is unknown.".into(),
        _ if figures.image.false_alarms == 0 => {
            "None of the good parts would leave the line for nothing.".into()
        }
        good => format!(
            "{} of the good parts would leave the line for nothing.",
            percent(figures.image.false_alarms as f64 / good as f64)
        ),
    }
}

fn card(title: &str, value: Markup, meaning: String) -> Markup {
    html! {
        div.card {
            h2 { (title) }
            p.value { (value) }
            p { (meaning) }
        }
    }
}

/// What the thresholds do, and how far they may be off.
pub(super) fn meaning(figures: &Figures) -> Markup {
    let (rule, image) = (figures.threshold, figures.image);
    html! {
        section {
            h2 { "The threshold" }
            p {
                "A part is called defect when, in a region of at least " (rule.min_area)
                " pixels, it differs from its reconstruction by more than "
                strong { (grey(rule.image.grey)) " grey levels" }
                " (of 255, averaged over the filter box). The region is drawn as far as the "
                "difference exceeds " strong { (grey(rule.pixel.grey)) " grey levels" }
                ". Both were set from held-out good images alone, before any image here was seen."
            }
            @if let (Some(f1), Some(best)) = (image.f1, image.f1_best) {
                p {
                    "F1 joins both kinds of error into one figure: 1 is perfect, 0 is useless. "
                    "At the calibrated threshold it is " strong { (format!("{f1:.3}")) }
                    "; the best threshold for exactly these images (" (threshold(image.threshold_best))
                    ") would give " strong { (format!("{best:.3}")) } ". "
                    @if let Some(plateau) = figures.plateau.image { (sensitivity(plateau)) }
                }
            } @else {
                p { "Without defective parts there is no F1, and nothing to compare the threshold with." }
            }
        }
    }
}

fn sensitivity(plateau: GreyPlateau) -> Markup {
    html! {
        "F1 stays within 0.02 of that best anywhere from " (grey(plateau.low.grey)) " to "
        (grey(plateau.high.grey)) " grey levels: "
        strong { "the threshold may be off by ± " (format!("{:.0}\u{a0}%", 100.0 * plateau.relative)) }
        @if plateau.holds_calibrated {
            ", and the calibrated one lies inside."
        } @else {
            ", but the calibrated one lies outside."
        }
    }
}

/// Every figure with its threshold and the images that it rests on.
pub(super) fn table(figures: &Figures) -> Markup {
    html! {
        section {
            h2 { "All figures" }
            div.scroll {
                table {
                    thead { tr { th { "Level" } th { "Figure" } th.number { "Value" } th { "At threshold" } th { "On images" } } }
                    tbody {
                        @for row in rows(figures) {
                            tr.first[row.level.is_some()] {
                                th scope="row" { (row.level.unwrap_or_default()) }
                                td { (row.name) }
                                td.number { (row.value) }
                                td { (row.threshold) }
                                td { (row.images) }
                            }
                        }
                    }
                }
            }
            p.note {
                "Image: good or bad? Region: is each true defect met by a marked region, and each marked "
                "region on a true defect? Pixel: how well is the outline drawn? AUROC is the chance "
                "that a defect scores above a good part (0.5 is guessing). AUPRO is the share of each "
                "defect's pixels found, averaged over all false-positive rates up to 30\u{a0}%. Parts of "
                "a true mask with fewer than five pixels between them are one defect."
            }
            @if figures.images.overflowed > 0 {
                p.note {
                    (figures.images.overflowed) " images had more regions than a device's tables hold; "
                    "each was called defect."
                }
            }
        }
    }
}

/// One row a kind of defect; nothing where there is one kind only.
pub(super) fn kinds(kinds: &[KindFigures]) -> Markup {
    if kinds.len() < 2 {
        return html! {};
    }
    html! {
        section {
            h2 { "By kind of defect" }
            div.scroll {
                table {
                    thead { tr { th { "Kind" } th.number { "Caught" } th.number { "Images" } th.number { "Image AUROC" } } }
                    tbody {
                        @for kind in kinds {
                            tr.first {
                                th scope="row" { (kind.kind) }
                                td.number { (kind.found) }
                                td.number { (kind.images) }
                                td.number { (figure(kind.auroc)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One row a kind of defect, wherever it is; nothing where there is one kind only.
pub(super) fn regions_by_kind(kinds: &[KindRegions]) -> Markup {
    if kinds.len() < 2 {
        return html! {};
    }
    html! {
        section {
            h2 { "Defects met, by kind" }
            div.scroll {
                table {
                    thead { tr {
                        th { "Kind" } th.number { "Images" } th.number { "Met in" }
                        th.number { "Defects" } th.number { "Found" } th.number { "Recall" }
                    } }
                    tbody {
                        @for kind in kinds {
                            tr.first {
                                th scope="row" { (kind.kind) }
                                td.number { (kind.images) }
                                td.number { (kind.images_met) }
                                td.number { (kind.defects) }
                                td.number { (kind.found) }
                                td.number { (figure(Some(kind.recall))) }
                            }
                        }
                    }
                }
            }
            p.note {
                "A defect is a connected part of a kind's mask (gaps of fewer than five pixels do not "
                "part it), found when a marked region meets it. "
                "An image with several kinds counts for each of them."
            }
        }
    }
}
