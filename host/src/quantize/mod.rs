//! Post-training quantization: from folded float weights to integers under power-of-two scales.
//!
//! Every tensor `t` of the integer network stands for the real values `t · 2^exponent`, so each
//! requantization is a shift with round-half-to-even and every engine computes the same integers.
//! What coarse scales cost is won back in four steps, each measured to help on trained networks:
//! channels of unequal range are levelled before rounding ([`levelling`]), activation exponents
//! minimize the squared error over a sample ([`activations`]), weights are rounded kernel by
//! kernel ([`rounding`]), and biases absorb the mean of what rounding changed.

mod activations;
mod levelling;
mod post_training;

mod rounding;
mod transposed;

use anyhow::{Context, Result, bail, ensure};
use residua_shared::rule::FRACTION_BITS;

pub use activations::Activations;
pub use post_training::{SAMPLE, post_training};

pub use transposed::{Pads, subpixel_kernel};

use crate::net::folded::{Folded, Kind, Source};
use rounding::Row;

/// The image's exponent: grey levels 0 to 255 as they are stand for 0 to 255/256. The factor
/// 256/255 to the network's own [0, 1] is folded into the weights that read the image.
pub const IMAGE_EXPONENT: i32 = -8;

/// Weights are at most this, never -128: a sum of two products then fits i16 where both factors
/// are i8.
pub const MAX_WEIGHT: i32 = 127;

/// Shifts that an engine applies to an accumulator.
const SHIFTS: std::ops::RangeInclusive<i32> = 0..=31;

/// Up to this shift, f32 requantization (as onnxruntime does it) is exact for every accumulator
/// that does not saturate: 255 · 2^16 < 2^24.
const EXACT_SHIFT: i32 = 16;

/// An integer network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quantized {
    /// In the order of evaluation; the last one yields the reconstruction.
    pub layers: Vec<Layer>,
    /// A grey level is 2^`fraction_bits` steps of the reconstruction.
    pub fraction_bits: u8,
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
/// contract: shifts within 0 to 31, accumulators below 2^31, results exact in f32 requantization,
/// 4 to 12 fraction bits.
pub fn quantize(folded: &Folded, activations: &Activations) -> Result<Quantized> {
    check(folded)?;
    let (folded, activations) = if std::env::var("ABL").is_ok_and(|v| v.contains("nolevel")) {
        (folded.clone(), activations.clone())
    } else {
        levelling::level(folded, activations)
    };
    let exponents = activations.exponents(&folded);
    let last = folded.layers.len() - 1;
    let mut layers = Vec::with_capacity(folded.layers.len());
    for (index, layer) in folded.layers.iter().enumerate() {
        let input = match layer.source {
            Source::Image => IMAGE_EXPONENT,
            Source::Layer(source) | Source::Concat(source, _) => exponents[source],
        };
        let output = (index != last).then(|| exponents[index]);
        let layer = quantize_layer(layer, &activations.inputs(layer.source), input, output)
            .with_context(|| format!("layer {}", layer.name))?;
        layers.push(layer);
    }
    let fraction_bits = -layers[last].output_exponent;
    Ok(Quantized {
        layers,
        fraction_bits: u8::try_from(fraction_bits).context("fraction bits")?,
    })
}

