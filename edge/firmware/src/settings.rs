//! What the firmware must know of its line, from `firmware.toml` by the build script into flash.

use heapless::String;
use residua_edge::gate::{ConfigError, GateConfig};
use serde::{Deserialize, Serialize};

/// All settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The name that hosts see.
    pub device: String<32>,
    /// Within a strip, so many milliseconds without a row mean that the camera is lost.
    pub silence_ms: u32,
    /// The reject gate.
    pub gate: GateSettings,
}

/// Of the reject gate.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GateSettings {
    /// From a window's last row at the camera to the beginning of its reject.
    pub distance_ms: u32,
    /// How long the actuator is on for a window.
    pub pulse_ms: u32,
    /// How late a reject may begin; later, the gate fails.
    pub slack_ms: u32,
    /// What a fault does.
    pub fail_safe: FailSafeSetting,
}

/// What a fault does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailSafeSetting {
    /// Everything is rejected.
    Reject,
    /// And the line stops.
    Stop,
}

impl GateSettings {
    /// The gate's own form, in microseconds.
    pub fn config(&self) -> Result<GateConfig, ConfigError> {
        let us = |ms: u32| 1000 * u64::from(ms);
        GateConfig::new(us(self.distance_ms), us(self.pulse_ms))?.with_slack(us(self.slack_ms))
    }
}
