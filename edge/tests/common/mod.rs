//! The whole path by the scalar reference, and the same by the edge, as comparable values.

use residua_edge::{
    inspector::{Buffers, decide},
    regions::{RegionEntry, RunEntry},
};
use residua_shared::{
    frame::{Frame, Size},
    reference::{columns, map, mask, regions, residual, roughness, verdict},
    rule::DecisionRule,
    verdict::{Region, Verdict},
};

/// All that an inspection yields after the reconstruction.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub map: Vec<u32>,
    pub suspects: Vec<Region>,
    pub counting: Vec<Region>,
    pub mask: Vec<u8>,
    pub verdict: Verdict,
}

pub fn by_reference(rule: DecisionRule, frame: Frame<'_>, reconstruction: &[i32]) -> Outcome {
    let (size, scale) = (frame.size(), rule.scale());
    let area = size.area();
    let mut r = vec![0; area];
    residual::residual(frame, scale, reconstruction, &mut r).unwrap();
    columns::weigh(size, rule.columns(), scale, &mut r).unwrap();
    let mut map = vec![0; area];
    map::map(size, &r, rule.comparison(), scale, &mut map).unwrap();
    let mut deviations = vec![0; area];
    roughness::deviations(size, reconstruction, scale, &mut deviations).unwrap();
    roughness::weigh(size, &deviations, scale, &mut map).unwrap();
    let mut mask = vec![0; area];
    mask::suspects(rule, &map, &mut mask).unwrap();
    let (mut labels, mut stack) = (vec![0; area], vec![0; area]);
    let none = Region {
        left: 0,
        top: 0,
        right: 0,
        bottom: 0,
        area: 0,
        peak: 0,
    };
    let mut suspects = vec![none; regions::max_regions(size)];
    let count = regions::regions(size, &mask, &map, &mut labels, &mut stack, &mut suspects);
    suspects.truncate(count.unwrap());
    mask::defects(rule, &labels, &suspects, &mut mask).unwrap();
    Outcome {
        verdict: verdict::verdict(rule, &suspects),
        counting: suspects
            .iter()
            .copied()
            .filter(|region| rule.counts(region.area, region.peak))
            .collect(),
        map,
        suspects,
        mask,
    }
}

/// The edge's way with tables of these lengths, in buffers that hold rubbish before.
pub fn by_edge(
    rule: DecisionRule,
    frame: Frame<'_>,
    reconstruction: &[i32],
    (runs, regions): (usize, usize),
) -> Outcome {
    let lengths = Buffers::len_for(frame.size(), rule);
    let mut reconstruction = reconstruction.to_vec();
    let mut mask = vec![77; frame.size().area()];
    let mut buffers = Buffers {
        reconstruction: &mut reconstruction,
        residual: &mut vec![-5; lengths.residual],
        filter: &mut vec![0xdead_beef; lengths.filter],
        map: &mut vec![0xdead_beef; lengths.map],
        runs: &mut vec![RunEntry::default(); runs],
        regions: &mut vec![RegionEntry::default(); regions],
    };
    let inspection = decide(rule, frame, &mut buffers).unwrap();
    inspection.write_mask(&mut mask).unwrap();
    Outcome {
        map: inspection.map().to_vec(),
        suspects: inspection.suspects().collect(),
        counting: inspection.regions().collect(),
        verdict: inspection.verdict(),
        mask,
    }
}

/// Table lengths that no image of this size can overflow.
pub fn ample(size: Size, rule: DecisionRule) -> (usize, usize) {
    let lengths = Buffers::len_for(size, rule);
    (lengths.runs, lengths.regions)
}
