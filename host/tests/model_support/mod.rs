//! Small random networks and plain forward passes, obviously right, to judge the real ones by.
#![allow(dead_code)]

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use residua_host::{
    net::folded::{Folded, Kind, Layer, Source},
    quantize::{self, Activations, Quantized},
};

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Channels, height and width with the values row-major.
#[derive(Clone)]
pub struct Planes<T> {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub values: Vec<T>,
}

impl<T: Copy + Default> Planes<T> {
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
            values: vec![T::default(); channels * height * width],
        }
    }

    fn get(&self, c: usize, y: isize, x: isize) -> T {
        let inside =
            (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x);
        if inside {
            self.values[(c * self.height + y as usize) * self.width + x as usize]
        } else {
            T::default()
        }
    }

    fn set(&mut self, c: usize, y: usize, x: usize, value: T) {
        self.values[(c * self.height + y) * self.width + x] = value;
    }

    fn concat(&self, other: &Self) -> Self {
        Self {
            channels: self.channels + other.channels,
            values: [self.values.as_slice(), &other.values].concat(),
            ..*self
        }
    }
}

pub trait Number: Copy + Default + std::ops::Mul<Output = Self> + std::ops::AddAssign {}
impl Number for f64 {}
impl Number for i64 {}

/// Convolution with weight `[out, in, k, k]`, by its definition.
pub fn convolution<T: Number>(
    input: &Planes<T>,
    weight: &[T],
    bias: &[T],
    kernel: usize,
    stride: usize,
    (begin, end): (usize, usize),
) -> Planes<T> {
    let side = |n: usize| (n + begin + end - kernel) / stride + 1;
    let mut output = Planes::new(bias.len(), side(input.height), side(input.width));
    for (o, &bias) in bias.iter().enumerate() {
        for y in 0..output.height {
            for x in 0..output.width {
                let mut sum = bias;
                for i in 0..input.channels {
                    for (tap, ky, kx) in taps(kernel) {
                        let at = |n: usize, k: usize| (n * stride + k) as isize - begin as isize;
                        sum += weight[(o * input.channels + i) * kernel * kernel + tap]
                            * input.get(i, at(y, ky), at(x, kx));
                    }
                }
                output.set(o, y, x, sum);
            }
        }
    }
    output
}

/// Transposed convolution, stride 2, padding k/2, output padding 1, weight `[in, out, k, k]`: each
/// input value spreads over the output.
pub fn transposed<T: Number>(
    input: &Planes<T>,
    weight: &[T],
    bias: &[T],
    kernel: usize,
) -> Planes<T> {
    let mut output = Planes::new(bias.len(), input.height * 2, input.width * 2);
    let area = output.height * output.width;
    for (plane, &bias) in output.values.chunks_exact_mut(area).zip(bias) {
        plane.fill(bias);
    }
    for i in 0..input.channels {
        for (y, x) in positions(input.height, input.width) {
            let value = input.get(i, y as isize, x as isize);
            for o in 0..bias.len() {
                for (tap, ky, kx) in taps(kernel) {
                    let at = |n: usize, k: usize| (2 * n + k).checked_sub(kernel / 2);
                    let (Some(oy), Some(ox)) = (at(y, ky), at(x, kx)) else {
                        continue;
                    };
                    if oy < output.height && ox < output.width {
                        let index = (o * output.height + oy) * output.width + ox;
                        output.values[index] +=
                            weight[(i * bias.len() + o) * kernel * kernel + tap] * value;
                    }
                }
            }
        }
    }
    output
}

/// ONNX `DepthToSpace`, block 2, mode CRD.
pub fn depth_to_space<T: Copy + Default>(input: &Planes<T>) -> Planes<T> {
    let mut output = Planes::new(input.channels / 4, input.height * 2, input.width * 2);
    for c in 0..input.channels {
        for (y, x) in positions(input.height, input.width) {
            let value = input.get(c, y as isize, x as isize);
            output.set(c / 4, 2 * y + c % 4 / 2, 2 * x + c % 2, value);
        }
    }
    output
}

