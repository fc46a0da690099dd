//! Brushed metal: long fine strokes along the rows, and bands across where the brush overlapped.

use rand::Rng;

use super::{
    noise::{Noise, mix, smooth},
    random::between,
};

#[derive(Clone, Debug)]
pub struct Brushed {
    level: f32,
    band_height: f32,
    band_depth: f32,
    bands: Noise,
    strokes: [Stroke; 3],
    sheen: Noise,
    slope: f32,
}

/// Strokes of one length and strength.
#[derive(Clone, Copy, Debug)]
struct Stroke {
    noise: Noise,
    length: f32,
    thickness: f32,
    depth: f32,
}

impl Brushed {
    pub fn new(set: &mut impl Rng, image: &mut impl Rng) -> Self {
        let level = between(set, 135.0, 165.0);
        let band_height = between(set, 16.0, 30.0);
        let band_depth = between(set, 9.0, 15.0);
        let strength = between(set, 0.8, 1.2);
        let mut stroke = |length, thickness, depth: f32| Stroke {
            noise: Noise::new(image),
            length,
            thickness,
            depth: depth * strength,
        };
        Self {
            strokes: [
                stroke(180.0, 1.1, 8.0),
                stroke(60.0, 0.8, 7.0),
                stroke(14.0, 0.7, 3.5),
            ],
            level: level + between(image, -4.0, 4.0),
            band_height,
            band_depth,
            bands: Noise::new(image),
            sheen: Noise::new(image),
            // A part never lies quite straight under the camera.
            slope: between(image, -0.012, 0.012),
        }
    }

    pub fn grey(&self, x: f32, y: f32) -> f32 {
        let y = y + self.slope * x;
        let strokes: f32 = self
            .strokes
            .iter()
            .map(|s| s.depth * s.noise.at(x / s.length, y / s.thickness))
            .sum();
        self.level
            + self.band_depth * self.band(y / self.band_height)
            + 5.0 * self.sheen.at(x / 170.0, y / 90.0)
            + strokes
    }

    /// Plateaus of random height, -1 to 1, with short ramps between them.
    fn band(&self, at: f32) -> f32 {
        let index = at.floor();
        let plateau = |i: f32| self.bands.lattice(i as i32, 0);
        mix(
            plateau(index),
            plateau(index + 1.0),
            smooth((at - index - 0.7) / 0.3),
        )
    }
}
