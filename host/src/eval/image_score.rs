//! One number an image, on which the decision rule is a plain threshold.

use std::collections::BinaryHeap;

use residua_shared::frame::Size;

use super::components::neighbours;

/// The score of an anomaly map such that, for every threshold T, `score > T` holds exactly where the
/// decision rule with image threshold T, minimum area `min_area` and the pixel threshold
/// `min(pixel_threshold, T)` finds a defect.
///
/// From `pixel_threshold` up it is the verdict's own score, the highest peak among the regions large
/// enough; below, where no region is, it is the highest value v such that the pixels with map >= v
/// hold a region large enough. So the score of a quiet image is not 0, and sweeps and fits see how
/// far it is from an alarm. With `pixel_threshold` = `u32::MAX` the two thresholds move together;
/// with `min_area` 1 the score is the map's maximum. It is 0 where the image is too small for such a
/// region.
///
/// Pixels join their neighbours from the highest down (union-find), so only those above the answer
/// are touched.
///
/// # Panics
/// Where `map` has not `size.area()` values.
pub fn image_score(map: &[u32], size: Size, pixel_threshold: u32, min_area: u32) -> u32 {
    assert_eq!(map.len(), size.area(), "one map value a pixel");
    let mut descending: BinaryHeap<(u32, usize)> = map
        .iter()
        .enumerate()
        .filter(|(_, value)| **value > 0)
        .map(|(pixel, value)| (*value, pixel))
        .collect();
    let mut forest = Forest::new(size.area());
    let mut score = 0;
    while let Some((value, pixel)) = descending.pop() {
        let outlined = value > pixel_threshold;
        if !outlined && score > 0 {
            break;
        }
        let root = forest.raise(size, pixel, value);
        if forest.trees[root].area >= min_area {
            if !outlined {
                return value;
            }
            score = score.max(forest.trees[root].peak);
        }
    }
    score
}

/// Union-find over the pixels raised so far.
struct Forest {
    /// The parent of each pixel, itself for a root; [`Forest::SUNK`] where not raised yet.
    parents: Vec<usize>,
    /// Of each root.
    trees: Vec<Tree>,
}

#[derive(Clone, Copy, Default)]
struct Tree {
    area: u32,
    peak: u32,
}

impl Forest {
    const SUNK: usize = usize::MAX;

    fn new(pixels: usize) -> Self {
        Self {
            parents: vec![Self::SUNK; pixels],
            trees: vec![Tree::default(); pixels],
        }
    }

    /// Adds `pixel` and joins it with its raised neighbours; returns the root.
    fn raise(&mut self, size: Size, pixel: usize, value: u32) -> usize {
        self.parents[pixel] = pixel;
        self.trees[pixel] = Tree {
            area: 1,
            peak: value,
        };
        let mut root = pixel;
        for next in neighbours(size, pixel) {
            if self.parents[next] != Self::SUNK {
                root = self.join(root, next);
            }
        }
        root
    }

    fn join(&mut self, a: usize, b: usize) -> usize {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return a;
        }
        let (tree_a, tree_b) = (self.trees[a], self.trees[b]);
        let (large, small) = if tree_a.area >= tree_b.area {
            (a, b)
        } else {
            (b, a)
        };
        self.parents[small] = large;
        self.trees[large] = Tree {
            area: tree_a.area + tree_b.area,
            peak: tree_a.peak.max(tree_b.peak),
        };
        large
    }

    fn root(&mut self, mut pixel: usize) -> usize {
        while self.parents[pixel] != pixel {
            self.parents[pixel] = self.parents[self.parents[pixel]];
            pixel = self.parents[pixel];
        }
        pixel
    }
}
