//! What devices tell a host, over any byte stream.
//!
//! A frame is `COBS(version, message, CRC-32) 0x00`: one byte of protocol version, the message in
//! postcard's encoding, the checksum of both (CRC-32/ISO-HDLC, little-endian), all of it without
//! zero bytes by COBS, and one zero byte as the end. A reader that starts in the middle of a frame
//! finds the next one after the next zero.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc};
use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::{
    frame::Size,
    manifest::Digest,
    rule::Threshold,
    verdict::{Region, Verdict},
};

/// The version of this protocol: the first byte of every frame. A reader refuses any other.
pub const VERSION: u8 = 1;

/// Regions that a [`Report`] carries at most.
pub const MAX_REGIONS: usize = 16;

/// Bytes of the longest message: a report whose every integer takes its longest encoding
/// (variant 1, part 10, verdict 12, threshold 11, regions 1 + 22 each).
const MAX_MESSAGE: usize = 1 + 10 + 12 + 11 + 1 + MAX_REGIONS * 22;

/// Bytes around a message before COBS: version and checksum.
const OVERHEAD: usize = 1 + 4;

/// Bytes of the longest frame, its closing zero included.
pub const MAX_FRAME: usize = cobs::max_encoding_length(MAX_MESSAGE + OVERHEAD) + 1;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A message from a device.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Once after every connection and every change of model.
    Hello(Hello),
    /// One a part.
    Report(Report),
    /// Instead of a report, where there can be none.
    Fault(Fault),
}

/// Who is there, and what it inspects with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The digest of the model in use.
    pub model: Digest,
    /// The images it inspects.
    pub input: Size,
    /// The model's name.
    pub name: String<64>,
}

/// The verdict on one part.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The part's number, counted by the device.
    pub part: u64,
    /// Good or defect, its score in steps of `threshold.scale`.
    pub verdict: Verdict,
    /// The image threshold that decided, with the scale of all map values here.
    pub threshold: Threshold,
    /// Regions that count, in raster order; at most the first [`MAX_REGIONS`] of
    /// `verdict.regions`.
    pub regions: Vec<Region, MAX_REGIONS>,
}

/// Why there is no verdict.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// The part that could not be inspected, where it concerns one.
    pub part: Option<u64>,
    /// What failed.
    pub kind: FaultKind,
    /// One line for people: what, and the remedy.
    pub detail: String<128>,
}

/// What failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FaultKind {
    /// The model could not be loaded.
    Model,
    /// The image was missing or unusable.
    Image,
    /// The engine failed on a usable image.
    Engine,
}

/// Why bytes are no message, or a message does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    /// The buffer for a frame is shorter than the frame; [`MAX_FRAME`] always suffices.
    Buffer,
    /// More bytes than any frame has: the closing zero was lost.
    Long,
    /// No valid COBS, or too few bytes to be a frame.
    Frame,
    /// The checksum does not fit: bytes were damaged on the way.
    Checksum,
    /// A frame of another protocol version.
    Version(u8),
    /// An intact frame whose message this program does not know.
    Message,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer => write!(
                f,
                "the buffer is shorter than the frame; {MAX_FRAME} bytes hold any"
            ),
            Self::Long => write!(f, "more than {MAX_FRAME} bytes without a frame's end"),
            Self::Frame => f.write_str("the bytes are no frame; check the line and its speed"),
            Self::Checksum => f.write_str("wrong checksum; bytes were damaged on the line"),
            Self::Version(version) => write!(
                f,
                "protocol version {version} is unknown (this program speaks {VERSION}); \
                 update the older of the two sides"
            ),
            Self::Message => f.write_str("an intact frame holds no known message"),
        }
    }
}

impl core::error::Error for WireError {}

/// Writes `message` as one frame to the start of `buffer`, which [`MAX_FRAME`] bytes always fit,
/// and returns the frame.
pub fn encode<'b>(message: &Message, buffer: &'b mut [u8]) -> Result<&'b [u8], WireError> {
    let mut plain = [0; MAX_MESSAGE + OVERHEAD];
    plain[0] = VERSION;
    let message = postcard::to_slice(message, &mut plain[1..1 + MAX_MESSAGE]);
    let end = 1 + message.map_err(|_| WireError::Message)?.len();
    let checksum = CRC.checksum(&plain[..end]);
    plain[end..end + 4].copy_from_slice(&checksum.to_le_bytes());

    let length = cobs::try_encode(&plain[..end + 4], buffer).map_err(|_| WireError::Buffer)?;
    *buffer.get_mut(length).ok_or(WireError::Buffer)? = 0;
    Ok(&buffer[..=length])
}

/// Reads the message of one frame, with or without its closing zero.
pub fn decode(frame: &[u8]) -> Result<Message, WireError> {
    let frame = frame.strip_suffix(&[0]).unwrap_or(frame);
    if frame.len() >= MAX_FRAME {
        return Err(WireError::Long);
    }
    if frame.contains(&0) {
        return Err(WireError::Frame);
    }
    let mut plain = [0; MAX_FRAME];
    let length = cobs::decode(frame, &mut plain).map_err(|_| WireError::Frame)?;
    let (body, checksum) = plain[..length].split_last_chunk().ok_or(WireError::Frame)?;
    if CRC.checksum(body) != u32::from_le_bytes(*checksum) {
        return Err(WireError::Checksum);
    }
    match body {
        [VERSION, message @ ..] => match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            _ => Err(WireError::Message),
        },
        [version, ..] => Err(WireError::Version(*version)),
        [] => Err(WireError::Frame),
    }
}
