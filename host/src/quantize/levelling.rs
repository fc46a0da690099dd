//! Levelling channels before rounding: a channel of small range wastes most of its tensor's 255
//! steps, so it is scaled up by a power of two, and the weights that read it down by as much.
//! ReLU passes positive factors, so the network stays exactly the same.
//! (Cross-layer equalization of Nagel et al., "Data-Free Quantization Through Weight Equalization
//! and Bias Correction", 2019, in powers of two, with measured activation ranges.)

use super::activations::{Activations, Channel};
use crate::net::folded::{Folded, Kind, Layer, Source};

/// The levelled network and its activations.
pub fn level(folded: &Folded, activations: &Activations) -> (Folded, Activations) {
    let shifts: Vec<Vec<f64>> = (0..activations.hidden())
        .map(|index| channel_shifts(folded, index, activations.channels(index)))
        .collect();
    let (f, a) = scale(folded, activations, &shifts);
    if std::env::var("ABL").is_ok_and(|v| v.contains("noexact")) {
        return (f, a);
    }
    let last = f.layers.last().unwrap();
    let sources = match last.source {
        Source::Image => vec![],
        Source::Layer(a) => vec![a],
        Source::Concat(a, b) => vec![a, b],
    };
    let mut shifts: Vec<Vec<f64>> = (0..a.hidden())
        .map(|i| vec![1.0; a.channels(i).len()])
        .collect();
    let mut all = vec![];
    let mut n = 0;
    let head = std::env::var("HEAD").map_or(1.0, |a| a.parse::<f64>().unwrap());
    for &s in &sources {
        for (c, ch) in a.channels(s).iter().enumerate() {
            all.push((
                s,
                c,
                f64::from(last.weight[n]) * 255.0,
                ch.best_step() * 256.0 * head,
            ));
            n += 1;
        }
    }
    // contributions in grey levels
    let largest = all.iter().map(|x| x.2.abs() * x.3).fold(0.0, f64::max);
    let mut bits = 12;
    while (largest * f64::from(bits).exp2() / 256.0).ceil() > 127.0 {
        bits -= 1;
    }
    for &(s, c, w, clip) in &all {
        let q = (w.abs() * clip * f64::from(bits).exp2() / 256.0).ceil();
        if q > 0.0 {
            shifts[s][c] = w.abs() * f64::from(bits - 8).exp2() / q;
        }
    }
    scale(&f, &a, &shifts)
}

fn scale(folded: &Folded, activations: &Activations, shifts: &[Vec<f64>]) -> (Folded, Activations) {
    let mut levelled = folded.clone();
    for layer in &mut levelled.layers {
        let inputs = match layer.source {
            Source::Image => continue,
            Source::Layer(index) => shifts[index].clone(),
            Source::Concat(a, b) => [shifts[a].as_slice(), &shifts[b]].concat(),
        };
        for (channel, shift) in inputs.iter().enumerate() {
            scale_input(layer, channel, 1.0 / shift);
        }
    }
    for (layer, shifts) in levelled.layers.iter_mut().zip(shifts) {
        for (channel, &shift) in shifts.iter().enumerate() {
            scale_output(layer, channel, shift);
        }
    }
    (levelled, activations.scaled(shifts))
}

/// Half of the way to equal activation ranges is left to the weights that read them, whose rows
/// share one scale over all channels.
fn channel_shifts(folded: &Folded, index: usize, channels: &[Channel]) -> Vec<f64> {
    let _ = reading_weight(folded, index, 0);
    let alpha: f64 = std::env::var("ALPHA").map_or(1.0, |a| a.parse().unwrap());
    channels
        .iter()
        .map(|c| {
            if c.largest() > 0.0 {
                (1.0 / (256.0
                    * std::env::var("HEAD").map_or(1.0, |a| a.parse::<f64>().unwrap())
                    * if std::env::var("ABL").is_ok_and(|v| v.contains("max")) {
                        c.largest() / 255.0 * 1.0001
                    } else {
                        c.best_step()
                    }))
                .powf(alpha)
            } else {
                1.0
            }
        })
        .collect()
}

/// The largest share that a weight on this channel has of the largest weight of its row.
fn reading_weight(folded: &Folded, index: usize, channel: usize) -> f64 {
    let mut largest: f64 = 0.0;
    for layer in &folded.layers {
        let position = match layer.source {
            Source::Layer(source) if source == index => channel,
            Source::Concat(first, _) if first == index => channel,
            Source::Concat(first, second) if second == index => {
                folded.layers[first].output_channels + channel
            }
            _ => continue,
        };
        for output in 0..layer.output_channels {
            let of = |input| {
                let kernel = &layer.weight[kernel_range(layer, input, output)];
                kernel
                    .iter()
                    .fold(0.0, |max: f64, &w| max.max(f64::from(w).abs()))
            };
            let row = (0..layer.input_channels).map(of).fold(0.0, f64::max);
            if row > 0.0 {
                largest = largest.max(of(position) / row);
            }
        }
    }
    largest
}

fn scale_input(layer: &mut Layer, input: usize, shift: f64) {
    let factor = shift as f32;
    for output in 0..layer.output_channels {
        let range = kernel_range(layer, input, output);
        layer.weight[range].iter_mut().for_each(|w| *w *= factor);
    }
}

fn scale_output(layer: &mut Layer, output: usize, shift: f64) {
    let factor = shift as f32;
    for input in 0..layer.input_channels {
        let range = kernel_range(layer, input, output);
        layer.weight[range].iter_mut().for_each(|w| *w *= factor);
    }
    layer.bias[output] *= factor;
}

/// Where the weights from `input` to `output` lie.
fn kernel_range(layer: &Layer, input: usize, output: usize) -> std::ops::Range<usize> {
    let area = layer.kernel * layer.kernel;
    let number = match layer.kind {
        Kind::Conv { .. } => output * layer.input_channels + input,
        Kind::ConvTranspose => input * layer.output_channels + output,
    };
    number * area..(number + 1) * area
}
