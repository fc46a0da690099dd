//! The whole way for strips without end, such as a line-scan camera yields: rows in, a verdict for
//! every window of rows out. No frame lies anywhere: memory depends on the width alone.
//!
//! **Windows and regions.** Regions are those of the whole strip, wherever windows begin. A region
//! is reported once, in the window that holds its last row, with its whole box and area. A window
//! is a defect where a region with a pixel in one of its rows counts by what has been seen down to
//! that row, whether or not the region goes on: a scratch of a thousand rows makes every window
//! that it crosses a defect from the row on where it first counts, and is reported in the last
//! one. A strip that is one window gets the verdict and the mask of a frame.

mod labeler;
mod mask;

use core::{num::NonZeroU32, ops::Range};

use residua_shared::{
    buffer::BufferError,
    rule::DecisionRule,
    verdict::{Outcome, Verdict},
};

use crate::{
    engine::{
        Engine,
        native::{Native, Plan},
    },
    inspector::InspectError,
    map::AnomalyMap,
    mask::runs,
};
use labeler::StripLabeler;
use mask::MaskTables;

pub use labeler::{OpenRegion, OpenRun, StripRegion};
pub use mask::{MaskRegion, MaskRun};

/// Elements of each buffer, at least; see [`StripBuffers`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StripLengths {
    /// Of [`StripBuffers::image`].
    pub image: usize,
    /// Of [`StripBuffers::reconstruction`].
    pub reconstruction: usize,
    /// Of [`StripBuffers::residual`].
    pub residual: usize,
    /// Of [`StripBuffers::filter`].
    pub filter: usize,
    /// Of [`StripBuffers::runs`].
    pub runs: usize,
    /// Of [`StripBuffers::regions`].
    pub regions: usize,
}

/// The memory of a strip's inspection beside the engine's, all of it the caller's. What it holds
/// before does not matter.
#[derive(Debug)]
pub struct StripBuffers<'b> {
    /// Image rows that wait for their reconstruction.
    pub image: &'b mut [u8],
    /// One row of it.
    pub reconstruction: &'b mut [i32],
    /// One row of the residual.
    pub residual: &'b mut [i32],
    /// The anomaly map's rows.
    pub filter: &'b mut [u32],
    /// The runs of two rows.
    pub runs: &'b mut [OpenRun],
    /// The regions that touch them.
    pub regions: &'b mut [OpenRegion],
    /// The regions that a window reports, of any length: where a window has more, its verdict says
    /// so ([`Verdict::overflow`]).
    pub ended: &'b mut [StripRegion],
    /// The runs of suspect pixels of a window and of one row more, of any length: where there are
    /// more, the window has no mask. Empty for no masks at all.
    pub mask_runs: &'b mut [MaskRun],
    /// Their regions before they are joined, of any length; as above.
    pub mask_regions: &'b mut [MaskRegion],
}

impl StripBuffers<'_> {
    /// The lengths of the buffers for strips of `width` pixels under `rule`, whose network has
    /// this plan.
    pub fn len_for(width: usize, rule: DecisionRule, plan: &Plan) -> StripLengths {
        StripLengths {
            image: width * (plan.latency_rows() + 1),
            reconstruction: width,
            residual: width,
            filter: AnomalyMap::len_for(width, rule.scale()),
            runs: labeler::run_count(width),
            regions: labeler::region_count(width),
        }
    }

    fn check(&self, lengths: StripLengths) -> Result<(), BufferError> {
        let at_least = BufferError::at_least;
        at_least("image", self.image.len(), lengths.image)?;
        at_least(
            "reconstruction",
            self.reconstruction.len(),
            lengths.reconstruction,
        )?;
        at_least("residual", self.residual.len(), lengths.residual)?;
        at_least("filter", self.filter.len(), lengths.filter)?;
        at_least("runs", self.runs.len(), lengths.runs)?;
        at_least("regions", self.regions.len(), lengths.regions)
    }
}

/// What was found in one window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window<'s> {
    /// Its number, from 0.
    pub index: u64,
    /// The first of its rows.
    pub first_row: u64,
    /// Its rows; the last window of a strip may have fewer than the others.
    pub rows: u32,
    /// The verdict on it; `regions` is the number of counting regions that end in it.
    pub verdict: Verdict,
    /// These regions (not all of them where the verdict says overflow), those that end in the same
    /// row in raster order of their first pixel.
    pub regions: &'s [StripRegion],
    /// The mask, in raster order: the pixels in the window's rows of regions that count by what has
    /// been seen down to its last row. None where the tables were too short for it.
    pub mask: Option<&'s [MaskRun]>,
}

