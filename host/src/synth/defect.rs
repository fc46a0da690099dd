//! Five kinds of defects, and the exact mask of what they changed.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use residua_shared::frame::Size;

use super::{
    canvas::{Canvas, Coverage, Point, arc},
    noise::{Noise, mix},
    random::{below, between, chance, direction, gaussian, sign, skewed},
    texture::Surface,
};

/// A pixel belongs to a defect, and is 255 in its mask, where the defect changed it by at least so
/// many grey levels: about what the camera's noise is.
pub const VISIBLE: u8 = 4;

/// A defect is drawn again until it has so many such pixels, so that no mask is next to empty.
const SMALLEST: usize = 20;

/// What can be wrong with a surface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DefectKind {
    /// A thin dark arc.
    Crack,
    /// One to three thin lines, nearly straight.
    Scratch,
    /// A spot with an uneven outline.
    Blob,
    /// A row or column that is not there: on cloth a thread, else a line without its texture.
    MissingThread,
    /// A large faint patch with a darker rim.
    Stain,
}

impl DefectKind {
    pub const ALL: [Self; 5] = [
        Self::Crack,
        Self::Scratch,
        Self::Blob,
        Self::MissingThread,
        Self::Stain,
    ];

    /// The name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crack => "crack",
            Self::Scratch => "scratch",
            Self::Blob => "blob",
            Self::MissingThread => "missing_thread",
            Self::Stain => "stain",
        }
    }
}

/// An image and the mask of what is wrong in it, both of one size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flawed {
    pub pixels: Vec<u8>,
    /// 255 where the defects changed the image by [`VISIBLE`] or more, else 0.
    pub mask: Vec<u8>,
    /// For each kind, in the order drawn: 255 where the mask is and this defect, added to those
    /// before it, changed the image by [`VISIBLE`] or more. Overlapping defects share pixels; what
    /// only several faint ones together made visible is in none.
    pub by_kind: Vec<(DefectKind, Vec<u8>)>,
}

/// The surface as a good image.
pub fn flawless(surface: &Surface) -> Vec<u8> {
    surface.render(None).into_iter().map(to_grey).collect()
}

/// The surface with one defect of each of `kinds`.
pub fn flawed(surface: &Surface, size: Size, kinds: &[DefectKind], rng: &mut ChaCha8Rng) -> Flawed {
    let good = flawless(surface);
    let mut drawn = surface.render(None);
    let mut pixels = good.clone();
    let mut by_kind = Vec::with_capacity(kinds.len());
    for &kind in kinds {
        drawn = add(surface, size, kind, drawn, rng);
        let after: Vec<u8> = drawn.iter().map(|&value| to_grey(value)).collect();
        by_kind.push((kind, changed(&pixels, &after)));
        pixels = after;
    }
    let mask = changed(&good, &pixels);
    // A later defect can undo what an earlier one did: there is nothing to see there.
    for (_, own) in &mut by_kind {
        own.iter_mut().zip(&mask).for_each(|(own, all)| *own &= all);
    }
    Flawed {
        pixels,
        mask,
        by_kind,
    }
}

/// 255 where two images differ by [`VISIBLE`] or more, else 0.
fn changed(before: &[u8], after: &[u8]) -> Vec<u8> {
    let pairs = before.iter().zip(after);
    pairs
        .map(|(a, b)| if a.abs_diff(*b) >= VISIBLE { 255 } else { 0 })
        .collect()
}

fn add(
    surface: &Surface,
    size: Size,
    kind: DefectKind,
    before: Vec<f32>,
    rng: &mut ChaCha8Rng,
) -> Vec<f32> {
    loop {
        let mut after = before.clone();
        draw(
            surface,
            (size.width(), size.height()),
            kind,
            &mut after,
            rng,
        );
        let visible = after
            .iter()
            .zip(&before)
            .filter(|&(&a, &b)| to_grey(a).abs_diff(to_grey(b)) >= VISIBLE)
            .count();
        if visible >= SMALLEST {
            return after;
        }
    }
}

