//! What a gate must know of its line.

use core::fmt;

/// Lengths in ticks of the gate's clock, checked once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GateConfig {
    distance: u64,
    pulse: u64,
    min_pulse: u64,
    min_pause: u64,
    slack: u64,
    tolerated_late: u32,
}

impl GateConfig {
    /// A gate that rejects a part from `distance` ticks after it passed the camera, for `pulse`
    /// ticks: from before its front can arrive until after its end has left, the wobble of the
    /// conveyor's speed included.
    ///
    /// Errors where either is 0.
    pub fn new(distance: u64, pulse: u64) -> Result<Self, ConfigError> {
        if distance == 0 {
            return Err(ConfigError::Distance);
        }
        if pulse == 0 {
            return Err(ConfigError::Pulse);
        }
        Ok(Self {
            distance,
            pulse,
            min_pulse: pulse,
            min_pause: 0,
            slack: pulse / 8,
            tolerated_late: 0,
        })
    }

    /// A pulse may be shortened to `ticks` for a good part that follows closely (otherwise never).
    ///
    /// Errors where that is more than the pulse.
    pub fn with_min_pulse(self, ticks: u64) -> Result<Self, ConfigError> {
        if ticks > self.pulse {
            return Err(ConfigError::MinPulse {
                min_pulse: ticks,
                pulse: self.pulse,
            });
        }
        Ok(Self {
            min_pulse: ticks,
            ..self
        })
    }

    /// The actuator stays on between two rejects less than `ticks` apart (otherwise it never does).
    pub fn with_min_pause(self, ticks: u64) -> Self {
        Self {
            min_pause: ticks,
            ..self
        }
    }

    /// A reject may begin up to `ticks` late (otherwise an eighth of the pulse); later, the gate
    /// was polled too seldom, and fails.
    ///
    /// Errors where that is not less than the pulse.
    pub fn with_slack(self, ticks: u64) -> Result<Self, ConfigError> {
        if ticks >= self.pulse {
            return Err(ConfigError::Slack {
                slack: ticks,
                pulse: self.pulse,
            });
        }
        Ok(Self {
            slack: ticks,
            ..self
        })
    }

    /// So many parts in a row may reach the gate without a verdict, and are rejected; one more, and
    /// the gate fails (otherwise the first one fails it).
    pub fn with_tolerated_late(self, parts: u32) -> Self {
        Self {
            tolerated_late: parts,
            ..self
        }
    }

    /// From the camera to the beginning of a reject.
    pub fn distance(&self) -> u64 {
        self.distance
    }

    /// The length of a reject.
    pub fn pulse(&self) -> u64 {
        self.pulse
    }

    /// The shortest time for which the actuator is on.
    pub fn min_pulse(&self) -> u64 {
        self.min_pulse
    }

    /// The shortest time for which it is off between two rejects.
    pub fn min_pause(&self) -> u64 {
        self.min_pause
    }

    /// How late a reject may begin.
    pub fn slack(&self) -> u64 {
        self.slack
    }

    /// Parts in a row without a verdict that do not fail the gate.
    pub fn tolerated_late(&self) -> u32 {
        self.tolerated_late
    }
}

/// Why a gate cannot be like that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// The distance is 0.
    Distance,
    /// The pulse is 0.
    Pulse,
    /// The shortest pulse is longer than the pulse.
    MinPulse {
        /// The shortest.
        min_pulse: u64,
        /// The pulse.
        pulse: u64,
    },
    /// A reject could begin after its end.
    Slack {
        /// How late it may begin.
        slack: u64,
        /// The pulse.
        pulse: u64,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Distance => {
                f.write_str("distance is 0; state the ticks from the camera to the gate")
            }
            Self::Pulse => f.write_str("pulse is 0; state the ticks for which a reject lasts"),
            Self::MinPulse { min_pulse, pulse } => write!(
                f,
                "min_pulse is {min_pulse}; it must not be above pulse, which is {pulse}"
            ),
            Self::Slack { slack, pulse } => {
                write!(
                    f,
                    "slack is {slack}; it must be below pulse, which is {pulse}"
                )
            }
        }
    }
}

impl core::error::Error for ConfigError {}