fn taps(kernel: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..kernel * kernel).map(move |tap| (tap, tap / kernel, tap % kernel))
}

fn positions(height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height * width).map(move |i| (i / width, i % width))
}

fn read<T: Copy + Default>(source: Source, image: &Planes<T>, done: &[Planes<T>]) -> Planes<T> {
    match source {
        Source::Image => image.clone(),
        Source::Layer(index) => done[index].clone(),
        Source::Concat(a, b) => done[a].concat(&done[b]),
    }
}

/// All layers' outputs in f64, after ReLU except the last, for an image in [0, 1].
pub fn float_forward(folded: &Folded, image: &Planes<f64>) -> Vec<Planes<f64>> {
    let mut done: Vec<Planes<f64>> = Vec::new();
    for (index, layer) in folded.layers.iter().enumerate() {
        let input = read(layer.source, image, &done);
        let weight: Vec<f64> = layer.weight.iter().map(|&w| w.into()).collect();
        let bias: Vec<f64> = layer.bias.iter().map(|&b| b.into()).collect();
        let pad = layer.kernel / 2;
        let mut output = match layer.kind {
            Kind::Conv { stride } => {
                convolution(&input, &weight, &bias, layer.kernel, stride, (pad, pad))
            }
            Kind::ConvTranspose => transposed(&input, &weight, &bias, layer.kernel),
        };
        if index + 1 < folded.layers.len() {
            output.values.iter_mut().for_each(|v| *v = v.max(0.0));
        }
        done.push(output);
    }
    done
}

/// The reconstruction in fixed point, in i64 and by the contract's words: shift with
/// round-half-to-even, clamp to u8. Panics where an accumulator leaves i32.
pub fn integer_forward(network: &Quantized, image: &Planes<i64>) -> Planes<i64> {
    let mut done: Vec<Planes<i64>> = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let input = read(layer.source, image, &done);
        let weight: Vec<i64> = layer.weight.iter().map(|&w| w.into()).collect();
        let bias: Vec<i64> = layer.bias.iter().map(|&b| b.into()).collect();
        let pads = (layer.pads.begin, layer.pads.end);
        let mut output = convolution(&input, &weight, &bias, layer.kernel, layer.stride, pads);
        for value in &output.values {
            i32::try_from(*value).expect("accumulator within i32");
        }
        if index + 1 < network.layers.len() {
            let area = output.height * output.width;
            let shifts = network.shifts(layer);
            for (plane, shift) in output.values.chunks_exact_mut(area).zip(shifts) {
                for value in plane {
                    let real = *value as f64 / f64::from(shift).exp2();
                    *value = real.round_ties_even().clamp(0.0, 255.0) as i64;
                }
            }
        }
        if layer.depth_to_space {
            output = depth_to_space(&output);
        }
        done.push(output);
    }
    done.pop().expect("a layer")
}

/// Kernels of the paper's encoder and decoder.
const ENCODER: [usize; 5] = [11, 9, 7, 5, 3];
const DECODER: [usize; 4] = [5, 7, 9, 11];

