//! Anti-aliased shapes: how much of each pixel a shape covers.

use super::noise::smooth;

/// A place in pixels; pixel (i, j) has its centre at (i, j).
pub type Point = (f32, f32);

/// Width and height of the image drawn on, in pixels.
pub type Canvas = (usize, usize);

/// How much a shape covers each pixel of a part of the image, 0 to 1.
#[derive(Clone, Debug)]
pub struct Coverage {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    alpha: Vec<f32>,
}

impl Coverage {
    /// An ellipse with semi-axes `axes`, the first along the unit vector `along`.
    ///
    /// `edge` is the width of the ramp at the outline in pixels, 1 for a sharp one; `outline` moves
    /// the outline outwards by so many pixels, at most `reach`, at a place relative to the centre.
    pub fn ellipse(
        canvas: Canvas,
        centre: Point,
        axes: (f32, f32),
        along: Point,
        edge: f32,
        reach: f32,
        outline: impl Fn(f32, f32) -> f32,
    ) -> Self {
        let (a, b) = axes;
        let reach = a.max(b) + reach + edge;
        let mut coverage = Self::empty(canvas, centre, centre, reach);
        coverage.cover(centre, centre, reach, edge, |x, y| {
            let (x, y) = (x - centre.0, y - centre.1);
            let u = x * along.0 + y * along.1;
            let v = y * along.0 - x * along.1;
            ellipse_distance(u, v, a, b) - outline(x, y)
        });
        coverage
    }

    /// A line through `points`, each with half the width it has there, in pixels.
    pub fn stroke(canvas: Canvas, points: &[(Point, f32)], edge: f32) -> Self {
        let start = points.first().map_or((0.0, 0.0), |&(point, _)| point);
        let (mut low, mut high, mut widest) = (start, start, 0.0_f32);
        for &((x, y), half_width) in points {
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
            widest = widest.max(half_width);
        }
        let mut coverage = Self::empty(canvas, low, high, widest + edge);
        for pair in points.windows(2) {
            let [(from, from_width), (to, to_width)] = [pair[0], pair[1]];
            let reach = from_width.max(to_width) + edge;
            let low = (from.0.min(to.0), from.1.min(to.1));
            let high = (from.0.max(to.0), from.1.max(to.1));
            coverage.cover(low, high, reach, edge, |x, y| {
                let (distance, t) = segment_distance((x, y), from, to);
                distance - (from_width + (to_width - from_width) * t)
            });
        }
        coverage
    }

    /// A rectangle between two corners.
    pub fn rectangle(canvas: Canvas, low: Point, high: Point, edge: f32) -> Self {
        let mut coverage = Self::empty(canvas, low, high, edge);
        coverage.cover(low, high, edge, edge, |x, y| {
            let outside = |at: f32, low: f32, high: f32| (low - at).max(at - high);
            outside(x, low.0, high.0).max(outside(y, low.1, high.1))
        });
        coverage
    }

    /// Replaces every covered pixel of the image by `paint(x, y, value, coverage)`.
    pub fn paint(
        &self,
        pixels: &mut [f32],
        canvas: Canvas,
        mut paint: impl FnMut(usize, usize, f32, f32) -> f32,
    ) {
        for (y, row) in self.alpha.chunks_exact(self.width.max(1)).enumerate() {
            let start = (self.top + y) * canvas.0 + self.left;
            let target = &mut pixels[start..start + row.len()];
            for (x, (pixel, &alpha)) in target.iter_mut().zip(row).enumerate() {
                if alpha > 0.0 {
                    *pixel = paint(self.left + x, self.top + y, *pixel, alpha);
                }
            }
        }
    }

    /// Nothing covered yet, room for the box widened by `reach`, cut to the canvas.
    fn empty(canvas: Canvas, low: Point, high: Point, reach: f32) -> Self {
        let (left, right) = span(low.0 - reach, high.0 + reach, 0, canvas.0);
        let (top, bottom) = span(low.1 - reach, high.1 + reach, 0, canvas.1);
        let (width, height) = (right - left, bottom - top);
        Self {
            left,
            top,
            width,
            height,
            alpha: vec![0.0; width * height],
        }
    }

    /// Adds a shape, given by the signed distance to its outline (negative inside), within the box
    /// widened by `reach`.
    fn cover(
        &mut self,
        low: Point,
        high: Point,
        reach: f32,
        edge: f32,
        distance: impl Fn(f32, f32) -> f32,
    ) {
        let (left, right) = span(low.0 - reach, high.0 + reach, self.left, self.width);
        let (top, bottom) = span(low.1 - reach, high.1 + reach, self.top, self.height);
        for y in top..bottom {
            let row = &mut self.alpha[(y - self.top) * self.width..][..self.width];
            for x in left..right {
                let inside = smooth(0.5 - distance(x as f32, y as f32) / edge);
                let alpha = &mut row[x - self.left];
                *alpha = alpha.max(inside);
            }
        }
    }
}

/// The pixels of `start..start + length` whose centres are in `low..=high`.
fn span(low: f32, high: f32, start: usize, length: usize) -> (usize, usize) {
    // Float to integer casts saturate, so that far-off shapes only give an empty span.
    let end = start + length;
    let first = (low.ceil().max(0.0) as usize).clamp(start, end);
    let past = ((high.floor() + 1.0).max(0.0) as usize).clamp(first, end);
    (first, past)
}

