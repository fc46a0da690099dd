//! Post-training quantization: from folded float weights to integers under power-of-two scales.
//!
//! A tensor `t` of the integer network stands for the real values `t · 2^exponent`, so each
//! requantization is a shift with round-half-to-even and every engine computes the same integers.
//! What 8 bits cost is won back before rounding, by levelling channels (`levelling`), and in it,
//! kernel by kernel (`rounding`). On two small trained networks the first lowered the error of
//! the reconstruction from 0.7-0.8 grey levels to 0.4-0.5 and the second by another 5 to 40 %;
//! correcting biases for the mean error and clipping weights gained nothing beyond and are left
//! out.

mod activations;
mod aware;
mod fine_tuning;
mod levelling;
mod post_training;
mod rounding;
mod transposed;

use anyhow::{Context, Result, ensure};
use residua_shared::{
    net::{MAX_ACCUMULATOR, MAX_SATURATING_SHIFT, MAX_SHIFT},
    rule::FRACTION_BITS,
};

pub use activations::Activations;
pub use aware::{Aware, Rounded};
pub use fine_tuning::{LEARNING_RATE, fine_tune};
pub use post_training::post_training;
pub use transposed::{Pads, subpixel_kernel};

use crate::net::folded::{self, Folded, Kind, Source};

/// The image's exponent: grey levels 0 to 255 as they are stand for 0 to 255/256. The factor
/// 256/255 to the network's own [0, 1] is folded into the weights that read the image.
pub const IMAGE_EXPONENT: i32 = -8;

/// The exponent of all hidden activations: levelled channels fill 0 to 255/256.
const ACTIVATION_EXPONENT: i32 = -8;

/// Weights are within plus and minus this, never -128: a sum of two products of i8 then fits i16.
pub const MAX_WEIGHT: i32 = 127;

/// An integer network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quantized {
    /// In the order of evaluation; the last one yields the reconstruction.
    pub layers: Vec<Layer>,
    /// A grey level is 2^`fraction_bits` steps of the reconstruction.
    pub fraction_bits: u8,
    /// Good images on which the activations' ranges were measured.
    pub images: u32,
}

/// One integer convolution: `bias + Σ weight · input`, shifted and clamped to u8, or left as i32
/// in the last layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layer {
    pub name: String,
    /// Where the input comes from; both parts of a [`Source::Concat`] have one exponent.
    pub source: Source,
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zero padding, the same for rows and columns.
    pub pads: Pads,
    pub input_channels: usize,
    /// Channels of the convolution; four times those of the layer where `depth_to_space`.
    pub output_channels: usize,
    /// Whether each four channels then become a 2x2 block of one (ONNX `DepthToSpace`, mode CRD).
    pub depth_to_space: bool,
    /// `[out, in, kernel, kernel]`, within ±[`MAX_WEIGHT`].
    pub weight: Vec<i8>,
    /// One value an output channel, on the accumulator's scale.
    pub bias: Vec<i32>,
    /// One value an output channel.
    pub weight_exponents: Vec<i32>,
    /// Exponent of the output; minus the fraction bits in the last layer.
    pub output_exponent: i32,
}

impl Quantized {
    /// The exponent of what a layer reads.
    pub fn exponent(&self, source: Source) -> i32 {
        match source {
            Source::Image => IMAGE_EXPONENT,
            Source::Layer(index) | Source::Concat(index, _) => self.layers[index].output_exponent,
        }
    }

    /// The right shift of each output channel's accumulator.
    pub fn shifts<'a>(&'a self, layer: &'a Layer) -> impl Iterator<Item = i32> + 'a {
        let input = self.exponent(layer.source);
        layer
            .weight_exponents
            .iter()
            .map(move |weight| layer.output_exponent - input - weight)
    }

    /// Image sides must be multiples of this: the product of the strides down to the lowest layer.
    pub fn side_multiple(&self) -> usize {
        let mut factors: Vec<usize> = Vec::with_capacity(self.layers.len());
        let mut largest = 1;
        for layer in &self.layers {
            let input = match layer.source {
                Source::Image => 1,
                Source::Layer(index) | Source::Concat(index, _) => factors[index],
            };
            largest = largest.max(input * layer.stride);
            let upscale = if layer.depth_to_space { 2 } else { 1 };
            factors.push((input * layer.stride / upscale).max(1));
        }
        largest
    }
}

