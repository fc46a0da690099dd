//! The integer network: what the exported ONNX file says, checked once, so that whoever runs it
//! need not check again.
//!
//! Activations are u8 with zero point 0 (so that saturation at 0 is the ReLU), weights are i8
//! within ±127, biases and accumulators i32, and every scale is a power of two: requantization is
//! a shift with round-half-to-even, the same on every target.

use core::{fmt, ops::Range};

use heapless::{String, Vec};

use crate::{frame::Size, rule::FRACTION_BITS};

/// Layers that a network may have.
pub const MAX_LAYERS: usize = 24;

/// Channels that a convolution may read or write.
pub const MAX_CHANNELS: usize = 1024;

/// The largest side of a kernel.
pub const MAX_KERNEL: usize = 11;

/// The largest requantization shift.
pub const MAX_SHIFT: u32 = 31;

/// Up to this shift an accumulator that an f32 cannot hold exactly (2^24 and above) saturates
/// anyway. Above it such accumulators are refused: onnxruntime requantizes in f32, and so does tract
/// where the shifts of a layer differ.
pub const MAX_SATURATING_SHIFT: u32 = 16;

/// Accumulators stay below this in magnitude. An i32 alone would allow twice as much, but where
/// all shifts of a layer are equal, tract 0.23 rounds by adding half a step in i32, which wraps
/// from 2^31 - 2^(shift - 1) on: it then yields 0 instead of 255.
pub const MAX_ACCUMULATOR: i64 = 1 << 30;

/// Where a layer reads from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The image: one channel of raw grey levels.
    Image,
    /// The output of one earlier layer, by index.
    Layer(usize),
    /// The channels of two earlier layers of one size, the first one's before the second's.
    Concat(usize, usize),
}

/// Zero padding around a layer's input, in pixels, each below the kernel's side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pads {
    /// Rows above.
    pub top: usize,
    /// Columns before.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns after.
    pub right: usize,
}

/// How accumulators become u8 activations: y = clamp(round_half_even(acc · 2^-shift), 0, 255) with
/// one shift an output channel, 2^-shift = input scale · weight scale / output scale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Requantization<'a> {
    /// One weight scale an output channel: little-endian f32, each a power of two.
    pub weight_scales: &'a [u8],
    /// log2(input scale / output scale).
    pub exponent: i32,
}

impl Requantization<'_> {
    /// The shift of a channel, where its scale is a power of two and the shift in
    /// `0..=`[`MAX_SHIFT`].
    fn checked_shift(&self, channel: usize) -> Option<u32> {
        let scale = self.weight_scales.chunks_exact(4).nth(channel)?;
        let exponent = exponent_of(f32::from_le_bytes(scale.try_into().ok()?))?;
        let shift = exponent.checked_add(self.exponent)?.checked_neg()?;
        u32::try_from(shift)
            .ok()
            .filter(|&shift| shift <= MAX_SHIFT)
    }
}

/// n where `scale` is exactly 2^n and a normal number.
pub fn exponent_of(scale: f32) -> Option<i32> {
    let bits = scale.to_bits();
    // With the sign and the fraction all zero, the bits above them are the biased exponent.
    let biased = bits >> 23;
    (bits.trailing_zeros() >= 23 && (1..=254).contains(&biased)).then(|| biased as i32 - 127)
}

/// One convolution, with what follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layer<'a> {
    /// For messages.
    pub name: &'a str,
    /// Where it reads.
    pub source: Source,
    /// Channels read.
    pub input_channels: usize,
    /// Channels that the convolution computes (before `depth_to_space`).
    pub output_channels: usize,
    /// The side of the square kernel, `1..=`[`MAX_KERNEL`].
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zero padding.
    pub pads: Pads,
    /// i8 within ±127, `[output_channels, input_channels, kernel, kernel]` row-major.
    pub weights: &'a [u8],
    /// Little-endian i32, one an output channel.
    pub biases: &'a [u8],
    /// `None` for the last layer, whose accumulators are the reconstruction.
    pub requantization: Option<Requantization<'a>>,
    /// Channel 4c + 2v + h of the convolution becomes row 2y + v, column 2x + h of channel c:
    /// ONNX's DepthToSpace with block size 2 in CRD mode.
    pub depth_to_space: bool,
}