/// An inspector of strips; see the module.
#[derive(Debug)]
pub struct Strip<'a, B, W = B> {
    engine: Native<B, W>,
    rule: DecisionRule,
    width: usize,
    image: &'a mut [u8],
    reconstruction: &'a mut [i32],
    residual: &'a mut [i32],
    filter: AnomalyMap<'a>,
    labeler: StripLabeler<'a>,
    mask: MaskTables<'a>,
    windows: Windows<'a>,
    /// Image rows taken.
    pushed: u64,
    /// Rows of the reconstruction taken.
    reconstructed: u64,
    /// The last row has been taken.
    ending: bool,
}

impl<'a, B: AsRef<[u8]> + AsMut<[u8]>, W: AsRef<[u8]>> Strip<'a, B, W> {
    /// An inspector that gives a verdict for every `window` rows.
    ///
    /// Errors where a buffer is shorter than [`StripBuffers::len_for`] asks, or the engine's
    /// reconstruction has another scale than the rule.
    pub fn new(
        engine: Native<B, W>,
        rule: DecisionRule,
        window: NonZeroU32,
        buffers: StripBuffers<'a>,
    ) -> Result<Self, InspectError> {
        let (stated, found) = (rule.scale().fraction_bits(), engine.fraction_bits());
        if stated != found {
            return Err(InspectError::FractionBits { stated, found });
        }
        let width = engine.input().width();
        let lengths = StripBuffers::len_for(width, rule, engine.plan());
        buffers.check(lengths)?;
        let filter = AnomalyMap::new(width, rule.comparison(), rule.scale(), buffers.filter)?;
        Ok(Self {
            engine,
            rule,
            width,
            image: &mut buffers.image[..lengths.image],
            reconstruction: &mut buffers.reconstruction[..width],
            residual: &mut buffers.residual[..width],
            filter,
            labeler: StripLabeler::new(buffers.runs, buffers.regions),
            mask: MaskTables::new(width, buffers.mask_runs, buffers.mask_regions),
            windows: Windows::new(rule, window, buffers.ended),
            pushed: 0,
            reconstructed: 0,
            ending: false,
        })
    }

    /// Rows by which a window's verdict comes later than its last row: those of the network, those of
    /// the box, and one more, which shows where the regions end.
    pub fn latency_rows(&self) -> usize {
        self.engine.plan().latency_rows() + self.rule.scale().delay_rows() + 1
    }

    /// Takes the next row, as many pixels as the engine's images are wide, and gives the window
    /// that is complete by it.
    ///
    /// After [`Self::finish`] was called it begins the next strip, whether all windows were fetched
    /// or not.
    pub fn push_row(&mut self, row: &[u8]) -> Result<Option<Window<'_>>, InspectError> {
        if self.ending {
            self.restart();
        }
        let written = self.engine.push_row(row, self.reconstruction)?;
        let slot = slot(self.image, self.width, self.pushed);
        self.image[slot].copy_from_slice(row);
        self.pushed += 1;
        if !written {
            return Ok(None);
        }
        let findings = self.take_reconstruction()?;
        Ok(findings.map(|findings| self.windows.window(findings, &self.mask)))
    }

    /// After the last row: gives the windows still due, one a call, then `None`; the next row is
    /// then the first one of another strip.
    pub fn finish(&mut self) -> Result<Option<Window<'_>>, InspectError> {
        self.ending = true;
        while self.engine.finish(self.reconstruction)? {
            if let Some(findings) = self.take_reconstruction()? {
                return Ok(Some(self.windows.window(findings, &self.mask)));
            }
        }
        while let Some(map) = self.filter.finish() {
            if let Some(findings) = label(map, &mut self.labeler, &mut self.mask, &mut self.windows)
            {
                return Ok(Some(self.windows.window(findings, &self.mask)));
            }
        }
        self.labeler.finish(|region| self.windows.end(region));
        let any = self.windows.rows > 0;
        let mask = self.mask.end(self.rule);
        let findings = self.windows.take(mask);
        self.restart();
        Ok(any.then(|| self.windows.window(findings, &self.mask)))
    }

    /// Forgets the strip begun.
    fn restart(&mut self) {
        self.engine.restart();
        while self.filter.finish().is_some() {}
        self.labeler.finish(|_| ());
        // What was kept before stays where it is.
        self.mask.end(self.rule);
        self.windows.take(None);
        self.windows.rows = 0;
        (self.pushed, self.reconstructed, self.ending) = (0, 0, false);
    }

    /// The row of the reconstruction that is there goes the rest of the way, and may complete a
    /// window.
    fn take_reconstruction(&mut self) -> Result<Option<Findings>, BufferError> {
        let image = &self.image[slot(self.image, self.width, self.reconstructed)];
        self.reconstructed += 1;
        let map = self
            .filter
            .push_pixels(image, &self.rule, self.reconstruction, self.residual)?;
        Ok(map.and_then(|map| label(map, &mut self.labeler, &mut self.mask, &mut self.windows)))
    }
}

