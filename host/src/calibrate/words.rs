//! A calibration in words for the people at the line.

use residua_shared::rule::Comparison;

use super::{marks::Marks, run::Calibrated};
use crate::{
    eval::{GreyThreshold, grey},
    synth::{MARK_LENGTH, MARK_WIDTH},
};

impl Calibrated {
    /// What was decided, and how far it can be trusted; several lines, without the warnings.
    pub fn words(&self) -> String {
        let (rule, calibration) = (self.rule, &self.calibration);
        let decide = grey(GreyThreshold::from(rule.image_threshold()).grey);
        let outline = grey(GreyThreshold::from(rule.pixel_threshold()).grey);
        let side = rule.scale().box_size();
        let difference = match rule.comparison() {
            Comparison::Absolute => "differs from",
            Comparison::Dark => "is darker than",
            Comparison::Bright => "is brighter than",
        };
        let contrast = rule.scale().ground().map_or_else(String::new, |ground| {
            format!("; on brightness B a difference counts {ground} / (B + {ground})")
        });
        let masked = rule
            .scale()
            .roughness()
            .map_or_else(String::new, |roughness| {
                format!("; in a place of roughness M it counts {roughness} / (M + {roughness})")
            });
        let columns = match rule.columns() {
            Some(_) => "; in each zone of columns it counts as good images differ there",
            None => "",
        };
        let interval = calibration
            .threshold_interval
            .map_or_else(String::new, |(low, high)| {
                let level = |raw| grey(GreyThreshold::new(raw, rule.scale()).grey);
                format!(" (95 % of like samples: {} to {})", level(low), level(high))
            });
        let guard = if calibration.guard > 0.0 {
            format!(
                ", and raised by {} % above that",
                short(100.0 * calibration.guard)
            )
        } else {
            String::new()
        };
        let how = match &*calibration.method {
            "empirical quantile" => "counted",
            "generalized pareto" => {
                "extrapolated from the upper half, because so few cannot show it"
            }
            _ => "the highest seen, because an extrapolation would lie below it",
        };
        format!(
            "A part is a defect where it {difference} its reconstruction by more than {decide} grey \
             levels{interval},\n\
             of 255, mean over {side}x{side} pixels{contrast}{masked}{columns},\n\
             in a region of at least {} pixels; the region is drawn as far as the difference \
             exceeds {outline}.\n\
             Set from {} good images that training did not see, so that about {} in 1000 good parts \
             is stopped ({how}){guard}.\n\
             These images alone make sure (95 % confidence) that fewer than {:.1} in 100 good \
             parts are stopped; more good images would make surer.{}",
            rule.min_area(),
            calibration.images,
            short(1000.0 * calibration.false_alarm_rate),
            100.0 * calibration.false_alarm_bound,
            self.marks_in_words(),
        )
    }

    /// Nothing where no marks were painted.
    fn marks_in_words(&self) -> String {
        let Some(strongest) = self.marks.last() else {
            return String::new();
        };
        let found = |marks: &Marks| {
            format!(
                "{} of {} that are {} grey levels off",
                marks.found, marks.painted, marks.contrast
            )
        };
        let found: Vec<_> = self.marks.iter().map(found).collect();
        format!(
            "\nOf thin lines ({MARK_LENGTH}x{MARK_WIDTH} pixels) painted into good images it finds {}; \
             the network reproduces {:.0} % of the strongest.",
            found.join(", "),
            100.0 * strongest.reproduced.max(0.0)
        )
    }
}

/// Up to three digits, without needless zeros.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
