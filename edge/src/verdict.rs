//! Regions → verdict.

use residua_shared::{
    rule::DecisionRule,
    verdict::{Outcome, Verdict},
};

use crate::regions::Regions;

/// The verdict on an image with these suspect regions. Where a table overflowed it is always
/// [`Outcome::Defect`].
pub fn verdict(rule: DecisionRule, regions: Regions<'_>) -> Verdict {
    let (mut score, mut counting) = (0, 0);
    for region in regions.iter() {
        if region.area >= rule.min_area() {
            score = region.peak.max(score);
        }
        counting += u32::from(rule.counts(region.area, region.peak));
    }
    let defect = counting > 0 || regions.overflow();
    Verdict {
        outcome: if defect {
            Outcome::Defect
        } else {
            Outcome::Good
        },
        score,
        regions: counting,
        overflow: regions.overflow(),
    }
}
