//! Models to send: bytes, a header and a signature.

use residua_edge::update::{SigningKey, Slot, Slots, TrustedKey, Updater};
use residua_shared::{
    frame::Size,
    manifest::Digest,
    wire::{CHUNK, ModelHeader, Refusal, Signature},
};
use sha2::{Digest as _, Sha256};

pub fn input() -> Size {
    Size::new(64, 48).unwrap()
}

pub fn signer() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

pub fn key() -> TrustedKey {
    signer().trusted()
}

#[derive(Clone, PartialEq, Debug)]
pub struct Model {
    pub header: ModelHeader,
    pub signature: Signature,
    pub bytes: Vec<u8>,
}

/// A model of three chunks, the last of them short.
pub fn model(version: u64) -> Model {
    let bytes: Vec<u8> = (0..2 * CHUNK as u64 + 100)
        .map(|i| (i * 31 + version * 7) as u8)
        .collect();
    signed(
        ModelHeader {
            version,
            length: bytes.len() as u32,
            input: input(),
            digest: Digest(Sha256::digest(&bytes).into()),
        },
        bytes,
    )
}

pub fn signed(header: ModelHeader, bytes: Vec<u8>) -> Model {
    Model {
        header,
        signature: signer().sign(&header),
        bytes,
    }
}

pub fn chunks(bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    (0..).step_by(CHUNK).zip(bytes.chunks(CHUNK))
}

/// The whole update, up to the first refusal.
pub fn install<S: Slots>(updater: &mut Updater<S>, model: &Model) -> Result<(), Refusal> {
    updater.begin(model.header, model.signature)?;
    for (offset, chunk) in chunks(&model.bytes) {
        updater.chunk(offset, chunk)?;
    }
    updater.commit(|_, _, _| Ok(())).map(|_| ())
}

/// The model in use, read back.
pub fn in_use<S: Slots>(updater: &mut Updater<S>) -> Option<(u64, Vec<u8>)> {
    let (slot, header) = updater.active()?;
    Some((header.version, stored(updater.slots(), slot, header.length)))
}

pub fn stored<S: Slots>(slots: &mut S, slot: Slot, length: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in 0..length.div_ceil(CHUNK as u32) {
        let mut chunk = [0; CHUNK];
        slots.read(slot, block, &mut chunk).unwrap();
        bytes.extend(chunk);
    }
    bytes.truncate(length as usize);
    bytes
}

pub fn open<S: Slots>(slots: S) -> Updater<S> {
    Updater::open(slots, key(), input()).unwrap()
}
