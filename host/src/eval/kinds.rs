//! Region level by kind: which defects of each kind are met.

use std::collections::BTreeMap;

use residua_shared::frame::Size;

use super::{components::defects, figures::KindRegions};

/// The defects of each kind, counted over images.
#[derive(Clone, Debug, Default)]
pub struct RegionsByKind(BTreeMap<String, Counts>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    images: usize,
    images_met: usize,
    defects: usize,
    found: usize,
}

impl RegionsByKind {
    /// Adds the defects of one kind in one image, which are the [`defects`] of `truth`; one that
    /// shares a pixel with `predicted` is found. Both predicates take pixels numbered row by row.
    pub fn add(
        &mut self,
        kind: &str,
        size: Size,
        truth: impl Fn(usize) -> bool,
        predicted: impl Fn(usize) -> bool,
    ) {
        let truth = defects(size, truth);
        if truth.count() == 0 {
            return;
        }
        let mut met = vec![false; truth.count()];
        for (pixel, &label) in truth.labels.iter().enumerate() {
            if label > 0 && predicted(pixel) {
                met[label as usize - 1] = true;
            }
        }
        let found = met.iter().filter(|met| **met).count();
        let counts = self.0.entry(kind.to_owned()).or_default();
        counts.images += 1;
        counts.images_met += usize::from(found > 0);
        counts.defects += truth.count();
        counts.found += found;
    }

    /// The figures of each kind, by name.
    pub fn figures(self) -> Vec<KindRegions> {
        let kinds = self.0.into_iter();
        kinds
            .map(|(kind, counts)| KindRegions {
                kind,
                images: counts.images,
                images_met: counts.images_met,
                defects: counts.defects,
                found: counts.found,
                recall: counts.found as f64 / counts.defects as f64,
            })
            .collect()
    }
}
