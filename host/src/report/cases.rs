//! The worst and the median cases, as pictures.

use anyhow::{Context, Result};
use image::RgbImage;
use maud::{Markup, html};
use residua_shared::verdict::Outcome;

use super::picture;
use crate::{
    data::{self, Grey, Label, Sample},
    eval::{Evaluation, GreyThreshold, ScoredImage, grey},
    inspect::overlay,
    model::Inspector,
};

/// Worst cases shown of each class.
const WORST: usize = 3;

/// Width of a picture on a wide page, in pixels.
const PLACE: usize = 340;

/// Cases of one sort.
#[derive(Clone, PartialEq, Debug)]
pub struct Group<T> {
    pub title: &'static str,
    pub meaning: &'static str,
    pub cases: Vec<T>,
}

/// One image's pictures, ready for the page.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its index in [`Evaluation::images`].
    index: usize,
    image: String,
    overlay: String,
    truth: Option<String>,
    /// Narrower than its place on the page: enlarged pixel by pixel rather than blurred.
    small: bool,
}

impl Case {
    /// From the image, its overlay (heat map and found regions), and its ground-truth mask of the
    /// same size where one is known.
    pub fn new(
        index: usize,
        image: &Grey,
        overlay: &RgbImage,
        truth: Option<&Grey>,
    ) -> Result<Self> {
        let contoured = truth.map(|truth| picture::contoured(image, truth));
        Ok(Self {
            index,
            small: image.size.width() < PLACE,
            image: picture::data_uri(&picture::plain(image))?,
            overlay: picture::data_uri(overlay)?,
            truth: contoured.as_ref().map(picture::data_uri).transpose()?,
        })
    }
}

/// Which images to show, by index in [`Evaluation::images`]: the defects with the lowest scores, the
/// good images with the highest, and the median of each. No image twice, no empty group.
pub fn choose(evaluation: &Evaluation) -> Vec<Group<usize>> {
    let ascending = |defect: bool| {
        let images = &evaluation.images;
        let mut chosen: Vec<usize> = (0..images.len())
            .filter(|index| images[*index].is_defect() == defect)
            .collect();
        chosen.sort_by_key(|index| images[*index].score);
        chosen
    };
    let (defects, mut goods) = (ascending(true), ascending(false));
    goods.reverse();
    let [(hard, defect), (near, good)] = [defects, goods].map(worst_and_median);
    let groups = [
        Group {
            title: "Defects hardest to see",
            meaning: "The defective parts with the lowest scores.",
            cases: hard,
        },
        Group {
            title: "A typical defect",
            meaning: "The defective part with the median score.",
            cases: defect,
        },
        Group {
            title: "Good parts nearest to an alarm",
            meaning: "The good parts with the highest scores.",
            cases: near,
        },
        Group {
            title: "A typical good part",
            meaning: "The good part with the median score.",
            cases: good,
        },
    ];
    groups.into_iter().filter(|g| !g.cases.is_empty()).collect()
}

/// Inspects the chosen images once more and draws them. `samples` are those that were measured, in
/// their order.
pub fn draw(
    evaluation: &Evaluation,
    samples: &[Sample],
    inspector: &mut Inspector,
) -> Result<Vec<Group<Case>>> {
    let mut case = |index: usize| {
        let sample = &samples[index];
        let image = data::load(sample)?;
        let inspected = inspector
            .inspect(&image)
            .with_context(|| sample.name.clone())?;
        let overlay = overlay(&image, &inspected, &evaluation.rule);
        Case::new(index, &image, &overlay, data::load_mask(sample)?.as_ref())
    };
    choose(evaluation)
        .into_iter()
        .map(|group| {
            Ok(Group {
                title: group.title,
                meaning: group.meaning,
                cases: group
                    .cases
                    .into_iter()
                    .map(&mut case)
                    .collect::<Result<_>>()?,
            })
        })
        .collect()
}

/// From images sorted from the worst on.
fn worst_and_median(sorted: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    let worst = &sorted[..sorted.len().min(WORST)];
    let median = sorted.get(sorted.len() / 2);
    let median = median.filter(|index| !worst.contains(index));
    (worst.to_vec(), median.into_iter().copied().collect())
}

pub(super) fn section(groups: &[Group<Case>], evaluation: &Evaluation) -> Markup {
    if groups.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Cases" }
            p {
                "The image; what the model sees in it, the warmer the colour, the further "
                "from the reconstruction, with the regions that count outlined; and for defects with "
                "a mask, the true defect inside a green line."
            }
            @for group in groups {
                h3 { (group.title) }
                p.note { (group.meaning) }
                @for case in &group.cases {
                    (figure(case, &evaluation.images[case.index], evaluation))
                }
            }
        }
    }
}

fn figure(case: &Case, image: &ScoredImage, evaluation: &Evaluation) -> Markup {
    let score = GreyThreshold::new(image.score, evaluation.rule.scale()).grey;
    let threshold = GreyThreshold::from(evaluation.rule.image_threshold()).grey;
    let truth = match &image.label {
        Label::Good => "good",
        Label::Defect { kind } => kind,
    };
    let (verdict, right) = match image.outcome {
        Outcome::Good => ("called good", !image.is_defect()),
        Outcome::Defect => ("called defect", image.is_defect()),
    };
    let class = if right { "right" } else { "wrong" };
    html! {
        figure.case {
            figcaption {
                span class={ "verdict " (class) } { (verdict) ", " (if right { "rightly" } else { "wrongly" }) }
                span.path { (image.name) }
                span {
                    (truth) " · score " (grey(score)) ", threshold " (grey(threshold))
                    @if let Some(iou) = image.iou { (format!(" · overlap {:.0}\u{a0}%", 100.0 * iou)) }
                }
            }
            div.pictures.small[case.small] {
                img src=(case.image) alt={ "The image " (image.name) };
                img src=(case.overlay) alt="Its anomaly map and regions";
                @if let Some(truth) = &case.truth { img src=(truth) alt="Its ground truth"; }
            }
        }
    }
}
