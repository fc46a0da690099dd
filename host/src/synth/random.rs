//! Draws that give equal bits on every machine: no more than integers, `+ - * /` and `sqrt` go into
//! them.

use rand::Rng;

/// Uniform in `0..1`.
pub fn unit(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// Uniform in `low..high`.
pub fn between(rng: &mut impl Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * unit(rng)
}

/// In `low..high`, small values more often: the square of a uniform draw.
pub fn skewed(rng: &mut impl Rng, low: f32, high: f32) -> f32 {
    let u = unit(rng);
    low + (high - low) * u * u
}

pub fn chance(rng: &mut impl Rng, probability: f32) -> bool {
    unit(rng) < probability
}

pub fn sign(rng: &mut impl Rng) -> f32 {
    if chance(rng, 0.5) { 1.0 } else { -1.0 }
}

/// Uniform in `0..bound`; 0 for a bound of 0.
pub fn below(rng: &mut impl Rng, bound: usize) -> usize {
    ((u64::from(rng.next_u32()) * bound as u64) >> 32) as usize
}

/// About standard normal: the sum of four uniform draws, scaled (Irwin-Hall).
pub fn gaussian(rng: &mut impl Rng) -> f32 {
    const SCALE: f32 = 1.732_050_8;
    let sum: f32 = (0..4).map(|_| unit(rng)).sum();
    (sum - 2.0) * SCALE
}

/// A unit vector, all directions alike.
pub fn direction(rng: &mut impl Rng) -> (f32, f32) {
    loop {
        let (x, y) = (between(rng, -1.0, 1.0), between(rng, -1.0, 1.0));
        let length = (x * x + y * y).sqrt();
        if (0.1..=1.0).contains(&length) {
            return (x / length, y / length);
        }
    }
}
