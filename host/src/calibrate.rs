//! The decision rule from held-out good images alone.
//!
//! Nothing here looks at a defect: the pixel threshold is a quantile of good pixels, the image
//! threshold comes from the tail of good images' scores for a stated false-alarm rate.

mod binomial;
mod columns;
mod marks;
mod run;
mod tail;
mod words;

use std::num::NonZeroU8;

use anyhow::{Context, Result, ensure};
use residua_shared::{
    frame::Size,
    manifest::Calibration,
    rule::{ColumnWeights, Comparison, DecisionRule, FRACTION_BITS, MapScale},
};

pub use binomial::upper_bound;
pub use columns::ColumnLearner;
pub use marks::{Marks, marks};
pub use run::{Calibrated, FILE, calibrate_network, calibrate_run};
pub use tail::{Pareto, Tail, exceeded_by, tail_interval, tail_threshold};
pub(crate) use words::short;

use crate::{data::Grey, eval::image_score};

/// Below so many good images the thresholds are guesses.
const FEW_IMAGES: usize = 20;

/// The widest guard band: beyond ten times what good images show a threshold says nothing of them.
const MAX_GUARD: f64 = 9.0;

/// What a calibration is asked for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Options {
    /// Good images of which one may be called a defect: 0.001 is one in a thousand. Above 0,
    /// below 1.
    pub false_alarm_rate: f64,
    /// Raises the image threshold by this share above what that rate asks for, 0 to 9: a guard band. So
    /// much may the differences of good images grow, as light, lens and machine age, before more of
    /// them are called defects than was asked for; defects must stand out by so much more.
    pub guard: f64,
    /// Which sign of the residual counts.
    pub comparison: Comparison,
    /// Measure contrasts on this ground, in grey levels ([`MapScale`]); plain differences for
    /// `None`.
    pub ground: Option<NonZeroU8>,
    /// Weigh maps by this roughness, in grey levels ([`MapScale`]); not for `None`.
    pub roughness: Option<NonZeroU8>,
    /// Learn from good images what a difference counts by where across the image it is
    /// ([`ColumnLearner`]).
    pub columns: bool,
    /// Side of the box filter in pixels, odd.
    pub box_size: u8,
    /// The smallest region that counts, in pixels.
    pub min_area: u32,
    /// The share of good pixels that may be suspect. It draws the outline of a defect and decides
    /// nothing alone: a region counts only where its peak passes the image threshold. At least 0,
    /// below 1.
    pub pixel_rate: f64,
}

impl Default for Options {
    /// One false alarm in 1000 images, no guard band; both signs over 5x5 pixels; regions of 4 pixels
    /// (a 2x2 speck: less is a dead pixel or dust); one good pixel in 1000 suspect (three standard
    /// deviations, were the residuals normal: the outline then hugs what stands out).
    fn default() -> Self {
        Self {
            false_alarm_rate: 1e-3,
            guard: 0.0,
            comparison: Comparison::Absolute,
            ground: None,
            roughness: None,
            columns: false,
            box_size: 5,
            min_area: 4,
            pixel_rate: 1e-3,
        }
    }
}

impl Options {
    /// What columns weigh, learned from good images and their reconstructions; `None` where it was not
    /// asked for.
    pub fn learn_columns<'i>(
        &self,
        size: Size,
        scale: MapScale,
        good: impl IntoIterator<Item = (&'i Grey, &'i [i32])>,
    ) -> Result<Option<ColumnWeights>> {
        if !self.columns {
            return Ok(None);
        }
        let mut learner = ColumnLearner::new(size, self.comparison, scale);
        for (image, reconstruction) in good {
            learner.add(image, reconstruction)?;
        }
        learner.weights().map(Some).context("--columns")
    }

    /// The scale of maps of a reconstruction with `fraction_bits`; errors name the option.
    pub fn scale(&self, fraction_bits: u8) -> Result<MapScale> {
        MapScale::new(fraction_bits, self.box_size)
            .with_context(|| format!("--box {}", self.box_size))?
            .on(self.ground)
            .weighed_by(self.roughness)
            .context("--roughness")
    }

    /// A threshold that good images ask for, raised by the guard band.
    pub fn raised(&self, threshold: u32) -> u32 {
        (f64::from(threshold) * (1.0 + self.guard)).ceil() as u32
    }

    /// Checks the ranges; errors name the option.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.false_alarm_rate > 0.0 && self.false_alarm_rate < 1.0,
            "--false-alarms is {}; give a share of good images above 0 and below 1, as 0.001",
            self.false_alarm_rate
        );
        ensure!(
            (0.0..=MAX_GUARD).contains(&self.guard),
            "--guard is {}; give a share of the threshold from 0 to {MAX_GUARD}, as 0.25",
            self.guard
        );
        ensure!(
            (0.0..1.0).contains(&self.pixel_rate),
            "--pixel-rate is {}; give a share of good pixels from 0 to below 1, as 0.001",
            self.pixel_rate
        );
        ensure!(
            self.min_area > 0,
            "--min-area is 0; the smallest region has 1 pixel"
        );
        // Box and roughness have the same ranges whatever the reconstruction's fraction bits.
        self.scale(*FRACTION_BITS.start()).map(|_| ())
    }
}

