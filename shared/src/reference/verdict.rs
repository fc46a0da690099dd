//! Regions → verdict.

use crate::{
    rule::DecisionRule,
    verdict::{Outcome, Region, Verdict},
};

/// The verdict on an image with these suspect regions, all of them.
pub fn verdict(rule: DecisionRule, regions: &[Region]) -> Verdict {
    let counting = regions
        .iter()
        .filter(|region| rule.counts(region.area, region.peak));
    let counting = counting.count() as u32;
    let large = regions
        .iter()
        .filter(|region| region.area >= rule.min_area());
    Verdict {
        outcome: if counting > 0 {
            Outcome::Defect
        } else {
            Outcome::Good
        },
        score: large.map(|region| region.peak).max().unwrap_or(0),
        regions: counting,
        overflow: false,
    }
}