impl<'a> Layer<'a> {
    /// Channels that later layers see.
    pub fn channels(&self) -> usize {
        if self.depth_to_space {
            self.output_channels / 4
        } else {
            self.output_channels
        }
    }

    /// The weights of one output channel, `[input_channels, kernel, kernel]`.
    ///
    /// # Panics
    /// Where the layer has no such channel; so in [`Self::bias`].
    pub fn weights_of(&self, channel: usize) -> &'a [u8] {
        let length = self.input_channels * self.kernel * self.kernel;
        &self.weights[channel * length..][..length]
    }

    /// The bias of one output channel.
    pub fn bias(&self, channel: usize) -> i32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.biases[channel * 4..][..4]);
        i32::from_le_bytes(bytes)
    }

    /// The requantization shift of one output channel; 0 in the last layer, which has none.
    pub fn shift(&self, channel: usize) -> u32 {
        self.requantization
            .and_then(|requantization| requantization.checked_shift(channel))
            .unwrap_or(0)
    }

    /// The largest magnitude that an accumulator of this channel can reach, in any order of
    /// summation: |bias| + 255 Σ|w|.
    pub fn bound(&self, channel: usize) -> i64 {
        let weights = self.weights_of(channel).iter();
        let sum: i64 = weights.map(|&w| i64::from(w as i8).abs()).sum();
        i64::from(self.bias(channel)).abs() + 255 * sum
    }

    /// The size of the convolution's output (before `depth_to_space`) from that of its input.
    fn convolved(&self, input: Size) -> Option<(usize, usize)> {
        let side = |side: usize, before: usize, after: usize| {
            let reach = (side + before + after).checked_sub(self.kernel)?;
            Some(reach / self.stride + 1)
        };
        Some((
            side(input.width(), self.pads.left, self.pads.right)?,
            side(input.height(), self.pads.top, self.pads.bottom)?,
        ))
    }

    /// Checks all that does not depend on other layers.
    fn check(&self) -> Result<(), LayerProblem> {
        use LayerProblem as P;
        let channels = 1..=MAX_CHANNELS;
        if !channels.contains(&self.input_channels) || !channels.contains(&self.output_channels) {
            return Err(P::Channels);
        }
        if self.depth_to_space && !self.output_channels.is_multiple_of(4) {
            return Err(P::DepthToSpace);
        }
        if !(1..=MAX_KERNEL).contains(&self.kernel) {
            return Err(P::Kernel);
        }
        if !(1..=2).contains(&self.stride) {
            return Err(P::Stride);
        }
        let Pads {
            top,
            left,
            bottom,
            right,
        } = self.pads;
        if [top, left, bottom, right].iter().any(|&n| n >= self.kernel) {
            return Err(P::Pads);
        }
        let taps = self.input_channels * self.kernel * self.kernel;
        if self.weights.len() != self.output_channels * taps
            || self.biases.len() != self.output_channels * 4
            || self
                .requantization
                .is_some_and(|r| r.weight_scales.len() != self.output_channels * 4)
        {
            return Err(P::Lengths);
        }
        if self.weights.contains(&(i8::MIN as u8)) {
            return Err(P::Weight);
        }
        (0..self.output_channels).try_for_each(|channel| self.check_channel(channel))
    }

    fn check_channel(&self, channel: usize) -> Result<(), LayerProblem> {
        let bound = self.bound(channel);
        if bound >= MAX_ACCUMULATOR {
            return Err(LayerProblem::Accumulator { channel });
        }
        if let Some(requantization) = self.requantization {
            let shift = requantization
                .checked_shift(channel)
                .ok_or(LayerProblem::Shift { channel })?;
            if shift > MAX_SATURATING_SHIFT && bound >= 1 << 24 {
                return Err(LayerProblem::Inexact { channel });
            }
        }
        Ok(())
    }
}

/// The whole network, in the order of evaluation. Its invariants, checked by [`Net::new`]: every
/// layer reads earlier ones whose channels and sizes fit, no accumulator can overflow an i32, and
/// the last layer (and no other) yields i32, one channel of the graph's own size.
#[derive(Clone, Debug)]
pub struct Net<'a> {
    layers: Vec<Layer<'a>, MAX_LAYERS>,
    sizes: Vec<Size, MAX_LAYERS>,
    graph: Size,
    fraction_bits: u8,
    scratch_len: usize,
}

