//! Mask → regions: 8-connected components of the runs, in one pass by union-find, in two tables
//! that the caller hands in.
//!
//! Every run that touches none of the row above opens an entry in the region table; a run that
//! touches several joins them under the oldest, which therefore is the one with the component's
//! first pixel in raster order. Entries joined to another are not used again (runs still point to
//! them), so the region table must hold the openings, not the regions: at most one a 2x2 block.

use core::ops::Range;

use residua_shared::{frame::Size, verdict::Region};

use crate::mask::Run;

/// An entry of the run table. Its initial value does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunEntry {
    row: u16,
    start: u16,
    end: u16,
    region: u32,
}

impl RunEntry {
    /// An initial value for tables in statics.
    pub const EMPTY: Self = Self {
        row: 0,
        start: 0,
        end: 0,
        region: 0,
    };
}

/// An entry of the region table. Its initial value does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegionEntry {
    /// The entry it was joined to, its own index while it was not; never above it.
    parent: u32,
    left: u16,
    top: u16,
    right: u16,
    bottom: u16,
    area: u32,
    peak: u32,
}

impl RegionEntry {
    /// An initial value for tables in statics.
    pub const EMPTY: Self = Self {
        parent: 0,
        left: 0,
        top: 0,
        right: 0,
        bottom: 0,
        area: 0,
        peak: 0,
    };

    fn open(index: usize, run: Run) -> Self {
        Self {
            parent: index as u32,
            left: run.start,
            top: run.row,
            right: run.end,
            bottom: run.row,
            area: area(run),
            peak: run.peak,
        }
    }

    fn add(&mut self, run: Run) {
        self.left = self.left.min(run.start);
        self.right = self.right.max(run.end);
        self.bottom = run.row;
        self.area += area(run);
        self.peak = self.peak.max(run.peak);
    }

    fn join(&mut self, other: Self) {
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
        self.area += other.area;
        self.peak = self.peak.max(other.peak);
    }

    fn region(self) -> Region {
        Region {
            left: self.left,
            top: self.top,
            right: self.right,
            bottom: self.bottom,
            area: self.area,
            peak: self.peak,
        }
    }
}

fn area(run: Run) -> u32 {
    u32::from(run.end - run.start) + 1
}

/// Run entries that suffice for every image of this size.
pub fn max_runs(size: Size) -> usize {
    size.width().div_ceil(2) * size.height()
}

/// Region entries that suffice for every image of this size.
pub fn max_regions(size: Size) -> usize {
    size.width().div_ceil(2) * size.height().div_ceil(2)
}

/// Labels the runs of one image as they come.
#[derive(Debug)]
pub struct Labeler<'b> {
    runs: &'b mut [RunEntry],
    regions: &'b mut [RegionEntry],
    run_count: usize,
    region_count: usize,
    /// The runs of the row above the current one.
    above: Range<usize>,
    /// Where the current row's runs start.
    current: usize,
    row: u16,
    overflow: bool,
}

impl<'b> Labeler<'b> {
    /// A labeler for one image, with these tables. Where one is too small for what comes, the rest
    /// is left out and [`Regions::overflow`] says so.
    pub fn new(runs: &'b mut [RunEntry], regions: &'b mut [RegionEntry]) -> Self {
        Self {
            runs,
            regions,
            run_count: 0,
            region_count: 0,
            above: 0..0,
            current: 0,
            row: 0,
            overflow: false,
        }
    }

    /// Takes the next run in raster order.
    pub fn push(&mut self, run: Run) {
        if self.overflow {
            return;
        }
        self.enter(run.row);
        let region = self.touching(run).or_else(|| self.open(run));
        match (region, self.runs.get_mut(self.run_count)) {
            (Some(region), Some(entry)) => {
                *entry = RunEntry {
                    row: run.row,
                    start: run.start,
                    end: run.end,
                    region: region as u32,
                };
                self.run_count += 1;
            }
            _ => self.overflow = true,
        }
    }

    /// All runs are in: the regions.
    pub fn finish(self) -> Regions<'b> {
        let Self {
            runs,
            regions,
            run_count,
            region_count,
            overflow,
            ..
        } = self;
        let (runs, regions): (&'b [RunEntry], _) =
            (&runs[..run_count], &mut regions[..region_count]);
        // Parents come first, so that one pass makes every entry point to its root.
        for index in 0..regions.len() {
            regions[index].parent = regions[regions[index].parent as usize].parent;
        }
        Regions {
            runs,
            regions,
            overflow,
        }
    }

    /// Moves on to `row`, where a run in it is the first one.
    fn enter(&mut self, row: u16) {
        if row == self.row && self.run_count > 0 {
            return;
        }
        let adjacent = self.row.checked_add(1) == Some(row);
        self.above = if adjacent {
            self.current..self.run_count
        } else {
            0..0
        };
        self.current = self.run_count;
        self.row = row;
    }

    /// Joins the run with every region that it touches in the row above, if any.
    fn touching(&mut self, run: Run) -> Option<usize> {
        let before = |entry: &RunEntry| entry.end.saturating_add(1) < run.start;
        while self.runs[self.above.clone()].first().is_some_and(before) {
            self.above.start += 1;
        }
        let mut region = None;
        for index in self.above.clone() {
            let entry = self.runs[index];
            if entry.start > run.end.saturating_add(1) {
                break;
            }
            let root = self.root(entry.region as usize);
            region = Some(match region {
                None => root,
                Some(other) => self.join(root, other),
            });
        }
        if let Some(region) = region {
            self.regions[region].add(run);
        }
        region
    }

    fn open(&mut self, run: Run) -> Option<usize> {
        let index = self.region_count;
        *self.regions.get_mut(index)? = RegionEntry::open(index, run);
        self.region_count += 1;
        Some(index)
    }

    /// The root of an entry, halving the way to it.
    fn root(&mut self, mut index: usize) -> usize {
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
            let joined = self.regions[new];
            self.regions[old].join(joined);
        }
        old
    }
}

/// The regions of an image and the runs that they are made of.
#[derive(Clone, Copy, Debug)]
pub struct Regions<'b> {
    runs: &'b [RunEntry],
    regions: &'b [RegionEntry],
    overflow: bool,
}

impl<'b> Regions<'b> {
    /// A table was too small: there are more suspect pixels than these regions have.
    pub fn overflow(self) -> bool {
        self.overflow
    }

    /// The regions, in raster order of their first pixel.
    pub fn iter(self) -> impl Iterator<Item = Region> + 'b {
        let roots = self.regions.iter().enumerate();
        roots
            .filter(|(index, entry)| entry.parent as usize == *index)
            .map(|(_, entry)| entry.region())
    }

    /// The runs, in raster order, each with the region it belongs to; its peak is the region's.
    pub fn runs(self) -> impl Iterator<Item = (Run, Region)> + 'b {
        self.runs.iter().map(move |entry| {
            let root = self.regions[entry.region as usize].parent;
            let region = self.regions[root as usize].region();
            let run = Run {
                row: entry.row,
                start: entry.start,
                end: entry.end,
                peak: region.peak,
            };
            (run, region)
        })
    }
}
