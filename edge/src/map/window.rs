//! Sums over a window that moves along a row.

#[cfg(cortex_m)]
use super::helium;
use crate::wide::wide;

/// Whether vectors add faster than one running sum, whose every step waits for the one before.
const VECTORS: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// A row with half a window on either side of it, and the sums over the windows around each of its
/// pixels.
#[derive(Debug)]
pub struct Window<'b> {
    side: usize,
    width: usize,
    row: &'b mut [u32],
    sums: &'b mut [u32],
    /// Where sums over a part of the window lie for a time.
    parts: &'b mut [u32],
}

impl<'b> Window<'b> {
    /// Elements that the buffer needs for rows of `width` pixels.
    pub const fn len_for(width: usize, side: usize) -> usize {
        3 * (width + side - 1)
    }

    /// Windows of `side` pixels, odd, in a buffer of exactly [`Self::len_for`] elements. The row is
    /// zeros at first.
    pub fn new(width: usize, side: usize, buffer: &'b mut [u32]) -> Self {
        buffer.fill(0);
        let length = width + side - 1;
        let (row, rest) = buffer.split_at_mut(length);
        let (sums, parts) = rest.split_at_mut(length);
        Self {
            side,
            width,
            row,
            sums,
            parts,
        }
    }

    /// The row, to be written before [`Self::slide`]: what lies left of it, its pixels, and what lies
    /// right of it.
    pub fn padded_mut(&mut self) -> (&mut [u32], &mut [u32], &mut [u32]) {
        let radius = self.side / 2;
        let (left, rest) = self.row.split_at_mut(radius);
        let (row, right) = rest.split_at_mut(self.width);
        (left, row, right)
    }

    /// The row's pixels.
    pub fn row(&self) -> &[u32] {
        &self.row[self.side / 2..][..self.width]
    }

    /// The row's pixels, to be written before [`Self::slide`].
    pub fn row_mut(&mut self) -> &mut [u32] {
        self.padded_mut().1
    }

    /// The sums over the windows of the row when [`Self::slide`] was called last.
    pub fn sums(&self) -> &[u32] {
        &self.sums[..self.width]
    }

    /// Sums up.
    pub fn slide(&mut self) {
        if VECTORS && self.side == 5 {
            add_five(self.row, &mut self.sums[..self.width]);
        } else if VECTORS {
            self.double();
        } else {
            run(self.row, self.side, &mut self.sums[..self.width]);
        }
    }

    /// Sums over windows twice as long, and one longer where the side's next binary place says so,
    /// from each length to the next, until the window has its side. All pixels are independent of
    /// each other.
    fn double(&mut self) {
        if self.side == 1 {
            self.sums.copy_from_slice(self.row);
            return;
        }
        let mut length = 1;
        for step in (0..self.side.ilog2()).rev() {
            let odd = self.side >> step & 1 == 1;
            let next = 2 * length + usize::from(odd);
            let count = self.row.len() + 1 - next;
            // The last step's are the sums.
            let (from, to) = if step.is_multiple_of(2) {
                (&*self.parts, &mut *self.sums)
            } else {
                (&*self.sums, &mut *self.parts)
            };
            let from = if length == 1 { &*self.row } else { from };
            let (near, far) = (&from[..count], &from[length..][..count]);
            let to = &mut to[..count];
            if odd {
                add_three(near, far, &self.row[2 * length..][..count], to);
            } else {
                add_two(near, far, to);
            }
            length = next;
        }
    }
}

wide! {
    /// Sums of five neighbours: the window that is most common, by one step.
    fn add_five(row: &[u32], sums: &mut [u32]) {
        let count = sums.len();
        let from = |start: usize| &row[start..][..count];
        let (two, two_more) = (from(0).iter().zip(from(1)), from(2).iter().zip(from(3)));
        let five = two.zip(two_more).zip(from(4));
        for (sum, (((a, b), (c, d)), e)) in sums.iter_mut().zip(five) {
            *sum = [b, c, d, e].into_iter().fold(*a, |sum, &next| sum.wrapping_add(next));
        }
    }

    fn add_two(a: &[u32], b: &[u32], sums: &mut [u32]) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum = a.wrapping_add(b);
        }
    }

    fn add_three(a: &[u32], b: &[u32], c: &[u32], sums: &mut [u32]) {
        for (((sum, &a), &b), &c) in sums.iter_mut().zip(a).zip(b).zip(c) {
            *sum = a.wrapping_add(b).wrapping_add(c);
        }
    }
}

/// Writes the sums of the windows of `side` pixels that begin at each pixel, each from the one
/// before.
fn run(row: &[u32], side: usize, sums: &mut [u32]) {
    let Some((first, sums)) = sums.split_first_mut() else {
        return;
    };
    let mut sum = row[..side]
        .iter()
        .fold(0_u32, |sum, &value| sum.wrapping_add(value));
    *first = sum;
    let (leaving, entering) = (&row[..sums.len()], &row[side..][..sums.len()]);
    #[cfg(not(cortex_m))]
    let done = 0;
    #[cfg(cortex_m)]
    let done = helium::run(entering, leaving, &mut sum, sums);
    let pixels = sums[done..].iter_mut().zip(&entering[done..]);
    for ((place, &new), &old) in pixels.zip(&leaving[done..]) {
        sum = sum.wrapping_add(new).wrapping_sub(old);
        *place = sum;
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    /// All ways to sum up, on rows that wrap.
    #[test]
    fn windows_are_summed_up() {
        for side in (1..=31).step_by(2) {
            for width in [1, 2, 7, 16, 33, 100] {
                let mut buffer = vec![9; Window::len_for(width, side)];
                let mut window = Window::new(width, side, &mut buffer);
                let (left, row, right) = window.padded_mut();
                for (index, value) in left.iter_mut().chain(row).chain(right).enumerate() {
                    *value = (index as u32 + 3).wrapping_mul(0x9e37_79b9);
                }
                let sums: Vec<u32> = (window.row.windows(side))
                    .map(|window| window.iter().fold(0, |sum: u32, &v| sum.wrapping_add(v)))
                    .collect();
                window.double();
                assert_eq!(window.sums(), sums, "side {side}, width {width}");
                window.slide();
                assert_eq!(window.sums(), sums, "side {side}, width {width}");
                let mut running = vec![0; width];
                run(window.row, side, &mut running);
                assert_eq!(running, sums, "side {side}, width {width}");
            }
        }
    }
}