/// Quantizes a network on a sample of its activations.
///
/// Errors, naming the layer, where weights are not finite or no exponents satisfy the integer
/// contract: shifts within 0 to 31, accumulators below 2^30, results exact in f32 requantization
/// too, 4 to 12 fraction bits.
pub fn quantize(folded: &Folded, activations: &Activations) -> Result<Quantized> {
    check(folded)?;
    integers(&levelling::level(folded, activations), activations.images())
}

/// The integers of a levelled network.
fn integers(levelled: &Folded, images: u32) -> Result<Quantized> {
    let (last, hidden) = levelled.layers.split_last().context("no layers")?;
    let named = |layer: &folded::Layer| format!("layer {}", layer.name);
    let mut layers = Vec::with_capacity(levelled.layers.len());
    for layer in hidden {
        layers.push(hidden_layer(layer).with_context(|| named(layer))?);
    }
    let (last, fraction_bits) = last_layer(last).with_context(|| named(last))?;
    layers.push(last);
    Ok(Quantized {
        layers,
        fraction_bits,
        images,
    })
}

fn check(folded: &Folded) -> Result<()> {
    let last = folded.layers.last().context("the network has no layers")?;
    ensure!(
        last.output_channels == 1 && last.kind == Kind::Conv { stride: 1 },
        "layer {}: the last layer must be a convolution to one channel",
        last.name
    );
    for layer in &folded.layers {
        ensure!(
            layer
                .weight
                .iter()
                .chain(&layer.bias)
                .all(|w| w.is_finite()),
            "layer {}: a weight is not a finite number; train again from the last good weights",
            layer.name
        );
    }
    Ok(())
}

/// A layer of real weights in the shape of an ordinary convolution, on the scales of the integer
/// graph's input and output.
struct Convolution {
    weight: Vec<f64>,
    bias: Vec<f64>,
    kernel: usize,
    stride: usize,
    pads: Pads,
    depth_to_space: bool,
}

impl Convolution {
    fn new(layer: &folded::Layer, last: bool) -> Self {
        let input_factor = match layer.source {
            Source::Image => 256.0 / 255.0,
            _ => 1.0,
        };
        let output_factor = if last { 255.0 } else { 1.0 };
        let weight: Vec<f64> = layer
            .weight
            .iter()
            .map(|&w| f64::from(w) * input_factor * output_factor)
            .collect();
        let bias = layer.bias.iter().map(|&b| f64::from(b) * output_factor);
        match layer.kind {
            Kind::Conv { stride } => Self {
                weight,
                bias: bias.collect(),
                kernel: layer.kernel,
                stride,
                pads: Pads {
                    begin: layer.kernel / 2,
                    end: layer.kernel / 2,
                },
                depth_to_space: false,
            },
            Kind::ConvTranspose => {
                let (weight, kernel, pads) = subpixel_kernel(
                    &weight,
                    layer.input_channels,
                    layer.output_channels,
                    layer.kernel,
                );
                Self {
                    weight,
                    bias: bias.flat_map(|b| [b; 4]).collect(),
                    kernel,
                    stride: 1,
                    pads,
                    depth_to_space: true,
                }
            }
        }
    }

    fn rows(&self) -> impl Iterator<Item = RealRow<'_>> {
        let length = self.weight.len() / self.bias.len();
        let rows = self.weight.chunks_exact(length).zip(&self.bias);
        rows.map(|(weight, &bias)| RealRow {
            weight,
            bias,
            taps: self.kernel * self.kernel,
        })
    }

    /// The layer with its integers.
    fn finish(
        &self,
        layer: &folded::Layer,
        weight: Vec<i8>,
        bias: Vec<i32>,
        weight_exponents: Vec<i32>,
        output_exponent: i32,
    ) -> Layer {
        Layer {
            name: layer.name.clone(),
            source: layer.source,
            kernel: self.kernel,
            stride: self.stride,
            pads: self.pads,
            input_channels: layer.input_channels,
            output_channels: bias.len(),
            depth_to_space: self.depth_to_space,
            weight,
            bias,
            weight_exponents,
            output_exponent,
        }
    }
}

fn input_exponent(source: Source) -> i32 {
    match source {
        Source::Image => IMAGE_EXPONENT,
        Source::Layer(_) | Source::Concat(..) => ACTIVATION_EXPONENT,
    }
}

