//! Collects inspected images one by one, then gives all figures at once.

use anyhow::{Result, ensure};
use residua_shared::{
    frame::Size,
    rule::DecisionRule,
    verdict::{Outcome, Verdict},
};

use super::{
    components::components,
    f1::Plateau,
    figures::{
        Figures, GreyPlateau, ImageFigures, Images, KindFigures, Nearby, PixelFigures, Plateaus,
    },
    image_score::image_score,
    kinds::RegionsByKind,
    overlap::{Positive, aupro},
    regions::RegionCounts,
    scores::{Counts, Scores},
};
use crate::data::{Grey, Label};

/// The false-positive rate up to which AUPRO is integrated.
const AUPRO_LIMIT: f64 = 0.3;

/// A ground-truth pixel above this is defect.
const TRUTH_ABOVE: u8 = 127;

/// One labelled image and what the model made of it.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    pub name: &'a str,
    pub label: &'a Label,
    /// The ground-truth mask. `None` means no defect in a good image, and unknown in a defect one.
    pub truth: Option<&'a Grey>,
    /// Where the image holds several kinds of defects: each kind's own ground-truth mask. Where it
    /// is empty, `truth` is of the label's kind.
    pub truth_by_kind: &'a [(String, Grey)],
    pub size: Size,
    /// The anomaly map, row by row.
    pub map: &'a [u32],
    /// The defect mask, row by row: not 0 in the regions that count.
    pub mask: &'a [u8],
    pub verdict: Verdict,
    /// How long the inspection took.
    pub milliseconds: f64,
}

/// An evaluated image.
#[derive(Clone, PartialEq, Debug)]
pub struct ScoredImage {
    pub name: String,
    pub label: Label,
    /// [`image_score()`] under the model's rule, in map steps.
    pub score: u32,
    pub outcome: Outcome,
    /// Of the defect mask with the ground truth; `None` without a ground-truth mask.
    pub iou: Option<f64>,
}

impl ScoredImage {
    pub fn is_defect(&self) -> bool {
        self.label != Label::Good
    }
}

/// Everything measured: what the report draws.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub rule: DecisionRule,
    pub figures: Figures,
    /// In the order added.
    pub images: Vec<ScoredImage>,
    /// Image scores.
    pub image_scores: Scores,
    /// Map values of the images with known ground truth.
    pub pixel_scores: Scores,
}

/// Collects observations. Of each image it keeps the map's values (four bytes a pixel, eight for
/// a defect pixel) and nothing else of its size.
#[derive(Debug)]
pub struct Evaluator {
    rule: DecisionRule,
    images: Vec<ScoredImage>,
    overflowed: usize,
    with_mask: usize,
    milliseconds: Vec<f64>,
    regions: RegionCounts,
    regions_by_kind: RegionsByKind,
    positives: Vec<Positive>,
    negatives: Vec<u32>,
    masked: Counts,
    components: u32,
}

impl Evaluator {
    /// An empty collection for a model that decides by `rule`.
    pub fn new(rule: DecisionRule) -> Self {
        Self {
            rule,
            images: Vec::new(),
            overflowed: 0,
            with_mask: 0,
            milliseconds: Vec::new(),
            regions: RegionCounts::default(),
            regions_by_kind: RegionsByKind::default(),
            positives: Vec::new(),
            negatives: Vec::new(),
            masked: Counts {
                true_positives: 0,
                false_positives: 0,
            },
            components: 0,
        }
    }

    /// Adds one image. Errors where map, mask or ground truth have another size than the image.
    pub fn add(&mut self, seen: &Observation) -> Result<()> {
        let area = seen.size.area();
        ensure!(
            seen.map.len() == area && seen.mask.len() == area,
            "{}: a map of {} and a mask of {} values for an image of {}",
            seen.name,
            seen.map.len(),
            seen.mask.len(),
            seen.size
        );
        let by_kind = seen.truth_by_kind.iter().map(|(_, truth)| truth);
        for truth in seen.truth.into_iter().chain(by_kind) {
            ensure!(
                truth.size == seen.size && truth.pixels.len() == area,
                "{}: the ground-truth mask is {} but the image is {}; give a mask of the image's size",
                seen.name,
                truth.size,
                seen.size
            );
        }
        let score = image_score(
            seen.map,
            seen.size,
            self.rule.pixel_threshold().raw,
            self.rule.min_area(),
        );
        let known = seen.truth.is_some() || *seen.label == Label::Good;
        let iou = known.then(|| self.add_pixels(seen)).flatten();
        self.add_kinds(seen);
        self.overflowed += usize::from(seen.verdict.overflow);
        self.milliseconds.push(seen.milliseconds);
        self.images.push(ScoredImage {
            name: seen.name.to_owned(),
            label: seen.label.clone(),
            score,
            outcome: seen.verdict.outcome,
            iou,
        });
        Ok(())
    }

