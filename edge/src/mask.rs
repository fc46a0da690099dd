//! Anomaly map → mask: runs of suspect pixels.

use crate::wide::wide;

/// Consecutive suspect pixels of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Run {
    /// The row.
    pub row: u16,
    /// The first column.
    pub start: u16,
    /// The last column, inside the run.
    pub end: u16,
    /// The highest map value in it.
    pub peak: u32,
}

/// The runs of a map row, from the left: pixels whose value is above `threshold`. Only the first
/// 65536 columns are looked at, more than any image has.
pub fn runs(row: u16, map: &[u32], threshold: u32) -> impl Iterator<Item = Run> {
    let map = &map[..map.len().min(1 << 16)];
    let mut column = 0;
    core::iter::from_fn(move || {
        let start = column + first_suspect(&map[column..], threshold)?;
        let suspects = map[start..].iter().take_while(|&&value| value > threshold);
        let (length, peak) = suspects.fold((0, 0), |(length, peak): (usize, u32), &value| {
            (length + 1, peak.max(value))
        });
        column = start + length;
        Some(Run {
            row,
            // Below 2^16.
            start: start as u16,
            end: (column - 1) as u16,
            peak,
        })
    })
}

/// Pixels that are looked at together: almost all are below the threshold.
const TOGETHER: usize = 32;

wide! {
    /// The first pixel above the threshold.
    fn first_suspect(map: &[u32], threshold: u32) -> Option<usize> {
        let (groups, _) = map.as_chunks::<TOGETHER>();
        let quiet = |group: &&[u32; TOGETHER]| {
            let values = group.iter().copied();
            if cfg!(target_arch = "aarch64") {
                // It has an instruction for the maximum of a vector, and none for any.
                return values.fold(0, u32::max) <= threshold;
            }
            !values.fold(false, |above, value| above | (value > threshold))
        };
        let start = groups.iter().take_while(quiet).count() * TOGETHER;
        let mut rest = map[start..].iter();
        Some(start + rest.position(|&value| value > threshold)?)
    }
}
