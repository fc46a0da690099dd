//! Input rows in the order in which kernels read them.

use super::super::simd::Real;

/// A copy of some input rows with their padding: `[channels][rows][step][phase_pitch]`, where
/// column `c` of the padded row is in phase `c % step` at `c / step`.
#[derive(Clone, Copy)]
pub struct Slab {
    pub channels: usize,
    /// The input's height and width.
    pub size: [usize; 2],
    /// Zeros above and to the left.
    pub lead: usize,
    pub step: usize,
    pub rows: usize,
    pub phase_pitch: usize,
}

impl Slab {
    pub fn pitch(&self) -> usize {
        self.step * self.phase_pitch
    }

    pub fn len(&self) -> usize {
        self.channels * self.rows * self.pitch()
    }

    /// Where a tap at padded position (`y`, `x`) of `channel` lies.
    pub fn offset(&self, channel: usize, y: usize, x: usize) -> usize {
        (channel * self.rows + y) * self.pitch()
            + (x % self.step) * self.phase_pitch
            + x / self.step
    }

    /// Copies the rows from padded row `top` of one image, whose planes are `image`.
    #[inline(always)]
    pub fn fill<T: Real>(&self, slab: &mut [T], image: &[T], top: usize) {
        let [height, width] = self.size;
        for (channel, plane) in slab.chunks_exact_mut(self.rows * self.pitch()).enumerate() {
            for (r, row) in plane.chunks_exact_mut(self.pitch()).enumerate() {
                match (top + r).checked_sub(self.lead) {
                    Some(y) if y < height => {
                        let from = (channel * height + y) * width;
                        self.fill_row(row, &image[from..from + width]);
                    }
                    _ => row.fill(T::ZERO),
                }
            }
        }
    }

    #[inline(always)]
    fn fill_row<T: Real>(&self, row: &mut [T], source: &[T]) {
        for (phase, row) in row.chunks_exact_mut(self.phase_pitch).enumerate() {
            // The first column of this phase that is not padding, and its place in the phase.
            let skip = self.lead.saturating_sub(phase).div_ceil(self.step);
            let first = skip * self.step + phase - self.lead;
            let columns = source.len().saturating_sub(first).div_ceil(self.step);
            let (head, rest) = row.split_at_mut(skip);
            let (body, tail) = rest.split_at_mut(columns);
            head.fill(T::ZERO);
            tail.fill(T::ZERO);
            if columns == 0 {
                continue;
            }
            match self.step {
                1 => body.copy_from_slice(&source[first..]),
                _ => {
                    let pairs = source[first..].chunks(self.step);
                    for (to, from) in body.iter_mut().zip(pairs) {
                        *to = from[0];
                    }
                }
            }
        }
    }
}
