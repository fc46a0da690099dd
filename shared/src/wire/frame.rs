//! Between bytes and frames.

use crc::{CRC_32_ISO_HDLC, Crc};
use serde::{Serialize, de::DeserializeOwned};

use super::{Message, Request, WireError, device, host, length::largest};

/// The version of this protocol: the first byte of every frame. A reader refuses any other.
pub const VERSION: u8 = 2;

/// Bytes of the longest message of either side.
const MAX_MESSAGE: usize = largest(&[device::MAX_MESSAGE, host::MAX_REQUEST]);

/// Bytes before the message: version and sender.
const HEAD: usize = 2;

/// Bytes after it: the checksum.
const TAIL: usize = 4;

/// Bytes of the longest frame of either side, its closing zero included.
pub const MAX_FRAME: usize = cobs::max_encoding_length(HEAD + MAX_MESSAGE + TAIL) + 1;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Message {}
    impl Sealed for super::Request {}
}

/// What one side of the line sends: [`Message`] the device, [`Request`] the host.
pub trait Wire: Serialize + DeserializeOwned + sealed::Sealed {
    /// The frame's second byte.
    const SENDER: u8;
}

impl Wire for Message {
    const SENDER: u8 = b'D';
}

impl Wire for Request {
    const SENDER: u8 = b'H';
}

/// Writes `message` as one frame to the start of `buffer`, which [`MAX_FRAME`] bytes always fit,
/// and returns the frame, its closing zero included.
pub fn encode<'b, M: Wire>(message: &M, buffer: &'b mut [u8]) -> Result<&'b [u8], WireError> {
    let mut plain = [0; HEAD + MAX_MESSAGE + TAIL];
    plain[..HEAD].copy_from_slice(&[VERSION, M::SENDER]);
    let message = postcard::to_slice(message, &mut plain[HEAD..HEAD + MAX_MESSAGE]);
    let end = HEAD + message.map_err(|_| WireError::Message)?.len();
    let checksum = CRC.checksum(&plain[..end]);
    plain[end..end + TAIL].copy_from_slice(&checksum.to_le_bytes());

    let length = cobs::try_encode(&plain[..end + TAIL], buffer).map_err(|_| WireError::Buffer)?;
    *buffer.get_mut(length).ok_or(WireError::Buffer)? = 0;
    Ok(&buffer[..=length])
}

/// Reads the message of one frame, with or without its closing zero.
pub fn decode<M: Wire>(frame: &[u8]) -> Result<M, WireError> {
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
        [VERSION, sender, message @ ..] if *sender == M::SENDER => {
            match postcard::take_from_bytes(message) {
                Ok((message, [])) => Ok(message),
                _ => Err(WireError::Message),
            }
        }
        [VERSION, sender, ..] => Err(WireError::Sender(*sender)),
        [VERSION] | [] => Err(WireError::Frame),
        [version, ..] => Err(WireError::Version(*version)),
    }
}
