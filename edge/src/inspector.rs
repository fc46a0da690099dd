//! The whole way for whole frames: from an image to a verdict and a mask.

use core::fmt;

use residua_shared::{
    buffer::BufferError,
    frame::{Frame, Size},
    rule::DecisionRule,
    verdict::{Region, Verdict},
};

use crate::{
    engine::{Engine, EngineError},
    map::AnomalyMap,
    mask::runs,
    regions::{Labeler, RegionEntry, Regions, RunEntry, max_regions, max_runs},
    verdict::verdict,
};

/// Elements of each buffer; see [`Buffers`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lengths {
    /// Of [`Buffers::reconstruction`], exactly.
    pub reconstruction: usize,
    /// Of [`Buffers::residual`], exactly.
    pub residual: usize,
    /// Of [`Buffers::filter`], at least.
    pub filter: usize,
    /// Of [`Buffers::map`], exactly.
    pub map: usize,
    /// With so many [`Buffers::runs`] no image can overflow them; fewer are allowed.
    pub runs: usize,
    /// With so many [`Buffers::regions`] no image can overflow them; fewer are allowed.
    pub regions: usize,
}

/// The memory of an inspection, all of it the caller's. What it holds before does not matter.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// The whole reconstruction.
    pub reconstruction: &'b mut [i32],
    /// One row of the residual.
    pub residual: &'b mut [i32],
    /// The anomaly map's rows.
    pub filter: &'b mut [u32],
    /// The whole anomaly map.
    pub map: &'b mut [u32],
    /// The runs of suspect pixels.
    pub runs: &'b mut [RunEntry],
    /// The regions that they make.
    pub regions: &'b mut [RegionEntry],
}

impl Buffers<'_> {
    /// The lengths of the buffers for images of `size` under `rule`.
    pub fn len_for(size: Size, rule: DecisionRule) -> Lengths {
        Lengths {
            reconstruction: size.area(),
            residual: size.width(),
            filter: AnomalyMap::len_for(size.width(), rule.scale()),
            map: size.area(),
            runs: max_runs(size),
            regions: max_regions(size),
        }
    }
}

/// Buffers on the heap, allocated once, that no image can overflow.
#[cfg(feature = "std")]
#[derive(Debug)]
pub struct Storage {
    reconstruction: std::vec::Vec<i32>,
    residual: std::vec::Vec<i32>,
    filter: std::vec::Vec<u32>,
    map: std::vec::Vec<u32>,
    runs: std::vec::Vec<RunEntry>,
    regions: std::vec::Vec<RegionEntry>,
}

#[cfg(feature = "std")]
impl Storage {
    /// Buffers for images of `size` under `rule`.
    pub fn new(size: Size, rule: DecisionRule) -> Self {
        let lengths = Buffers::len_for(size, rule);
        Self {
            reconstruction: std::vec![0; lengths.reconstruction],
            residual: std::vec![0; lengths.residual],
            filter: std::vec![0; lengths.filter],
            map: std::vec![0; lengths.map],
            runs: std::vec![RunEntry::default(); lengths.runs],
            regions: std::vec![RegionEntry::default(); lengths.regions],
        }
    }

    /// The buffers, borrowed.
    pub fn buffers(&mut self) -> Buffers<'_> {
        Buffers {
            reconstruction: &mut self.reconstruction,
            residual: &mut self.residual,
            filter: &mut self.filter,
            map: &mut self.map,
            runs: &mut self.runs,
            regions: &mut self.regions,
        }
    }
}

/// An inspector of images of one size: an engine and the rule that decides on what it yields.
#[derive(Debug)]
pub struct Inspector<E> {
    engine: E,
    rule: DecisionRule,
}

impl<E: Engine> Inspector<E> {
    /// An inspector; errors where the engine's reconstruction has another scale than the rule.
    pub fn new(engine: E, rule: DecisionRule) -> Result<Self, InspectError> {
        let (stated, found) = (rule.scale().fraction_bits(), engine.fraction_bits());
        if stated != found {
            return Err(InspectError::FractionBits { stated, found });
        }
        Ok(Self { engine, rule })
    }

    /// The size of the images that it takes.
    pub fn input(&self) -> Size {
        self.engine.input()
    }

    /// The rule that decides.
    pub fn rule(&self) -> DecisionRule {
        self.rule
    }

    /// Inspects one image of size [`Self::input`].
    pub fn inspect<'b>(
        &mut self,
        frame: Frame<'_>,
        buffers: &'b mut Buffers<'_>,
    ) -> Result<Inspection<'b>, InspectError> {
        let size = self.input();
        buffers.check(size)?;
        self.engine.reconstruct(frame, buffers.reconstruction)?;
        Ok(decide(self.rule, frame, buffers)?)
    }
}

