//! Weights in the order in which a kernel reads them.

use residua_shared::net::Layer;

use super::{
    kernel::{Format, Kernel},
    line::ALIGNMENT,
    plan::Stage,
};

/// Where the packed weights of a layer lie, and how.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    pub format: Format,
    pub start: usize,
    pub len: usize,
}

impl Packed {
    /// A layer's weights for `kernel`, behind others that end at `end`.
    pub fn new(stage: &Stage, kernel: &dyn Kernel, end: usize) -> Self {
        let format = if stage.last {
            Format::OUTPUT
        } else {
            kernel.format(stage.line_channels())
        };
        let blocks = stage.lines() * stage.line_channels().div_ceil(format.lanes);
        Self {
            format,
            start: end.next_multiple_of(ALIGNMENT),
            len: blocks * (format.head() + taps(stage, format) * format.lanes),
        }
    }

    pub fn end(&self) -> usize {
        self.start + self.len
    }
}

/// Bytes that an output pixel reads, each stretch filled up to the format's depth.
fn taps(stage: &Stage, format: Format) -> usize {
    let stretches = stage.source_channels.iter();
    let lengths = stretches.map(|&channels| stage.stretch(channels, format));
    lengths.sum::<usize>() * stage.kernel
}

/// Writes a layer's weights, biases and shifts; `packed` has [`Packed::len`] bytes.
pub fn pack(layer: &Layer<'_>, stage: &Stage, format: Format, packed: &mut [u8]) {
    let channels = stage.line_channels();
    let blocks = channels.div_ceil(format.lanes);
    let size = format.head() + taps(stage, format) * format.lanes;
    for (index, block) in packed.chunks_exact_mut(size).enumerate() {
        let (line, first) = (index / blocks, index % blocks * format.lanes);
        let (head, weights) = block.split_at_mut(format.head());
        let (biases, shifts) = head.split_at_mut(format.lanes * 4);
        for lane in 0..format.lanes {
            let place = first + lane;
            let channel = (place < channels).then(|| stage.convolution_channel(line, place));
            let bias = channel.map_or(0, |channel| layer.bias(channel));
            let shift = channel.map_or(0, |channel| layer.shift(channel) as i32);
            biases[lane * 4..][..4].copy_from_slice(&bias.to_le_bytes());
            shifts[lane * 4..][..4].copy_from_slice(&shift.to_le_bytes());
            let weights_of = channel.map(|channel| layer.weights_of(channel));
            pack_lane(stage, format, lane, weights_of, weights);
        }
    }
}

/// Writes one output channel's weights, zeros where there is none, into its lane of a block.
fn pack_lane(stage: &Stage, format: Format, lane: usize, weights: Option<&[u8]>, block: &mut [u8]) {
    let (kernel, Format { lanes, depth }) = (stage.kernel, format);
    let mut groups = block.chunks_exact_mut(lanes * depth);
    let mut before = 0;
    for &channels in &stage.source_channels {
        for v in 0..kernel {
            let groups = groups
                .by_ref()
                .take(stage.stretch(channels, format) / depth);
            let places = groups.flat_map(|group| &mut group[lane * depth..][..depth]);
            for (index, place) in places.enumerate() {
                let (h, c) = (index / channels, before + index % channels);
                *place = match weights {
                    Some(weights) if h < kernel => weights[(c * kernel + v) * kernel + h],
                    _ => 0,
                };
            }
        }
        before += channels;
    }
}