impl<'a> Net<'a> {
    /// Checks the layers of a network for images padded to `graph`, whose reconstruction has
    /// `fraction_bits` binary fraction bits (a grey level is 2^`fraction_bits` steps).
    pub fn new(
        layers: Vec<Layer<'a>, MAX_LAYERS>,
        graph: Size,
        fraction_bits: u8,
    ) -> Result<Self, NetError> {
        let whole = |problem| NetError {
            layer: Name::new(),
            problem,
        };
        if !FRACTION_BITS.contains(&fraction_bits) {
            return Err(whole(LayerProblem::FractionBits(fraction_bits)));
        }
        if layers.is_empty() {
            return Err(whole(LayerProblem::Empty));
        }
        let mut net = Self {
            layers: Vec::new(),
            sizes: Vec::new(),
            graph,
            fraction_bits,
            scratch_len: graph.area(),
        };
        for (index, layer) in layers.iter().enumerate() {
            let last = index + 1 == layers.len();
            net.append(*layer, last).map_err(|problem| NetError {
                layer: name(layer.name),
                problem,
            })?;
        }
        Ok(net)
    }

    fn append(&mut self, layer: Layer<'a>, last: bool) -> Result<(), LayerProblem> {
        use LayerProblem as P;
        layer.check()?;
        let (channels, input) = self.read_by(layer.source)?;
        if channels != layer.input_channels {
            return Err(P::Source);
        }
        let (width, height) = layer.convolved(input).ok_or(P::Size)?;
        let block = if layer.depth_to_space { 2 } else { 1 };
        let size = Size::new(width * block, height * block).map_err(|_| P::Size)?;
        if last != layer.requantization.is_none() {
            return Err(P::Last);
        }
        if last {
            if layer.output_channels != 1 || layer.depth_to_space || size != self.graph {
                return Err(P::Last);
            }
        } else {
            self.scratch_len = size
                .area()
                .checked_mul(layer.channels())
                .and_then(|length| length.checked_add(self.scratch_len))
                .filter(|&length| isize::try_from(length).is_ok())
                .ok_or(P::Memory)?;
        }
        self.layers.push(layer).map_err(|_| P::Memory)?;
        self.sizes.push(size).map_err(|_| P::Memory)
    }

    /// Channels and size of what a layer with this source reads.
    fn read_by(&self, source: Source) -> Result<(usize, Size), LayerProblem> {
        let of = |index: usize| match (self.layers.get(index), self.sizes.get(index)) {
            (Some(layer), Some(&size)) => Ok((layer.channels(), size)),
            _ => Err(LayerProblem::Source),
        };
        match source {
            Source::Image => Ok((1, self.graph)),
            Source::Layer(index) => of(index),
            Source::Concat(first, second) => {
                let ((a, size), (b, other)) = (of(first)?, of(second)?);
                if size != other {
                    return Err(LayerProblem::ConcatSizes(size, other));
                }
                Ok((a + b, size))
            }
        }
    }

    /// The layers, in the order of evaluation.
    pub fn layers(&self) -> &[Layer<'a>] {
        &self.layers
    }

    /// The images' size after padding to the network's stride.
    pub fn graph(&self) -> Size {
        self.graph
    }

    /// Binary fraction bits of the reconstruction.
    pub fn fraction_bits(&self) -> u8 {
        self.fraction_bits
    }

    /// The size of layer `index`'s output (after depth-to-space).
    ///
    /// # Panics
    /// Where there is no such layer.
    pub fn output_size(&self, index: usize) -> Size {
        self.sizes[index]
    }

    /// The size of layer `index`'s input.
    ///
    /// # Panics
    /// Where there is no such layer.
    pub fn input_size(&self, index: usize) -> Size {
        match self.layers[index].source {
            Source::Image => self.graph,
            Source::Layer(source) | Source::Concat(source, _) => self.sizes[source],
        }
    }

    /// Bytes that hold the padded image and every activation of the network at once.
    pub fn scratch_len(&self) -> usize {
        self.scratch_len
    }

    /// Where layer `index`'s activations lie in such a buffer, `[channels, height, width]`; the
    /// padded image lies first, and the last layer's range is empty.
    pub fn activations(&self, index: usize) -> Range<usize> {
        let length = |(layer, size): (&Layer<'_>, &Size)| match layer.requantization {
            Some(_) => layer.channels() * size.area(),
            None => 0,
        };
        let mut lengths = self.layers.iter().zip(&self.sizes).map(length);
        let start = self.graph.area() + lengths.by_ref().take(index).sum::<usize>();
        start..start + lengths.next().unwrap_or(0)
    }