fn draw(
    surface: &Surface,
    canvas: Canvas,
    kind: DefectKind,
    pixels: &mut [f32],
    rng: &mut ChaCha8Rng,
) {
    match kind {
        DefectKind::Crack => crack(canvas, pixels, rng),
        DefectKind::Scratch => scratch(canvas, pixels, rng),
        DefectKind::Blob => blob(canvas, pixels, rng),
        DefectKind::Stain => stain(canvas, pixels, rng),
        DefectKind::MissingThread => match surface.gap(rng) {
            Some(gap) => {
                // Only the change goes in: other defects may be drawn already.
                let (with, without) = (surface.render(None), surface.render(Some(&gap)));
                for (pixel, (with, without)) in pixels.iter_mut().zip(with.iter().zip(without)) {
                    *pixel += without - with;
                }
            }
            None => missing_line(canvas, pixels, rng),
        },
    }
}

fn to_grey(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// The image's shorter side over 256 pixels, for which lengths below are given.
fn scale(canvas: Canvas) -> f32 {
    canvas.0.min(canvas.1) as f32 / 256.0
}

/// A place at least an eighth of each side off the border.
fn inside(canvas: Canvas, rng: &mut impl Rng) -> Point {
    (
        between(rng, 0.125, 0.875) * canvas.0 as f32,
        between(rng, 0.125, 0.875) * canvas.1 as f32,
    )
}

fn crack(canvas: Canvas, pixels: &mut [f32], rng: &mut impl Rng) {
    let length = between(rng, 30.0, 100.0) * scale(canvas);
    let sagitta = sign(rng) * between(rng, 0.08, 0.3) * length;
    let half_width = between(rng, 0.7, 1.7);
    let depth = between(rng, 30.0, 80.0);
    let points: Vec<_> = arc(inside(canvas, rng), direction(rng), length, sagitta)
        .into_iter()
        .map(|((x, y), t)| {
            let jitter = (0.5 * gaussian(rng), 0.5 * gaussian(rng));
            let width = half_width * (1.0 - 0.75 * t * t);
            ((x + jitter.0, y + jitter.1), width)
        })
        .collect();
    // The lip that catches the light, a pixel and a half beside the crack.
    let lip: Vec<_> = points
        .iter()
        .map(|&((x, y), width)| ((x + 1.1, y + 1.1), width))
        .collect();
    let bright = between(rng, 0.1, 0.3) * depth;
    Coverage::stroke(canvas, &lip, 1.2).paint(pixels, canvas, |_, _, old, a| old + bright * a);
    Coverage::stroke(canvas, &points, 1.2).paint(pixels, canvas, |_, _, old, a| old - depth * a);
}

fn scratch(canvas: Canvas, pixels: &mut [f32], rng: &mut impl Rng) {
    let length = between(rng, 60.0, 180.0) * scale(canvas);
    let along = direction(rng);
    let centre = inside(canvas, rng);
    let sagitta = gaussian(rng) * 0.006 * length;
    let depth = if chance(rng, 0.7) {
        between(rng, 25.0, 65.0)
    } else {
        -between(rng, 25.0, 55.0)
    };
    let lines = 1 + below(rng, 2) + below(rng, 2);
    for line in 0..lines {
        let off = line as f32 * between(rng, 3.0, 6.0);
        let length = length * between(rng, 0.6, 1.0);
        let start = (centre.0 - along.1 * off, centre.1 + along.0 * off);
        let half_width = between(rng, 0.4, 1.0);
        let points: Vec<_> = arc(start, along, length, sagitta)
            .into_iter()
            .map(|(point, t)| (point, half_width * (1.0 - 0.5 * t * t)))
            .collect();
        // The tool that scratches skips: the line is deep here and faint there.
        let skips = Noise::new(rng);
        Coverage::stroke(canvas, &points, 1.0).paint(pixels, canvas, |x, y, old, alpha| {
            let at = (x as f32 * along.0 + y as f32 * along.1) / 14.0;
            old + depth * alpha * (0.75 + 0.35 * skips.at(at, 0.0))
        });
    }
}

fn blob(canvas: Canvas, pixels: &mut [f32], rng: &mut impl Rng) {
    let long = skewed(rng, 4.0, 14.0) * scale(canvas).max(0.6);
    let short = long * between(rng, 0.55, 1.0);
    let dark = chance(rng, 0.7);
    let depth = between(rng, 25.0, 75.0);
    let (outline, speckle) = (Noise::new(rng), Noise::new(rng));
    let uneven = between(rng, 0.15, 0.45) * short;
    let edge = between(rng, 1.2, 3.0);
    let centre = inside(canvas, rng);
    Coverage::ellipse(
        canvas,
        centre,
        (long, short),
        direction(rng),
        edge,
        uneven,
        |x, y| uneven * outline.at(x / (0.6 * long), y / (0.6 * long)),
    )
    .paint(pixels, canvas, |x, y, old, alpha| {
        let speckle = 0.85 + 0.2 * speckle.at(x as f32 / 2.5, y as f32 / 2.5);
        let depth = depth * speckle * alpha;
        if dark { old - depth } else { old + depth }
    });
}

fn stain(canvas: Canvas, pixels: &mut [f32], rng: &mut impl Rng) {
    let long = between(rng, 16.0, 42.0) * scale(canvas);
    let short = long * between(rng, 0.5, 1.0);
    // A share of the brightness: a stain lets the surface be seen through.
    let depth = between(rng, 0.09, 0.2) * if chance(rng, 0.8) { -1.0 } else { 0.8 };
    let (outline, clouds) = (Noise::new(rng), Noise::new(rng));
    let uneven = between(rng, 0.2, 0.4) * short;
    let (centre, along) = (inside(canvas, rng), direction(rng));
    let edge = between(rng, 4.0, 9.0);
    let outline = |x: f32, y: f32| {
        uneven
            * (0.7 * outline.at(x / (0.7 * long), y / (0.7 * long))
                + 0.3 * outline.at(x / (0.2 * long), y / (0.2 * long)))
    };
    Coverage::ellipse(canvas, centre, (long, short), along, edge, uneven, outline).paint(
        pixels,
        canvas,
        |x, y, old, alpha| {
            let clouds = 0.85 + 0.2 * clouds.at(x as f32 / 9.0, y as f32 / 9.0);
            // What dries last leaves a rim: most where the coverage is half.
            let rim = 1.0 + 1.2 * alpha * (1.0 - alpha);
            old * (1.0 + depth * clouds * rim * alpha)
        },
    );
}

/// A line across the image without its texture, lighter or darker than its neighbourhood.
fn missing_line(canvas: Canvas, pixels: &mut [f32], rng: &mut impl Rng) {
    let upright = chance(rng, 0.5);
    let (across, along) = if upright {
        canvas
    } else {
        (canvas.1, canvas.0)
    };
    let at = between(rng, 0.1, 0.9) * across as f32;
    let half = between(rng, 0.8, 2.2);
    let from = between(rng, -0.1, 0.6) * along as f32;
    let to = from + between(rng, 0.4, 1.2) * along as f32;
    let offset = sign(rng) * between(rng, 12.0, 32.0);
    let (low, high) = if upright {
        ((at - half, from), (at + half, to))
    } else {
        ((from, at - half), (to, at + half))
    };
    let before = pixels.to_vec();
    Coverage::rectangle(canvas, low, high, 1.2).paint(pixels, canvas, |x, y, old, alpha| {
        let flat = mean_along(&before, canvas, upright, x, y) + offset;
        mix(old, flat, alpha)
    });
}

/// The mean of up to 33 pixels across the line around a pixel: its neighbourhood without texture.
fn mean_along(pixels: &[f32], canvas: Canvas, upright: bool, x: usize, y: usize) -> f32 {
    const REACH: usize = 16;
    let (at, end) = if upright {
        (x, canvas.0)
    } else {
        (y, canvas.1)
    };
    let range = at.saturating_sub(REACH)..(at + REACH + 1).min(end);
    let count = range.len() as f32;
    let value = |i: usize| {
        if upright {
            pixels[y * canvas.0 + i]
        } else {
            pixels[i * canvas.0 + x]
        }
    };
    range.map(value).sum::<f32>() / count
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::synth::texture::Family;

    fn surface(family: Family, size: Size) -> Surface {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        Surface::new(family, size, &mut rng.clone(), &mut rng)
    }

    #[test]
    fn masks_are_exactly_what_can_be_seen() {
        let size = Size::new(128, 128).unwrap();
        for family in [Family::Brushed, Family::Cloth, Family::Steel] {
            let surface = surface(family, size);
            let good = flawless(&surface);
            for kind in DefectKind::ALL {
                let mut rng = ChaCha8Rng::seed_from_u64(9);
                let flawed = flawed(&surface, size, &[kind], &mut rng);
                let change = |i: usize| flawed.pixels[i].abs_diff(good[i]);
                for (i, &mask) in flawed.mask.iter().enumerate() {
                    assert_eq!(mask == 255, change(i) >= VISIBLE, "{family:?} {kind:?}");
                    assert!(mask == 0 || mask == 255);
                }
                let marked = flawed.mask.iter().filter(|&&mask| mask == 255).count();
                assert!(marked >= SMALLEST, "{family:?} {kind:?}: {marked}");
                let strongest = (0..good.len()).map(change).max();
                assert!(
                    strongest > Some(2 * VISIBLE),
                    "{family:?} {kind:?}: {strongest:?}"
                );
            }
        }
    }

    #[test]
    fn a_missing_thread_changes_a_band_one_thread_wide() {
        let size = Size::new(128, 128).unwrap();
        let surface = surface(Family::Cloth, size);
        for seed in 0..10 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mask = flawed(&surface, size, &[DefectKind::MissingThread], &mut rng).mask;
            let extent = |along: fn(usize) -> usize| {
                let marked = (0..mask.len()).filter(|&i| mask[i] == 255).map(along);
                marked.clone().max().unwrap() - marked.min().unwrap()
            };
            let (wide, high) = (extent(|i| i % 128), extent(|i| i / 128));
            // A pitch of up to 10.5 pixels, the sway, and the slope over the length.
            assert!(
                wide.min(high) <= 16 && wide.max(high) >= 24,
                "{wide}x{high}"
            );
        }
    }

    #[test]
    fn several_kinds_add_up() {
        let size = Size::new(128, 128).unwrap();
        let surface = surface(Family::Steel, size);
        let marked = |kinds: &[DefectKind]| {
            let mut rng = ChaCha8Rng::seed_from_u64(4);
            let mask = flawed(&surface, size, kinds, &mut rng).mask;
            mask.iter().filter(|&&mask| mask == 255).count()
        };
        let one = marked(&[DefectKind::Crack]);
        assert!(marked(&[DefectKind::Crack, DefectKind::Stain]) > one + 50);
    }

    #[test]
    fn a_kind_has_its_own_defect_in_its_mask_and_no_other() {
        let size = Size::new(128, 128).unwrap();
        let surface = surface(Family::Steel, size);
        let draw = |kinds: &[DefectKind]| {
            let mut rng = ChaCha8Rng::seed_from_u64(4);
            flawed(&surface, size, kinds, &mut rng)
        };
        let alone = draw(&[DefectKind::Crack]);
        assert_eq!(alone.by_kind, [(DefectKind::Crack, alone.mask.clone())]);
        let both = draw(&[DefectKind::Crack, DefectKind::Blob]);
        let [(first, crack), (second, blob)] = &both.by_kind[..] else {
            panic!("{} masks", both.by_kind.len());
        };
        assert_eq!((*first, *second), (DefectKind::Crack, DefectKind::Blob));
        for i in 0..both.mask.len() {
            // What the first one drew is known from the image without the second.
            assert_eq!(crack[i], alone.mask[i] & both.mask[i]);
            let added = both.pixels[i].abs_diff(alone.pixels[i]) >= VISIBLE;
            assert_eq!(blob[i] == 255, added && both.mask[i] == 255);
        }
        assert!(crack.contains(&255) && blob.contains(&255) && crack != blob);
    }
}
