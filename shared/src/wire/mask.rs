//! Masks, run by run, in chunks of bounded length.

use core::{fmt, iter::Peekable};

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::length::{BYTE, U32, U64, list};

/// Spans in a [`MaskChunk`] at most.
pub const MASK_SPANS: usize = 48;

/// A part of a mask. Chunks of a mask come in order; each can be drawn without the others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MaskChunk {
    /// The part's number, as in its report.
    pub part: u64,
    /// The chunk's number, from 0.
    pub index: u32,
    /// Whether this is the mask's last chunk.
    pub last: bool,
    /// The pixel, counted row by row from the image's first, from which the first span counts.
    pub start: u32,
    /// Pixels that are set, in raster order; all others are clear.
    pub spans: Vec<Span, MASK_SPANS>,
}

/// A run of pixels that are set; it may go on from one row into the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Span {
    /// Clear pixels since the end of the span before, or since the chunk's start.
    pub skip: u32,
    /// Pixels set.
    pub length: u32,
}

impl MaskChunk {
    /// Bytes of the longest encoding.
    pub(super) const MAX: usize = U64 + U32 + BYTE + U32 + list(MASK_SPANS, 2 * U32);

    /// Draws this chunk: sets its pixels in `mask` (row by row, the whole image) to 255.
    ///
    /// Errors where a span lies outside the mask; what lies before it has been drawn.
    pub fn draw(&self, mask: &mut [u8]) -> Result<(), MaskError> {
        let mut at = self.start as usize;
        for span in &self.spans {
            let start = at.saturating_add(span.skip as usize);
            at = start.saturating_add(span.length as usize);
            mask.get_mut(start..at)
                .ok_or(MaskError { pixel: at })?
                .fill(255);
        }
        Ok(())
    }
}

/// A chunk's span lies outside the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaskError {
    /// Pixels that the mask would need.
    pub pixel: usize,
}

impl fmt::Display for MaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mask chunk: a span ends at pixel {}, outside the image; the device has another \
             geometry than its hello said",
            self.pixel
        )
    }
}

impl core::error::Error for MaskError {}

/// The runs of pixels that are not 0 in a mask of at most 2^32 - 1 pixels, each as (first pixel,
/// pixels), in raster order.
pub fn spans(mask: &[u8]) -> impl Iterator<Item = (u32, u32)> + '_ {
    let mut at = 0;
    core::iter::from_fn(move || {
        let start = at + mask[at..].iter().position(|&pixel| pixel != 0)?;
        let rest = &mask[start..];
        let length = rest.iter().position(|&pixel| pixel == 0);
        let length = length.unwrap_or(rest.len());
        at = start + length;
        Some((u32::try_from(start).ok()?, u32::try_from(length).ok()?))
    })
}

/// The chunks of a mask; at least one, which is empty where nothing is set.
#[derive(Clone, Debug)]
pub struct MaskChunks<I: Iterator<Item = (u32, u32)>> {
    part: u64,
    index: u32,
    start: u32,
    spans: Peekable<I>,
    done: bool,
}

impl<I: Iterator<Item = (u32, u32)>> MaskChunks<I> {
    /// The chunks of part `part`'s mask, whose runs of set pixels `spans` yields in raster order
    /// without overlap, as [`spans`] does.
    pub fn new(part: u64, spans: I) -> Self {
        Self {
            part,
            index: 0,
            start: 0,
            spans: spans.peekable(),
            done: false,
        }
    }
}

impl<I: Iterator<Item = (u32, u32)>> Iterator for MaskChunks<I> {
    type Item = MaskChunk;

    fn next(&mut self) -> Option<MaskChunk> {
        if self.done {
            return None;
        }
        let start = self.start;
        let mut spans = Vec::new();
        while !spans.is_full()
            && let Some((first, length)) = self.spans.next()
        {
            let skip = first.saturating_sub(self.start);
            // The loop's condition leaves room.
            let _ = spans.push(Span { skip, length });
            self.start = first.saturating_add(length);
        }
        self.done = self.spans.peek().is_none();
        let index = self.index;
        self.index += 1;
        Some(MaskChunk {
            part: self.part,
            index,
            last: self.done,
            start,
            spans,
        })
    }
}
