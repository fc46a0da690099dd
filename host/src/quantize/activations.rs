//! What a sample of good images does inside the network: the distribution of every channel.

use anyhow::{Result, ensure};

use super::{IMAGE_EXPONENT, smallest_exponent};
use crate::net::folded::{Folded, Source};

/// Octaves that a channel's histogram resolves: 2^-20 to 2^12.
const LOWEST_OCTAVE: i32 = -20;
const OCTAVES: u32 = 32;
/// Bins an octave: a bin is at most one step wide for values near 255 steps.
const BINS_BITS: u32 = 8;

/// Exponents tried below the one that saturates nothing.
const FINER_EXPONENTS: i32 = 6;

/// Mean and mean square of a channel, in real values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    pub mean: f64,
    pub square: f64,
}

/// One channel's non-negative values.
#[derive(Clone, Debug)]
pub struct Channel {
    histogram: Vec<u32>,
    count: u64,
    sum: f64,
    squares: f64,
    largest: f64,
    /// The values stand for themselves times this.
    factor: f64,
}

impl Channel {
    fn new() -> Self {
        Self {
            histogram: vec![0; (OCTAVES << BINS_BITS) as usize],
            count: 0,
            sum: 0.0,
            squares: 0.0,
            largest: 0.0,
            factor: 1.0,
        }
    }

    fn add(&mut self, values: &[f32]) {
        for &value in values {
            self.histogram[bin(value)] += 1;
            self.sum += f64::from(value);
            self.squares += f64::from(value) * f64::from(value);
            self.largest = self.largest.max(value.into());
        }
        self.count += values.len() as u64;
    }

    fn scaled(&self, factor: f64) -> Self {
        Self {
            factor: self.factor * factor,
            ..self.clone()
        }
    }

    pub fn largest(&self) -> f64 {
        self.largest * self.factor
    }

    pub fn best_step(&self) -> f64 {
        let steps = (0..40).map(|j| self.largest() / 255.0 * (-f64::from(j) / 8.0).exp2());
        steps
            .map(|s| (s, self.squared_error(s)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap()
            .0
    }

    fn moments(&self) -> Moments {
        let scale = self.factor;
        let count = self.count.max(1) as f64;
        Moments {
            mean: self.sum / count * scale,
            square: self.squares / count * scale * scale,
        }
    }

    /// Σ (value - its nearest of 0..=255 steps of 2^exponent)².
    fn squared_error(&self, step: f64) -> f64 {
        let step = step / self.factor;
        let error: f64 = self
            .histogram
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(bin, &count)| {
                let value = bin_middle(bin);
                let nearest = (value / step).round_ties_even().min(255.0) * step;
                f64::from(count) * (value - nearest) * (value - nearest)
            })
            .sum();
        let scale = self.factor;
        error * scale * scale
    }
}

/// A float's upper bits order and group non-negative values into [`BINS_BITS`] bins an octave.
fn bin(value: f32) -> usize {
    let lowest = ((127 + LOWEST_OCTAVE) as u32) << BINS_BITS;
    let bits = value.max(0.0).to_bits() >> (f32::MANTISSA_DIGITS - 1 - BINS_BITS);
    bits.saturating_sub(lowest).min((OCTAVES << BINS_BITS) - 1) as usize
}

fn bin_middle(bin: usize) -> f64 {
    if bin == 0 {
        return 0.0;
    }
    let lowest = ((127 + LOWEST_OCTAVE) as u32) << BINS_BITS;
    let shift = f32::MANTISSA_DIGITS - 1 - BINS_BITS;
    f32::from_bits(((bin as u32 + lowest) << shift) | (1 << (shift - 1))).into()
}

/// The distributions of the image's and every hidden layer's channels over a sample of images.
#[derive(Clone, Debug)]
pub struct Activations {
    names: Vec<String>,
    image: Channel,
    layers: Vec<Vec<Channel>>,
}

impl Activations {
    /// Of no images yet.
    pub fn new(folded: &Folded) -> Self {
        let hidden = &folded.layers[..folded.layers.len() - 1];
        Self {
            names: hidden.iter().map(|layer| layer.name.clone()).collect(),
            image: Channel::new(),
            layers: hidden
                .iter()
                .map(|layer| vec![Channel::new(); layer.output_channels])
                .collect(),
        }
    }

