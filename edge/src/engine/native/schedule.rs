//! Which rows of which layer exist after so many image rows: the same whatever the width.
//!
//! Counts are affine in the rows pushed, but for the floors of strides. They are evaluated without
//! clamping, as if rows went from minus infinity to infinity: the difference of any two counts is
//! then periodic in the network's reduction, so that maxima over one period hold for ever, and
//! clamping the counts to the rows that an image has only lowers what must be kept.

use heapless::Vec;
use residua_shared::net::{Layer, MAX_LAYERS, Net, Source};

use super::error::{PlanError, PlanProblem};

/// The image and every layer: what rows come from.
pub const MAX_LINES: usize = MAX_LAYERS + 1;

/// The index of the image's rows; layer n's are at n + 1.
pub const IMAGE: usize = 0;

/// Row counts of the image and of each layer (after depth-to-space).
pub type Rows = [i64; MAX_LINES];

/// The largest reduction of the image, or its inverse, is 2 to this power.
const MAX_LEVEL: i32 = 12;

/// What a layer does to rows.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Where it reads; twice the same where it reads one.
    sources: [usize; 2],
    kernel: i64,
    /// log2 of it: a shift rounds down where a division would not.
    stride: u32,
    top: i64,
    bottom: i64,
    /// log2 of the rows that one row of the convolution becomes: 1 by depth-to-space.
    block: u32,
    /// Computed when a later layer asks for it, not when its input is there.
    lazy: bool,
    /// log2 of the image's height divided by the output's.
    level: i32,
}

impl Step {
    /// Rows of the convolution that so many input rows allow.
    fn convolved(&self, input: i64) -> i64 {
        ((input + self.top - self.kernel) >> self.stride) + 1
    }

    /// Input rows that so many rows of the convolution need.
    fn needed(&self, rows: i64) -> i64 {
        self.first_read(rows - 1) + self.kernel
    }

    /// The first input row that a row of the convolution reads.
    fn first_read(&self, row: i64) -> i64 {
        (row << self.stride) - self.top
    }
}

/// When rows are computed, and how long they must be kept.
///
/// Layers before the first depth-to-space run as soon as their input is there, which keeps the
/// lines before them few; the others run when asked, which keeps the lines after them few and
/// makes every image row give one row of the reconstruction, [`Self::latency`] rows later.
#[derive(Clone, Debug)]
pub struct Schedule {
    steps: Vec<Step, MAX_LAYERS>,
    latency: i64,
    period: i64,
    /// Heights that differ from the graph's by a multiple of the period suit the network too.
    graph_height: i64,
}

impl Schedule {
    pub fn new(net: &Net<'_>) -> Result<Self, PlanError> {
        let mut schedule = Self {
            steps: Vec::new(),
            latency: 0,
            period: 1,
            graph_height: net.graph().height() as i64,
        };
        let last = net.layers().len();
        for (index, layer) in net.layers().iter().enumerate() {
            schedule
                .append(layer, index + 1 == last)
                .map_err(|problem| PlanError::new(layer.name, problem))?;
        }
        for (index, layer) in net.layers().iter().enumerate() {
            if index + 1 < last && schedule.readers(index + 1).next().is_none() {
                return Err(PlanError::new(layer.name, PlanProblem::Unused));
            }
        }
        schedule.latency = schedule.latency_of(last - 1);
        Ok(schedule)
    }

    fn append(&mut self, layer: &Layer<'_>, last: bool) -> Result<(), PlanProblem> {
        let sources = match layer.source {
            Source::Image => [IMAGE; 2],
            Source::Layer(source) => [source + 1; 2],
            Source::Concat(first, second) => [first + 1, second + 1],
        };
        let of = |line: usize| match line.checked_sub(1) {
            None => (0, false),
            Some(layer) => (self.steps[layer].level, self.steps[layer].lazy),
        };
        let [first, second] = sources.map(of);
        let level = first.0 + i32::from(layer.stride == 2) - i32::from(layer.depth_to_space);
        if first.0 != second.0 || (last && level != 0) || !(-MAX_LEVEL..=MAX_LEVEL).contains(&level)
        {
            return Err(PlanProblem::Level);
        }
        self.period = self.period.max(1 << level.max(0));
        let step = Step {
            sources,
            kernel: layer.kernel as i64,
            stride: layer.stride.ilog2(),
            top: layer.pads.top as i64,
            bottom: layer.pads.bottom as i64,
            block: u32::from(layer.depth_to_space),
            lazy: last || layer.depth_to_space || first.1 || second.1,
            level,
        };
        self.steps.push(step).map_err(|_| PlanProblem::Level)
    }