/// Signed distance to an ellipse's outline, to first order: the implicit function over the length
/// of its gradient.
fn ellipse_distance(u: f32, v: f32, a: f32, b: f32) -> f32 {
    let (p, q) = (u / a, v / b);
    let k = (p * p + q * q).sqrt();
    let (gp, gq) = (p / a, q / b);
    let gradient = (gp * gp + gq * gq).sqrt();
    if gradient > 0.0 {
        k * (k - 1.0) / gradient
    } else {
        -a.min(b)
    }
}

/// Distance of a place from a line segment, and where along it (0 to 1) the nearest point is.
fn segment_distance(at: Point, from: Point, to: Point) -> (f32, f32) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (x, y) = (at.0 - from.0, at.1 - from.1);
    let length2 = dx * dx + dy * dy;
    let t = if length2 > 0.0 {
        ((x * dx + y * dy) / length2).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let (x, y) = (x - t * dx, y - t * dy);
    ((x * x + y * y).sqrt(), t)
}

/// Points of a parabola through `centre`, `length` long along the unit vector `along`, its ends
/// `sagitta` pixels off the tangent, with the parameter -1 to 1 of each.
pub fn arc(centre: Point, along: Point, length: f32, sagitta: f32) -> Vec<(Point, f32)> {
    // An even number, so that the middle is a point; of about 6 pixels, which looks round.
    let segments = 2 * ((length / 12.0) as usize).clamp(2, 32);
    (0..=segments)
        .map(|i| {
            let t = 2.0 * i as f32 / segments as f32 - 1.0;
            let (u, v) = (t * length / 2.0, t * t * sagitta);
            let point = (
                centre.0 + along.0 * u - along.1 * v,
                centre.1 + along.1 * u + along.0 * v,
            );
            (point, t)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::f32::consts::PI;

    use super::*;

    const CANVAS: Canvas = (80, 60);

    fn area(coverage: &Coverage) -> f32 {
        coverage.alpha.iter().sum()
    }

    fn disc(centre: Point, radius: f32, edge: f32) -> Coverage {
        let axes = (radius, radius);
        Coverage::ellipse(CANVAS, centre, axes, (1.0, 0.0), edge, 0.0, |_, _| 0.0)
    }

    #[test]
    fn coverage_adds_up_to_the_area_of_the_shape() {
        let close = |area: f32, wanted: f32| {
            assert!((area / wanted - 1.0).abs() < 0.02, "{area}, not {wanted}");
        };
        close(area(&disc((40.3, 30.8), 9.0, 1.0)), 81.0 * PI);
        close(area(&disc((40.3, 30.8), 9.0, 3.0)), 81.0 * PI);
        let ellipse = Coverage::ellipse(
            CANVAS,
            (40.0, 30.0),
            (20.0, 6.0),
            (0.6, 0.8),
            1.0,
            0.0,
            |_, _| 0.0,
        );
        close(area(&ellipse), 120.0 * PI);
        let points = [((15.2, 40.1), 2.0), ((60.7, 12.4), 2.0)];
        let length = (45.5_f32 * 45.5 + 27.7 * 27.7).sqrt();
        close(
            area(&Coverage::stroke(CANVAS, &points, 1.0)),
            length * 4.0 + 4.0 * PI,
        );
        let rectangle = Coverage::rectangle(CANVAS, (10.0, 10.0), (30.0, 25.0), 1.0);
        close(area(&rectangle), 20.0 * 15.0);
    }

    #[test]
    fn shapes_are_cut_at_the_border() {
        for centre in [(0.0, 0.0), (79.0, 59.0), (-3.0, 30.0), (40.0, 62.0)] {
            let mut pixels = vec![0.0; 80 * 60];
            let shape = disc(centre, 5.0, 1.0);
            shape.paint(&mut pixels, CANVAS, |_, _, _, alpha| alpha);
            let painted: f32 = pixels.iter().sum();
            assert!(painted > 10.0 && painted < 60.0, "{centre:?}: {painted}");
        }
        for far in [1e3, -1e3, 1e30, -1e30] {
            assert_eq!(area(&disc((far, far), 5.0, 1.0)), 0.0);
        }
        assert_eq!(area(&Coverage::stroke(CANVAS, &[], 1.0)), 0.0);
    }

    #[test]
    fn paint_is_called_where_the_shape_is() {
        let mut pixels = vec![0.0; 80 * 60];
        disc((20.0, 10.0), 3.0, 1.0).paint(&mut pixels, CANVAS, |x, y, _, _| {
            assert!(x.abs_diff(20) <= 4 && y.abs_diff(10) <= 4);
            1.0
        });
        assert_eq!(pixels[10 * 80 + 20], 1.0);
        assert_eq!(pixels[10 * 80 + 26], 0.0);
    }

    #[test]
    fn an_arc_has_its_length_and_bend() {
        let points = arc((10.0, 20.0), (0.0, 1.0), 30.0, 5.0);
        let (first, middle, last) = (
            points[0],
            points[points.len() / 2],
            points[points.len() - 1],
        );
        assert_eq!((first.1, middle.1, last.1), (-1.0, 0.0, 1.0));
        assert_eq!(first.0, (5.0, 5.0));
        assert_eq!(middle.0, (10.0, 20.0));
        assert_eq!(last.0, (5.0, 35.0));
    }
}
