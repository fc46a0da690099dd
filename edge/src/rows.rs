//! Rows of a line-scan camera over a serial line, so that no row is lost or damaged unnoticed.
//!
//! A frame is `COBS(kind, number, pixels, CRC-32) 0x00`, close to those of the wire protocol, with
//! which they may share a line: their first byte is never its version.
//!
//! - A row: kind `R`, its number in the strip from 0 (4 bytes, lowest first) and its grey levels.
//! - The end of a strip: kind `E` and the number of its rows; the next row has number 0 again.
//!
//! The checksum (CRC-32/ISO-HDLC, lowest byte first) is of all before it. [`Order`] notices what is
//! missing by the numbers, so that a damaged frame needs no answer.

use core::fmt;

use cobs::CobsEncoder;
use crc::{CRC_32_ISO_HDLC, Crc};

const ROW: u8 = b'R';
const END: u8 = b'E';

/// Bytes before the pixels: kind and number.
const HEAD: usize = 5;

/// Bytes after them: the checksum.
const TAIL: usize = 4;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What one frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'f> {
    /// A row of a strip.
    Row {
        /// Its number in the strip, from 0.
        number: u32,
        /// Its grey levels.
        pixels: &'f [u8],
    },
    /// The strip is over.
    End {
        /// The rows that it had.
        rows: u32,
    },
}

/// Bytes of the longest frame with a row of `width` pixels, its closing zero included.
pub const fn max_frame(width: usize) -> usize {
    cobs::max_encoding_length(HEAD + width + TAIL) + 1
}

/// Writes a frame to the start of `buffer`, for which [`max_frame`] says the length, and returns it,
/// its closing zero included.
///
/// Errors where the buffer is too short.
pub fn encode<'b>(piece: Piece<'_>, buffer: &'b mut [u8]) -> Result<&'b [u8], RowError> {
    let (kind, number, pixels) = match piece {
        Piece::Row { number, pixels } => (ROW, number, pixels),
        Piece::End { rows } => (END, rows, &[][..]),
    };
    let number = number.to_le_bytes();
    let mut checksum = CRC.digest();
    let mut encoder = CobsEncoder::new(buffer);
    for part in [&[kind][..], &number, pixels] {
        checksum.update(part);
        encoder.push(part).map_err(|_| RowError::Buffer)?;
    }
    let checksum = checksum.finalize().to_le_bytes();
    encoder.push(&checksum).map_err(|_| RowError::Buffer)?;
    let length = encoder.finalize();
    *buffer.get_mut(length).ok_or(RowError::Buffer)? = 0;
    Ok(&buffer[..=length])
}

/// Reads one frame without its closing zero, which it decodes in place.
///
/// Errors where it is damaged or of no known kind.
pub fn decode(frame: &mut [u8]) -> Result<Piece<'_>, RowError> {
    let length = cobs::decode_in_place(frame).map_err(|_| RowError::Damaged)?;
    let plain = frame.get(..length).ok_or(RowError::Damaged)?;
    let (body, checksum) = plain.split_last_chunk().ok_or(RowError::Damaged)?;
    if CRC.checksum(body) != u32::from_le_bytes(*checksum) {
        return Err(RowError::Damaged);
    }
    let (&kind, body) = body.split_first().ok_or(RowError::Damaged)?;
    let (number, pixels) = body.split_first_chunk().ok_or(RowError::Damaged)?;
    let number = u32::from_le_bytes(*number);
    match (kind, pixels) {
        (ROW, pixels) => Ok(Piece::Row { number, pixels }),
        (END, []) => Ok(Piece::End { rows: number }),
        _ => Err(RowError::Damaged),
    }
}

/// Why there is no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowError {
    /// The buffer is too short for it.
    Buffer,
    /// Its coding, checksum or kind is wrong.
    Damaged,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buffer => "row frame: the buffer is too short; max_frame says its length",
            Self::Damaged => "row frame: damaged; check the serial line and its speed",
        })
    }
}

impl core::error::Error for RowError {}

/// That the rows of strips come one after the other, all of them and as wide as they should be.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    width: usize,
    next: u32,
}

impl Order {
    /// Before the first row of a strip of `width` pixels.
    pub const fn new(width: usize) -> Self {
        Self { width, next: 0 }
    }

    /// Rows of the current strip so far.
    pub fn rows(&self) -> u32 {
        self.next
    }

    /// Takes the next piece.
    ///
    /// Errors where a row is missing, comes twice or has another width; nothing that follows in this
    /// strip can then be relied on.
    pub fn take(&mut self, piece: Piece<'_>) -> Result<(), OrderError> {
        let expected = self.next;
        match piece {
            Piece::Row { number, .. } if number != expected => Err(OrderError::Rows {
                found: number,
                expected,
            }),
            Piece::Row { pixels, .. } if pixels.len() != self.width => Err(OrderError::Width {
                found: pixels.len(),
                expected: self.width,
            }),
            Piece::Row { .. } => {
                self.next = expected.checked_add(1).ok_or(OrderError::Endless)?;
                Ok(())
            }
            Piece::End { rows } if rows != expected => Err(OrderError::Rows {
                found: rows,
                expected,
            }),
            Piece::End { .. } => {
                self.next = 0;
                Ok(())
            }
        }
    }
}

/// Why a strip cannot be inspected any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderError {
    /// Rows are missing, or one came again.
    Rows {
        /// The number that came.
        found: u32,
        /// The number that was due.
        expected: u32,
    },
    /// A row of another width.
    Width {
        /// Its pixels.
        found: usize,
        /// The model's.
        expected: usize,
    },
    /// More rows than can be numbered.
    Endless,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows { found, expected } => write!(
                f,
                "rows: number {found} came, {expected} was due; check the serial line and its speed"
            ),
            Self::Width { found, expected } => write!(
                f,
                "rows: {found} pixels came, the model takes {expected}; set the camera's width"
            ),
            Self::Endless => f.write_str("rows: a strip has more than 2^32 - 1; end it earlier"),
        }
    }
}

impl core::error::Error for OrderError {}
