//! Thin lines painted into good images, to ask what a model would see of them.

use rand_chacha::ChaCha8Rng;
use residua_shared::frame::Size;

use super::{
    canvas::{Coverage, arc},
    random::{between, direction, sign},
};
use crate::data::Grey;

/// The length of a mark in pixels, or half the image's smaller side where that is less.
pub const LENGTH: f32 = 24.0;
/// The width of a mark in pixels.
pub const WIDTH: f32 = 2.0;

/// An image with a mark in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Marked {
    pub image: Grey,
    /// For each pixel whether the mark covers half of it or more.
    pub mark: Vec<bool>,
}

/// Paints a slightly bent line, `contrast` grey levels brighter than what it lies on or darker where
/// that is negative, wholly inside the image.
pub fn mark(image: &Grey, contrast: f32, rng: &mut ChaCha8Rng) -> Marked {
    let size: Size = image.size;
    let canvas = (size.width(), size.height());
    let length = LENGTH.min(canvas.0.min(canvas.1) as f32 / 2.0);
    let reach = length / 2.0 + WIDTH;
    let inside = |side: usize, rng: &mut ChaCha8Rng| between(rng, reach, side as f32 - reach);
    let centre = (inside(canvas.0, rng), inside(canvas.1, rng));
    let sagitta = sign(rng) * between(rng, 0.0, 0.1) * length;
    let points = arc(centre, direction(rng), length, sagitta);
    let points: Vec<_> = points
        .into_iter()
        .map(|(at, _)| (at, WIDTH / 2.0))
        .collect();
    let mut pixels: Vec<f32> = image.pixels.iter().map(|&grey| grey.into()).collect();
    let mut mark = vec![false; pixels.len()];
    Coverage::stroke(canvas, &points, 1.0).paint(&mut pixels, canvas, |x, y, old, alpha| {
        mark[y * canvas.0 + x] = alpha >= 0.5;
        (old + contrast * alpha).clamp(0.0, 255.0)
    });
    let pixels = pixels.into_iter().map(|grey| grey.round() as u8).collect();
    Marked {
        image: Grey { size, pixels },
        mark,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_mark_is_inside_as_large_as_stated_and_as_strong() {
        let size = Size::new(70, 40).unwrap();
        let image = Grey {
            size,
            pixels: vec![100; size.area()],
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for contrast in [-130.0, -20.0, 20.0, 200.0] {
            let marked = mark(&image, contrast, &mut rng);
            let area = marked.mark.iter().filter(|covered| **covered).count();
            assert!((35..70).contains(&area), "{area}");
            let pairs = marked.image.pixels.iter().zip(&marked.mark);
            let changed = pairs.clone().filter(|(grey, _)| **grey != 100);
            let full = (100.0 + contrast).clamp(0.0, 255.0) as u8;
            assert!(changed.clone().any(|(grey, _)| *grey == full));
            assert!(changed.count() < 2 * area);
            assert!(
                pairs
                    .clone()
                    .all(|(grey, covered)| !covered || *grey != 100)
            );
        }
    }
}
