//! Which of a kernel's weights are not 0.

use residua_shared::net::Layer;

/// The rows and columns of a kernel outside of which all weights are 0: a transposed convolution of
/// an odd kernel, written as one of stride 1 with depth-to-space, has a row or a column less for
/// half of its channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The first row.
    pub top: usize,
    /// Rows, at least 1.
    pub rows: usize,
    /// The first column.
    pub left: usize,
    /// Columns, at least 1.
    pub columns: usize,
}

impl Extent {
    /// All of a kernel of this side.
    pub fn whole(kernel: usize) -> Self {
        Self {
            top: 0,
            rows: kernel,
            left: 0,
            columns: kernel,
        }
    }

    /// Of some output channels of a layer.
    pub fn of(layer: &Layer<'_>, channels: impl Iterator<Item = usize>) -> Self {
        let kernel = layer.kernel;
        let mut found: Option<Self> = None;
        for channel in channels {
            let weights = layer.weights_of(channel).iter().enumerate();
            for (index, _) in weights.filter(|&(_, &weight)| weight != 0) {
                let here = Self {
                    top: index / kernel % kernel,
                    rows: 1,
                    left: index % kernel,
                    columns: 1,
                };
                found = Some(found.map_or(here, |found| found.with(here)));
            }
        }
        found.unwrap_or(Self {
            rows: 1,
            columns: 1,
            ..Self::whole(kernel)
        })
    }

    /// The smallest one around both.
    pub fn with(self, other: Self) -> Self {
        let (top, left) = (self.top.min(other.top), self.left.min(other.left));
        Self {
            top,
            rows: (self.top + self.rows).max(other.top + other.rows) - top,
            left,
            columns: (self.left + self.columns).max(other.left + other.columns) - left,
        }
    }
}