/// Where image row `row` waits.
fn slot(image: &[u8], width: usize, row: u64) -> Range<usize> {
    let rows = (image.len() / width) as u64;
    let start = (row % rows) as usize * width;
    start..start + width
}

/// Takes the next row of the map, which completes the window above where it is the first one of
/// another.
fn label(
    map: &[u32],
    labeler: &mut StripLabeler<'_>,
    mask: &mut MaskTables<'_>,
    windows: &mut Windows<'_>,
) -> Option<Findings> {
    mask.begin_row();
    let complete = windows.complete().then(|| {
        let kept = mask.end(windows.rule);
        labeler.begin_window(mask);
        kept
    });
    let runs = runs(0, map, windows.rule.pixel_threshold().raw);
    let (row, in_window) = (windows.rows, windows.row_in_window());
    labeler.push_row(row, in_window, runs, mask, |region| windows.end(region));
    let findings = complete.map(|mask| windows.take(mask));
    windows.add_row(labeler.open());
    findings
}

/// A [`Window`] but for the table that its regions lie in.
#[derive(Clone, Copy, Debug)]
struct Findings {
    index: u64,
    first_row: u64,
    rows: u32,
    verdict: Verdict,
    listed: usize,
    /// Runs of the mask, where it is whole.
    mask: Option<usize>,
}

/// Verdicts on windows, from the regions of each row.
#[derive(Debug)]
struct Windows<'b> {
    rule: DecisionRule,
    height: NonZeroU32,
    /// The counting regions that ended in the current window, as many as fit.
    ended: &'b mut [StripRegion],
    /// How many of them there are.
    regions: usize,
    /// Map rows taken of this strip.
    rows: u64,
    /// Whether a region counted in the current window.
    defect: bool,
    /// The highest peak of a region of the minimum area in the current window.
    score: u32,
}

impl<'b> Windows<'b> {
    fn new(rule: DecisionRule, height: NonZeroU32, ended: &'b mut [StripRegion]) -> Self {
        Self {
            rule,
            height,
            ended,
            regions: 0,
            rows: 0,
            defect: false,
            score: 0,
        }
    }

    /// A region does not touch the row that follows.
    fn end(&mut self, region: StripRegion) {
        if !region.counts(self.rule) {
            return;
        }
        if let Some(entry) = self.ended.get_mut(self.regions) {
            *entry = region;
        }
        self.regions += 1;
    }

    /// Whether the row that follows is the first one of another window.
    fn complete(&self) -> bool {
        self.rows > 0 && self.rows.is_multiple_of(self.height.get().into())
    }

    /// The place in its window of the row that follows.
    fn row_in_window(&self) -> u32 {
        // Below the height.
        (self.rows % u64::from(self.height.get())) as u32
    }

    /// What is known of the window of the last row, which ends with it; begins the next one. The
    /// regions stay in the table until another one ends.
    fn take(&mut self, mask: Option<usize>) -> Findings {
        let height = u64::from(self.height.get());
        let index = self.rows.saturating_sub(1) / height;
        let overflow = self.regions > self.ended.len();
        let verdict = Verdict {
            outcome: if self.defect || overflow {
                Outcome::Defect
            } else {
                Outcome::Good
            },
            score: self.score,
            regions: u32::try_from(self.regions).unwrap_or(u32::MAX),
            overflow,
        };
        let findings = Findings {
            index,
            first_row: index * height,
            // At most `height`.
            rows: (self.rows - index * height) as u32,
            verdict,
            listed: self.regions.min(self.ended.len()),
            mask,
        };
        (self.regions, self.defect, self.score) = (0, false, 0);
        findings
    }

    /// The window with these findings.
    fn window<'s>(&'s self, findings: Findings, tables: &'s MaskTables<'_>) -> Window<'s> {
        let Findings {
            index,
            first_row,
            rows,
            verdict,
            listed,
            mask,
        } = findings;
        Window {
            index,
            first_row,
            rows,
            verdict,
            regions: &self.ended[..listed],
            mask: mask.map(|count| tables.kept(count)),
        }
    }

    /// One more row is there, which these regions touch.
    fn add_row<'r>(&mut self, open: impl Iterator<Item = &'r StripRegion>) {
        self.rows += 1;
        for region in open.filter(|region| region.large(self.rule)) {
            self.score = self.score.max(region.peak);
            self.defect |= region.counts(self.rule);
        }
    }
}