    /// Hidden layers: those whose output takes an exponent.
    pub fn hidden(&self) -> usize {
        self.layers.len()
    }

    /// Adds an image's pixels, grey levels / 255.
    pub fn add_image(&mut self, pixels: &[f32]) {
        self.image.add(pixels);
    }

    /// Adds hidden layer `index`'s output for one image, `[channels, height, width]`, after ReLU.
    ///
    /// Errors where a value is not finite.
    pub fn add(&mut self, index: usize, values: &[f32]) -> Result<()> {
        ensure!(
            values.iter().all(|value| value.is_finite()),
            "layer {}: an activation is not a finite number; train again from the last good weights",
            self.names[index]
        );
        let channels = &mut self.layers[index];
        let area = values.len() / channels.len();
        for (channel, values) in channels.iter_mut().zip(values.chunks_exact(area)) {
            channel.add(values);
        }
        Ok(())
    }

    /// Channel distributions of hidden layer `index`.
    pub fn channels(&self, index: usize) -> &[Channel] {
        &self.layers[index]
    }

    /// The same with channel c of layer l multiplied by 2^`shifts[l][c]`.
    pub fn scaled(&self, shifts: &[Vec<f64>]) -> Self {
        let layers = self.layers.iter().zip(shifts).map(|(channels, shifts)| {
            let pairs = channels.iter().zip(shifts);
            pairs
                .map(|(channel, shift)| channel.scaled(*shift))
                .collect()
        });
        Self {
            names: self.names.clone(),
            image: self.image.clone(),
            layers: layers.collect(),
        }
    }

    /// Moments of the channels that `source` yields, on the integer graph's scale: an image of
    /// grey level g has the value g/256 there.
    pub fn inputs(&self, source: Source) -> Vec<Moments> {
        let of = |index: usize| self.layers[index].iter().map(Channel::moments);
        match source {
            Source::Image => {
                let factor = 255.0 * f64::from(IMAGE_EXPONENT).exp2();
                let Moments { mean, square } = self.image.moments();
                vec![Moments {
                    mean: mean * factor,
                    square: square * factor * factor,
                }]
            }
            Source::Layer(index) => of(index).collect(),
            Source::Concat(first, second) => of(first).chain(of(second)).collect(),
        }
    }

    /// The exponent of each hidden layer's output: the least squared error over the sample, with
    /// saturation at 255 steps counted; layers that are concatenated anywhere share one.
    pub fn exponents(&self, folded: &Folded) -> Vec<i32> {
        let groups = groups(folded);
        let exponent_of = |group: usize| {
            let members = || (0..self.layers.len()).filter(|&layer| groups[layer] == group);
            let channels = || members().flat_map(|layer| &self.layers[layer]);
            let largest = channels().fold(0.0, |max: f64, c| max.max(c.largest()));
            if largest == 0.0 {
                return IMAGE_EXPONENT;
            }
            let fitting = smallest_exponent(largest / 255.0);
            let error = |exponent| {
                channels()
                    .map(|c| c.squared_error(f64::from(exponent).exp2()))
                    .sum::<f64>()
            };
            let candidates = if std::env::var("ABL").is_ok_and(|v| v.contains("fit")) {
                fitting..=fitting
            } else {
                fitting - FINER_EXPONENTS..=fitting
            };
            candidates
                .map(|exponent| (exponent, error(exponent)))
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map_or(fitting, |(exponent, _)| exponent)
        };
        groups.iter().map(|&group| exponent_of(group)).collect()
    }
}

/// For each hidden layer the lowest layer that it must share its exponent with.
fn groups(folded: &Folded) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..folded.layers.len() - 1).collect();
    for layer in &folded.layers {
        if let Source::Concat(a, b) = layer.source {
            let (keep, drop) = (groups[a].min(groups[b]), groups[a].max(groups[b]));
            for group in groups.iter_mut().filter(|group| **group == drop) {
                *group = keep;
            }
        }
    }
    groups
}
