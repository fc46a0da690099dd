//! The last rows of the image or of a layer's output, in a ring of lines inside the arena.

use core::ops::Range;

use super::kernel::MAX_DEPTH;

/// Lines start at multiples of so many bytes, a cache line.
pub const ALIGNMENT: usize = 64;

/// A ring of lines: row y lies in slot y modulo `rows`. A line is zeros, pixels, zeros: the zeros
/// are the readers' padding and are never written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// Where the ring starts in the arena.
    pub start: usize,
    /// Lines in the ring.
    pub rows: usize,
    /// Pixels in a line.
    pub width: usize,
    /// Bytes a pixel.
    pub channels: usize,
    /// Pixels of padding before.
    pub left: usize,
    /// Pixels of padding after.
    pub right: usize,
}

impl Line {
    /// Bytes from one line to the next. Beyond the padding there are as many as a kernel may read
    /// over the end, by weights of 0.
    pub fn bytes(&self) -> usize {
        let pixels = self.left + self.width + self.right;
        (pixels * self.channels + MAX_DEPTH).next_multiple_of(ALIGNMENT)
    }

    /// Bytes of the ring.
    pub fn ring_bytes(&self) -> usize {
        self.rows * self.bytes()
    }

    /// Where a row lies in the arena, padding included.
    pub fn slot(&self, row: i64) -> Range<usize> {
        let start = self.start + self.index(row) * self.bytes();
        start..start + self.bytes()
    }

    /// Where a row and those after it lie: without a division for each.
    pub fn slots(&self, row: i64) -> impl Iterator<Item = Range<usize>> {
        let (bytes, start) = (self.bytes(), self.start);
        let end = start + self.ring_bytes();
        let mut next = self.slot(row).start;
        core::iter::repeat_with(move || {
            let slot = next..next + bytes;
            next = if slot.end == end { start } else { slot.end };
            slot
        })
    }

    fn index(&self, row: i64) -> usize {
        let rows = self.rows.max(1);
        match u32::try_from(row) {
            // Where registers have 32 bits, a division of 64 takes a hundred instructions.
            Ok(row) => (row % rows as u32) as usize,
            Err(_) => row.rem_euclid(rows as i64) as usize,
        }
    }

    /// Where in a line its first pixel lies.
    pub fn first_pixel(&self) -> usize {
        self.left * self.channels
    }
}