fn hidden_layer(layer: &folded::Layer) -> Result<Layer> {
    let conv = Convolution::new(layer, false);
    let input = input_exponent(layer.source);
    let mut weight = Vec::with_capacity(conv.weight.len());
    let mut bias = Vec::with_capacity(conv.bias.len());
    let mut exponents = Vec::with_capacity(conv.bias.len());
    for row in conv.rows() {
        let row = hidden_row(row, input)?;
        weight.extend(row.weight);
        bias.push(row.bias);
        exponents.push(row.exponent);
    }
    Ok(conv.finish(layer, weight, bias, exponents, ACTIVATION_EXPONENT))
}

/// The row at the finest exponent that holds its largest weight, or as much coarser as the contract
/// demands.
fn hidden_row(row: RealRow, input: i32) -> Result<Row> {
    let span = ACTIVATION_EXPONENT - input;
    let finest = span - MAX_SHIFT as i32;
    let saturating = span - MAX_SATURATING_SHIFT as i32;
    let start = row.fitting_exponent().unwrap_or(saturating).max(finest);
    (start..=span)
        .filter_map(|exponent| row.round(input, exponent))
        .find(|row| row.exponent >= saturating || row.bound() < 1 << 24)
        .context(
            "its weights or bias are too large for its output's range in 8 bits; train longer or \
             with another seed",
        )
}

/// The last layer, whose weights decide the fraction bits.
fn last_layer(layer: &folded::Layer) -> Result<(Layer, u8)> {
    let conv = Convolution::new(layer, true);
    let input = input_exponent(layer.source);
    let row = conv.rows().next().context("no weights")?;
    let finest = -input - i32::from(*FRACTION_BITS.end());
    let exponent = row.fitting_exponent().unwrap_or(finest).max(finest);
    let bits = -(input + exponent);
    let fraction_bits = u8::try_from(bits)
        .ok()
        .filter(|bits| FRACTION_BITS.contains(bits));
    let fraction_bits = fraction_bits.with_context(|| {
        format!(
            "the reconstruction would have {bits} fraction bits, not {} to {}: its weights are too \
             large for its input's range; train longer or with another seed",
            FRACTION_BITS.start(),
            FRACTION_BITS.end()
        )
    })?;
    let row = row
        .round(input, exponent)
        .context("its bias is too large; train longer or with another seed")?;
    let layer = conv.finish(layer, row.weight, vec![row.bias], vec![exponent], -bits);
    Ok((layer, fraction_bits))
}

/// One output channel's real weights `[in, taps]`.
#[derive(Clone, Copy)]
struct RealRow<'a> {
    weight: &'a [f64],
    bias: f64,
    taps: usize,
}

/// One output channel's integers.
struct Row {
    weight: Vec<i8>,
    bias: i32,
    exponent: i32,
}

impl RealRow<'_> {
    /// The smallest exponent at which every weight rounds to within [`MAX_WEIGHT`], or `None` where
    /// all are 0.
    fn fitting_exponent(&self) -> Option<i32> {
        let largest = self.weight.iter().fold(0.0, |max: f64, w| max.max(w.abs()));
        // A quarter step above rounds down like any other weight.
        let limit = f64::from(MAX_WEIGHT) + 0.25;
        (largest > 0.0).then(|| (largest / limit).log2().ceil() as i32)
    }

    /// The row at an exponent, or `None` where accumulators could pass [`MAX_ACCUMULATOR`].
    fn round(&self, input: i32, exponent: i32) -> Option<Row> {
        let step = f64::from(exponent).exp2();
        let steps: Vec<f64> = self.weight.iter().map(|w| w / step).collect();
        let bias = self.bias / (step * f64::from(input).exp2());
        let row = Row {
            weight: rounding::round(&steps, self.taps),
            bias: bias.round_ties_even() as i32,
            exponent,
        };
        (row.bound() < MAX_ACCUMULATOR).then_some(row)
    }
}

impl Row {
    /// The largest magnitude that an accumulator can reach.
    fn bound(&self) -> i64 {
        let magnitudes = self.weight.iter().map(|w| i64::from(w.unsigned_abs()));
        magnitudes.sum::<i64>() * 255 + i64::from(self.bias).abs()
    }
}