    /// Adds the pixels and regions of an image whose ground truth is known; its own IoU.
    fn add_pixels(&mut self, seen: &Observation) -> Option<f64> {
        let is_defect = |pixel: usize| seen.truth.is_some_and(|t| t.pixels[pixel] > TRUTH_ABOVE);
        let is_masked = |pixel: usize| seen.mask[pixel] != 0;
        self.regions.add(seen.size, is_defect, is_masked);
        let truth = components(seen.size, is_defect);
        let mut own = Counts {
            true_positives: 0,
            false_positives: 0,
        };
        for (pixel, (&value, &label)) in seen.map.iter().zip(&truth.labels).enumerate() {
            if label > 0 {
                self.positives.push(Positive {
                    value,
                    component: self.components + label - 1,
                });
                own.true_positives += usize::from(is_masked(pixel));
            } else {
                self.negatives.push(value);
                own.false_positives += usize::from(is_masked(pixel));
            }
        }
        self.components += truth.count() as u32;
        self.masked.true_positives += own.true_positives;
        self.masked.false_positives += own.false_positives;
        seen.truth?;
        self.with_mask += 1;
        let defects: usize = truth.areas.iter().map(|area| *area as usize).sum();
        let union = own.false_positives + defects;
        (union > 0).then(|| own.true_positives as f64 / union as f64)
    }

    /// Adds the defects of each kind that is known.
    fn add_kinds(&mut self, seen: &Observation) {
        let is_masked = |pixel: usize| seen.mask[pixel] != 0;
        for (kind, truth) in seen.truth_by_kind {
            let is_defect = |pixel: usize| truth.pixels[pixel] > TRUTH_ABOVE;
            self.regions_by_kind
                .add(kind, seen.size, is_defect, is_masked);
        }
        if let (Label::Defect { kind }, Some(truth), []) =
            (seen.label, seen.truth, seen.truth_by_kind)
        {
            let is_defect = |pixel: usize| truth.pixels[pixel] > TRUTH_ABOVE;
            self.regions_by_kind
                .add(kind, seen.size, is_defect, is_masked);
        }
    }

    /// All figures.
    pub fn finish(self) -> Evaluation {
        let scale = self.rule.scale();
        let (defects, goods): (Vec<_>, Vec<_>) =
            self.images.iter().partition(|image| image.is_defect());
        let scores = |of: &[&ScoredImage]| of.iter().map(|image| image.score).collect::<Vec<_>>();
        let image_scores = Scores::new(scores(&defects), scores(&goods));
        let called = Counts {
            true_positives: called_defect(&defects),
            false_positives: called_defect(&goods),
        };
        let values = self.positives.iter().map(|positive| positive.value);
        let pixel_scores = Scores::new(values.collect(), self.negatives);
        let aupro = aupro(self.positives, pixel_scores.negatives(), AUPRO_LIMIT);
        let plateau = |found: Option<Plateau>, calibrated| {
            found.map(|plateau| GreyPlateau::new(plateau, calibrated))
        };
        let figures = Figures {
            images: Images {
                good: goods.len(),
                defect: defects.len(),
                defect_with_mask: self.with_mask,
                overflowed: self.overflowed,
            },
            image: ImageFigures::new(&image_scores, called, scale),
            region: self.regions.into(),
            pixel: PixelFigures::new(
                &pixel_scores,
                self.masked,
                aupro,
                self.rule.pixel_threshold(),
            ),
            threshold: self.rule.into(),
            plateau: Plateaus {
                image: plateau(image_scores.plateau(), self.rule.image_threshold()),
                pixel: plateau(pixel_scores.plateau(), self.rule.pixel_threshold()),
            },
            nearby: Nearby::new(&image_scores, self.rule.image_threshold()),
            kinds: kinds(&defects, &goods),
            regions_by_kind: self.regions_by_kind.figures(),
            ms_per_image: median(self.milliseconds),
        };
        Evaluation {
            rule: self.rule,
            figures,
            images: self.images,
            image_scores,
            pixel_scores,
        }
    }
}

fn called_defect(images: &[&ScoredImage]) -> usize {
    let called = images.iter().filter(|i| i.outcome == Outcome::Defect);
    called.count()
}

fn kinds(defects: &[&ScoredImage], goods: &[&ScoredImage]) -> Vec<KindFigures> {
    let mut by_kind = std::collections::BTreeMap::<&str, Vec<&ScoredImage>>::new();
    for image in defects {
        if let Label::Defect { kind } = &image.label {
            by_kind.entry(kind).or_default().push(image);
        }
    }
    let scores = |images: &[&ScoredImage]| images.iter().map(|i| i.score).collect();
    by_kind
        .into_iter()
        .map(|(kind, images)| KindFigures {
            kind: kind.to_owned(),
            images: images.len(),
            found: called_defect(&images),
            auroc: Scores::new(scores(&images), scores(goods)).auroc(),
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let high = *values.get(middle)?;
    if values.len() % 2 == 1 {
        Some(high)
    } else {
        Some((values[middle - 1] + high) / 2.0)
    }
}
