//! Test images as a camera would have taken them under other light.

use crate::data::Grey;

/// A change of light: grey levels become `gain · grey + offset`, rounded and clipped to 0..=255,
/// where the gain runs along the image.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Light {
    pub name: &'static str,
    /// At the first and at the last pixel along `along`; between them it changes linearly.
    pub gain: (f64, f64),
    /// In grey levels.
    pub offset: f64,
    pub along: Axis,
}

/// The direction along which the gain changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Axis {
    Columns,
    Rows,
}

/// The light as it was, and what a lamp, its age and its place do to it.
pub const LIGHTS: [Light; 10] = [
    Light::even("as taken", 1.0, 0.0),
    Light::even("gain 0.7", 0.7, 0.0),
    Light::even("gain 0.85", 0.85, 0.0),
    Light::even("gain 1.15", 1.15, 0.0),
    Light::even("gain 1.3", 1.3, 0.0),
    Light::even("offset -30", 1.0, -30.0),
    Light::even("offset +30", 1.0, 30.0),
    Light::gradient(
        "gain 0.85 to 1.15, left to right",
        (0.85, 1.15),
        Axis::Columns,
    ),
    Light::gradient("gain 0.7 to 1.3, left to right", (0.7, 1.3), Axis::Columns),
    Light::gradient("gain 0.7 to 1.3, top to bottom", (0.7, 1.3), Axis::Rows),
];

impl Light {
    const fn even(name: &'static str, gain: f64, offset: f64) -> Self {
        Self {
            name,
            gain: (gain, gain),
            offset,
            along: Axis::Columns,
        }
    }

    const fn gradient(name: &'static str, gain: (f64, f64), along: Axis) -> Self {
        Self {
            name,
            gain,
            offset: 0.0,
            along,
        }
    }

    /// The image under this light.
    pub fn on(&self, image: &Grey) -> Grey {
        let (width, height) = (image.size.width(), image.size.height());
        let pixels = image.pixels.iter().enumerate().map(|(index, &grey)| {
            let (at, length) = match self.along {
                Axis::Columns => (index % width, width),
                Axis::Rows => (index / width, height),
            };
            let share = at as f64 / (length.max(2) - 1) as f64;
            let gain = self.gain.0 + share * (self.gain.1 - self.gain.0);
            // Saturates, as a sensor does.
            (gain * f64::from(grey) + self.offset).round() as u8
        });
        Grey {
            size: image.size,
            pixels: pixels.collect(),
        }
    }
}
