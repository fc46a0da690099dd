//! Where everything lies: from a network to the arena's layout.

use core::ops::Range;

use heapless::Vec;
use residua_shared::{
    buffer::BufferError,
    net::{MAX_LAYERS, Name, Net, Source, name},
};

use super::{
    error::{PlanError, PlanProblem},
    extent::Extent,
    kernel::{Format, Kernel},
    line::{ALIGNMENT, Line},
    pack::Parts,
    schedule::{IMAGE, MAX_LINES, Schedule},
};

/// One layer, as far as its shape goes.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The layer's name.
    pub name: Name,
    /// The lines that it reads.
    pub sources: Vec<usize, 2>,
    /// Channels of each of them.
    pub source_channels: Vec<usize, 2>,
    /// The side of the kernel.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Columns of zeros before.
    pub left: usize,
    /// Columns of zeros after.
    pub right: usize,
    /// Pixels that the convolution computes in a row.
    pub width: usize,
    /// Channels that later layers see.
    pub channels: usize,
    /// Whether depth-to-space follows.
    pub depth_to_space: bool,
    /// Whether it yields the reconstruction.
    pub last: bool,
    /// The weights that are not 0, for each output line and each of its pixels that one pixel of the
    /// convolution makes; without depth-to-space there is one of them.
    pub extents: [[Extent; 2]; 2],
}

impl Stage {
    fn new(net: &Net<'_>, index: usize) -> Self {
        let layer = &net.layers()[index];
        let layers: &[usize] = match layer.source {
            Source::Image => &[],
            Source::Layer(source) => &[source],
            Source::Concat(first, second) => &[first, second],
        };
        let (mut sources, mut source_channels) = (Vec::new(), Vec::new());
        for &source in layers {
            sources.extend([source + 1]);
            source_channels.extend([net.layers()[source].channels()]);
        }
        if layers.is_empty() {
            sources.extend([IMAGE]);
            source_channels.extend([1]);
        }
        let lines = if layer.depth_to_space { 2 } else { 1 };
        let mut stage = Self {
            name: name(layer.name),
            sources,
            source_channels,
            kernel: layer.kernel,
            stride: layer.stride,
            left: layer.pads.left,
            right: layer.pads.right,
            width: net.output_size(index).width() / lines,
            channels: layer.channels(),
            depth_to_space: layer.depth_to_space,
            last: layer.requantization.is_none(),
            extents: [[Extent::whole(layer.kernel); 2]; 2],
        };
        for line in 0..lines {
            for pixel in 0..lines {
                let places = pixel * stage.channels..(pixel + 1) * stage.channels;
                let channels = places.map(|place| stage.convolution_channel(line, place));
                stage.extents[line][pixel] = Extent::of(layer, channels);
            }
        }
        stage
    }

    /// Output lines that one row of the convolution makes.
    pub fn lines(&self) -> usize {
        if self.depth_to_space { 2 } else { 1 }
    }

    /// Channels that one pixel of the convolution puts into each output line: with depth-to-space
    /// those of two pixels.
    pub fn line_channels(&self) -> usize {
        self.channels * self.lines()
    }

    /// The convolution's channel that becomes channel `place` of output line `line`.
    pub fn convolution_channel(&self, line: usize, place: usize) -> usize {
        if self.depth_to_space {
            4 * (place % self.channels) + 2 * line + place / self.channels
        } else {
            place
        }
    }
}

/// A network's stages, the rings of lines between them, and when what is computed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) stages: Vec<Stage, MAX_LAYERS>,
    pub(super) lines: Vec<Line, MAX_LINES>,
    pub(super) schedule: Schedule,
    arena_len: usize,
}

impl Plan {
    /// The plan for a network at its own width and any height.
    ///
    /// Errors where the network fits images of its own height only, a layer is not used, or the
    /// memory cannot be addressed.
    pub fn new(net: &Net<'_>) -> Result<Self, PlanError> {
        let schedule = Schedule::new(net)?;
        let mut plan = Self {
            stages: (0..net.layers().len())
                .map(|index| Stage::new(net, index))
                .collect(),
            lines: Vec::new(),
            schedule,
            arena_len: 0,
        };
        let mut end = plan.zeros(net);
        for line in 0..net.layers().len() {
            let mut ring = plan.line(net, line);
            ring.start = end;
            let layer = net.layers()[line.saturating_sub(1)].name;
            end = ring
                .rows
                .checked_mul(ring.bytes())
                .and_then(|bytes| bytes.checked_add(end))
                .filter(|&end| isize::try_from(end).is_ok())
                .ok_or_else(|| PlanError::new(layer, PlanProblem::Memory))?;
            // There are fewer layers than lines fit.
            plan.lines.extend([ring]);
        }
        plan.arena_len = end;
        Ok(plan)
    }

