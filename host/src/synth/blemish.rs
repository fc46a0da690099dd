//! The corruption of repair training: blemishes of all sorts, wider in size and contrast than real
//! defects, so that the network learns to put back what should be there rather than one look.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{
    canvas::{Canvas, Coverage, Point, arc},
    noise::{Noise, mix},
    random::{below, between, chance, direction, gaussian, sign, skewed},
};

/// Draws 1 to 4 blemishes into a `width` x `height` image with values 0..1, which they stay in.
///
/// Of them 45 % are curved strokes, 30 % ellipses with a more or less uneven outline, 25 % patches
/// moved from elsewhere in the same image. Strokes and ellipses set a constant, add an offset of
/// 0.05..0.5 up or down, or set noise around a level. Edges are sharp or soft.
///
/// # Panics
/// Where `pixels` has not `width * height` values, or none.
pub fn blemish(pixels: &mut [f32], width: usize, height: usize, rng: &mut ChaCha8Rng) {
    assert!(width > 0 && height > 0 && pixels.len() == width * height);
    let canvas = (width, height);
    for _ in 0..1 + below(rng, 4) {
        let kind = below(rng, 100);
        if kind < 75 {
            let shape = if kind < 45 {
                stroke(canvas, rng)
            } else {
                ellipse(canvas, rng)
            };
            fill(pixels, canvas, &shape, rng);
        } else {
            move_patch(pixels, canvas, rng);
        }
    }
}

fn side(canvas: Canvas) -> f32 {
    canvas.0.min(canvas.1) as f32
}

fn anywhere(canvas: Canvas, rng: &mut impl Rng) -> Point {
    (
        between(rng, 0.0, canvas.0 as f32),
        between(rng, 0.0, canvas.1 as f32),
    )
}

/// Sharp three times in five.
fn edge(rng: &mut impl Rng) -> f32 {
    if chance(rng, 0.6) {
        1.0
    } else {
        skewed(rng, 1.0, 6.0)
    }
}

fn stroke(canvas: Canvas, rng: &mut impl Rng) -> Coverage {
    let length = skewed(rng, 5.0, 5.0 + 0.7 * side(canvas));
    let sagitta = sign(rng) * skewed(rng, 0.0, 0.35 * length);
    let half_width = skewed(rng, 0.4, 3.5);
    let tapers = chance(rng, 0.5);
    let jitter = if chance(rng, 0.5) {
        skewed(rng, 0.0, 1.5)
    } else {
        0.0
    };
    let points: Vec<_> = arc(anywhere(canvas, rng), direction(rng), length, sagitta)
        .into_iter()
        .map(|((x, y), t)| {
            let taper = if tapers { 1.0 - 0.8 * t * t } else { 1.0 };
            let point = (x + jitter * gaussian(rng), y + jitter * gaussian(rng));
            (point, half_width * taper)
        })
        .collect();
    Coverage::stroke(canvas, &points, edge(rng))
}

fn ellipse(canvas: Canvas, rng: &mut impl Rng) -> Coverage {
    let long = skewed(rng, 1.2, 1.2 + 0.16 * side(canvas));
    let short = long * between(rng, 0.25, 1.0);
    let outline = Noise::new(rng);
    let uneven = between(rng, 0.0, 0.5) * short;
    let scale = between(rng, 0.3, 1.0) * long.max(1.0);
    Coverage::ellipse(
        canvas,
        anywhere(canvas, rng),
        (long, short),
        direction(rng),
        edge(rng),
        uneven,
        |x, y| uneven * outline.at(x / scale, y / scale),
    )
}

/// Paints the shape over the image in one of three ways.
fn fill(pixels: &mut [f32], canvas: Canvas, shape: &Coverage, rng: &mut impl Rng) {
    match below(rng, 10) {
        0..3 => {
            let level = between(rng, 0.0, 1.0);
            shape.paint(pixels, canvas, |_, _, old, alpha| mix(old, level, alpha));
        }
        3..7 => {
            let offset = sign(rng) * between(rng, 0.05, 0.5);
            shape.paint(pixels, canvas, |_, _, old, alpha| {
                (old + offset * alpha).clamp(0.0, 1.0)
            });
        }
        _ => {
            let level = between(rng, 0.0, 1.0);
            let spread = between(rng, 0.05, 0.3);
            shape.paint(pixels, canvas, |_, _, old, alpha| {
                mix(old, (level + spread * gaussian(rng)).clamp(0.0, 1.0), alpha)
            });
        }
    }
}

/// Copies a rectangle or an ellipse of the image to another place in it: right in every pixel's
/// value, wrong in its place.
fn move_patch(pixels: &mut [f32], canvas: Canvas, rng: &mut impl Rng) {
    let limit = 4.0 + 0.2 * side(canvas);
    let half = (skewed(rng, 1.5, limit), skewed(rng, 1.5, limit));
    let to = anywhere(canvas, rng);
    let from = anywhere(canvas, rng);
    let edge = edge(rng);
    let shape = if chance(rng, 0.5) {
        let low = (to.0 - half.0, to.1 - half.1);
        let high = (to.0 + half.0, to.1 + half.1);
        Coverage::rectangle(canvas, low, high, edge)
    } else {
        Coverage::ellipse(canvas, to, half, direction(rng), edge, 0.0, |_, _| 0.0)
    };
    let source = pixels.to_vec();
    let shift = |at: usize, from: f32, to: f32, length: usize| {
        (at as i32 + from as i32 - to as i32).rem_euclid(length as i32) as usize
    };
    shape.paint(pixels, canvas, |x, y, old, alpha| {
        let x = shift(x, from.0, to.0, canvas.0);
        let y = shift(y, from.1, to.1, canvas.1);
        mix(old, source[y * canvas.0 + x], alpha)
    });
}
