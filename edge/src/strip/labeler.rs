//! Runs → regions on a strip without end: only regions that the current row touches are kept, in
//! tables whose size depends on the width alone and that nothing can overflow.

use residua_shared::rule::DecisionRule;

use super::mask::MaskTables;
use crate::mask::Run;

/// A connected set of suspect pixels of a strip, as [`residua_shared::verdict::Region`] is of an
/// image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StripRegion {
    /// Leftmost column.
    pub left: u16,
    /// First row.
    pub top: u64,
    /// Rightmost column.
    pub right: u16,
    /// Last row.
    pub bottom: u64,
    /// Pixels.
    pub area: u64,
    /// The highest map value in it, in map steps.
    pub peak: u32,
}

impl StripRegion {
    /// An initial value for tables in statics.
    pub const EMPTY: Self = Self {
        left: 0,
        top: 0,
        right: 0,
        bottom: 0,
        area: 0,
        peak: 0,
    };

    fn new(row: u64, run: Run) -> Self {
        Self {
            left: run.start,
            top: row,
            right: run.end,
            bottom: row,
            area: u64::from(run.end - run.start) + 1,
            peak: run.peak,
        }
    }

    fn join(&mut self, other: Self) {
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
        self.area += other.area;
        self.peak = self.peak.max(other.peak);
    }

    /// Whether it is as large as the rule asks.
    pub fn large(&self, rule: DecisionRule) -> bool {
        self.area >= rule.min_area().into()
    }

    /// Whether it is a defect by the rule.
    pub fn counts(&self, rule: DecisionRule) -> bool {
        rule.counts(u32::try_from(self.area).unwrap_or(u32::MAX), self.peak)
    }
}

/// A run of the row above or the current one. Its initial value does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenRun {
    start: u16,
    end: u16,
    region: u32,
}

impl OpenRun {
    /// An initial value for tables in statics.
    pub const EMPTY: Self = Self {
        start: 0,
        end: 0,
        region: 0,
    };
}

/// A region that may go on. Its initial value does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenRegion {
    /// The entry it was joined to, its own index while it was not; never above it.
    parent: u32,
    /// Its index in the current window's mask.
    in_mask: u16,
    region: StripRegion,
}

impl OpenRegion {
    /// An initial value for tables in statics.
    pub const EMPTY: Self = Self {
        parent: 0,
        in_mask: 0,
        region: StripRegion::EMPTY,
    };
}

/// Elements of [`OpenRun`]s for rows of `width` pixels: those of two rows.
pub const fn run_count(width: usize) -> usize {
    2 * width.div_ceil(2)
}

/// Elements of [`OpenRegion`]s: one a run of the row above and of the current row.
pub const fn region_count(width: usize) -> usize {
    run_count(width)
}

/// Labels the runs of a strip, row by row.
#[derive(Debug)]
pub struct StripLabeler<'b> {
    above: &'b mut [OpenRun],
    current: &'b mut [OpenRun],
    regions: &'b mut [OpenRegion],
    above_count: usize,
    region_count: usize,
}

impl<'b> StripLabeler<'b> {
    /// A labeler with tables of at least [`run_count`] and [`region_count`] elements.
    pub fn new(runs: &'b mut [OpenRun], regions: &'b mut [OpenRegion]) -> Self {
        let (above, current) = runs.split_at_mut(runs.len() / 2);
        Self {
            above,
            current,
            regions,
            above_count: 0,
            region_count: 0,
        }
    }

    /// Takes all runs of row `row`, the one after the last and row `in_window` of its window, from
    /// the left; calls `ended` for each region that none of them touches, in raster order of their
    /// first pixel.
    pub fn push_row(
        &mut self,
        row: u64,
        in_window: u32,
        runs: impl Iterator<Item = Run>,
        mask: &mut MaskTables<'_>,
        ended: impl FnMut(StripRegion),
    ) {
        let (mut count, mut left) = (0, 0);
        for (run, entry) in runs.zip(0..self.current.len()) {
            let region = self.label(row, run, &mut left, mask);
            mask.add(in_window, run, self.regions[region as usize].in_mask);
            self.current[entry] = OpenRun {
                start: run.start,
                end: run.end,
                region,
            };
            count = entry + 1;
        }
        self.end_row(row, count, ended);
    }