impl Buffers<'_> {
    fn check(&self, size: Size) -> Result<(), BufferError> {
        BufferError::exact("reconstruction", self.reconstruction.len(), size.area())?;
        BufferError::exact("residual", self.residual.len(), size.width())?;
        BufferError::exact("map", self.map.len(), size.area())
    }
}

/// The path after the engine: decides on a frame whose reconstruction lies in the buffers. Nothing
/// here allocates, whatever the engine did.
pub fn decide<'b>(
    rule: DecisionRule,
    frame: Frame<'_>,
    buffers: &'b mut Buffers<'_>,
) -> Result<Inspection<'b>, BufferError> {
    let size = frame.size();
    buffers.check(size)?;
    let (width, scale) = (size.width(), rule.scale());
    let mut filter = AnomalyMap::new(width, rule.comparison(), scale, buffers.filter)?;
    let mut labeler = Labeler::new(buffers.runs, buffers.regions);
    let mut map_rows = (0_u16..).zip(buffers.map.chunks_exact_mut(width));
    let mut take = |row: &[u32]| {
        if let Some((y, map)) = map_rows.next() {
            map.copy_from_slice(row);
            runs(y, row, rule.pixel_threshold().raw).for_each(|run| labeler.push(run));
        }
    };

    let image_rows = frame.pixels().chunks_exact(width);
    let reconstruction_rows = buffers.reconstruction.chunks_exact(width);
    for (image, reconstruction) in image_rows.zip(reconstruction_rows) {
        if let Some(row) = filter.push_pixels(image, &rule, reconstruction, buffers.residual)? {
            take(row);
        }
    }
    while let Some(row) = filter.finish() {
        take(row);
    }

    let regions = labeler.finish();
    Ok(Inspection {
        verdict: verdict(rule, regions),
        rule,
        size,
        reconstruction: buffers.reconstruction,
        map: buffers.map,
        regions,
    })
}

/// What an inspection found; lies in the buffers that it was given.
#[derive(Clone, Copy, Debug)]
pub struct Inspection<'b> {
    verdict: Verdict,
    rule: DecisionRule,
    size: Size,
    reconstruction: &'b [i32],
    map: &'b [u32],
    regions: Regions<'b>,
}

impl<'b> Inspection<'b> {
    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The image's size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The reconstruction, row by row, with the rule's fraction bits.
    pub fn reconstruction(&self) -> &'b [i32] {
        self.reconstruction
    }

    /// The anomaly map, row by row, in steps of the rule's scale.
    pub fn map(&self) -> &'b [u32] {
        self.map
    }

    /// The regions that count, in raster order of their first pixel.
    pub fn regions(&self) -> impl Iterator<Item = Region> + 'b {
        let rule = self.rule;
        self.suspects()
            .filter(move |region| rule.counts(region.area, region.peak))
    }

    /// All suspect regions, those that do not count included.
    pub fn suspects(&self) -> impl Iterator<Item = Region> + 'b {
        self.regions.iter()
    }

    /// Writes the defect mask: 255 for the pixels of regions that count, else 0. Where a table
    /// overflowed, which of the suspect pixels count is unknown, and all of them are written.
    pub fn write_mask(&self, mask: &mut [u8]) -> Result<(), BufferError> {
        BufferError::exact("mask", mask.len(), self.size.area())?;
        if self.verdict.overflow {
            let threshold = self.rule.pixel_threshold().raw;
            for (mask, &value) in mask.iter_mut().zip(self.map) {
                *mask = if value > threshold { 255 } else { 0 };
            }
            return Ok(());
        }
        mask.fill(0);
        for (run, region) in self.regions.runs() {
            if self.rule.counts(region.area, region.peak) {
                let row = usize::from(run.row) * self.size.width();
                let columns = usize::from(run.start)..=usize::from(run.end);
                mask[row..][columns].fill(255);
            }
        }
        Ok(())
    }
}

/// Why an inspection was not possible.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InspectError {
    /// The engine refused the image or failed.
    Engine(EngineError),
    /// A buffer has the wrong length.
    Buffer(BufferError),
    /// The engine's reconstruction has another scale than the rule.
    FractionBits {
        /// The rule's.
        stated: u8,
        /// The engine's.
        found: u8,
    },
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Buffer(error) => error.fmt(f),
            Self::FractionBits { stated, found } => write!(
                f,
                "rule: thresholds are for {stated} fraction bits but the engine yields {found}; \
                 calibrate and export the model again"
            ),
        }
    }
}

impl core::error::Error for InspectError {}

impl From<EngineError> for InspectError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<BufferError> for InspectError {
    fn from(error: BufferError) -> Self {
        Self::Buffer(error)
    }
}
