//! Area under the per-region-overlap curve (AUPRO).

use rayon::slice::ParallelSliceMut;

/// A defect pixel: its map value, and which ground-truth component of all images it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Positive {
    pub value: u32,
    pub component: u32,
}

/// Area under the per-region overlap over the false-positive rate, from 0 to `limit` (0.3 by
/// convention), divided by `limit`: in 0..=1. `None` without defects or without good pixels.
///
/// At a threshold, the overlap is the share of a component's pixels above it, averaged over all
/// components of all images (so a small defect weighs as much as a large one); the false-positive
/// rate is taken over all good pixels of all images. Trapezoids between distinct map values, the
/// last one cut at `limit`. Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 129 (2021).
///
/// `negatives` are the map values of the good pixels, ascending; component numbers of `positives`
/// are below their count.
pub fn aupro(mut positives: Vec<Positive>, negatives: &[u32], limit: f64) -> Option<f64> {
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    positives.par_sort_unstable();
    let weights = weights(&positives);
    let (mut positives, mut negatives_below) = (&positives[..], negatives);
    let (mut area, mut rate, mut overlap) = (0.0, 0.0, 0.0);
    while rate < limit {
        let top = positives.last().map(|p| p.value);
        let Some(value) = top.max(negatives_below.last().copied()) else {
            break;
        };
        let mut next_overlap = overlap;
        while let Some((positive, rest)) = positives.split_last()
            && positive.value == value
        {
            next_overlap += weights[positive.component as usize];
            positives = rest;
        }
        while let Some((&negative, rest)) = negatives_below.split_last()
            && negative == value
        {
            negatives_below = rest;
        }
        let above = negatives.len() - negatives_below.len();
        let next_rate = above as f64 / negatives.len() as f64;
        area += trapezoid((rate, overlap), (next_rate, next_overlap), limit);
        (rate, overlap) = (next_rate, next_overlap);
    }
    Some(area / limit)
}

/// What one pixel of each component adds to the mean overlap.
fn weights(positives: &[Positive]) -> Vec<f64> {
    let count = positives.iter().map(|p| p.component as usize + 1).max();
    let mut areas = vec![0_u32; count.unwrap_or(0)];
    for positive in positives {
        areas[positive.component as usize] += 1;
    }
    let components = areas.iter().filter(|area| **area > 0).count() as f64;
    areas
        .into_iter()
        .map(|area| 1.0 / (f64::from(area) * components))
        .collect()
}

/// Area under the segment from `a` to `b` left of `limit`.
fn trapezoid(a: (f64, f64), b: (f64, f64), limit: f64) -> f64 {
    let width = b.0.min(limit) - a.0;
    if width <= 0.0 {
        return 0.0;
    }
    let end = a.1 + (b.1 - a.1) * width / (b.0 - a.0);
    width * (a.1 + end) / 2.0
}