    /// Multiply-accumulates for one image, those on zero padding included.
    pub fn macs(&self) -> u64 {
        (0..self.layers.len())
            .map(|index| self.layer_macs(index))
            .sum()
    }

    /// Those of layer `index`.
    ///
    /// # Panics
    /// Where there is no such layer.
    pub fn layer_macs(&self, index: usize) -> u64 {
        let (layer, size) = (&self.layers[index], self.sizes[index]);
        // Depth-to-space moves values, it computes none.
        let outputs = size.area() as u64 * layer.channels() as u64;
        outputs * (layer.input_channels * layer.kernel * layer.kernel) as u64
    }
}

/// The start of a name, for messages.
pub type Name = String<48>;

/// As much of `text` as a [`Name`] holds.
pub fn name(text: &str) -> Name {
    let mut name = Name::new();
    for c in text.chars() {
        if name.push(c).is_err() {
            break;
        }
    }
    name
}

/// Why a network was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetError {
    /// The layer's name; empty where the whole network is meant.
    pub layer: Name,
    /// What is wrong with it.
    pub problem: LayerProblem,
}

/// What is wrong with a layer or a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayerProblem {
    /// There is no layer.
    Empty,
    /// Fraction bits outside [`FRACTION_BITS`].
    FractionBits(u8),
    /// No channel, or more than [`MAX_CHANNELS`].
    Channels,
    /// Channels not a multiple of 4 before depth-to-space.
    DepthToSpace,
    /// A kernel outside `1..=`[`MAX_KERNEL`].
    Kernel,
    /// A stride other than 1 or 2.
    Stride,
    /// A padding of a whole kernel or more.
    Pads,
    /// Weights, biases or scales whose number does not fit the shape.
    Lengths,
    /// A weight of -128.
    Weight,
    /// |bias| + 255 Σ|w| reaches [`MAX_ACCUMULATOR`].
    Accumulator {
        /// The output channel.
        channel: usize,
    },
    /// A scale that is no power of two, or a shift outside `0..=`[`MAX_SHIFT`].
    Shift {
        /// The output channel.
        channel: usize,
    },
    /// A shift above [`MAX_SATURATING_SHIFT`] where accumulators reach 2^24.
    Inexact {
        /// The output channel.
        channel: usize,
    },
    /// A source that is no earlier layer, or has other channels than stated.
    Source,
    /// The two inputs of a concatenation have different sizes.
    ConcatSizes(Size, Size),
    /// An output outside the sizes that images may have.
    Size,
    /// The last layer does not yield one channel of i32 of the graph's size, or another one
    /// yields i32.
    Last,
    /// More layers or activations than this machine can address.
    Memory,
}

impl fmt::Display for LayerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no layer"),
            Self::FractionBits(bits) => write!(
                f,
                "fraction_bits is {bits}; it must be {} to {}",
                FRACTION_BITS.start(),
                FRACTION_BITS.end()
            ),
            Self::Channels => write!(f, "channels must be 1 to {MAX_CHANNELS}"),
            Self::DepthToSpace => {
                f.write_str("channels before DepthToSpace must be a multiple of 4")
            }
            Self::Kernel => write!(
                f,
                "the kernel must be 1 to {MAX_KERNEL} pixels wide and high"
            ),
            Self::Stride => f.write_str("the stride must be 1 or 2"),
            Self::Pads => f.write_str("pads must be smaller than the kernel"),
            Self::Lengths => {
                f.write_str("the number of weights, biases or scales does not fit the shape")
            }
            Self::Weight => f.write_str("a weight is -128; weights must be within ±127"),
            Self::Accumulator { channel } => write!(
                f,
                "channel {channel}: sums can reach 2^30; use smaller weights or biases"
            ),
            Self::Shift { channel } => write!(
                f,
                "channel {channel}: the scale must be a power of two and the shift 0 to {MAX_SHIFT}"
            ),
            Self::Inexact { channel } => write!(
                f,
                "channel {channel}: a shift above {MAX_SATURATING_SHIFT} with sums that reach 2^24 \
                 is not exact in every runtime"
            ),
            Self::Source => {
                f.write_str("it reads no earlier layer, or one with other channels than stated")
            }
            Self::ConcatSizes(first, second) => {
                write!(
                    f,
                    "it concatenates {first} with {second}; sizes must be equal"
                )
            }
            Self::Size => f.write_str("its output would be empty or larger than images may be"),
            Self::Last => f.write_str(
                "the last layer, and no other, must yield one channel of i32 of the graph's size",
            ),
            Self::Memory => write!(
                f,
                "more than {MAX_LAYERS} layers, or activations beyond this machine's memory"
            ),
        }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layer.is_empty() {
            write!(f, "network: {}; export the model again", self.problem)
        } else {
            write!(
                f,
                "layer {}: {}; export the model again",
                self.layer, self.problem
            )
        }
    }
}