/// A network of the paper's shape with random weights, channels of very unequal scale (as batch
/// norm leaves them), and an output around mid-grey. `full_skip` is the concat before the output.
pub fn random_network(rng: &mut ChaCha8Rng, channels: usize, full_skip: bool) -> Folded {
    let mut layers: Vec<Layer> = Vec::new();
    let mut push = |source, kind, kernel, inputs: usize, outputs: usize| {
        let transposed = matches!(kind, Kind::ConvTranspose);
        let fan_in = (inputs * kernel * kernel) as f32 / if transposed { 4.0 } else { 1.0 };
        let scales: Vec<f32> = (0..outputs)
            .map(|_| rng.random_range(-2.0f32..2.0).exp2())
            .collect();
        let area = kernel * kernel;
        let weight = (0..inputs * outputs * area)
            .map(|i| {
                let plane = i / area;
                let output = if transposed {
                    plane % outputs
                } else {
                    plane / inputs
                };
                rng.random_range(-1.7f32..1.7) * scales[output] / fan_in.sqrt()
            })
            .collect();
        let bias = scales
            .iter()
            .map(|scale| rng.random_range(0.0f32..0.4) * scale)
            .collect();
        layers.push(Layer {
            name: format!("x{}", layers.len() + 1),
            source,
            kind,
            kernel,
            input_channels: inputs,
            output_channels: outputs,
            weight,
            bias,
        });
    };
    for (i, &kernel) in ENCODER.iter().enumerate() {
        let source = i.checked_sub(1).map_or(Source::Image, Source::Layer);
        let stride = if i == 0 { 1 } else { 2 };
        let inputs = if i == 0 { 1 } else { channels };
        push(source, Kind::Conv { stride }, kernel, inputs, channels);
    }
    for (i, &kernel) in DECODER.iter().enumerate() {
        let (source, inputs) = match i {
            0 => (Source::Layer(4), channels),
            _ => (Source::Concat(4 + i, 4 - i), 2 * channels),
        };
        push(source, Kind::ConvTranspose, kernel, inputs, channels);
    }
    let (source, inputs) = if full_skip {
        (Source::Concat(8, 0), 2 * channels)
    } else {
        (Source::Layer(8), channels)
    };
    push(source, Kind::Conv { stride: 1 }, 1, inputs, 1);
    let mut folded = Folded { layers };
    centre_output(&mut folded, &random_image(rng, 32, 32));
    folded
}

/// Scales the last layer so that this image's reconstruction has mean 0.5 and deviation 0.15.
fn centre_output(folded: &mut Folded, image: &Planes<i64>) {
    let output = float_forward(folded, &to_float(image))
        .pop()
        .expect("a layer");
    let count = output.values.len() as f64;
    let mean = output.values.iter().sum::<f64>() / count;
    let variance = output
        .values
        .iter()
        .map(|v| (v - mean).powi(2))
        .sum::<f64>()
        / count;
    let gain = 0.15 / variance.sqrt();
    let last = folded.layers.last_mut().expect("a layer");
    last.weight.iter_mut().for_each(|w| *w *= gain as f32);
    last.bias[0] = (0.5 + (f64::from(last.bias[0]) - mean) * gain) as f32;
}

/// Waves and noise, grey levels 0 to 255.
pub fn random_image(rng: &mut ChaCha8Rng, height: usize, width: usize) -> Planes<i64> {
    let (a, b, phase) = (
        rng.random_range(0.0..0.8),
        rng.random_range(0.0..0.8),
        rng.random_range(0.0..6.0),
    );
    let mut image = Planes::new(1, height, width);
    for (y, x) in positions(height, width) {
        let wave = 128.0 + 70.0 * (a * y as f64 + b * x as f64 + phase).sin();
        let noise = f64::from(rng.next_u32() % 41) - 20.0;
        image.set(0, y, x, (wave + noise).clamp(0.0, 255.0) as i64);
    }
    image
}

pub fn to_float(image: &Planes<i64>) -> Planes<f64> {
    Planes {
        channels: image.channels,
        height: image.height,
        width: image.width,
        values: image.values.iter().map(|&v| v as f64 / 255.0).collect(),
    }
}

/// The network's activations on some random images.
pub fn sample(folded: &Folded, rng: &mut ChaCha8Rng, images: usize) -> Activations {
    let mut activations = Activations::new(folded);
    for _ in 0..images {
        let image = to_float(&random_image(rng, 32, 32));
        let outputs = float_forward(folded, &image);
        let hidden = &outputs[..activations.hidden()];
        let hidden: Vec<Vec<f32>> = hidden.iter().map(|o| to_f32(&o.values)).collect();
        activations.add(&hidden).expect("finite activations");
    }
    activations
}

fn to_f32(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// A random network, quantized on random images.
pub fn random_quantized(seed: u64, channels: usize, full_skip: bool) -> Quantized {
    let mut rng = rng(seed);
    let folded = random_network(&mut rng, channels, full_skip);
    let activations = sample(&folded, &mut rng, 2);
    quantize::quantize(&folded, &activations).expect("quantizable")
}
