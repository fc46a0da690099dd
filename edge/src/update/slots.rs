//! Where models are kept.

use residua_shared::wire::CHUNK;

use super::RECORD;

/// One of two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Not this one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Two places, each for a model file in blocks of [`CHUNK`] bytes and a record of it.
///
/// Power may be lost at any moment. What the methods promise then is all that an
/// [`super::Updater`] needs: a record that reads back whole was written by [`Self::seal`] after the
/// bytes that it stands for, and no erase has begun since.
pub trait Slots {
    /// Why the store could not be used.
    type Error: core::fmt::Debug;

    /// Bytes that a slot holds.
    fn capacity(&self) -> u32;

    /// The record of a slot; any bytes where none was written.
    fn record(&mut self, slot: Slot) -> Result<[u8; RECORD], Self::Error>;

    /// Reads a block. What lies behind the bytes written is anything.
    fn read(&mut self, slot: Slot, block: u32, bytes: &mut [u8; CHUNK]) -> Result<(), Self::Error>;

    /// Forgets the record, so that no loss of power brings it back, and then the bytes.
    fn erase(&mut self, slot: Slot) -> Result<(), Self::Error>;

    /// Writes at most [`CHUNK`] bytes at the start of a block that was not written since it was
    /// erased.
    fn write(&mut self, slot: Slot, block: u32, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Writes the record once all bytes written are safe; when this returns, it is safe itself.
    fn seal(&mut self, slot: Slot, record: &[u8; RECORD]) -> Result<(), Self::Error>;
}
