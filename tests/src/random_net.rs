//! Random integer networks within the numeric contract, and random images for them.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use residua_shared::{
    frame::Size,
    net::{MAX_ACCUMULATOR, MAX_SATURATING_SHIFT, MAX_SHIFT, Pads, Source},
};

/// Multiply-accumulates that a case may take, so that the scalar reference stays quick.
const MAX_MACS: usize = 20_000_000;

/// One layer with its own memory; fields as in [`residua_shared::net::Layer`].
#[derive(Clone, Debug)]
pub struct LayerSpec {
    pub source: Source,
    pub input_channels: usize,
    pub output_channels: usize,
    pub kernel: usize,
    pub stride: usize,
    pub pads: Pads,
    pub weights: Vec<i8>,
    pub biases: Vec<i32>,
    /// One an output channel; empty in the last layer.
    pub shifts: Vec<u32>,
    /// log2 of the output's scale.
    pub exponent: i32,
    pub depth_to_space: bool,
}

impl LayerSpec {
    /// Channels that later layers see.
    pub fn channels(&self) -> usize {
        self.output_channels / if self.depth_to_space { 4 } else { 1 }
    }
}

/// A network, the images' size and a seed that makes the whole case again.
#[derive(Clone, Debug)]
pub struct RandomNet {
    pub seed: u64,
    pub input: Size,
    pub graph: Size,
    pub fraction_bits: u8,
    pub layers: Vec<LayerSpec>,
}

impl RandomNet {
    /// The network of this seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        loop {
            let net = Builder::new(&mut rng).net(seed);
            if net.macs() <= MAX_MACS {
                return net;
            }
        }
    }

    fn macs(&self) -> usize {
        let mut areas: Vec<usize> = Vec::new();
        let mut macs = 0;
        for layer in &self.layers {
            let input = match layer.source {
                Source::Image => self.graph.area(),
                Source::Layer(index) | Source::Concat(index, _) => areas[index],
            };
            let positions = input / (layer.stride * layer.stride);
            let taps = layer.input_channels * layer.kernel * layer.kernel;
            macs += positions * layer.output_channels * taps;
            areas.push(positions * if layer.depth_to_space { 4 } else { 1 });
        }
        macs
    }

    /// Images for it: black, white, noise, the two extremes at random, and a soft gradient.
    pub fn images(&self) -> Vec<Vec<u8>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ 0x1a6e);
        let (area, width) = (self.input.area(), self.input.width());
        vec![
            vec![0; area],
            vec![255; area],
            (0..area).map(|_| rng.random_range(0..=255)).collect(),
            (0..area).map(|_| 255 * rng.random_range(0..=1)).collect(),
            (0..area)
                .map(|n| (n % width * 5 + n / width * 3) as u8 / 2)
                .collect(),
        ]
    }
}

struct Builder<'r, R> {
    rng: &'r mut R,
    layers: Vec<LayerSpec>,
}

impl<'r, R: Rng> Builder<'r, R> {
    fn new(rng: &'r mut R) -> Self {
        Self {
            rng,
            layers: Vec::new(),
        }
    }

    /// Down by `levels` halvings and up again, with a concatenation at some levels, and layers of
    /// stride 1 between.
    fn net(mut self, seed: u64) -> RandomNet {
        let levels = self.rng.random_range(0..=3_usize);
        let side = |rng: &mut R| rng.random_range(1..=24_usize >> levels);
        let (width, height) = (side(self.rng) << levels, side(self.rng) << levels);
        let crop = |rng: &mut R| rng.random_range(0..1_usize << levels);
        let input = (width - crop(self.rng), height - crop(self.rng));

        let mut source = Source::Image;
        let mut skips = Vec::new();
        for _ in 0..levels {
            source = self.plain_layers(source);
            skips.push(source);
            source = self.layer(source, 2, false);
        }
        source = self.plain_layers(source);
        while let Some(skip) = skips.pop() {
            source = self.layer(source, 1, true);
            if let (Source::Layer(up), Source::Layer(skip)) = (source, skip)
                && self.rng.random_bool(0.7)
            {
                // A concatenation ties both scales.
                self.layers[up].exponent = self.layers[skip].exponent;
                source = if self.rng.random_bool(0.5) {
                    Source::Concat(up, skip)
                } else {
                    Source::Concat(skip, up)
                };
            }
        }
        source = self.plain_layers(source);
        self.last_layer(source);
        RandomNet {
            seed,
            input: Size::new(input.0, input.1).unwrap(),
            graph: Size::new(width, height).unwrap(),
            fraction_bits: self.rng.random_range(4..=12),
            layers: self.layers,
        }
    }

    fn plain_layers(&mut self, mut source: Source) -> Source {
        for _ in 0..self.rng.random_range(0..=2) {
            source = self.layer(source, 1, false);
        }
        source
    }

