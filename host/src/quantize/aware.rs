//! Quantization-aware fine-tuning: the real weights are moved by the gradients that the integer
//! network has at their rounded values (Jacob et al., "Quantization and Training of Neural Networks
//! for Efficient Integer-Arithmetic-Only Inference", 2018, with the straight-through gradient of
//! Bengio et al., 2013).
//!
//! What is trained is the folded and levelled network, whose activations share one fixed exponent;
//! concatenated tensors are tied by that. Weights are rounded anew at every step by the exporter
//! itself, exponents included, so that training sees the very integers that would be exported.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var, backprop::GradStore};

use super::{
    ACTIVATION_EXPONENT, Activations, Quantized, integers, levelling::level, subpixel_kernel,
};
use crate::net::{
    folded::{self, Folded, Kind, Source},
    ops,
};

/// A network in fine-tuning.
pub struct Aware {
    /// The layers; their weights are those of the start.
    levelled: Folded,
    /// Weights and biases, real, one pair a layer.
    real: Vec<Pair>,
    images: u32,
    device: Device,
}

#[derive(Clone, Debug)]
struct Pair {
    weight: Var,
    bias: Var,
}

/// The integer network of one step, on floats.
pub struct Rounded {
    layers: Vec<Pair>,
}

impl Aware {
    /// Starts from what post-training quantization would yield.
    ///
    /// Errors as [`super::quantize`].
    pub fn new(folded: &Folded, activations: &Activations, device: &Device) -> Result<Self> {
        super::check(folded)?;
        let levelled = level(folded, activations);
        let real = levelled
            .layers
            .iter()
            .map(|layer| pair(layer, layer.weight.clone(), layer.bias.clone(), device))
            .collect::<Result<_>>()?;
        Ok(Self {
            levelled,
            real,
            images: activations.images(),
            device: device.clone(),
        })
    }

    /// What an optimizer moves, by name.
    pub fn parameters(&self) -> Vec<(String, Var)> {
        let layers = self.levelled.layers.iter().zip(&self.real);
        let named = layers.flat_map(|(layer, real)| {
            [
                (format!("{}.weight", layer.name), real.weight.clone()),
                (format!("{}.bias", layer.name), real.bias.clone()),
            ]
        });
        named.collect()
    }

    /// The integer network of the weights as they are now.
    pub fn quantized(&self) -> Result<Quantized> {
        let mut folded = self.levelled.clone();
        for (layer, real) in folded.layers.iter_mut().zip(&self.real) {
            layer.weight = real.weight.flatten_all()?.to_vec1()?;
            layer.bias = real.bias.to_vec1()?;
        }
        super::check(&folded)?;
        integers(&folded, self.images)
    }

