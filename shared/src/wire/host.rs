//! From the host to the device.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::length::{BYTE, DIGEST, SIZE, THRESHOLD, U16, U32, U64, largest, list};
use crate::{frame::Size, manifest::Digest, rule::Threshold};

/// Bytes in a [`Chunk`] at most.
pub const CHUNK: usize = 512;

/// What the signed bytes of a header begin with, so that no other signature can pass for its own.
const MAGIC: &[u8; 16] = b"residua-model-01";

/// A piece of something long.
pub type Chunk = Vec<u8, CHUNK>;

/// Bytes of the longest request.
pub(super) const MAX_REQUEST: usize = U16
    + BYTE
    + largest(&[
        THRESHOLD,
        ModelHeader::MAX + Signature::LEN,
        U32 + list(CHUNK, 1),
        U64,
    ]);

/// A command, with a number of the host's choice that its answer repeats.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Repeated in the answer.
    pub id: u16,
    /// What to do.
    pub command: Command,
}

/// What a host asks of a device. Each is answered by [`super::Answer`] unless it says otherwise.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap to put a chunk on; a command lives for one call"
)]
pub enum Command {
    /// Are you there? Answered by [`super::Pong`] instead.
    Ping,
    /// Who are you? Answered by [`super::Hello`] instead.
    Identify,
    /// What did you count? Answered by [`super::Stats`] instead.
    Stats,
    /// Decide by this image threshold until the model changes or the device restarts.
    SetThreshold(Threshold),
    /// Send the next image in [`super::ImageChunk`]s, after the answer.
    Capture,
    /// Prepare for a new model. What was begun before is given up.
    BeginModel {
        /// What will come.
        header: ModelHeader,
        /// The header's signature.
        signature: Signature,
    },
    /// The next bytes of the model: [`CHUNK`] of them, fewer only at its end.
    ModelChunk {
        /// Where they lie in the file.
        offset: u32,
        /// The bytes.
        bytes: Chunk,
    },
    /// All bytes were sent: check them, and from the next part on inspect with the new model. A
    /// [`super::Hello`] follows the answer.
    CommitModel,
    /// Start anew, after the answer.
    Reboot,
    /// Reports of all parts up to and including this number are safe at the host; the device may
    /// forget them. Not answered.
    Acknowledge {
        /// The highest of them.
        part: u64,
    },
}

/// What a model file is: the part of it that is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModelHeader {
    /// Rises from one model to the next; a device takes none that is not above the one in use.
    pub version: u64,
    /// Bytes in the file.
    pub length: u32,
    /// The images it inspects.
    pub input: Size,
    /// SHA-256 of the whole file, its manifest with thresholds included.
    pub digest: Digest,
}

impl ModelHeader {
    const MAX: usize = U64 + U32 + SIZE + DIGEST;

    /// The bytes to sign: `residua-model-01`, version (8 bytes), length (4), width (2), height
    /// (2), all little-endian, and the digest.
    pub fn signed_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..24].copy_from_slice(&self.version.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.length.to_le_bytes());
        // Sides are at most MAX_SIDE, which fits.
        bytes[28..30].copy_from_slice(&(self.input.width() as u16).to_le_bytes());
        bytes[30..32].copy_from_slice(&(self.input.height() as u16).to_le_bytes());
        bytes[32..].copy_from_slice(&self.digest.0);
        bytes
    }

    /// The header whose [`Self::signed_bytes`] these are; none where they are no header's.
    pub fn from_signed_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<16>()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (width, rest) = rest.split_first_chunk()?;
        let (height, digest) = rest.split_first_chunk()?;
        if magic != MAGIC {
            return None;
        }
        let side = |bytes: &[u8; 2]| usize::from(u16::from_le_bytes(*bytes));
        Some(Self {
            version: u64::from_le_bytes(*version),
            length: u32::from_le_bytes(*length),
            input: Size::new(side(width), side(height)).ok()?,
            digest: Digest(digest.try_into().ok()?),
        })
    }
}

/// An ed25519 signature of [`ModelHeader::signed_bytes`], in the two halves of RFC 8032.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Signature {
    /// The encoded point R.
    pub r: [u8; 32],
    /// The scalar S.
    pub s: [u8; 32],
}

impl Signature {
    const LEN: usize = 64;

    /// The two halves, one after the other.
    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..].copy_from_slice(&self.s);
        bytes
    }
}

impl From<[u8; 64]> for Signature {
    fn from(bytes: [u8; 64]) -> Self {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        Self { r, s }
    }
}
