//! Frames from a stream of bytes, in a fixed buffer.

use super::{MAX_FRAME, Wire, WireError, decode};

/// Gathers the bytes of a stream into frames.
///
/// After noise, a torn frame or a start in the middle it is right again with the first frame whose
/// predecessor's closing zero arrived; whoever sends after a silence may send a zero first, which
/// closes whatever noise made there and is itself no frame.
#[derive(Clone, Debug)]
pub struct Reader {
    buffer: [u8; MAX_FRAME],
    /// Bytes since the last zero; the buffer holds as many of them as fit.
    length: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader before its first byte.
    pub const fn new() -> Self {
        Self {
            buffer: [0; MAX_FRAME],
            length: 0,
        }
    }

    /// Takes the next byte. Where it ends a frame, returns what that holds; an error means that
    /// this one frame is lost, the reader goes on with the next.
    pub fn push<M: Wire>(&mut self, byte: u8) -> Option<Result<M, WireError>> {
        if byte != 0 {
            if let Some(place) = self.buffer.get_mut(self.length) {
                *place = byte;
            }
            self.length = self.length.saturating_add(1);
            return None;
        }
        match core::mem::take(&mut self.length) {
            0 => None,
            length => match self.buffer.get(..length) {
                Some(frame) => Some(decode(frame)),
                None => Some(Err(WireError::Long)),
            },
        }
    }

    /// Takes the next bytes and hands every frame's content to `take`, in order.
    pub fn extend<M: Wire>(&mut self, bytes: &[u8], mut take: impl FnMut(Result<M, WireError>)) {
        for &byte in bytes {
            if let Some(content) = self.push(byte) {
                take(content);
            }
        }
    }
}
