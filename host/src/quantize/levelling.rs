//! Levelling channels before rounding. ReLU passes positive factors, so a channel may be scaled by
//! any of them if the weights that read it are scaled back: the network stays the same, but each
//! channel then fills the 255 steps of an activation. All activations thus share one exponent,
//! concatenation needs no compromise, and nothing is lost to the scale being a power of two.
//! (Cross-layer equalization of Nagel et al., "Data-Free Quantization Through Weight Equalization
//! and Bias Correction", 2019, with measured ranges.)

use residua_shared::rule::FRACTION_BITS;

use super::{ACTIVATION_EXPONENT, Activations, MAX_WEIGHT, activations::parts};
use crate::net::folded::{Folded, Kind, Layer};

/// Room above the range seen in the sample: a quarter of an octave costs 8 % more rounding error
/// on the images that the sample is like, and keeps an image a fifth brighter from saturating
/// (which without it makes three times that error).
const HEADROOM: f64 = 1.189_207_115_002_721;

/// The levelled network.
pub fn level(folded: &Folded, activations: &Activations) -> Folded {
    let ranges: Vec<Vec<f64>> = (0..activations.hidden())
        .map(|index| activations.ranges(index))
        .map(|ranges| ranges.iter().map(|range| range * HEADROOM).collect())
        .collect();
    let full = 255.0 * f64::from(ACTIVATION_EXPONENT).exp2();
    let mut factors: Vec<Vec<f64>> = ranges
        .iter()
        .map(|ranges| {
            let factor = |&range: &f64| if range > 0.0 { full / range } else { 1.0 };
            ranges.iter().map(factor).collect()
        })
        .collect();
    fit_last(folded, &ranges, &mut factors);
    scaled(folded, &factors)
}

/// Shrinks the channels that the last layer reads until its weights are whole steps: it has one
/// scale for all of them, and its rounding would otherwise be the largest error of all.
fn fit_last(folded: &Folded, ranges: &[Vec<f64>], factors: &mut [Vec<f64>]) {
    let Some(last) = folded.layers.last() else {
        return;
    };
    let channels: Vec<(usize, usize)> = parts(last.source)
        .into_iter()
        .flat_map(|layer| (0..ranges[layer].len()).map(move |channel| (layer, channel)))
        .collect();
    // One step of the weight, times 255 steps of the activation, spans 255 steps of the output;
    // a channel that spans `share` times 255 grey levels needs this many steps of weight.
    let share = |((layer, channel), weight): (&(usize, usize), &f32)| {
        f64::from(weight.abs()) * ranges[*layer][*channel]
    };
    let shares: Vec<f64> = channels.iter().zip(&last.weight).map(share).collect();
    let steps = |share: f64, bits: u8| (share * f64::from(bits).exp2()).ceil();
    let largest = shares.iter().copied().fold(0.0, f64::max);
    let bits = FRACTION_BITS
        .rev()
        .find(|&bits| steps(largest, bits) <= f64::from(MAX_WEIGHT));
    let Some(bits) = bits else {
        return;
    };
    for ((&(layer, channel), weight), share) in channels.iter().zip(&last.weight).zip(shares) {
        if share > 0.0 {
            let step = f64::from(-ACTIVATION_EXPONENT - i32::from(bits)).exp2();
            factors[layer][channel] = 255.0 * f64::from(weight.abs()) / (steps(share, bits) * step);
        }
    }
}

/// The same network with channel c of hidden layer l multiplied by `factors[l][c]`.
fn scaled(folded: &Folded, factors: &[Vec<f64>]) -> Folded {
    let mut result = folded.clone();
    for layer in &mut result.layers {
        let sources = parts(layer.source);
        let inputs = sources.iter().flat_map(|&source| &factors[source]);
        for (input, factor) in inputs.enumerate() {
            for output in 0..layer.output_channels {
                scale_kernel(layer, input, output, 1.0 / factor);
            }
        }
    }
    for (layer, factors) in result.layers.iter_mut().zip(factors) {
        for (output, &factor) in factors.iter().enumerate() {
            for input in 0..layer.input_channels {
                scale_kernel(layer, input, output, factor);
            }
            layer.bias[output] = (f64::from(layer.bias[output]) * factor) as f32;
        }
    }
    result
}

fn scale_kernel(layer: &mut Layer, input: usize, output: usize, factor: f64) {
    let area = layer.kernel * layer.kernel;
    let number = match layer.kind {
        Kind::Conv { .. } => output * layer.input_channels + input,
        Kind::ConvTranspose => input * layer.output_channels + output,
    };
    for weight in &mut layer.weight[number * area..][..area] {
        *weight = (f64::from(*weight) * factor) as f32;
    }
}
