//! Weights in the order in which a kernel reads them.

use core::ops::Range;

use heapless::Vec;
use residua_shared::net::Layer;

use super::{
    extent::Extent,
    kernel::{Format, centre},
    line::ALIGNMENT,
    plan::Stage,
};

/// The parts in which a layer is computed, each into channels of its own of one output line.
#[derive(Clone, Debug)]
pub struct Parts(Vec<Packed, 4>);

impl Parts {
    /// A layer's parts for a kernel with these formats, packed behind others that end at `end`.
    ///
    /// With depth-to-space there are two output lines, and where it saves products each is computed
    /// in two parts: the even pixels' weights and the odd ones' have zeros at different places.
    pub fn new(stage: &Stage, formats: &[Format], end: usize) -> Self {
        let mut parts: Vec<Packed, 4> = Vec::new();
        for line in 0..stage.lines() {
            let [even, odd] = stage.extents[line];
            let part = |place, channels, extent| {
                Packed::cheapest(stage, formats, line, place, channels, extent)
            };
            if stage.lines() == 1 {
                parts.extend([part(0, stage.channels, even)]);
                continue;
            }
            let whole = part(0, 2 * stage.channels, even.with(odd));
            let halves = [(0, even), (stage.channels, odd)];
            let halves = halves.map(|(place, extent)| part(place, stage.channels, extent));
            let work = halves.iter().map(|half| half.work(stage)).sum::<usize>();
            if work < whole.work(stage) {
                parts.extend(halves);
            } else {
                parts.extend([whole]);
            }
        }
        let mut end = end;
        for part in &mut parts {
            part.start = end.next_multiple_of(ALIGNMENT);
            end = part.end();
        }
        Self(parts)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Packed> {
        self.0.iter()
    }

    pub fn end(&self) -> usize {
        self.0.last().map_or(0, Packed::end)
    }

    pub fn range(&self) -> Range<usize> {
        self.0.first().map_or(0, |part| part.start)..self.end()
    }
}

/// Where packed weights lie, and how.
///
/// A few pixels may be computed together, as if they were one pixel of as many times the channels,
/// each with the same weights moved by the stride: that fills lanes where channels are few.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    pub format: Format,
    pub pixels: usize,
    /// The output line, 0 or 1.
    pub line: usize,
    /// The first of the channels that one pixel of the convolution puts into that line.
    pub place: usize,
    channels: usize,
    pub extent: Extent,
    pub start: usize,
    len: usize,
}

impl Packed {
    /// The part in the format that takes the least work; at the buffer's start.
    fn cheapest(
        stage: &Stage,
        formats: &[Format],
        line: usize,
        place: usize,
        channels: usize,
        extent: Extent,
    ) -> Self {
        let choice = |format, pixels| Self {
            format,
            pixels,
            line,
            place,
            channels,
            extent,
            start: 0,
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
            _ => choice(Format::output(centre(formats)), 1),
        };
        packed.len = packed.blocks() * packed.block_len(stage);
        packed
    }

    pub fn end(&self) -> usize {
        self.start + self.len
    }

    /// Bytes of one kernel row's taps in a source of so many channels, filled up to the depth.
    pub fn stretch(&self, stage: &Stage, channels: usize) -> usize {
        let columns = self.extent.columns + (self.pixels - 1) * stage.stride;
        (columns * channels).next_multiple_of(self.format.depth)
    }

    /// Channels that one step along the row computes.
    pub fn outputs(&self) -> usize {
        self.pixels * self.channels
    }

    /// Products that one step along the row takes, those with zeros included.
    fn work(&self, stage: &Stage) -> usize {
        self.blocks() * self.taps(stage) * self.format.lanes
    }

    fn blocks(&self) -> usize {
        self.outputs().div_ceil(self.format.lanes)
    }

    fn block_len(&self, stage: &Stage) -> usize {
        self.format.head() + self.taps(stage) * self.format.lanes * self.format.weight()
    }

    /// Bytes that one step along the row reads.
    fn taps(&self, stage: &Stage) -> usize {
        let sources = stage.source_channels.iter();
        let lengths = sources.map(|&channels| self.stretch(stage, channels));
        lengths.sum::<usize>() * self.extent.rows
    }

    /// Gives each piece of the part's packed weights, biases and shifts to `put`, with where among
    /// all packed weights it lies: to be written there, or compared.
    pub fn pack(&self, layer: &Layer<'_>, stage: &Stage, put: &mut impl FnMut(usize, &[u8])) {
        let lanes = self.format.lanes;
        for index in 0..self.blocks() {
            let block = self.start + index * self.block_len(stage);
            for lane in 0..lanes {
                let output = index * lanes + lane;
                let channel = (output < self.outputs()).then(|| {
                    let place = self.place + output % self.channels;
                    stage.convolution_channel(self.line, place)
                });
                let bias = channel.map_or(0, |channel| self.bias(layer, channel));
                let shift = channel.map_or(0, |channel| layer.shift(channel) as i32);
                put(block + lane * 4, &bias.to_le_bytes());
                put(block + (lanes + lane) * 4, &shift.to_le_bytes());
                let moved = output / self.channels * stage.stride;
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
        let (kernel, extent, format) = (stage.kernel, self.extent, self.format);
        let (mut start, mut before) = (0, 0);
        for &channels in &stage.source_channels {
            let stretch = self.stretch(stage, channels);
            for v in extent.top..extent.top + extent.rows {
                for index in 0..stretch {
                    let column = (index / channels).checked_sub(moved);
                    let c = before + index % channels;
                    let weight = match (weights, column) {
                        (Some(weights), Some(column)) if column < extent.columns => {
                            weights[(c * kernel + v) * kernel + extent.left + column]
                        }
                        _ => 0,
                    };
                    let weight = i16::from(weight as i8).to_le_bytes();
                    put(
                        start + format.place(lane, index, stretch),
                        &weight[..format.weight()],
                    );
                }
                start += stretch * format.lanes * format.weight();
            }
            before += channels;
        }
    }
}
