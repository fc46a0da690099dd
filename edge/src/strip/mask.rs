//! Windows → masks: the pixels in a window's rows of regions that count by what was seen down to its
//! last row, in fixed tables.

use residua_shared::rule::DecisionRule;

use super::StripRegion;
use crate::mask::Run;

/// A run of suspect pixels of the current window. Its initial value does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MaskRun {
    /// The pixel, counted row by row from the window's first.
    start: u32,
    length: u16,
    region: u16,
}

impl MaskRun {
    /// An initial value for tables in statics.
    pub const EMPTY: Self = Self {
        start: 0,
        length: 0,
        region: 0,
    };
}

/// A region with a pixel in the current window. Its initial value does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MaskRegion {
    /// The entry it was joined to, its own index while it was not; never above it.
    parent: u16,
    /// Pixels, those above the window included.
    area: u64,
    peak: u32,
}

impl MaskRegion {
    /// An initial value for tables in statics.
    pub const EMPTY: Self = Self {
        parent: 0,
        area: 0,
        peak: 0,
    };
}

/// The mask of the current window, as it grows.
#[derive(Debug)]
pub(super) struct MaskTables<'b> {
    width: usize,
    /// The last window's mask until another row comes, and behind it the current window's runs.
    runs: &'b mut [MaskRun],
    regions: &'b mut [MaskRegion],
    first_run: usize,
    run_count: usize,
    region_count: usize,
    complete: bool,
}

impl<'b> MaskTables<'b> {
    pub(super) fn new(
        width: usize,
        runs: &'b mut [MaskRun],
        regions: &'b mut [MaskRegion],
    ) -> Self {
        // More could not be told apart by their indices.
        let most = regions.len().min(usize::from(u16::MAX));
        Self {
            width,
            complete: !runs.is_empty(),
            regions: &mut regions[..most],
            runs,
            first_run: 0,
            run_count: 0,
            region_count: 0,
        }
    }

    /// A row begins: the last window's mask is no longer asked for.
    pub(super) fn begin_row(&mut self) {
        self.runs.copy_within(self.first_run..self.run_count, 0);
        self.run_count -= self.first_run;
        self.first_run = 0;
    }

    /// A region of these pixels so far: its index here.
    pub(super) fn open(&mut self, region: StripRegion) -> u16 {
        let index = self.region_count;
        let Some(entry) = self.regions.get_mut(index) else {
            self.complete = false;
            return u16::MAX;
        };
        *entry = MaskRegion {
            // The table is no longer than the highest index.
            parent: index as u16,
            area: region.area,
            peak: region.peak,
        };
        self.region_count += 1;
        index as u16
    }

    /// Row `row` of the window has this run, of the region at index `region`.
    pub(super) fn add(&mut self, row: u32, run: Run, region: u16) {
        let start = (u64::from(row) * self.width as u64).checked_add(run.start.into());
        let start = start.and_then(|start| u32::try_from(start).ok());
        let (Some(start), Some(entry)) = (start, self.runs.get_mut(self.run_count)) else {
            self.complete = false;
            return;
        };
        *entry = MaskRun {
            start,
            length: run.end - run.start + 1,
            region,
        };
        self.run_count += 1;
    }

    /// Two regions turn out to be one.
    pub(super) fn join(&mut self, a: u16, b: u16) {
        let (Some(a), Some(b)) = (self.root(a), self.root(b)) else {
            return;
        };
        let (old, new) = (a.min(b), a.max(b));
        if old != new {
            let MaskRegion { area, peak, .. } = self.regions[new];
            self.regions[new].parent = old as u16;
            self.regions[old].area += area;
            self.regions[old].peak = self.regions[old].peak.max(peak);
        }
    }

    fn root(&mut self, region: u16) -> Option<usize> {
        let mut index = usize::from(region);
        loop {
            let parent = self.regions[..self.region_count].get(index)?.parent;
            if usize::from(parent) == index {
                return Some(index);
            }
            let above = self.regions[usize::from(parent)].parent;
            self.regions[index].parent = above;
            index = above.into();
        }
    }

    /// The window is over: keeps the runs of what counts. How many, if all of them fitted.
    pub(super) fn end(&mut self, rule: DecisionRule) -> Option<usize> {
        let mut kept = 0;
        for index in self.first_run..self.run_count {
            let run = self.runs[index];
            let counts = self.root(run.region).is_some_and(|root| {
                let MaskRegion { area, peak, .. } = self.regions[root];
                rule.counts(u32::try_from(area).unwrap_or(u32::MAX), peak)
            });
            if counts {
                self.runs[kept] = run;
                kept += 1;
            }
        }
        let complete = self.complete;
        (self.first_run, self.run_count, self.region_count) = (kept, kept, 0);
        self.complete = !self.runs.is_empty();
        complete.then_some(kept)
    }

    /// The first `count` runs, which [`Self::end`] kept.
    pub(super) fn kept(&self, count: usize) -> &[MaskRun] {
        &self.runs[..count]
    }
}

impl MaskRun {
    /// First pixel, counted row by row from the window's first, and number of pixels.
    pub fn span(&self) -> (u32, u32) {
        (self.start, self.length.into())
    }
}
