//! What is written beside a model once it is whole.

use crc::{CRC_32_ISO_HDLC, Crc};
use residua_shared::wire::{ModelHeader, Signature};

/// Bytes of a record: the header as it is signed, the signature, and a checksum (CRC-32/ISO-HDLC,
/// little-endian) of both.
pub const RECORD: usize = 64 + 64 + 4;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A header and its signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// What the model file is.
    pub header: ModelHeader,
    /// Whose it is.
    pub signature: Signature,
}

impl Record {
    /// The record as it is stored.
    pub fn to_bytes(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..64].copy_from_slice(&self.header.signed_bytes());
        bytes[64..128].copy_from_slice(&self.signature.to_bytes());
        let checksum = CRC.checksum(&bytes[..128]);
        bytes[128..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The record that these bytes hold; none where they are no whole record.
    pub fn from_bytes(bytes: &[u8; RECORD]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk()?;
        if CRC.checksum(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (header, signature) = body.split_first_chunk()?;
        let signature: [u8; 64] = signature.try_into().ok()?;
        Some(Self {
            header: ModelHeader::from_signed_bytes(header)?,
            signature: signature.into(),
        })
    }
}
