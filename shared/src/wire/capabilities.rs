//! What a device can do.

use serde::{Deserialize, Serialize};

/// A set of abilities, one bit each. Bits that this program does not know are kept and mean
/// nothing to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Bit 0: sends the masks of defects.
    pub const MASKS: Self = Self(1 << 0);
    /// Bit 1: answers [`super::Command::Capture`] with an image.
    pub const CAPTURE: Self = Self(1 << 1);
    /// Bit 2: takes [`super::Command::SetThreshold`].
    pub const THRESHOLD: Self = Self(1 << 2);
    /// Bit 3: takes new models.
    pub const UPDATE: Self = Self(1 << 3);
    /// Bit 4: keeps reports until they are acknowledged, restarts included.
    pub const JOURNAL: Self = Self(1 << 4);
    /// Bit 5: drives a reject gate.
    pub const GATE: Self = Self(1 << 5);
    /// Bit 6: knows the time of day.
    pub const CLOCK: Self = Self(1 << 6);
    /// Bit 7: takes [`super::Command::Reboot`].
    pub const REBOOT: Self = Self(1 << 7);

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