    /// The reconstruction's row y is complete with the image's row y + latency (of an image that
    /// ends before it: at its end).
    pub fn latency(&self) -> i64 {
        self.latency
    }

    /// After so many rows the network's strides begin anew.
    pub fn period(&self) -> i64 {
        self.period
    }

    /// How many image rows above its own a row of the reconstruction depends on, at most.
    pub fn reach(&self) -> i64 {
        let above = |row: i64| {
            let mut first: Rows = [i64::MAX; MAX_LINES];
            first[self.steps.len()] = row;
            for (index, step) in self.steps.iter().enumerate().rev() {
                let read = step.first_read(first[index + 1] >> step.block);
                for source in step.sources {
                    first[source] = first[source].min(read);
                }
            }
            row - first[IMAGE]
        };
        (0..self.period).map(above).max().unwrap_or(0).max(0)
    }

    /// Image rows that must be there beyond those that lie over an output row of a layer.
    pub fn latency_of(&self, layer: usize) -> i64 {
        let level = self.steps[layer].level;
        let late = |pushed: i64| {
            let rows = self.eager(pushed)[layer + 1];
            pushed
                - if level < 0 {
                    rows >> -level
                } else {
                    rows << level
                }
        };
        (0..self.period).map(late).max().unwrap_or(0).max(0)
    }

    /// The rows that an image of `height` rows has after padding.
    pub fn padded(&self, height: i64) -> i64 {
        height + (self.graph_height - height).rem_euclid(self.period)
    }

    /// All the rows of an image of so many (padded) rows.
    pub fn heights(&self, padded: i64) -> Rows {
        let mut rows = [padded; MAX_LINES];
        for (index, step) in self.steps.iter().enumerate() {
            let input = rows[step.sources[0]] + step.bottom;
            rows[index + 1] = step.convolved(input) << step.block;
        }
        rows
    }

    /// The rows that shall exist once so many image rows are there, zeros beyond its end included.
    pub fn rows(&self, pushed: i64) -> Rows {
        let mut rows = self.eager(pushed);
        let mut asked = [i64::MIN; MAX_LINES];
        asked[self.steps.len()] = pushed - self.latency;
        for (index, step) in self.steps.iter().enumerate().rev() {
            let line = index + 1;
            if step.lazy {
                rows[line] = (asked[line] + step.block as i64) >> step.block << step.block;
            }
            let needed = step.needed(rows[line] >> step.block);
            for source in step.sources {
                asked[source] = asked[source].max(needed);
            }
        }
        rows
    }

    /// The rows that could exist.
    fn eager(&self, pushed: i64) -> Rows {
        let mut rows = [pushed; MAX_LINES];
        for (index, step) in self.steps.iter().enumerate() {
            let [first, second] = step.sources.map(|source| rows[source]);
            rows[index + 1] = step.convolved(first.min(second)) << step.block;
        }
        rows
    }

    /// Rows that a line's ring must hold: from the oldest that a reader has not done with to the
    /// newest that the next image row brings.
    pub fn ring_rows(&self, line: usize) -> usize {
        let block = line
            .checked_sub(1)
            .map_or(1, |layer| 1 << self.steps[layer].block);
        let held = |pushed: i64| {
            let (before, after) = (self.rows(pushed), self.rows(pushed + 1));
            let oldest = self
                .readers(line)
                .map(|reader| {
                    let step = &self.steps[reader];
                    step.first_read(before[reader + 1] >> step.block)
                })
                .min();
            after[line] - oldest.unwrap_or(after[line])
        };
        let most = (0..self.period).map(held).max().unwrap_or(0).max(1);
        (most as usize).next_multiple_of(block)
    }

    /// The layers that read a line.
    fn readers(&self, line: usize) -> impl Iterator<Item = usize> {
        let steps = self.steps.iter().enumerate();
        steps
            .filter(move |(_, step)| step.sources.contains(&line))
            .map(|(layer, _)| layer)
    }

    /// The first input row that a row of a layer's convolution reads.
    pub fn first_read(&self, layer: usize, row: i64) -> i64 {
        self.steps[layer].first_read(row)
    }
}
