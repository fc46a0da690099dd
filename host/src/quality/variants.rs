//! The choices that are compared, each a change of the baseline.

use std::num::NonZeroU8;

use super::Rival;
use crate::{
    calibrate,
    net::config::{Preset, Skips},
    train::{self, Objective, Schedule, augmentation::Flip},
};
use residua_shared::rule::Comparison;

/// Everything that a cell of the table is made by.
#[derive(Clone, Debug)]
pub struct Choices {
    pub train: train::Options,
    pub calibrate: calibrate::Options,
    /// In place of the map that is shipped.
    pub rival: Option<Rival>,
}

/// A choice alone against the baseline.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// What is chosen.
    pub what: &'static str,
    /// What is chosen of it; also how `--only` calls it.
    pub name: &'static str,
    pub change: fn(&mut Choices),
}

impl Variant {
    /// Whether other light bears on what is chosen.
    pub(super) fn is_of_light(&self) -> bool {
        [LIGHT, AUGMENTATION].contains(&self.what)
    }
}

/// The variant that changes nothing.
pub const BASELINE: &str = "baseline";

/// The choices of augmentation.
const AUGMENTATION: &str = "augmentation";

/// The choices of light.
const LIGHT: &str = "light";

/// A mixture of losses; one that cannot be read would leave the baseline's in place, which a test
/// rules out.
macro_rules! loss {
    ($text:literal) => {
        Variant {
            what: "loss",
            name: concat!("loss ", $text),
            change: |choices| choices.train.loss = $text.parse().ok(),
        }
    };
}

macro_rules! choice {
    ($what:expr, $name:literal, |$choices:ident| $change:expr) => {
        Variant {
            what: $what,
            name: $name,
            change: |$choices| $change,
        }
    };
}

/// All variants; those that share a training are trained for once.
pub const VARIANTS: &[Variant] = &[
    choice!("", "baseline", |_choices| ()),
    choice!("objective", "mse", |c| c.train.objective =
        Some(Objective::Mse)),
    choice!("objective", "repair", |c| c.train.objective =
        Some(Objective::Repair)),
    loss!("mse"),
    loss!("l1"),
    loss!("ssim"),
    loss!("ms-ssim"),
    loss!("gms"),
    loss!("ms-gms"),
    loss!("mse:0.5,ms-ssim:0.5"),
    loss!("l1:0.5,ms-ssim:0.5"),
    choice!(AUGMENTATION, "gain 0.3", |c| c.train.gain = Some(0.3)),
    choice!(AUGMENTATION, "offset 20", |c| c.train.offset = Some(20.0)),
    choice!(AUGMENTATION, "gradient 0.3", |c| c.train.gradient =
        Some(0.3)),
    choice!(AUGMENTATION, "flip both", |c| c.train.flip =
        Some(Flip::Both)),
    choice!("blemishes", "blemished 0.5", |c| c.train.blemished =
        Some(0.5)),
    choice!("blemishes", "blemished 1", |c| c.train.blemished =
        Some(1.0)),
    choice!("preset", "edge-tiny", |c| c.train.preset =
        Some(Preset::EdgeTiny)),
    choice!("preset", "edge-small", |c| c.train.preset =
        Some(Preset::EdgeSmall)),
    choice!("preset", "edge", |c| c.train.preset = Some(Preset::Edge)),
    choice!("skips", "all skips", |c| c.train.skips = Some(Skips::All)),
    choice!("skips", "coarse skips", |c| c.train.skips =
        Some(Skips::Coarse)),
    choice!("schedule", "cosine", |c| c.train.schedule =
        Some(Schedule::Cosine)),
    choice!("comparison", "absolute", |c| c.calibrate.comparison =
        Comparison::Absolute),
    choice!("comparison", "dark", |c| c.calibrate.comparison =
        Comparison::Dark),
    choice!("comparison", "bright", |c| c.calibrate.comparison =
        Comparison::Bright),
    choice!("comparison", "squared", |c| c.rival = Some(Rival::Squared)),
    choice!("comparison", "ssim map", |c| c.rival = Some(Rival::Ssim)),
    choice!("comparison", "gradient map", |c| c.rival =
        Some(Rival::Gradient)),
    choice!("scale", "less local mean", |c| c.rival =
        Some(Rival::LocalMean)),
    choice!("scale", "even columns", |c| c.calibrate.columns = false),
    choice!("scale", "columns", |c| c.calibrate.columns = true),
    choice!("scale", "by pixel", |c| c.rival = Some(Rival::PixelScale)),
    choice!(LIGHT, "grey difference", |c| c.calibrate.ground = None),
    choice!(LIGHT, "contrast 16", |c| c.calibrate.ground =
        NonZeroU8::new(16)),
    choice!(LIGHT, "contrast 32", |c| c.calibrate.ground =
        NonZeroU8::new(32)),
    choice!(LIGHT, "contrast 64", |c| c.calibrate.ground =
        NonZeroU8::new(64)),
    choice!("roughness", "no roughness", |c| c.calibrate.roughness =
        None),
    choice!("roughness", "roughness 8", |c| c.calibrate.roughness =
        NonZeroU8::new(8)),
    choice!("roughness", "roughness 16", |c| c.calibrate.roughness =
        NonZeroU8::new(16)),
    choice!("box", "box 1", |c| c.calibrate.box_size = 1),
    choice!("box", "box 3", |c| c.calibrate.box_size = 3),
    choice!("box", "box 5", |c| c.calibrate.box_size = 5),
    choice!("box", "box 7", |c| c.calibrate.box_size = 7),
    choice!("box", "box 11", |c| c.calibrate.box_size = 11),
    choice!("box", "box 15", |c| c.calibrate.box_size = 15),
    choice!("false alarms", "1 in 20", |c| c
        .calibrate
        .false_alarm_rate = 0.05),
    choice!("false alarms", "1 in 100", |c| c
        .calibrate
        .false_alarm_rate = 0.01),
    choice!("false alarms", "1 in 1000", |c| c
        .calibrate
        .false_alarm_rate =
        0.001),
    choice!("guard", "no guard", |c| c.calibrate.guard = 0.0),
    choice!("guard", "guard 0.25", |c| c.calibrate.guard = 0.25),
    choice!("pixel rate", "pixel rate 0.01", |c| c
        .calibrate
        .pixel_rate = 0.01),
    choice!("pixel rate", "pixel rate 0.001", |c| c
        .calibrate
        .pixel_rate =
        0.001),
    choice!("pixel rate", "pixel rate 0.0001", |c| c
        .calibrate
        .pixel_rate =
        0.0001),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_losses_can_be_read() {
        let names: BTreeSet<_> = VARIANTS.iter().map(|variant| variant.name).collect();
        assert_eq!(names.len(), VARIANTS.len());
        assert_eq!(VARIANTS[0].name, BASELINE);
        for variant in VARIANTS.iter().filter(|variant| variant.what == "loss") {
            let mut choices = Choices {
                train: train::Options::new("".into(), "".into()),
                calibrate: calibrate::Options::default(),
                rival: None,
            };
            (variant.change)(&mut choices);
            assert!(choices.train.loss.is_some(), "{}", variant.name);
        }
    }
}
