//! 8-connected components of a mask.

use residua_shared::frame::Size;

/// How far apart the pixels of one defect may be, across and down.
const DEFECT_REACH: usize = 5;

/// The components of a mask, numbered from 1 in raster order of their first pixels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Components {
    /// For each pixel its component's number; 0 outside.
    pub labels: Vec<u32>,
    /// Pixels of component 1, 2, …
    pub areas: Vec<u32>,
}

impl Components {
    pub fn count(&self) -> usize {
        self.areas.len()
    }
}

/// The 8-connected components of the pixels for which `inside` holds; pixels are numbered row by
/// row.
pub fn components(size: Size, inside: impl Fn(usize) -> bool) -> Components {
    joined(size, inside, 1)
}

/// The defects of a ground-truth mask: as [`components`], but parts with fewer than five pixels
/// between them, across and down, are one. A mask drawn thinner than a pixel falls into dots (that of
/// one crack of DAGM 2007, class 8, into nineteen), which would each count as a defect.
pub fn defects(size: Size, inside: impl Fn(usize) -> bool) -> Components {
    joined(size, inside, DEFECT_REACH)
}

/// Components of pixels no further apart than `reach`, across and down.
fn joined(size: Size, inside: impl Fn(usize) -> bool, reach: usize) -> Components {
    let mut labels = vec![0; size.area()];
    let mut areas = Vec::new();
    let mut open = Vec::new();
    for start in 0..size.area() {
        if labels[start] != 0 || !inside(start) {
            continue;
        }
        let label = areas.len() as u32 + 1;
        let mut area = 0;
        labels[start] = label;
        open.push(start);
        while let Some(pixel) = open.pop() {
            area += 1;
            for next in around(size, pixel, reach) {
                if labels[next] == 0 && inside(next) {
                    labels[next] = label;
                    open.push(next);
                }
            }
        }
        areas.push(area);
    }
    Components { labels, areas }
}

/// The up to eight pixels around `pixel`.
pub(super) fn neighbours(size: Size, pixel: usize) -> impl Iterator<Item = usize> {
    around(size, pixel, 1)
}

/// The pixels no further from `pixel` than `reach`, across and down.
fn around(size: Size, pixel: usize, reach: usize) -> impl Iterator<Item = usize> {
    let (width, height) = (size.width(), size.height());
    let (x, y) = (pixel % width, pixel / width);
    let near = move |at: usize, end: usize| at.saturating_sub(reach)..(at + reach + 1).min(end);
    near(y, height)
        .flat_map(move |row| near(x, width).map(move |column| row * width + column))
        .filter(move |next| *next != pixel)
}
