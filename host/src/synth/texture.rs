//! Good surfaces, three families of them.
//!
//! A set shows one product: what its parts have in common (brush, weave, roll) is drawn from the
//! set's generator; how a part lies under the camera, and the light, from the image's own.

use rand::Rng;
use residua_shared::frame::Size;

use super::{
    brushed::Brushed,
    cloth::{Cloth, Gap},
    noise::Noise,
    random::{between, direction},
    steel::Steel,
};

/// A kind of surface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Family {
    /// Brushed metal with bands.
    Brushed,
    /// Woven cloth.
    Cloth,
    /// Rolled steel strip under uneven light.
    Steel,
}

/// One good surface as a camera sees it.
#[derive(Clone, Debug)]
pub struct Surface {
    size: Size,
    material: Material,
    light: Light,
    grain: [Noise; 2],
}

#[derive(Clone, Debug)]
enum Material {
    Brushed(Brushed),
    Cloth(Cloth),
    Steel(Steel),
}

/// Brightness that falls off a little to one side: no lamp is quite even.
#[derive(Clone, Copy, Debug)]
struct Light {
    towards: (f32, f32),
    fall: f32,
}

/// The camera's noise, in grey levels: the largest deviation of each of its two summands.
const GRAIN: f32 = 2.2;

impl Surface {
    /// A surface for one image: equal states of `set` give the same product.
    pub fn new(family: Family, size: Size, set: &mut impl Rng, image: &mut impl Rng) -> Self {
        let material = match family {
            Family::Brushed => Material::Brushed(Brushed::new(set, image)),
            Family::Cloth => Material::Cloth(Cloth::new(set, image)),
            Family::Steel => Material::Steel(Steel::new(size, set, image)),
        };
        Self {
            size,
            material,
            light: Light {
                towards: direction(image),
                fall: between(image, 0.0, 0.07),
            },
            grain: [Noise::new(image), Noise::new(image)],
        }
    }

    /// Grey levels, row by row, not yet rounded or cut to 0..255.
    pub fn render(&self, gap: Option<&Gap>) -> Vec<f32> {
        let (width, height) = (self.size.width(), self.size.height());
        let mut pixels = Vec::with_capacity(self.size.area());
        for j in 0..height {
            for i in 0..width {
                let (x, y) = (i as f32, j as f32);
                let surface = match &self.material {
                    Material::Brushed(brushed) => brushed.grey(x, y),
                    Material::Cloth(cloth) => cloth.grey(x, y, gap),
                    Material::Steel(steel) => steel.grey(x, y),
                };
                let (u, v) = (x / width as f32 - 0.5, y / height as f32 - 0.5);
                let Light { towards, fall } = self.light;
                let light = 1.0 + fall * 2.0 * (u * towards.0 + v * towards.1);
                let [a, b] = self.grain.map(|noise| noise.lattice(i as i32, j as i32));
                pixels.push(surface * light + GRAIN * (a + b));
            }
        }
        pixels
    }

    /// A thread of the surface that is missing, or `None` where it has no threads.
    pub fn gap(&self, rng: &mut impl Rng) -> Option<Gap> {
        match &self.material {
            Material::Cloth(cloth) => Some(cloth.gap(self.size, rng)),
            Material::Brushed(_) | Material::Steel(_) => None,
        }
    }
}
