//! The figures of an evaluation, as `residua eval --json` prints them: `null` for what the images
//! cannot give.

use residua_shared::rule::{DecisionRule, MapScale, Threshold};
use serde::Serialize;

use super::{
    f1::{Best, Plateau, f1},
    regions::RegionCounts,
    scores::{Counts, Scores},
};

/// All figures of one model on one set of images.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figures {
    pub images: Images,
    pub image: ImageFigures,
    pub region: RegionFigures,
    pub pixel: PixelFigures,
    /// The calibrated thresholds, at which every figure is taken that is not called best.
    pub threshold: Thresholds,
    pub plateau: Plateaus,
    /// Image F1 where the image threshold is off.
    pub nearby: Nearby,
    /// Images by the folder or name that labels them.
    pub kinds: Vec<KindFigures>,
    /// Defects by their own kind, also where an image holds several.
    pub regions_by_kind: Vec<KindRegions>,
    /// Median time of an inspection (engine, map, mask, regions, verdict; reading and decoding the
    /// file not counted), in milliseconds.
    pub ms_per_image: Option<f64>,
}

/// How many images the figures rest on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Images {
    pub good: usize,
    pub defect: usize,
    /// Defect images with a ground-truth mask. Region and pixel figures rest on these and on the
    /// good ones.
    pub defect_with_mask: usize,
    /// Images with more regions than the tables hold; each counts as a defect.
    pub overflowed: usize,
}

/// Is the part good or bad?
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct ImageFigures {
    pub auroc: Option<f64>,
    /// F1 of the verdicts.
    pub f1: Option<f64>,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    /// Good images called defect.
    pub false_alarms: usize,
    /// Defect images called good.
    pub missed: usize,
    pub f1_best: Option<f64>,
    /// The image threshold that gives `f1_best`: what the labelled defects would have chosen.
    pub threshold_best: Option<GreyThreshold>,
}

/// Are the defects met, and do the predictions meet one?
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RegionFigures {
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    /// Of the ground truth, by [`defects`](super::defects()).
    pub defects: usize,
    /// Of these, met by a predicted region.
    pub found: usize,
    /// Regions that count by the decision rule.
    pub predicted: usize,
    /// Of these, meeting a defect of the ground truth.
    pub right: usize,
}

/// How well is the defect outlined?
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct PixelFigures {
    /// Of the anomaly map.
    pub auroc: Option<f64>,
    /// Average precision of the anomaly map.
    pub ap: Option<f64>,
    /// F1 of the defect masks: the pixels of the regions that count by the decision rule.
    pub f1: Option<f64>,
    /// Best F1 of the anomaly map under one pixel threshold, or `f1` where that is better: the
    /// decision rule drops regions that do not count, which no threshold on pixels can.
    pub f1_best: Option<f64>,
    /// The pixel threshold that gives `f1_best`.
    pub threshold_best: Option<GreyThreshold>,
    /// Intersection over union of the defect masks with the ground truth, over all images at once.
    pub iou: Option<f64>,
    /// Area under the per-region overlap up to 30 % false-positive rate.
    pub aupro: Option<f64>,
}

/// A threshold in map steps, as devices have it, and in grey levels, for people.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct GreyThreshold {
    pub raw: u32,
    pub grey: f64,
}

/// The thresholds of the decision rule.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Thresholds {
    pub image: GreyThreshold,
    pub pixel: GreyThreshold,
    /// In pixels.
    pub min_area: u32,
}

/// How far a threshold may move while F1 stays within 0.02 of its best.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Plateaus {
    pub image: Option<GreyPlateau>,
    pub pixel: Option<GreyPlateau>,
}

/// Image F1 at image thresholds beside the calibrated one, the pixel threshold left where it is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Nearby {
    /// At 0.8 times the calibrated threshold.
    pub f1_20_percent_lower: Option<f64>,
    /// At 1.2 times the calibrated threshold.
    pub f1_20_percent_higher: Option<f64>,
}

impl Nearby {
    pub(super) fn new(scores: &Scores, calibrated: Threshold) -> Self {
        let scaled = |percent: u64| (u64::from(calibrated.raw) * percent / 100).try_into();
        Self {
            f1_20_percent_lower: scores.f1_at(scaled(80).unwrap_or(u32::MAX)),
            f1_20_percent_higher: scores.f1_at(scaled(120).unwrap_or(u32::MAX)),
        }
    }
}

