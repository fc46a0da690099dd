//! Images and rows → verdicts, until the program ends or something changes.

mod camera;
mod frames;
mod strips;

pub use camera::Camera;
pub use frames::Frames;
pub use strips::Strips;

/// Why an inspection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The program ends.
    Stop,
    /// The source will yield no more.
    SourceEnd,
    /// Another model inspects from now on.
    ModelChanged,
    /// Another rule decides from now on.
    RuleChanged,
}
