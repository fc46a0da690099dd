//! Value noise: smooth random functions of the plane, from a hash of the integer lattice.

use rand::Rng;

/// One random function of the plane with values in `-1..=1` and features about 1 wide.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    seed: u32,
}

impl Noise {
    pub fn new(rng: &mut impl Rng) -> Self {
        Self {
            seed: rng.next_u32(),
        }
    }

    pub fn at(self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (smooth(x - left), smooth(y - top));
        let (i, j) = (left as i32, top as i32);
        let row = |j| mix(self.lattice(i, j), self.lattice(i.wrapping_add(1), j), u);
        mix(row(j), row(j.wrapping_add(1)), v)
    }

    /// The value at a lattice point: independent of all others.
    pub fn lattice(self, i: i32, j: i32) -> f32 {
        // Constants of the "lowbias32" integer hash (C. Wellons), coordinates spread by odd factors.
        let mut h =
            self.seed ^ (i as u32).wrapping_mul(0x9e37_79b1) ^ (j as u32).wrapping_mul(0x85eb_ca77);
        h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
        h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
        h ^= h >> 16;
        (h >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// 0 to 1 with level ends, for `t` clamped to 0..1.
pub fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}