fn check(folded: &Folded) -> Result<()> {
    let last = folded.layers.last().context("the network has no layers")?;
    ensure!(
        last.output_channels == 1 && matches!(last.kind, Kind::Conv { stride: 1 }),
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
    fn new(layer: &crate::net::folded::Layer, last: bool) -> Self {
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
}

/// `output` is `None` for the last layer, whose output exponent follows from its weights.
fn quantize_layer(
    layer: &crate::net::folded::Layer,
    inputs: &[activations::Moments],
    input: i32,
    output: Option<i32>,
) -> Result<Layer> {
    let conv = Convolution::new(layer, output.is_none());
    let row_length = layer.input_channels * conv.kernel * conv.kernel;
    let output_channels = conv.bias.len();
    let mut result = Layer {
        name: layer.name.clone(),
        source: layer.source,
        kernel: conv.kernel,
        stride: conv.stride,
        pads: conv.pads,
        input_channels: layer.input_channels,
        output_channels,
        depth_to_space: conv.depth_to_space,
        weight: Vec::with_capacity(conv.weight.len()),
        bias: Vec::with_capacity(output_channels),
        weight_exponents: Vec::with_capacity(output_channels),
        output_exponent: 0,
    };
    for (weights, &bias) in conv.weight.chunks_exact(row_length).zip(&conv.bias) {
        let row = |exponent| Row::round(weights, bias, inputs, input, exponent);
        let chosen = match output {
            Some(output) => hidden_row(row, weights, output - input)?,
            None => last_row(row, weights, input)?,
        };
        result.weight.extend(chosen.weights);
        result
            .bias
            .push(i32::try_from(chosen.bias).context("bias")?);
        result.weight_exponents.push(chosen.exponent);
    }
    result.output_exponent = output.unwrap_or(input + result.weight_exponents[0]);
    Ok(result)
}

/// The best allowed row of a hidden layer: at the finest exponent that holds the largest weight or
/// one finer with clipping, or as much coarser as the contract demands. `span` is the output's
/// exponent less the input's.
fn hidden_row(row: impl Fn(i32) -> Row, weights: &[f64], span: i32) -> Result<Row> {
    let finest = span - SHIFTS.end();
    let coarsest = span - SHIFTS.start();
    let fitting = fitting_exponent(weights).unwrap_or(span - EXACT_SHIFT);
    let allowed = |row: &Row| {
        let shift = span - row.exponent;
        let bound = row.bound();
        SHIFTS.contains(&shift) && bound < 1 << 31 && (shift <= EXACT_SHIFT || bound < 1 << 24)
    };
    let best = (if std::env::var("ABL").is_ok_and(|v| v.contains("noclip")) {
        [fitting, fitting]
    } else {
        [fitting, fitting - 1]
    })
    .map(&row)
    .into_iter()
    .filter(allowed)
    .min_by(|a, b| a.error.total_cmp(&b.error));
    if let Some(best) = best {
        return Ok(best);
    }
    match (finest.max(fitting + 1)..=coarsest).map(row).find(allowed) {
        Some(row) => Ok(row),
        None => bail!(
            "its weights or bias are too large for its output's range in 8 bits; train longer or \
             with another seed"
        ),
    }
}

/// The row of the last layer, whose exponent decides the fraction bits.
fn last_row(row: impl Fn(i32) -> Row, weights: &[f64], input: i32) -> Result<Row> {
    let bits = |exponent: i32| -(input + exponent);
    let most = i32::from(*FRACTION_BITS.end());
    let fitting = fitting_exponent(weights)
        .unwrap_or(-input - most)
        .max(-input - most);
    let allowed = |row: &Row| {
        u8::try_from(bits(row.exponent)).is_ok_and(|bits| FRACTION_BITS.contains(&bits))
            && row.bound() < 1 << 31
    };
    (if std::env::var("ABL").is_ok_and(|v| v.contains("noclip")) {
        [fitting, fitting]
    } else {
        [fitting, fitting - 1]
    })
    .map(row)
    .into_iter()
    .filter(allowed)
    .min_by(|a, b| a.error.total_cmp(&b.error))
    .with_context(|| {
        format!(
            "the reconstruction would have {} fraction bits, but needs {} to {most}: its \
                 weights are too large for its input's range; train longer or with another seed",
            bits(fitting),
            FRACTION_BITS.start(),
        )
    })
}

/// The smallest exponent at which no weight exceeds [`MAX_WEIGHT`], or `None` where all are 0.
fn fitting_exponent(weights: &[f64]) -> Option<i32> {
    let largest = weights.iter().fold(0.0, |max: f64, w| max.max(w.abs()));
    (largest > 0.0).then(|| smallest_exponent(largest / f64::from(MAX_WEIGHT)))
}

/// The smallest e with `value <= 2^e`, for positive finite `value`.
fn smallest_exponent(value: f64) -> i32 {
    let mut exponent = value.log2().ceil() as i32;
    while value > f64::from(exponent).exp2() {
        exponent += 1;
    }
    while value <= f64::from(exponent - 1).exp2() {
        exponent -= 1;
    }
    exponent
}
