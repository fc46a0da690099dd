//! New models over the link: signed, into the slot that is not in use, and switched to at once or
//! not at all.
//!
//! There are two [`Slots`]. Each holds a model file and a record of it: the signed header, its
//! signature and a checksum. **The model in use is the one with the highest version among those
//! whose record is whole, whose signature fits the device's key and whose bytes fit the digest.**
//! No other pointer exists that could disagree, and the last step of an update is to write the
//! record; before it is whole, wherever power is lost, the new model does not exist. The other slot
//! still holds the model before, should the bytes of the new one decay.
//!
//! [`Updater`] takes the host's commands one by one and answers by the wire's own [`Refusal`].

#[cfg(feature = "std")]
mod files;
mod flash;
mod key;
mod record;
mod slots;

use residua_shared::{
    frame::Size,
    manifest::Digest,
    wire::{CHUNK, ModelHeader, Refusal, Signature},
};
use sha2::{Digest as _, Sha256};

#[cfg(feature = "std")]
pub use files::Files;
pub use flash::{Flash, FlashError};
pub use key::{KeyError, SigningKey, TrustedKey};
pub use record::{RECORD, Record};
pub use slots::{Slot, Slots};

/// Finds the model in use and takes new ones.
#[derive(Debug)]
pub struct Updater<S> {
    slots: S,
    key: TrustedKey,
    input: Size,
    active: Option<(Slot, ModelHeader)>,
    incoming: Option<Incoming>,
}

/// A model that is being received.
#[derive(Debug)]
struct Incoming {
    slot: Slot,
    record: Record,
    received: u32,
}

impl<S: Slots> Updater<S> {
    /// The slots of a device that inspects `input` images and trusts `key`.
    ///
    /// Errors where the slots cannot be read. Slots without a model are none.
    pub fn open(mut slots: S, key: TrustedKey, input: Size) -> Result<Self, S::Error> {
        let mut active = None::<(Slot, ModelHeader)>;
        for slot in [Slot::A, Slot::B] {
            let newer = |header: &ModelHeader| {
                active.is_none_or(|(_, current)| header.version > current.version)
            };
            let header = trusted(&mut slots, slot, &key, input)?;
            if let Some(header) = header.filter(newer)
                && digest(&mut slots, slot, header.length)? == header.digest
            {
                active = Some((slot, header));
            }
        }
        Ok(Self {
            slots,
            key,
            input,
            active,
            incoming: None,
        })
    }

    /// The model in use: its slot and what it is.
    pub fn active(&self) -> Option<(Slot, ModelHeader)> {
        self.active
    }

    /// The slots, to read the model in use from.
    pub fn slots(&mut self) -> &mut S {
        &mut self.slots
    }

    /// Prepares the slot that is not in use. What was begun before is given up, whatever the
    /// answer.
    pub fn begin(&mut self, header: ModelHeader, signature: Signature) -> Result<(), Refusal> {
        self.incoming = None;
        let record = Record { header, signature };
        if !self.key.verifies(&record) {
            return Err(Refusal::Signature);
        }
        let current = self.active.map_or(0, |(_, active)| active.version);
        if header.version <= current {
            return Err(Refusal::Version { current });
        }
        if header.input != self.input {
            let expected = self.input;
            return Err(Refusal::Geometry { expected });
        }
        let capacity = self.slots.capacity();
        if !(1..=capacity).contains(&header.length) {
            return Err(Refusal::Length { capacity });
        }
        let slot = self.active.map_or(Slot::A, |(slot, _)| slot.other());
        self.slots.erase(slot).map_err(|_| Refusal::Storage)?;
        self.incoming = Some(Incoming {
            slot,
            record,
            received: 0,
        });
        Ok(())
    }

    /// Stores the next bytes: [`CHUNK`] of them, or what is left.
    pub fn chunk(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refusal> {
        let incoming = self.incoming.as_mut().ok_or(Refusal::NotBegun)?;
        let expected = incoming.received;
        let left = (incoming.record.header.length - expected) as usize;
        if offset != expected || bytes.is_empty() || bytes.len() != left.min(CHUNK) {
            return Err(Refusal::Offset { expected });
        }
        let block = offset / CHUNK as u32;
        match self.slots.write(incoming.slot, block, bytes) {
            Ok(()) => {
                incoming.received += bytes.len() as u32;
                Ok(())
            }
            Err(_) => {
                self.incoming = None;
                Err(Refusal::Storage)
            }
        }
    }

    /// Makes the model that was received the one in use. Before that its bytes are read back
    /// against their digest, and then `check`, which may load it from its slot, must agree that the
    /// device can run it.
    ///
    /// On a refusal, unless bytes are still missing, the new model is given up.
    pub fn commit(
        &mut self,
        check: impl FnOnce(&mut S, Slot, &ModelHeader) -> Result<(), Refusal>,
    ) -> Result<ModelHeader, Refusal> {
        let incoming = self.incoming.as_ref().ok_or(Refusal::NotBegun)?;
        let (slot, record, expected) = (incoming.slot, incoming.record, incoming.received);
        let header = record.header;
        if expected < header.length {
            return Err(Refusal::Offset { expected });
        }
        self.incoming = None;
        let found = digest(&mut self.slots, slot, header.length).map_err(|_| Refusal::Storage)?;
        if found != header.digest {
            return Err(Refusal::Digest);
        }
        check(&mut self.slots, slot, &header)?;
        if self.slots.seal(slot, &record.to_bytes()).is_err() {
            // The record may be there or not; where it can be, it is taken back.
            let _ = self.slots.erase(slot);
            return Err(Refusal::Storage);
        }
        self.active = Some((slot, header));
        Ok(header)
    }
}

/// The header in a slot, where its record is whole, trusted, and of a model for `input` images.
fn trusted<S: Slots>(
    slots: &mut S,
    slot: Slot,
    key: &TrustedKey,
    input: Size,
) -> Result<Option<ModelHeader>, S::Error> {
    let record = Record::from_bytes(&slots.record(slot)?);
    let capacity = slots.capacity();
    let fits = |header: &ModelHeader| header.input == input && header.length <= capacity;
    let record = record.filter(|record| key.verifies(record));
    Ok(record.map(|record| record.header).filter(fits))
}

/// The digest of the first `length` bytes in a slot.
fn digest<S: Slots>(slots: &mut S, slot: Slot, length: u32) -> Result<Digest, S::Error> {
    let (mut hash, mut bytes) = (Sha256::new(), [0; CHUNK]);
    for block in 0..length.div_ceil(CHUNK as u32) {
        slots.read(slot, block, &mut bytes)?;
        let left = (length - block * CHUNK as u32) as usize;
        hash.update(&bytes[..left.min(CHUNK)]);
    }
    Ok(Digest(hash.finalize().into()))
}
