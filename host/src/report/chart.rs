//! A chart as inline SVG.

use std::fmt::Write;

use maud::{Markup, html};

/// Units of the view box; the page scales them.
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 44.0;

/// A ratio of ends beyond which an axis of positive values is logarithmic.
const WIDE: f64 = 8.0;

/// The range of an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// From 0 to 1.
    pub const UNIT: Self = Self {
        low: 0.0,
        high: 1.0,
        log: false,
    };

    /// From 0 to `high`, which is above 0.
    pub fn counts(high: f64) -> Self {
        Self {
            low: 0.0,
            high,
            log: false,
        }
    }

    /// Around positive values from `low` to `high`, with a margin, logarithmic where they lie far
    /// apart.
    pub fn around(low: f64, high: f64) -> Self {
        if high / low > WIDE {
            Self {
                low: low / 1.1,
                high: high * 1.1,
                log: true,
            }
        } else {
            let margin = ((high - low) * 0.05).max(high * 0.02);
            Self {
                low: (low - margin).max(0.0),
                high: high + margin,
                log: false,
            }
        }
    }

    /// The value `share` of the way along.
    pub fn value(self, share: f64) -> f64 {
        if self.log {
            self.low * (self.high / self.low).powf(share)
        } else {
            self.low + (self.high - self.low) * share
        }
    }

    /// How far along a value lies, in 0..=1: what lies outside is drawn at the edge.
    pub fn share(self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<f64> {
        let inside = |tick: &f64| (self.low..=self.high * (1.0 + 1e-9)).contains(tick);
        if self.log {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let steps: &[f64] = if self.high / self.low > 300.0 {
                &[1.0]
            } else {
                &[1.0, 2.0, 5.0]
            };
            decades
                .flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)))
                .filter(inside)
                .collect()
        } else {
            let step = round_step((self.high - self.low) / 5.0);
            let first = (self.low / step).ceil() as i64;
            let last = (self.high / step + 1e-9).floor() as i64;
            (first..=last).map(|i| i as f64 * step).collect()
        }
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.log10().floor());
    let nice = [1.0, 2.0, 5.0].map(|n| n * decade);
    nice.into_iter()
        .find(|n| *n >= step * (1.0 - 1e-9))
        .unwrap_or(10.0 * decade)
}

/// A chart being drawn, layer over layer.
pub(super) struct Chart {
    x: Axis,
    y: Axis,
    layers: Vec<Markup>,
}

impl Chart {
    pub fn new(x: Axis, y: Axis) -> Self {
        Self {
            x,
            y,
            layers: Vec::new(),
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * self.x.share(value)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - self.y.share(value))
    }

    /// A line through points, in the style `class`.
    pub fn line(mut self, points: impl IntoIterator<Item = (f64, f64)>, class: &str) -> Self {
        let mut path = String::new();
        for (x, y) in points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let (x, y) = (self.x(x), self.y(y));
            // Writing to a String cannot fail.
            let _ = write!(path, "{command}{x:.1} {y:.1}");
        }
        if !path.is_empty() {
            self.layers
                .push(html! { path class={ "line " (class) } d=(path) {} });
        }
        self
    }

    /// A bar from 0 up, between two x values.
    pub fn bar(mut self, from: f64, to: f64, height: f64, class: &str) -> Self {
        let (left, right) = (self.x(from), self.x(to));
        let (top, bottom) = (self.y(height), self.y(0.0));
        self.layers.push(html! {
            rect class={ "bar " (class) } x=(px(left + 0.5)) y=(px(top))
                width=(px((right - left - 1.0).max(1.0))) height=(px(bottom - top)) {}
        });
        self
    }

    /// A band over the whole height, between two x values.
    pub fn band(mut self, from: f64, to: f64, class: &str) -> Self {
        let (left, right) = (self.x(from), self.x(to));
        self.layers.push(html! {
            rect class={ "band " (class) } x=(px(left)) y=(px(TOP))
                width=(px((right - left).max(2.0))) height=(px(HEIGHT - TOP - BOTTOM)) {}
        });
        self
    }

    /// A vertical line over the whole height.
    pub fn mark(mut self, at: f64, class: &str) -> Self {
        let x = px(self.x(at));
        self.layers.push(html! {
            line class={ "mark " (class) } x1=(x) x2=(x) y1=(px(TOP)) y2=(px(HEIGHT - BOTTOM)) {}
        });
        self
    }

    /// The finished drawing, with its axes' names.
    pub fn render(self, title: &str, x_name: &str, y_name: &str) -> Markup {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let middle = TOP + (bottom - TOP) / 2.0;
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title) {
                @for tick in self.y.ticks() {
                    line.grid x1=(px(LEFT)) x2=(px(right)) y1=(px(self.y(tick))) y2=(px(self.y(tick))) {}
                    text.tick x=(px(LEFT - 6.0)) y=(px(self.y(tick) + 4.5)) text-anchor="end" { (short(tick)) }
                }
                @for tick in self.x.ticks() {
                    line.grid x1=(px(self.x(tick))) x2=(px(self.x(tick))) y1=(px(TOP)) y2=(px(bottom)) {}
                    text.tick x=(px(self.x(tick))) y=(px(bottom + 17.0)) text-anchor="middle" { (short(tick)) }
                }
                @for layer in &self.layers { (layer) }
                path.axis d={ "M" (LEFT) " " (TOP) "V" (bottom) "H" (right) } {}
                text.name x=(px(LEFT + (right - LEFT) / 2.0)) y=(px(HEIGHT - 6.0)) text-anchor="middle" { (x_name) }
                text.name transform={ "translate(13 " (middle) ") rotate(-90)" } text-anchor="middle" { (y_name) }
            }
        }
    }
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// A tick's value without needless digits.
fn short(value: f64) -> String {
    let rounded = format!("{value:.3}");
    match rounded.trim_end_matches('0').trim_end_matches('.') {
        "" | "-0" => "0".into(),
        trimmed => trimmed.into(),
    }
}