/// A rule, and what it rests on.
#[derive(Clone, PartialEq, Debug)]
pub struct Calibrating {
    pub rule: DecisionRule,
    pub calibration: Calibration,
    /// The good images' scores under the rule, in the order of the maps.
    pub scores: Vec<u32>,
    /// What the user should know before trusting it, a sentence each.
    pub warnings: Vec<String>,
}

/// Sets both thresholds from the anomaly maps of held-out good images of `size`, made with
/// `options.comparison` on `scale`. Where columns were weighed for them, the rule is yet to be told.
///
/// Errors where there is no map, a map has not `size.area()` values, or an option is out of range.
pub fn calibrate(
    maps: &[Vec<u32>],
    size: Size,
    scale: MapScale,
    options: &Options,
) -> Result<Calibrating> {
    options.check()?;
    ensure!(
        !maps.is_empty(),
        "no good images to calibrate on; train with more good images"
    );
    ensure!(
        options.min_area as usize <= size.area(),
        "--min-area is {}, but the images have only {} pixels; give less",
        options.min_area,
        size.area()
    );
    for map in maps {
        ensure!(
            map.len() == size.area(),
            "an anomaly map has {} values, but the images are {size}",
            map.len()
        );
    }
    let outline = exceeded_by(maps.concat(), options.pixel_rate);
    let scores: Vec<u32> = maps
        .iter()
        .map(|map| image_score(map, size, outline, options.min_area))
        .collect();
    let tail = tail_threshold(&scores, options.false_alarm_rate);
    let guarded = |threshold: u32| options.raised(threshold).min(white(scale));
    let threshold = guarded(tail.threshold);
    let rule = DecisionRule::new(
        options.comparison,
        scale,
        outline.min(threshold),
        options.min_area,
        threshold,
    )?;
    let (low, high) = tail_interval(&scores, options.false_alarm_rate);
    let above = scores.iter().filter(|s| **s > threshold).count();
    let calibration = Calibration {
        images: u32::try_from(maps.len()).context("more good images than 32 bits count")?,
        false_alarm_rate: options.false_alarm_rate,
        method: tail
            .method
            .try_into()
            .context("the method's name is too long")?,
        guard: options.guard,
        threshold_interval: Some((guarded(low), guarded(high))),
        false_alarm_bound: upper_bound(above, scores.len()),
        pixel_rate: options.pixel_rate,
    };
    let warnings = warnings(&scores, rule, options);
    Ok(Calibrating {
        rule,
        calibration,
        scores,
        warnings,
    })
}

/// What no map exceeds, whatever an extrapolation says: white taken for black all over the box.
fn white(scale: MapScale) -> u32 {
    255 * scale.steps_per_grey()
}

fn warnings(scores: &[u32], rule: DecisionRule, options: &Options) -> Vec<String> {
    let mut warnings = Vec::new();
    if scores.len() < FEW_IMAGES {
        warnings.push(format!(
            "only {} good images were held out; the thresholds are guesses below {FEW_IMAGES}: \
             add good images and train again",
            scores.len()
        ));
    }
    if scores.iter().all(|score| *score == 0) {
        warnings.push(match rule.comparison() {
            Comparison::Absolute => "the network reproduces every good image exactly, so nothing \
                 is known of the noise and any difference is an alarm: check that the images are \
                 not blank"
                .into(),
            Comparison::Dark | Comparison::Bright => "no good image has a residual of the sign \
                 asked for, so any is an alarm: check --comparison"
                .into(),
        });
    } else if rule.image_threshold().raw >= white(rule.scale()) {
        warnings.push(
            "the threshold is as high as any difference can be, so that nothing will ever be called a \
             defect: good images differ too much from their reconstruction; train for longer, or \
             ask for a higher --false-alarms or a lower --guard"
                .into(),
        );
    } else if rule.pixel_threshold() == rule.image_threshold() && options.pixel_rate > 0.0 {
        warnings.push(
            "the pixel threshold asked for lies above the image threshold and was lowered to it: \
             a larger --pixel-rate draws wider outlines"
                .into(),
        );
    }
    warnings
}
