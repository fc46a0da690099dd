//! Scores of two classes, sorted once: what every threshold sweep walks over.

use rayon::slice::ParallelSliceMut;

/// Scores of positives (defects, defect pixels) and negatives (good images, good pixels).
///
/// Sorting is exact and in place, so that the pixels of many images (tens of millions) need four
/// bytes each and no histogram.
#[derive(Clone, Debug)]
pub struct Scores {
    positives: Vec<u32>,
    negatives: Vec<u32>,
}

/// What lies above a threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    pub true_positives: usize,
    pub false_positives: usize,
}

/// One distinct score, and what lies at or above it: ties move together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    pub score: u32,
    pub above: Counts,
}

impl Scores {
    pub fn new(mut positives: Vec<u32>, mut negatives: Vec<u32>) -> Self {
        positives.par_sort_unstable();
        negatives.par_sort_unstable();
        Self {
            positives,
            negatives,
        }
    }

    /// Scores of the positives, ascending.
    pub fn positives(&self) -> &[u32] {
        &self.positives
    }

    /// Scores of the negatives, ascending.
    pub fn negatives(&self) -> &[u32] {
        &self.negatives
    }

    /// What lies strictly above `threshold`.
    pub fn above(&self, threshold: u32) -> Counts {
        let count = |sorted: &[u32]| sorted.len() - sorted.partition_point(|s| *s <= threshold);
        Counts {
            true_positives: count(&self.positives),
            false_positives: count(&self.negatives),
        }
    }

    /// Every distinct score from the highest down; the last cut holds everything.
    pub fn cuts(&self) -> impl Iterator<Item = Cut> {
        let (mut positives, mut negatives) = (&self.positives[..], &self.negatives[..]);
        std::iter::from_fn(move || {
            let score = positives.last().max(negatives.last()).copied()?;
            drop_ties(&mut positives, score);
            drop_ties(&mut negatives, score);
            Some(Cut {
                score,
                above: Counts {
                    true_positives: self.positives.len() - positives.len(),
                    false_positives: self.negatives.len() - negatives.len(),
                },
            })
        })
    }

    /// Whether both classes are there, without which a curve means nothing.
    pub(super) fn has_both(&self) -> bool {
        !self.positives.is_empty() && !self.negatives.is_empty()
    }
}

fn drop_ties(ascending: &mut &[u32], score: u32) {
    while let Some((&last, rest)) = ascending.split_last()
        && last == score
    {
        *ascending = rest;
    }
}
