//! Anomaly map → mask. The suspect pixels come before the regions, the defect mask after them.

use crate::{buffer::BufferError, rule::DecisionRule, verdict::Region};

/// 255 where a pixel is suspect (its map value exceeds the pixel threshold), else 0.
pub fn suspects(rule: DecisionRule, map: &[u32], mask: &mut [u8]) -> Result<(), BufferError> {
    BufferError::exact("mask", mask.len(), map.len())?;
    for (mask, &value) in mask.iter_mut().zip(map) {
        *mask = if value > rule.pixel_threshold().raw {
            255
        } else {
            0
        };
    }
    Ok(())
}

/// 255 where a pixel belongs to a region that counts, else 0. `labels` and `regions` are those of
/// [`super::regions::regions`].
pub fn defects(
    rule: DecisionRule,
    labels: &[u32],
    regions: &[Region],
    mask: &mut [u8],
) -> Result<(), BufferError> {
    BufferError::exact("mask", mask.len(), labels.len())?;
    for (mask, &label) in mask.iter_mut().zip(labels) {
        let region = (label as usize)
            .checked_sub(1)
            .and_then(|index| regions.get(index));
        let counts = region.is_some_and(|region| rule.counts(region.area, region.peak));
        *mask = if counts { 255 } else { 0 };
    }
    Ok(())
}
