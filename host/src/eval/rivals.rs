//! Other numbers an image than [`image_score`](super::image_score()), to be compared with it.

use residua_shared::frame::Size;

use super::components::components;

/// Fraction bits of [`residual_l1`], so that quiet images do not tie.
const L1_BITS: u32 = 4;

/// The mean of the highest `share` of the map's values (of one at least), in map steps: steadier
/// than a maximum, which one pixel decides.
///
/// `share` is in 0..=1.
pub fn top_mean(map: &[u32], share: f64) -> u32 {
    let count = ((map.len() as f64 * share) as usize).clamp(1, map.len().max(1));
    let mut map = map.to_vec();
    let Some(first) = map.len().checked_sub(count) else {
        return 0;
    };
    if first > 0 {
        map.select_nth_unstable(first);
    }
    mean(map[first..].iter().map(|value| u64::from(*value)), 0)
}

/// The L1 norm of the residual, which Minhas and Zelek (arXiv 2001.03674) propose, as a mean over
/// the pixels so that sizes compare: in sixteenths of a step of the reconstruction.
pub fn residual_l1(image: &[u8], reconstruction: &[i32], fraction_bits: u8) -> u32 {
    let pairs = image.iter().zip(reconstruction);
    let differences = pairs.map(|(grey, reconstructed)| {
        let grey = i64::from(*grey) << fraction_bits;
        (grey - i64::from(*reconstructed)).unsigned_abs()
    });
    mean(differences, L1_BITS)
}

/// The largest sum over a region of the map's values above `pixel_threshold`, of the regions with
/// at least `min_area` pixels, in units of `unit` map steps: large faint defects count as much as
/// small strong ones. 0 without such a region.
pub fn region_sum(map: &[u32], size: Size, pixel_threshold: u32, min_area: u32, unit: u32) -> u32 {
    let found = components(size, |pixel| map[pixel] > pixel_threshold);
    let mut sums = vec![0_u64; found.count()];
    for (label, value) in found.labels.iter().zip(map) {
        if *label > 0 {
            sums[*label as usize - 1] += u64::from(*value);
        }
    }
    let sized = sums.iter().zip(&found.areas);
    let large = sized.filter(|(_, area)| **area >= min_area);
    let largest = large.map(|(sum, _)| *sum).max().unwrap_or(0);
    u32::try_from(largest / u64::from(unit.max(1))).unwrap_or(u32::MAX)
}

fn mean(values: impl ExactSizeIterator<Item = u64>, bits: u32) -> u32 {
    let count = values.len().max(1) as u64;
    let sum: u64 = values.sum();
    u32::try_from((sum << bits) / count).unwrap_or(u32::MAX)
}
