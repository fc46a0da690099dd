//! What devices and hosts tell each other, over any byte stream; `docs/wire.md` specifies it for
//! other languages.
//!
//! A frame is `COBS(version, sender, message, CRC-32) 0x00`: one byte of protocol version, one of
//! who speaks (so that an echo on a shared line is never taken for an answer), the message in
//! postcard's encoding, the checksum of all three (CRC-32/ISO-HDLC, little-endian), all of it
//! without zero bytes by COBS, and one zero byte as the end. A [`Reader`] that starts in the middle
//! of a frame finds the next one after the next zero.
//!
//! Every message is of bounded length, so that [`MAX_FRAME`] bytes hold any frame.

mod capabilities;
mod device;
mod error;
mod frame;
mod histogram;
mod host;
mod length;
mod mask;
mod reader;

pub use capabilities::Capabilities;
pub use device::{
    Answer, Dropped, Fault, FaultKind, Hello, ImageChunk, MAX_REGIONS, Memory, Message, Model,
    Pong, ProgramVersion, Refusal, Report, Stats, Time,
};
pub use error::WireError;
pub use frame::{MAX_FRAME, VERSION, Wire, decode, encode};
pub use histogram::{BUCKETS, Histogram};
pub use host::{CHUNK, Chunk, Command, ModelHeader, Request, Signature};
pub use mask::{MASK_SPANS, MaskChunk, MaskChunks, MaskError, Span, spans};
pub use reader::Reader;