    /// The same as floats, to be run and differentiated.
    pub fn rounded(&self, quantized: &Quantized) -> Result<Rounded> {
        let last = quantized.layers.len().saturating_sub(1);
        let layers = self.levelled.layers.iter().zip(&quantized.layers);
        let layers = layers.enumerate().map(|(index, (layer, integer))| {
            // A step of the accumulator, in steps of the activation or in grey levels.
            let shifts = quantized.shifts(integer);
            let steps: Vec<f64> = if index == last {
                vec![f64::from(-i32::from(quantized.fraction_bits)).exp2()]
            } else {
                shifts.map(|shift| f64::from(-shift).exp2()).collect()
            };
            let (weight, bias) = effective(layer, integer, &steps);
            pair(layer, weight, bias, &self.device)
        });
        Ok(Rounded {
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// The reconstruction `[n, 1, h, w]` in grey levels by the integer network, of images of grey
    /// levels `[n, 1, h, w]` whose sides are multiples of the stride.
    pub fn reconstruct(&self, rounded: &Rounded, images: &Tensor) -> Result<Tensor> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(rounded.layers.len());
        let last = rounded.layers.len().saturating_sub(1);
        for (index, (layer, pair)) in self.levelled.layers.iter().zip(&rounded.layers).enumerate() {
            let input = match layer.source {
                Source::Image => images.clone(),
                Source::Layer(i) => outputs[i].clone(),
                Source::Concat(i, j) => Tensor::cat(&[&outputs[i], &outputs[j]], 1)?,
            };
            let sums = match layer.kind {
                Kind::Conv { stride } => ops::conv2d(&input, &pair.weight, stride)?,
                Kind::ConvTranspose => ops::conv_transpose2d(&input, &pair.weight)?,
            };
            let sums = sums.broadcast_add(&pair.bias.reshape((1, (), 1, 1))?)?;
            outputs.push(if index == last {
                sums
            } else {
                ops::saturate(&sums)?
            });
        }
        outputs.pop().context("the network has no layers")
    }

    /// Makes the gradients at the rounded weights those of the real ones.
    pub fn straight_through(&self, gradients: &mut GradStore, rounded: &Rounded) -> Result<()> {
        let layers = self
            .levelled
            .layers
            .iter()
            .zip(&self.real)
            .zip(&rounded.layers);
        let last = rounded.layers.len().saturating_sub(1);
        for (index, ((layer, real), rounded)) in layers.enumerate() {
            let (weight, bias) = factors(layer, index == last);
            for (real, rounded, factor) in [
                (&real.weight, &rounded.weight, weight),
                (&real.bias, &rounded.bias, bias),
            ] {
                if let Some(gradient) = gradients.remove(rounded) {
                    gradients.insert(real, (gradient * factor)?);
                }
            }
        }
        Ok(())
    }
}

fn pair(layer: &folded::Layer, weight: Vec<f32>, bias: Vec<f32>, device: &Device) -> Result<Pair> {
    let (inputs, outputs, kernel) = (layer.input_channels, layer.output_channels, layer.kernel);
    let shape = match layer.kind {
        Kind::Conv { .. } => (outputs, inputs, kernel, kernel),
        Kind::ConvTranspose => (inputs, outputs, kernel, kernel),
    };
    Ok(Pair {
        weight: Var::from_vec(weight, shape, device)?,
        bias: Var::from_vec(bias, outputs, device)?,
    })
}

/// What real weights and biases are multiplied by where images are grey levels, activations steps,
/// and the reconstruction grey levels again.
fn factors(layer: &folded::Layer, last: bool) -> (f64, f64) {
    let steps = f64::from(-ACTIVATION_EXPONENT).exp2();
    let input = match layer.source {
        Source::Image => 1.0 / 255.0,
        Source::Layer(_) | Source::Concat(..) => 1.0 / steps,
    };
    let output = if last { 255.0 } else { steps };
    (input * output, output)
}

/// The integers of a layer, each row times its step, in the shape of the folded layer.
fn effective(layer: &folded::Layer, integer: &super::Layer, steps: &[f64]) -> (Vec<f32>, Vec<f32>) {
    let length = integer.weight.len() / steps.len();
    let rows = integer.weight.chunks_exact(length).zip(steps);
    let weights =
        rows.flat_map(|(row, step)| row.iter().map(move |&w| (f64::from(w) * step) as f32));
    let biases = integer.bias.iter().zip(steps);
    let biases = biases.map(|(&bias, step)| (f64::from(bias) * step) as f32);
    match layer.kind {
        Kind::Conv { .. } => (weights.collect(), biases.collect()),
        Kind::ConvTranspose => {
            let places: Vec<usize> = (1..=layer.weight.len()).collect();
            let (inputs, outputs) = (layer.input_channels, layer.output_channels);
            let (places, ..) = subpixel_kernel(&places, inputs, outputs, layer.kernel);
            let mut weight = vec![0.0; layer.weight.len()];
            for (place, value) in places.into_iter().zip(weights) {
                // The rewritten kernel has taps that the transposed one has not.
                if let Some(place) = place.checked_sub(1) {
                    weight[place] = value;
                }
            }
            // The phases round the one bias on four scales, all of them far finer than a step.
            (weight, biases.step_by(4).collect())
        }
    }
}
