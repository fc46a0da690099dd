//! What a sample of good images does inside the network: the range of every channel.

use anyhow::{Result, ensure};

use crate::net::folded::{Folded, Source};

/// Octaves that a channel's histogram resolves: 2^-20 to 2^12.
const LOWEST_OCTAVE: i32 = -20;
const OCTAVES: u32 = 32;
/// A bin is at most one step wide for values near 255 steps.
const BITS_PER_OCTAVE: u32 = 8;
/// The bits of an f32 that do not matter for its bin.
const DROPPED_BITS: u32 = f32::MANTISSA_DIGITS - 1 - BITS_PER_OCTAVE;
/// The first bin in the order of the bits of all f32.
const FIRST_BIN: u32 = ((127 + LOWEST_OCTAVE) as u32) << BITS_PER_OCTAVE;

/// Ranges tried, in fractions of an octave below the largest value.
const TRIES_PER_OCTAVE: i32 = 8;
const TRIED_OCTAVES: i32 = 5;

/// One channel's values after ReLU.
#[derive(Clone, Debug)]
struct Channel {
    histogram: Vec<u32>,
    largest: f64,
}

impl Channel {
    fn new() -> Self {
        Self {
            histogram: vec![0; (OCTAVES << BITS_PER_OCTAVE) as usize],
            largest: 0.0,
        }
    }

    fn add(&mut self, values: &[f32]) {
        for &value in values {
            self.histogram[bin(value)] += 1;
            self.largest = self.largest.max(value.into());
        }
    }

    fn range(&self) -> f64 {
        let ranges = (0..TRIED_OCTAVES * TRIES_PER_OCTAVE)
            .map(|n| self.largest * (-f64::from(n) / f64::from(TRIES_PER_OCTAVE)).exp2());
        ranges
            .map(|range| (range, self.squared_error(range / 255.0)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(self.largest, |(range, _)| range)
    }

    /// Σ (value - the nearest of 0 to 255 steps)².
    fn squared_error(&self, step: f64) -> f64 {
        let filled = self.histogram.iter().enumerate().filter(|(_, n)| **n > 0);
        filled
            .map(|(bin, &count)| {
                let value = middle(bin);
                let nearest = (value / step).round_ties_even().min(255.0) * step;
                f64::from(count) * (value - nearest).powi(2)
            })
            .sum()
    }
}

/// The upper bits of a non-negative float order and group values into bins of equal ratio.
fn bin(value: f32) -> usize {
    let bits = value.max(0.0).to_bits() >> DROPPED_BITS;
    let last = (OCTAVES << BITS_PER_OCTAVE) - 1;
    bits.saturating_sub(FIRST_BIN).min(last) as usize
}

fn middle(bin: usize) -> f64 {
    if bin == 0 {
        return 0.0;
    }
    let bits = (bin as u32 + FIRST_BIN) << DROPPED_BITS | 1 << (DROPPED_BITS - 1);
    f32::from_bits(bits).into()
}

/// The distributions of every hidden layer's channels over a sample of images.
#[derive(Clone, Debug)]
pub struct Activations {
    images: u32,
    names: Vec<String>,
    layers: Vec<Vec<Channel>>,
}

impl Activations {
    /// Of no images yet.
    pub fn new(folded: &Folded) -> Self {
        let hidden = &folded.layers[..folded.layers.len().saturating_sub(1)];
        Self {
            images: 0,
            names: hidden.iter().map(|layer| layer.name.clone()).collect(),
            layers: hidden
                .iter()
                .map(|layer| vec![Channel::new(); layer.output_channels])
                .collect(),
        }
    }

    /// Images added.
    pub fn images(&self) -> u32 {
        self.images
    }

    /// How many layers' outputs an image has: all but the last one's.
    pub fn hidden(&self) -> usize {
        self.layers.len()
    }

    /// Adds one image's outputs, for each hidden layer `[channels, height, width]` after ReLU.
    ///
    /// Errors where a value is not finite, or their number does not fit the layers.
    pub fn add(&mut self, outputs: &[Vec<f32>]) -> Result<()> {
        ensure!(
            outputs.len() == self.layers.len(),
            "activations of {} layers for {} hidden ones",
            outputs.len(),
            self.layers.len()
        );
        for ((name, channels), values) in self.names.iter().zip(&mut self.layers).zip(outputs) {
            ensure!(
                values.iter().all(|value| value.is_finite()),
                "layer {name}: an activation is not a finite number; train again from the last \
                 good weights"
            );
            ensure!(
                !values.is_empty() && values.len().is_multiple_of(channels.len()),
                "layer {name}: {} activations for {} channels",
                values.len(),
                channels.len()
            );
            let area = values.len() / channels.len();
            for (channel, values) in channels.iter_mut().zip(values.chunks_exact(area)) {
                channel.add(values);
            }
        }
        self.images += 1;
        Ok(())
    }

    /// For each channel of hidden layer `index` the value that 255 steps should reach: it makes
    /// the least squared error over the sample, saturation included. 0 for a dead channel.
    pub fn ranges(&self, index: usize) -> Vec<f64> {
        self.layers[index].iter().map(Channel::range).collect()
    }
}

/// The layers whose channels `source` yields, in order.
pub fn parts(source: Source) -> Vec<usize> {
    match source {
        Source::Image => Vec::new(),
        Source::Layer(index) => vec![index],
        Source::Concat(first, second) => vec![first, second],
    }
}
