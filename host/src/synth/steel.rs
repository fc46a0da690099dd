//! Rolled steel strip: fine streaks along the rolling direction, scale, small pits, chatter marks,
//! and a lamp whose bright stripe is never in the same place.

use rand::Rng;
use residua_shared::frame::Size;

use super::{
    noise::{Noise, smooth},
    random::between,
};

#[derive(Clone, Debug)]
pub struct Steel {
    level: f32,
    /// Height of the bright stripe in grey levels, where it is, and half its width in pixels.
    lamp: f32,
    stripe: f32,
    stripe_width: f32,
    /// How far the stripe wanders to the sides, in pixels.
    wander: Noise,
    streaks: [Noise; 2],
    scale: [Noise; 2],
    pits: Noise,
    /// Distance of the chatter marks in pixels.
    chatter: f32,
    phase: f32,
}

impl Steel {
    pub fn new(size: Size, set: &mut impl Rng, image: &mut impl Rng) -> Self {
        let width = size.width() as f32;
        let noises = |rng: &mut _| [Noise::new(rng), Noise::new(rng)];
        Self {
            level: between(set, 85.0, 105.0),
            lamp: between(set, 45.0, 60.0) * between(image, 0.75, 1.25),
            stripe: width * between(image, 0.25, 0.75),
            stripe_width: width * between(set, 0.45, 0.6),
            chatter: between(set, 22.0, 34.0),
            wander: Noise::new(image),
            streaks: noises(image),
            scale: noises(image),
            pits: Noise::new(image),
            phase: between(image, 0.0, 1.0),
        }
    }

    pub fn grey(&self, x: f32, y: f32) -> f32 {
        self.level + self.light(x, y) + self.streak(x, y) + self.texture(x, y) + self.marks(x, y)
            - self.pit(x, y)
    }

    fn light(&self, x: f32, y: f32) -> f32 {
        let centre = self.stripe + 14.0 * self.wander.at(0.0, y / 140.0);
        let off = (x - centre) / self.stripe_width;
        self.lamp / (1.0 + 3.0 * off * off) * (1.0 + 0.08 * self.wander.at(7.5, y / 90.0))
    }

    fn streak(&self, x: f32, y: f32) -> f32 {
        let [fine, broad] = self.streaks;
        6.0 * fine.at(x / 0.9, y / 55.0) + 4.0 * broad.at(x / 4.0, y / 240.0)
    }

    fn texture(&self, x: f32, y: f32) -> f32 {
        let [coarse, fine] = self.scale;
        // Turned, or the noise's lattice would show as a plaid beside the streaks.
        let (u, v) = (0.8 * x + 0.6 * y, 0.8 * y - 0.6 * x);
        2.5 * coarse.at(u / 10.0, v / 10.0) + 4.5 * fine.at(u / 2.4, v / 2.4)
    }

    /// Marks that the rolls leave across the strip at equal distances, hardly to be seen.
    fn marks(&self, x: f32, y: f32) -> f32 {
        let at = y / self.chatter + self.phase + 0.08 * self.scale[0].at(x / 40.0, 0.5);
        let off = 2.0 * (at - at.floor()) - 1.0;
        3.0 * smooth(1.0 - 4.0 * off.abs())
    }

    /// Pits of a pixel or two, a few in a thousand places.
    fn pit(&self, x: f32, y: f32) -> f32 {
        let depth = self.pits.at(x / 2.2, y / 2.2);
        70.0 * (depth - 0.66).max(0.0)
    }
}
