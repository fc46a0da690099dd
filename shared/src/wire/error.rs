//! Why bytes are no message.

use core::fmt;

use super::{MAX_FRAME, VERSION};

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
    /// A frame from the wrong side: an echo of what this side sent, or two sides of one kind.
    Sender(u8),
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
            Self::Sender(sender) => write!(
                f,
                "a frame from sender {sender:#04x} where the other side was expected; \
                 is the line echoed, or is a host linked to a host?"
            ),
            Self::Message => f.write_str("an intact frame holds no known message"),
        }
    }
}

impl core::error::Error for WireError {}