/// A [`Plateau`] in numbers for people.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct GreyPlateau {
    pub low: GreyThreshold,
    pub high: GreyThreshold,
    /// `high / low`; `null` where the plateau reaches down to 0.
    pub ratio: Option<f64>,
    /// ± share of its middle: 0.25 means ± 25 %.
    pub relative: f64,
    /// Whether the calibrated threshold lies on it.
    pub holds_calibrated: bool,
}

/// One kind of defect.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct KindFigures {
    pub kind: String,
    pub images: usize,
    /// Of these, called defect.
    pub found: usize,
    /// Against all good images.
    pub auroc: Option<f64>,
}

/// The defects of one kind, in the images whose ground truth shows some.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct KindRegions {
    pub kind: String,
    /// Images with a defect of this kind.
    pub images: usize,
    /// Of these, with at least one such defect met by a region that counts.
    pub images_met: usize,
    /// Of this kind's ground truth, by [`defects`](super::defects()).
    pub defects: usize,
    /// Of these, met by a region that counts.
    pub found: usize,
    /// `found / defects`.
    pub recall: f64,
}

impl GreyThreshold {
    pub fn new(raw: u32, scale: MapScale) -> Self {
        Self {
            raw,
            grey: f64::from(raw) / f64::from(scale.steps_per_grey()),
        }
    }
}

impl From<Threshold> for GreyThreshold {
    fn from(threshold: Threshold) -> Self {
        Self::new(threshold.raw, threshold.scale)
    }
}

impl From<DecisionRule> for Thresholds {
    fn from(rule: DecisionRule) -> Self {
        Self {
            image: rule.image_threshold().into(),
            pixel: rule.pixel_threshold().into(),
            min_area: rule.min_area(),
        }
    }
}

impl GreyPlateau {
    pub fn new(plateau: Plateau, calibrated: Threshold) -> Self {
        Self {
            low: GreyThreshold::new(plateau.low, calibrated.scale),
            high: GreyThreshold::new(plateau.high, calibrated.scale),
            ratio: plateau.ratio(),
            relative: plateau.relative(),
            holds_calibrated: plateau.contains(calibrated.raw),
        }
    }
}

impl ImageFigures {
    /// From the scores, and from the counts of images called defect.
    pub(super) fn new(scores: &Scores, called: Counts, scale: MapScale) -> Self {
        let defects = scores.positives().len();
        let predicted = called.true_positives + called.false_positives;
        let best = scores.best_f1();
        Self {
            auroc: scores.auroc(),
            f1: f1(called, defects),
            precision: share(called.true_positives, predicted).filter(|_| defects > 0),
            recall: share(called.true_positives, defects),
            false_alarms: called.false_positives,
            missed: defects - called.true_positives,
            f1_best: best.map(|best| best.f1),
            threshold_best: best.map(|Best { threshold, .. }| GreyThreshold::new(threshold, scale)),
        }
    }
}

impl PixelFigures {
    /// From the map values, and from the counts of pixels in the defect masks.
    pub(super) fn new(
        scores: &Scores,
        masked: Counts,
        aupro: Option<f64>,
        calibrated: Threshold,
    ) -> Self {
        let defects = scores.positives().len();
        let ruled = f1(masked, defects).map(|f1| Best {
            f1,
            threshold: calibrated.raw,
        });
        let tried = scores.best_f1().into_iter().chain(ruled);
        let best = tried.reduce(|best, next| if next.f1 > best.f1 { next } else { best });
        Self {
            auroc: scores.auroc(),
            ap: scores.average_precision(),
            f1: ruled.map(|ruled| ruled.f1),
            f1_best: best.map(|best| best.f1),
            threshold_best: best.map(|best| GreyThreshold::new(best.threshold, calibrated.scale)),
            iou: share(masked.true_positives, masked.false_positives + defects)
                .filter(|_| defects > 0),
            aupro,
        }
    }
}

impl From<RegionCounts> for RegionFigures {
    fn from(counts: RegionCounts) -> Self {
        let RegionCounts {
            defects,
            found,
            predicted,
            right,
        } = counts;
        Self {
            // Without defects every prediction is wrong by definition: no precision to speak of.
            precision: counts.precision().filter(|_| defects > 0),
            recall: counts.recall(),
            f1: counts.f1(),
            defects,
            found,
            predicted,
            right,
        }
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
