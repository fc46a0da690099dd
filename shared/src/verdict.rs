//! What an inspection ends in.

use serde::{Deserialize, Serialize};

/// A connected set of suspect pixels: its bounding box (both corners inside), area and peak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Region {
    /// Leftmost column.
    pub left: u16,
    /// Topmost row.
    pub top: u16,
    /// Rightmost column.
    pub right: u16,
    /// Lowest row.
    pub bottom: u16,
    /// Pixels in the region.
    pub area: u32,
    /// The highest map value in it, in map steps: the region's score.
    pub peak: u32,
}

/// Good or defect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// No region counts, and every table was large enough to be sure of it.
    Good,
    /// At least one region counts, or a table overflowed.
    Defect,
}

/// The verdict on one image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Good or defect.
    pub outcome: Outcome,
    /// The highest peak over the regions of at least the minimum area, whether it passes the image
    /// threshold or not; 0 where there is none. In map steps.
    pub score: u32,
    /// Regions that count.
    pub regions: u32,
    /// A fixed table was too small for this image. The outcome is then always
    /// [`Outcome::Defect`]: what could not be inspected is never called good.
    pub overflow: bool,
}
