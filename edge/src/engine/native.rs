//! The int8 streaming engine: image rows in, reconstruction rows out a fixed number of rows later,
//! in two buffers of the caller: packed weights, and an arena of rings of lines.
//!
//! ```text
//! Net → plan (geometry, rings, arena) ← schedule (which rows when)
//!     → pack (weights in the kernel's order, without those that are 0 for a whole part: extent)
//!     → Native: push_row … finish, each row by the kernel
//! ```

mod error;
mod extent;
pub mod kernel;
mod line;
mod pack;
mod plan;
mod schedule;

use heapless::Vec;
use residua_shared::{
    buffer::BufferError,
    frame::{Frame, Size},
    net::{MAX_KERNEL, MAX_LAYERS, Net},
};

use super::{Engine, EngineError, check_frame, check_graph};
use kernel::{Kernel, Row, Stretch};
use line::ALIGNMENT;
use pack::Parts;
use schedule::{IMAGE, MAX_LINES, Rows};

pub use error::{PlanError, PlanProblem};
pub use plan::{LayerPlan, Plan};

/// More rows than any strip has.
const ENDLESS: i64 = i64::MAX;

/// The engine; see the module. `B` is what its memory lies in: `&mut [u8]`, an array, or a vector
/// where there is a heap. `W` is what its weights lie in, where they were packed beforehand: a
/// `&[u8]` may stay in flash.
#[derive(Debug)]
pub struct Native<B, W = B> {
    plan: Plan,
    input: Size,
    fraction_bits: u8,
    kernel: &'static dyn Kernel,
    packing: Vec<Parts, MAX_LAYERS>,
    weights: Aligned<W>,
    arena: Aligned<B>,
    /// Image rows taken, and after the last one those of padding and of zeros.
    pushed: i64,
    /// Rows computed.
    done: Rows,
    /// Rows that there are: endless until the image's end is known.
    heights: Rows,
    /// Image rows before padding, once known.
    height: i64,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Native<B> {
    /// An engine for images of `input`'s width: of its height as an [`Engine`], of any height by
    /// rows.
    ///
    /// `weights` and `arena` have at least [`Plan::weights_len`] and [`Plan::arena_len`] bytes of
    /// this network's plan; what they hold before does not matter.
    pub fn new(
        net: &Net<'_>,
        input: Size,
        kernel: &'static dyn Kernel,
        weights: B,
        arena: B,
    ) -> Result<Self, EngineError> {
        check_graph(input, net.graph())?;
        let plan = Plan::new(net)?;
        let mut weights = Aligned::new("weights", weights, plan.weights_len(kernel))?;
        plan.pack(net, kernel.formats(), weights.bytes_mut())?;
        Self::with(net, plan, input, kernel, weights, arena)
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, W: AsRef<[u8]>> Native<B, W> {
    /// The same with weights that [`Plan::pack`] has packed beforehand for this kernel, from the
    /// first byte on, which should lie at a multiple of 64 for the kernel's speed.
    ///
    /// They are compared with what would be packed now, byte by byte and in no memory: errors with
    /// [`EngineError::Weights`] where they differ.
    pub fn packed(
        net: &Net<'_>,
        input: Size,
        kernel: &'static dyn Kernel,
        weights: W,
        arena: B,
    ) -> Result<Self, EngineError> {
        check_graph(input, net.graph())?;
        let plan = Plan::new(net)?;
        let (given, formats) = (weights.as_ref(), kernel.formats());
        BufferError::at_least("weights", given.len(), plan.packed_len(formats))?;
        let mut same = true;
        plan.each_piece(net, formats, |at, piece| {
            same &= given[at..].starts_with(piece)
        });
        if !same {
            return Err(EngineError::Weights);
        }
        let weights = Aligned {
            buffer: weights,
            skipped: 0,
        };
        Self::with(net, plan, input, kernel, weights, arena)
    }

    fn with(
        net: &Net<'_>,
        plan: Plan,
        input: Size,
        kernel: &'static dyn Kernel,
        weights: Aligned<W>,
        arena: B,
    ) -> Result<Self, EngineError> {
        let packing = plan.packing(kernel.formats());
        let mut arena = Aligned::new("arena", arena, plan.arena_len())?;
        // Zeros, as lines hold them.
        arena.bytes_mut().fill(kernel.centre());
        let mut native = Self {
            plan,
            input,
            fraction_bits: net.fraction_bits(),
            kernel,
            packing,
            weights,
            arena,
            pushed: 0,
            done: [0; MAX_LINES],
            heights: [0; MAX_LINES],
            height: 0,
        };
        native.restart();
        Ok(native)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Forgets the image begun: the next row is the first one of another.
    pub fn restart(&mut self) {
        self.pushed = 0;
        self.done = [0; MAX_LINES];
        self.heights = [ENDLESS; MAX_LINES];
        self.height = ENDLESS;
    }

    /// Takes the next image row, `input().width()` pixels. From row [`Plan::latency_rows`] on every
    /// one completes a row of the reconstruction, the first one first: then it is written to
    /// `output`, as long, and the answer is true.
    ///
    /// After [`Self::finish`] was called it begins the next image, whether all rows were fetched or
    /// not.
    pub fn push_row(&mut self, row: &[u8], output: &mut [i32]) -> Result<bool, BufferError> {
        BufferError::exact("row", row.len(), self.input.width())?;
        BufferError::exact("output", output.len(), self.input.width())?;
        if self.height != ENDLESS {
            self.restart();
        }
        let line = self.plan.lines[IMAGE];
        let slot = &mut self.arena.bytes_mut()[line.slot(self.pushed)];
        let pixels = &mut slot[line.first_pixel()..][..line.width];
        let (over, beside) = pixels.split_at_mut(row.len());
        let centre = self.kernel.centre();
        for (over, pixel) in over.iter_mut().zip(row) {
            *over = pixel ^ centre;
        }
        beside.fill(row[row.len() - 1] ^ centre);
        Ok(self.advance(output))
    }

    /// After the last image row: writes the next row of the reconstruction that is still due to
    /// `output`; false once there is none.
    ///
    /// Below the image its last row is repeated until the height suits the network's strides, as
    /// for a whole frame of this height.
    pub fn finish(&mut self, output: &mut [i32]) -> Result<bool, BufferError> {
        BufferError::exact("output", output.len(), self.input.width())?;
        if self.height == ENDLESS {
            self.height = self.pushed;
            self.heights = self
                .plan
                .schedule
                .heights(self.plan.schedule.padded(self.height));
        }
        let last = self.plan.stages.len();
        while self.done[last] < self.height {
            if self.pushed < self.heights[IMAGE] {
                self.repeat_row();
            }
            if self.advance(output) {
                return Ok(true);
            }
        }
        self.restart();
        Ok(false)
    }

    /// Makes the image's next row the same as its last one.
    fn repeat_row(&mut self) {
        let line = self.plan.lines[IMAGE];
        let (last, next) = (line.slot(self.pushed - 1), line.slot(self.pushed));
        self.arena.bytes_mut().copy_within(last, next.start);
    }

    /// One more image row is there, or of what is below the image: computes what is due. True
    /// where a row of the reconstruction was written.
    fn advance(&mut self, output: &mut [i32]) -> bool {
        self.pushed += 1;
        let due = self.plan.schedule.rows(self.pushed);
        for layer in 0..self.plan.stages.len() {
            let line = layer + 1;
            while self.done[line] < due[line].min(self.heights[line]) {
                self.compute(layer, output);
            }
        }
        self.pushed > self.plan.schedule.latency()
    }

    /// Computes the next row of a layer's convolution.
    fn compute(&mut self, layer: usize, output: &mut [i32]) {
        let Self {
            plan,
            kernel,
            packing,
            weights,
            arena,
            done,
            heights,
            ..
        } = self;
        let stage = &plan.stages[layer];
        let line = layer + 1;
        let target = plan.lines.get(line).copied().unwrap_or_default();
        let arena = arena.bytes_mut();
        let end = if stage.last {
            arena.len()
        } else {
            target.start
        };
        let (before, after) = arena.split_at_mut(end);
        let first = done[line] / stage.lines() as i64;
        let first = plan.schedule.first_read(layer, first);

        for part in packing[layer].iter() {
            let mut stretches: Vec<Stretch<'_>, { 2 * MAX_KERNEL }> = Vec::new();
            for &source in &stage.sources {
                let ring = plan.lines[source];
                let before_taps = (ring.left + part.extent.left - stage.left) * ring.channels;
                let first = first + part.extent.top as i64;
                let slots = ring.slots(first).zip(first..).take(part.extent.rows);
                for (slot, row) in slots {
                    let inside = (0..heights[source]).contains(&row);
                    // Zeros lie at the arena's start.
                    let slot = if inside { slot } else { 0..ring.bytes() };
                    // At most two sources of at most MAX_KERNEL rows.
                    stretches.extend([Stretch {
                        bytes: &before[slot][before_taps..],
                        step: part.pixels * stage.stride * ring.channels,
                        length: part.stretch(stage, ring.channels),
                    }]);
                }
            }
            let row = Row {
                stretches: &stretches,
                width: if stage.last {
                    output.len()
                } else {
                    stage.width / part.pixels
                },
                weights: &weights.bytes()[part.start..part.end()],
                format: part.format,
                outputs: part.outputs(),
                step: part.pixels * stage.line_channels(),
            };
            if stage.last {
                kernel.sums(&row, output);
            } else {
                let slot = target.slot(done[line] + part.line as i64).start - target.start;
                let start = slot + target.first_pixel() + part.place;
                kernel.activations(&row, &mut after[start..]);
            }
        }
        done[line] += stage.lines() as i64;
    }
}

/// A buffer from its first aligned byte on. Kernels are faster on aligned lines; nothing else
/// depends on it, should the buffer move.
#[derive(Debug)]
struct Aligned<B> {
    buffer: B,
    skipped: usize,
}

impl<B: AsRef<[u8]>> Aligned<B> {
    /// `needed` counts the bytes that may be skipped.
    fn new(name: &'static str, buffer: B, needed: usize) -> Result<Self, BufferError> {
        let bytes = buffer.as_ref();
        BufferError::at_least(name, bytes.len(), needed)?;
        let skipped = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT - 1);
        Ok(Self { buffer, skipped })
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer.as_ref()[self.skipped..]
    }

    fn bytes_mut(&mut self) -> &mut [u8]
    where
        B: AsMut<[u8]>,
    {
        &mut self.buffer.as_mut()[self.skipped..]
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, W: AsRef<[u8]>> Engine for Native<B, W> {
    fn input(&self) -> Size {
        self.input
    }

    fn fraction_bits(&self) -> u8 {
        self.fraction_bits
    }

    fn reconstruct(
        &mut self,
        frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError> {
        check_frame(self.input, frame)?;
        BufferError::exact("reconstruction", reconstruction.len(), self.input.area())?;
        self.restart();
        let width = self.input.width();
        let mut image = frame.pixels().chunks_exact(width);
        for output in reconstruction.chunks_exact_mut(width) {
            let written = image
                .by_ref()
                .map(|row| self.push_row(row, output))
                .find(|written| written != &Ok(false));
            match written {
                Some(result) => result?,
                None => self.finish(output)?,
            };
        }
        self.restart();
        Ok(())
    }
}
