//! Anomaly map → mask: runs of suspect pixels.

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
    let mut columns = (0..=u16::MAX).zip(map.iter().copied()).peekable();
    core::iter::from_fn(move || {
        let (start, first) = columns.find(|&(_, value)| value > threshold)?;
        let mut run = Run {
            row,
            start,
            end: start,
            peak: first,
        };
        while let Some((column, value)) = columns.next_if(|&(_, value)| value > threshold) {
            run.end = column;
            run.peak = run.peak.max(value);
        }
        Some(run)
    })
}