    /// The ring of a line, at no place yet.
    fn line(&self, net: &Net<'_>, line: usize) -> Line {
        let (width, channels) = match line.checked_sub(1) {
            None => (net.graph().width(), 1),
            Some(layer) => (
                net.output_size(layer).width(),
                net.layers()[layer].channels(),
            ),
        };
        let readers = || {
            let stages = self.stages.iter();
            stages.filter(|stage| stage.sources.contains(&line))
        };
        Line {
            start: 0,
            rows: self.schedule.ring_rows(line),
            width,
            channels,
            left: readers().map(|stage| stage.left).max().unwrap_or(0),
            right: readers().map(|stage| stage.right).max().unwrap_or(0),
        }
    }

    /// Bytes of the line of zeros at the arena's start: what lies above and below the image.
    fn zeros(&self, net: &Net<'_>) -> usize {
        let lines = 0..net.layers().len();
        let bytes = lines.map(|line| self.line(net, line).bytes());
        bytes.max().unwrap_or(0)
    }

    /// The reconstruction's row y is complete with the image's row y + `latency_rows`.
    pub fn latency_rows(&self) -> usize {
        self.schedule.latency() as usize
    }

    /// Rows that an image may begin above a row of the reconstruction for that row to be the same
    /// as if it began higher: as far as the network sees, and a multiple of its stride.
    pub fn overlap_rows(&self) -> usize {
        let (reach, period) = (self.schedule.reach(), self.schedule.period());
        (reach + period - 1) as usize / period as usize * period as usize
    }

    /// What such a beginning must be a multiple of.
    pub fn period(&self) -> usize {
        self.schedule.period() as usize
    }

    /// Bytes of the arena.
    pub fn arena_len(&self) -> usize {
        // So many may be skipped to reach an aligned address.
        self.arena_len + ALIGNMENT - 1
    }

    /// Bytes of the weights, packed for a kernel.
    pub fn weights_len(&self, kernel: &dyn Kernel) -> usize {
        self.packed_len(kernel.formats()) + ALIGNMENT - 1
    }

    /// Bytes of the weights, packed for a kernel with these formats, from an aligned address on.
    pub fn packed_len(&self, formats: &[Format]) -> usize {
        self.packing(formats).last().map_or(0, Parts::end)
    }

    /// Where each layer's weights lie among those packed for a kernel with these formats.
    pub fn packed_layers(&self, formats: &[Format]) -> Vec<Range<usize>, MAX_LAYERS> {
        self.packing(formats).iter().map(Parts::range).collect()
    }

    /// Packs the weights of the network that this plan is of, for [`super::Native::packed`], into
    /// the first [`Self::packed_len`] bytes. No kernel is needed but its formats ([`Kernel::formats`]),
    /// so that a workstation can pack for a microcontroller.
    pub fn pack(
        &self,
        net: &Net<'_>,
        formats: &[Format],
        weights: &mut [u8],
    ) -> Result<(), BufferError> {
        BufferError::at_least("weights", weights.len(), self.packed_len(formats))?;
        self.each_piece(net, formats, |at, piece| {
            weights[at..][..piece.len()].copy_from_slice(piece);
        });
        Ok(())
    }

    /// Every piece of the packed weights, and where it lies.
    pub(super) fn each_piece(
        &self,
        net: &Net<'_>,
        formats: &[Format],
        mut put: impl FnMut(usize, &[u8]),
    ) {
        let packing = self.packing(formats);
        for ((layer, stage), parts) in net.layers().iter().zip(&self.stages).zip(&packing) {
            for part in parts.iter() {
                part.pack(layer, stage, &mut put);
            }
        }
    }

    /// Where each layer's packed weights lie.
    pub(super) fn packing(&self, formats: &[Format]) -> Vec<Parts, MAX_LAYERS> {
        let mut end = 0;
        let layers = self.stages.iter().map(|stage| {
            let parts = Parts::new(stage, formats, end);
            end = parts.end();
            parts
        });
        layers.collect()
    }

    /// The table of layers.
    pub fn layers(&self) -> impl Iterator<Item = LayerPlan<'_>> {
        let ring = |line: usize| self.lines.get(line).copied().unwrap_or_default();
        self.stages
            .iter()
            .enumerate()
            .map(move |(index, stage)| LayerPlan {
                name: &stage.name,
                input_channels: stage.source_channels.iter().sum(),
                output_channels: stage.channels,
                kernel: stage.kernel,
                stride: stage.stride,
                depth_to_space: stage.depth_to_space,
                ring_rows: ring(index + 1).rows,
                ring_bytes: ring(index + 1).ring_bytes(),
                latency_rows: self.schedule.latency_of(index) as usize,
            })
    }
}

/// What the plan says of one layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerPlan<'p> {
    /// The layer's name.
    pub name: &'p str,
    /// Channels read.
    pub input_channels: usize,
    /// Channels that later layers see.
    pub output_channels: usize,
    /// The side of the kernel.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Whether depth-to-space follows.
    pub depth_to_space: bool,
    /// Rows of its output that are kept; 0 in the last layer.
    pub ring_rows: usize,
    /// Bytes that they take.
    pub ring_bytes: usize,
    /// Image rows that must be there beyond those over an output row (at its own scale).
    pub latency_rows: usize,
}