    fn channels_of(&self, source: Source) -> usize {
        match source {
            Source::Image => 1,
            Source::Layer(index) => self.layers[index].channels(),
            Source::Concat(first, second) => {
                self.layers[first].channels() + self.layers[second].channels()
            }
        }
    }

    /// Adds a layer that keeps its input's size, but for the stride and depth-to-space.
    fn layer(&mut self, source: Source, stride: usize, depth_to_space: bool) -> Source {
        let kernel = self.rng.random_range(1..=11);
        let widest = [4, 16, 64][self.rng.random_range(0..3)];
        let block = if depth_to_space { 4 } else { 1 };
        let output_channels = self.rng.random_range(1..=widest) * block;
        let input_channels = self.channels_of(source);
        let taps = input_channels * kernel * kernel;
        let pads = self.pads(kernel, stride);
        let weights = self.weights(output_channels * taps);
        let (mut shifts, mut biases) = (Vec::new(), Vec::new());
        let usual = self.usual_shift(&weights, taps);
        let spread = self.rng.random_range(0..=3);
        for channel in weights.chunks_exact(taps) {
            let sum: i64 = channel.iter().map(|&w| i64::from(w).abs() * 255).sum();
            let shift = self.shift(usual, spread, sum);
            shifts.push(shift);
            biases.push(self.bias(shift, sum));
        }
        self.layers.push(LayerSpec {
            source,
            input_channels,
            output_channels,
            kernel,
            stride,
            pads,
            weights,
            biases,
            shifts,
            exponent: self.rng.random_range(-9..=2),
            depth_to_space,
        });
        Source::Layer(self.layers.len() - 1)
    }

    fn last_layer(&mut self, source: Source) {
        let input_channels = self.channels_of(source);
        let weights = self.weights(input_channels);
        self.layers.push(LayerSpec {
            source,
            input_channels,
            output_channels: 1,
            kernel: 1,
            stride: 1,
            pads: Pads::default(),
            weights,
            biases: vec![self.rng.random_range(-2_000_000..=2_000_000)],
            shifts: Vec::new(),
            exponent: 0,
            depth_to_space: false,
        });
    }

    /// Any split of the padding that keeps the size, or halves it.
    fn pads(&mut self, kernel: usize, stride: usize) -> Pads {
        let spare = if stride == 2 && kernel >= 2 {
            self.rng.random_range(1..=2)
        } else {
            1
        };
        let total = kernel - spare;
        let (top, left) = match self.rng.random_range(0..3) {
            0 => (total / 2, total / 2),
            1 => (total - total / 2, total - total / 2),
            _ => (
                self.rng.random_range(0..=total),
                self.rng.random_range(0..=total),
            ),
        };
        Pads {
            top,
            left,
            bottom: total - top,
            right: total - left,
        }
    }

    /// Weights within ±127: of full range, small, sparse, or all at one extreme.
    fn weights(&mut self, count: usize) -> Vec<i8> {
        let kind = self.rng.random_range(0..8);
        let weight = |rng: &mut R| match kind {
            0 => 127,
            1 => -127,
            2 => [-127, 127][rng.random_range(0..2)],
            3 => rng.random_range(-3..=3),
            4 => [0, 0, 0, 0, 0, 0, rng.random_range(-127..=127), 1][rng.random_range(0..8)],
            _ => rng.random_range(-127..=127),
        };
        (0..count).map(|_| weight(self.rng)).collect()
    }

    /// A shift that brings most accumulators into the range of u8.
    fn usual_shift(&self, weights: &[i8], taps: usize) -> u32 {
        let square = |&w: &i8| u64::from(w.unsigned_abs()).pow(2);
        let energy = weights.iter().map(square).sum::<u64>() / (weights.len() / taps) as u64;
        (energy.max(1).isqrt().ilog2()).saturating_sub(1)
    }

    /// A shift near the usual one, or now and then any that the contract allows.
    fn shift(&mut self, usual: u32, spread: u32, sum: i64) -> u32 {
        let most = if sum < 1 << 23 {
            MAX_SHIFT
        } else {
            MAX_SATURATING_SHIFT
        };
        let shift = match self.rng.random_range(0..40) {
            0 => self.rng.random_range(0..=MAX_SHIFT),
            1 => 0,
            _ => usual + self.rng.random_range(0..=spread),
        };
        shift.min(most)
    }

    /// A bias of up to half the range of u8 after the shift, within the contract.
    fn bias(&mut self, shift: u32, sum: i64) -> i32 {
        let exact = if shift > MAX_SATURATING_SHIFT {
            1 << 24
        } else {
            MAX_ACCUMULATOR
        };
        let most = (128_i64 << shift).min(exact - 1 - sum);
        self.rng.random_range(-most..=most) as i32
    }
}