impl core::error::Error for NetError {}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec};

    use super::*;

    const SCALES: [u8; 16] = {
        // 2^-7 four times.
        let [a, b, c, d] = 0.0078125_f32.to_le_bytes();
        [a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]
    };

    /// Image → four channels at half the size → one channel up again → output.
    fn layers() -> Vec<Layer<'static>, MAX_LAYERS> {
        let requantization = Some(Requantization {
            weight_scales: &SCALES,
            exponent: 2,
        });
        let down = Layer {
            name: "down",
            source: Source::Image,
            input_channels: 1,
            output_channels: 4,
            kernel: 3,
            stride: 2,
            pads: Pads {
                top: 1,
                left: 1,
                bottom: 1,
                right: 1,
            },
            weights: &[1; 36],
            biases: &[0; 16],
            requantization,
            depth_to_space: false,
        };
        let up = Layer {
            name: "up",
            source: Source::Layer(0),
            input_channels: 4,
            kernel: 2,
            stride: 1,
            pads: Pads {
                top: 0,
                left: 0,
                bottom: 1,
                right: 1,
            },
            weights: &[1; 64],
            depth_to_space: true,
            ..down
        };
        let output = Layer {
            name: "output",
            source: Source::Layer(1),
            input_channels: 1,
            output_channels: 1,
            kernel: 1,
            pads: Pads::default(),
            weights: &[16],
            biases: &[1, 0, 0, 0],
            requantization: None,
            depth_to_space: false,
            ..up
        };
        [down, up, output].into_iter().collect()
    }

    fn graph() -> Size {
        Size::new(8, 6).unwrap()
    }

    #[test]
    fn sizes_memory_and_work_follow_from_the_layers() {
        let net = Net::new(layers(), graph(), 4).unwrap();
        let sizes = [(4, 3), (8, 6), (8, 6)].map(|(w, h)| Size::new(w, h).unwrap());
        assert_eq!([0, 1, 2].map(|index| net.output_size(index)), sizes);
        assert_eq!(net.input_size(2), sizes[1]);
        assert_eq!(net.scratch_len(), 48 + 4 * 12 + 48);
        assert_eq!(net.activations(0), 48..96);
        assert_eq!(net.activations(1), 96..144);
        assert_eq!(net.activations(2), 144..144);
        assert_eq!(net.macs(), 12 * 4 * 9 + 12 * 4 * 16 + 48);
        assert_eq!(net.layers()[0].shift(3), 5);
        assert_eq!(net.layers()[2].bias(0), 1);
        assert_eq!(net.layers()[0].bound(0), 9 * 255);
    }

    fn refused(change: impl FnOnce(&mut Vec<Layer<'static>, MAX_LAYERS>)) -> NetError {
        let mut layers = layers();
        change(&mut layers);
        Net::new(layers, graph(), 4).unwrap_err()
    }

    #[test]
    fn what_the_reference_could_not_run_is_refused_by_name() {
        use LayerProblem as P;
        let cases: [(&str, P, NetError); 16] = [
            ("", P::Empty, refused(|l| l.clear())),
            ("down", P::Channels, refused(|l| l[0].input_channels = 0)),
            ("up", P::DepthToSpace, refused(|l| l[1].output_channels = 3)),
            ("up", P::Kernel, refused(|l| l[1].kernel = 12)),
            ("down", P::Stride, refused(|l| l[0].stride = 3)),
            ("down", P::Pads, refused(|l| l[0].pads.left = 3)),
            ("up", P::Lengths, refused(|l| l[1].weights = &[1; 63])),
            ("up", P::Lengths, refused(|l| l[1].biases = &[0; 15])),
            ("up", P::Source, refused(|l| l[1].source = Source::Layer(1))),
            ("up", P::Source, refused(|l| l[1].source = Source::Image)),
            (
                "output",
                P::Source,
                refused(|l| l[2].source = Source::Concat(1, 1)),
            ),
            (
                "output",
                P::ConcatSizes(Size::new(4, 3).unwrap(), graph()),
                refused(|l| l[2].source = Source::Concat(0, 1)),
            ),
            (
                "output",
                P::Last,
                refused(|l| {
                    l[2].output_channels = 4;
                    l[2].weights = &[1; 4];
                    l[2].biases = &[0; 16];
                }),
            ),
            ("down", P::Last, refused(|l| l[0].requantization = None)),
            (
                "output",
                P::Last,
                refused(|l| {
                    l[2].kernel = 2;
                    l[2].weights = &[1; 4];
                }),
            ),
            (
                "down",
                P::Size,
                refused(|l| {
                    l[0].kernel = 11;
                    l[0].pads = Pads::default();
                    l[0].weights = &[1; 484];
                }),
            ),
        ];
        for (layer, problem, error) in cases {
            assert_eq!((error.layer.as_str(), error.problem), (layer, problem));
            assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn weights_and_scales_outside_the_contract_are_refused() {
        let weight = refused(|l| l[2].weights = &[128]).problem;
        assert_eq!(weight, LayerProblem::Weight);
        let shift = refused(|l| l[0].requantization.as_mut().unwrap().exponent = 8).problem;
        assert_eq!(shift, LayerProblem::Shift { channel: 0 });
        let shift = refused(|l| l[0].requantization.as_mut().unwrap().exponent = -25).problem;
        assert_eq!(shift, LayerProblem::Shift { channel: 0 });
        let exponent = i32::MIN;
        let shift = refused(|l| l[0].requantization.as_mut().unwrap().exponent = exponent).problem;
        assert_eq!(shift, LayerProblem::Shift { channel: 0 });

        // 255 · 9 + bias against 2^30, and against 2^24 where the shift is 17.
        let with_bias = |bias: i32, exponent| {
            let mut biases = vec![0; 12];
            biases.extend(bias.to_le_bytes());
            let mut layers = layers();
            layers[0].requantization.as_mut().unwrap().exponent = exponent;
            let layers = layers.into_iter().map(|layer| Layer {
                biases: if layer.name == "down" {
                    &biases
                } else {
                    layer.biases
                },
                ..layer
            });
            let layers: Vec<Layer<'_>, MAX_LAYERS> = layers.collect();
            Net::new(layers, graph(), 4)
                .map(|_| ())
                .map_err(|error| error.problem)
        };
        let most = (1 << 30) - 1 - 255 * 9;
        assert_eq!(with_bias(-most, 2), Ok(()));
        let accumulator = LayerProblem::Accumulator { channel: 3 };
        assert_eq!(with_bias(-most - 1, 2), Err(accumulator));
        assert_eq!(with_bias(i32::MIN, 2), Err(accumulator));
        let most = (1 << 24) - 1 - 255 * 9;
        assert_eq!(with_bias(most, -10), Ok(()));
        assert_eq!(
            with_bias(most + 1, -10),
            Err(LayerProblem::Inexact { channel: 3 })
        );
        assert_eq!(with_bias(most + 1, -9), Ok(()));
    }

    #[test]
    fn fraction_bits_outside_the_rule_are_refused() {
        for bits in [0, 3, 13, 255] {
            let error = Net::new(layers(), graph(), bits).unwrap_err();
            assert_eq!(error.problem, LayerProblem::FractionBits(bits));
        }
    }

    #[test]
    fn only_powers_of_two_have_an_exponent() {
        for n in -126..=127 {
            assert_eq!(exponent_of(2_f32.powi(n)), Some(n));
        }
        let others = [
            0.0,
            -0.0,
            -1.0,
            3.0,
            0.1,
            f32::NAN,
            f32::INFINITY,
            f32::from_bits(1),
        ];
        assert!(others.into_iter().all(|scale| exponent_of(scale).is_none()));
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let long = "ä".repeat(40);
        assert_eq!(name(&long).as_str(), "ä".repeat(24));
    }
}
