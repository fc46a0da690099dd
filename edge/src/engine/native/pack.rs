//! Weights in the order in which a kernel reads them.

use residua_shared::net::Layer;

use super::{kernel::Format, line::ALIGNMENT, plan::Stage};

/// Where the packed weights of a layer lie, and how.
///
/// A few pixels may be computed together, as if they were one pixel of as many times the channels,
/// each with the same weights moved by the stride: that fills lanes where channels are few.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    pub format: Format,
    pub pixels: usize,
    pub start: usize,
    pub len: usize,
}

impl Packed {
    /// A layer's weights in the best of these formats, behind others that end at `end`.
    pub fn new(stage: &Stage, formats: &[Format], end: usize) -> Self {
        let start = end.next_multiple_of(ALIGNMENT);
        let choice = |format, pixels| Self {
            format,
            pixels,
            start,
            len: 0,
        };
        let together = |pixels: &usize| {
            let whole = stage.width.is_multiple_of(*pixels);
            *pixels == 1 || (stage.lines() == 1 && whole)
        };
        let choices = formats.iter().flat_map(|&format| {
            let pixels = [1, 2, 4].into_iter().filter(together);
            pixels.map(move |pixels| choice(format, pixels))
        });
        let cheapest = choices.min_by_key(|choice| choice.work(stage) * 4 / choice.pixels);
        let mut packed = match cheapest {
            Some(cheapest) if !stage.last => cheapest,
            _ => choice(Format::OUTPUT, 1),
        };
        packed.len = packed.blocks(stage) * packed.block_len(stage);
        packed
    }

    pub fn end(&self) -> usize {
        self.start + self.len
    }

    /// Bytes of one kernel row's taps in a source of so many channels, filled up to the depth.
    pub fn stretch(&self, stage: &Stage, channels: usize) -> usize {
        let columns = stage.kernel + (self.pixels - 1) * stage.stride;
        (columns * channels).next_multiple_of(self.format.depth)
    }

    /// Channels that one step along the row puts into each output line.
    pub fn line_channels(&self, stage: &Stage) -> usize {
        self.pixels * stage.line_channels()
    }

    /// Products that one step along the row takes, those with zeros included.
    fn work(&self, stage: &Stage) -> usize {
        self.blocks(stage) * self.taps(stage) * self.format.lanes
    }

    fn blocks(&self, stage: &Stage) -> usize {
        stage.lines() * self.line_channels(stage).div_ceil(self.format.lanes)
    }

    fn block_len(&self, stage: &Stage) -> usize {
        self.format.head() + self.taps(stage) * self.format.lanes * self.format.weight()
    }

    /// Bytes that one step along the row reads.
    fn taps(&self, stage: &Stage) -> usize {
        let sources = stage.source_channels.iter();
        let lengths = sources.map(|&channels| self.stretch(stage, channels));
        lengths.sum::<usize>() * stage.kernel
    }

    /// Gives each part of a layer's packed weights, biases and shifts to `put`, with where among
    /// [`Self::len`] bytes it lies: to be written there, or compared.
    pub fn pack(&self, layer: &Layer<'_>, stage: &Stage, put: &mut impl FnMut(usize, &[u8])) {
        let lanes = self.format.lanes;
        let channels = self.line_channels(stage);
        let a_line = channels.div_ceil(lanes);
        for index in 0..self.blocks(stage) {
            let (line, first) = (index / a_line, index % a_line * lanes);
            let block = index * self.block_len(stage);
            for lane in 0..lanes {
                let place = first + lane;
                let channel = (place < channels)
                    .then(|| stage.convolution_channel(line, place % stage.line_channels()));
                let bias = channel.map_or(0, |channel| self.bias(layer, channel));
                let shift = channel.map_or(0, |channel| layer.shift(channel) as i32);
                put(block + lane * 4, &bias.to_le_bytes());
                put(block + (lanes + lane) * 4, &shift.to_le_bytes());
                let moved = place / stage.line_channels() * stage.stride;
                let weights_of = channel.map(|channel| layer.weights_of(channel));
                let weights = block + self.format.head();
                self.pack_lane(stage, lane, weights_of, moved, &mut |at, weight| {
                    put(weights + at, weight);
                });
            }
        }
    }

    fn bias(&self, layer: &Layer<'_>, channel: usize) -> i32 {
        let weights = layer.weights_of(channel).iter();
        let sum: i32 = weights.map(|&weight| i32::from(weight as i8)).sum();
        layer.bias(channel) + i32::from(self.format.centre) * sum
    }

    /// Gives one output channel's weights, `moved` columns to the right among zeros (or zeros
    /// where there is no channel), as a lane of a block.
    fn pack_lane(
        &self,
        stage: &Stage,
        lane: usize,
        weights: Option<&[u8]>,
        moved: usize,
        put: &mut impl FnMut(usize, &[u8]),
    ) {
        let (kernel, format) = (stage.kernel, self.format);
        let (mut start, mut before) = (0, 0);
        for &channels in &stage.source_channels {
            let stretch = self.stretch(stage, channels);
            for v in 0..kernel {
                for index in 0..stretch {
                    let column = (index / channels).checked_sub(moved);
                    let c = before + index % channels;
                    let weight = match (weights, column) {
                        (Some(weights), Some(h)) if h < kernel => {
                            weights[(c * kernel + v) * kernel + h]
                        }
                        _ => 0,
                    };
                    let weight = i16::from(weight as i8).to_le_bytes();
                    put(
                        start + format.place(lane, index),
                        &weight[..format.weight()],
                    );
                }
                start += stretch * format.lanes * format.weight();
            }
            before += channels;
        }
    }
}