    /// Ends all regions: the strip is over, or the next row is no neighbour.
    pub fn finish(&mut self, mut ended: impl FnMut(StripRegion)) {
        self.open().for_each(|region| ended(*region));
        (self.above_count, self.region_count) = (0, 0);
    }

    /// The regions that the last row touches, in raster order of their first pixel.
    pub fn open(&self) -> impl Iterator<Item = &StripRegion> {
        let entries = self.regions[..self.region_count].iter();
        entries.map(|entry| &entry.region)
    }

    /// Tells the mask of a window that begins which regions go on into it.
    pub fn begin_window(&mut self, mask: &mut MaskTables<'_>) {
        for entry in &mut self.regions[..self.region_count] {
            entry.in_mask = mask.open(entry.region);
        }
    }

    /// The region of a run, joined with all that it touches; `left` is the first run above that
    /// this one or a later one can touch.
    fn label(&mut self, row: u64, run: Run, left: &mut usize, mask: &mut MaskTables<'_>) -> u32 {
        while *left < self.above_count && self.above[*left].end.saturating_add(1) < run.start {
            *left += 1;
        }
        let index = self.region_count;
        let region = StripRegion::new(row, run);
        self.regions[index] = OpenRegion {
            parent: index as u32,
            in_mask: mask.open(region),
            region,
        };
        self.region_count += 1;
        let mut root = index;
        for index in *left..self.above_count {
            let above = self.above[index];
            if above.start > run.end.saturating_add(1) {
                break;
            }
            let other = self.root(above.region);
            mask.join(self.regions[root].in_mask, self.regions[other].in_mask);
            root = self.join(root, other);
        }
        root as u32
    }

    /// The root of an entry, halving the way to it.
    fn root(&mut self, region: u32) -> usize {
        let mut index = region as usize;
        loop {
            let parent = self.regions[index].parent as usize;
            if parent == index {
                return index;
            }
            let above = self.regions[parent].parent;
            self.regions[index].parent = above;
            index = above as usize;
        }
    }

    /// Joins two roots under the older one, which it returns.
    fn join(&mut self, a: usize, b: usize) -> usize {
        let (old, new) = (a.min(b), a.max(b));
        if old != new {
            self.regions[new].parent = old as u32;
            let joined = self.regions[new].region;
            self.regions[old].region.join(joined);
        }
        old
    }

    /// Keeps the regions that the row touches, moved to the table's start in their order.
    fn end_row(&mut self, row: u64, runs: usize, mut ended: impl FnMut(StripRegion)) {
        let mut kept = 0;
        for index in 0..self.region_count {
            let OpenRegion {
                parent,
                in_mask,
                region,
            } = self.regions[index];
            // From here on an entry's parent is the place that its region moves to. Parents come
            // first, and places are never behind the entries that move there.
            if parent as usize != index {
                self.regions[index].parent = self.regions[parent as usize].parent;
            } else if region.bottom == row {
                (self.regions[kept].region, self.regions[kept].in_mask) = (region, in_mask);
                self.regions[index].parent = kept as u32;
                kept += 1;
            } else {
                ended(region);
            }
        }
        for run in &mut self.current[..runs] {
            run.region = self.regions[run.region as usize].parent;
        }
        for (index, entry) in (0..).zip(&mut self.regions[..kept]) {
            entry.parent = index;
        }
        core::mem::swap(&mut self.above, &mut self.current);
        self.above_count = runs;
        self.region_count = kept;
    }
}
