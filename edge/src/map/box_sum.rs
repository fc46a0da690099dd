//! Sums over a box around each pixel by running sums, so that the cost does not grow with the box.

/// Takes rows from the top, gives rows of sums half a box later. A box counts as far as it lies in
/// the image.
#[derive(Debug)]
pub struct BoxSum<'b> {
    radius: usize,
    width: usize,
    /// Horizontal sums of the last rows of a box, row n in slot n modulo the box's side.
    ring: &'b mut [u32],
    /// The sum over the box's rows, one a column: the current row.
    sums: &'b mut [u32],
    /// Rows pushed of this image.
    pushed: u64,
    /// Rows given of this image.
    given: u64,
}

impl<'b> BoxSum<'b> {
    /// Elements that the buffer needs for rows of `width` pixels.
    pub const fn len_for(width: usize, side: usize) -> usize {
        width * (side + 1)
    }

    /// Sums over boxes of `side`, odd, in a buffer of exactly [`Self::len_for`] elements.
    pub fn new(width: usize, side: usize, buffer: &'b mut [u32]) -> Self {
        let (sums, ring) = buffer.split_at_mut(width);
        sums.fill(0);
        Self {
            radius: side / 2,
            width,
            ring,
            sums,
            pushed: 0,
            given: 0,
        }
    }

    /// Takes the next row, by its value at each column, and gives the row of sums that is complete
    /// by it.
    pub fn push(&mut self, value: impl Fn(usize) -> u32) -> Option<&[u32]> {
        self.leave();
        let slot = self.slot(self.pushed);
        let row = &mut self.ring[slot..][..self.width];
        sum_horizontally(value, self.radius, row);
        for (sum, &value) in self.sums.iter_mut().zip(&*row) {
            *sum = sum.wrapping_add(value);
        }
        self.pushed += 1;
        if self.pushed <= self.radius as u64 {
            return None;
        }
        self.given += 1;
        Some(self.sums)
    }

    /// After the last row: gives the rows still due, one a call, then `None`; the next row is then
    /// the first one of another image.
    pub fn finish(&mut self) -> Option<&[u32]> {
        if self.given == self.pushed {
            self.sums.fill(0);
            (self.pushed, self.given) = (0, 0);
            return None;
        }
        self.leave();
        self.given += 1;
        Some(self.sums)
    }

    /// The row given last.
    pub fn sums(&self) -> &[u32] {
        self.sums
    }

    /// Rows of the image in the box around the row given last.
    pub fn rows(&self) -> usize {
        let last = self.given.saturating_sub(1);
        let (above, below) = (last, self.pushed.saturating_sub(self.given));
        let within = |rows: u64| rows.min(self.radius as u64) as usize;
        within(above) + 1 + within(below)
    }

    /// Columns of the image in the box around column `x`.
    pub fn columns(&self, x: usize) -> usize {
        x.min(self.radius) + 1 + (self.width - 1 - x).min(self.radius)
    }

    /// Where row `row` lies in the ring.
    fn slot(&self, row: u64) -> usize {
        (row % (2 * self.radius as u64 + 1)) as usize * self.width
    }

    /// Takes the row that the box around the next row has left behind out of the sums.
    fn leave(&mut self) {
        let Some(oldest) = self.given.checked_sub(self.radius as u64 + 1) else {
            return;
        };
        let row = &self.ring[self.slot(oldest)..][..self.width];
        for (sum, &value) in self.sums.iter_mut().zip(row) {
            *sum = sum.wrapping_sub(value);
        }
    }
}

/// The sum of the values from `radius` pixels before to `radius` after each pixel of a row.
fn sum_horizontally(value: impl Fn(usize) -> u32, radius: usize, sums: &mut [u32]) {
    let width = sums.len();
    let inside = |x: usize| if x < width { value(x) } else { 0 };
    let mut sum = 0_u32;
    for x in 0..radius {
        sum = sum.wrapping_add(inside(x));
    }
    for (x, out) in sums.iter_mut().enumerate() {
        sum = sum.wrapping_add(inside(x + radius));
        if let Some(left) = x.checked_sub(radius + 1) {
            sum = sum.wrapping_sub(value(left));
        }
        *out = sum;
    }
}
