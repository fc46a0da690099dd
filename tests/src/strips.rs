//! What strips' inspection promises of windows, told from whole images by the scalar reference.

use residua_edge::strip::{MaskRun, StripRegion, Window};
use residua_shared::{
    frame::{Frame, Size},
    net::Net,
    onnx,
    reference::{mask, reconstruction::reconstruct, regions, verdict::verdict},
    rule::DecisionRule,
    verdict::{Outcome, Region, Verdict},
};

use crate::judge::anomaly_map;

/// A window as a value.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// Its number, from 0.
    pub index: u64,
    /// The first of its rows.
    pub first_row: u64,
    /// Its rows.
    pub rows: u32,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The counting regions that end in it.
    pub regions: Vec<StripRegion>,
    /// The pixels of its mask, counted row by row from its first, in order; none where there is no
    /// mask.
    pub mask: Option<Vec<u32>>,
}

impl From<Window<'_>> for Found {
    fn from(window: Window<'_>) -> Self {
        Self {
            index: window.index,
            first_row: window.first_row,
            rows: window.rows,
            verdict: window.verdict,
            regions: window.regions.to_vec(),
            mask: window.mask.map(|runs| {
                let spans = runs.iter().map(MaskRun::span);
                spans
                    .flat_map(|(start, length)| start..start + length)
                    .collect()
            }),
        }
    }
}

/// What [`residua_edge::strip::Strip`] promises of the windows of `window` rows, from the whole
/// strip `image` of `width` pixels and its reconstruction.
pub fn windows(
    rule: DecisionRule,
    width: usize,
    window: usize,
    image: &[u8],
    reconstruction: &[i32],
) -> Vec<Found> {
    let size = Size::new(width, image.len() / width).unwrap();
    let map = anomaly_map(rule, size, image, reconstruction);

    let (all, _) = suspects(width, rule, &map);
    let mut windows = Vec::new();
    for (index, first) in (0..size.height()).step_by(window).enumerate() {
        let rows = first..(first + window).min(size.height());
        let (mut score, mut defect) = (0, false);
        for y in rows.clone() {
            let (seen, labels) = suspects(width, rule, &map[..(y + 1) * width]);
            for &label in labels[y * width..].iter().filter(|&&label| label > 0) {
                let region = seen[label as usize - 1];
                if region.area >= rule.min_area() {
                    score = score.max(region.peak);
                }
                defect |= rule.counts(region.area, region.peak);
            }
        }
        let (seen, labels) = suspects(width, rule, &map[..rows.end * width]);
        let set = |label: u32| {
            label.checked_sub(1).is_some_and(|index| {
                let region = seen[index as usize];
                rule.counts(region.area, region.peak)
            })
        };
        let inside = labels[first * width..].iter().zip(0..);
        let mask = inside
            .filter(|&(&label, _)| set(label))
            .map(|(_, pixel)| pixel);
        let ends = |region: &&Region| rows.contains(&usize::from(region.bottom));
        let counts = |region: &&Region| rule.counts(region.area, region.peak);
        let mut regions: Vec<StripRegion> = all
            .iter()
            .filter(ends)
            .filter(counts)
            .map(|region| StripRegion {
                left: region.left,
                top: region.top.into(),
                right: region.right,
                bottom: region.bottom.into(),
                area: region.area.into(),
                peak: region.peak,
            })
            .collect();
        regions.sort_by_key(|region| region.bottom);
        windows.push(Found {
            index: index as u64,
            first_row: first as u64,
            rows: rows.len() as u32,
            verdict: Verdict {
                outcome: if defect {
                    Outcome::Defect
                } else {
                    Outcome::Good
                },
                score,
                regions: regions.len() as u32,
                overflow: false,
            },
            regions,
            mask: Some(mask.collect()),
        });
    }
    if windows.len() == 1 {
        // Then the whole image's own verdict.
        assert_eq!(windows[0].verdict, verdict(rule, &all));
    }
    windows
}

/// The reconstruction of a whole strip of `width` pixels by the network of an exported model.
pub fn reconstruction(onnx: &[u8], rule: DecisionRule, width: usize, image: &[u8]) -> Vec<i32> {
    let net = onnx::read(onnx, rule.scale().fraction_bits()).unwrap();
    let size = Size::new(width, image.len() / width).unwrap();
    let graph = net.graph();
    // Strides are powers of two; the highest one that may be needed serves all.
    let padded = Size::new(graph.width(), size.height().next_multiple_of(16)).unwrap();
    let layers = net.layers().iter().copied().collect();
    let net = Net::new(layers, padded, net.fraction_bits()).unwrap();
    let mut values = vec![0; size.area()];
    let frame = Frame::new(size, image).unwrap();
    reconstruct(&net, frame, &mut vec![0; net.scratch_len()], &mut values).unwrap();
    values
}

/// The suspect regions of an image's first rows, by the reference, and their labels.
fn suspects(width: usize, rule: DecisionRule, map: &[u32]) -> (Vec<Region>, Vec<u32>) {
    let size = Size::new(width, map.len() / width).unwrap();
    let area = size.area();
    let (mut mask, mut labels) = (vec![0; area], vec![0; area]);
    mask::suspects(rule, map, &mut mask).unwrap();
    let none = Region {
        left: 0,
        top: 0,
        right: 0,
        bottom: 0,
        area: 0,
        peak: 0,
    };
    let mut found = vec![none; regions::max_regions(size)];
    let mut stack = vec![0; area];
    let count = regions::regions(size, &mask, map, &mut labels, &mut stack, &mut found).unwrap();
    found.truncate(count);
    (found, labels)
}
