//! Slots in NOR flash, as microcontrollers have it.

use embedded_storage::nor_flash::NorFlash;
use residua_shared::wire::CHUNK;

use super::{RECORD, Slot, Slots};

/// Two slots at the start of a flash: each a sector for the record and as many as fit for the
/// model.
#[derive(Debug)]
pub struct Flash<F> {
    flash: F,
}

/// Why a flash could not be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlashError<E> {
    /// The flash failed.
    Flash(E),
    /// The block lies outside the slot.
    Block(u32),
}

impl<F: NorFlash> Flash<F> {
    const SECTOR: u32 = F::ERASE_SIZE as u32;

    /// Checked when [`Self::new`] is compiled: whole blocks can be read and written, and a sector
    /// holds whole blocks and a record.
    const FITS: () = assert!(
        CHUNK.is_multiple_of(F::WRITE_SIZE)
            && CHUNK.is_multiple_of(F::READ_SIZE)
            && F::ERASE_SIZE.is_multiple_of(CHUNK)
            && RECORD <= CHUNK
    );

    /// Slots in `flash`, half of it each.
    pub fn new(flash: F) -> Self {
        let () = Self::FITS;
        Self { flash }
    }

    /// The flash again.
    pub fn into_inner(self) -> F {
        self.flash
    }

    /// Bytes of a slot, its record's sector included.
    fn size(&self) -> u32 {
        let sectors = self.flash.capacity() as u32 / Self::SECTOR;
        sectors / 2 * Self::SECTOR
    }

    /// Where a slot begins: at its record.
    fn start(&self, slot: Slot) -> u32 {
        match slot {
            Slot::A => 0,
            Slot::B => self.size(),
        }
    }

    /// Where a block of a slot's model begins.
    fn place(&self, slot: Slot, block: u32) -> Result<u32, FlashError<F::Error>> {
        let offset = block.checked_mul(CHUNK as u32);
        match offset.filter(|&offset| offset < self.capacity()) {
            Some(offset) => Ok(self.start(slot) + Self::SECTOR + offset),
            None => Err(FlashError::Block(block)),
        }
    }

    /// Writes bytes and, up to the end of their block, ones.
    fn write_padded(&mut self, at: u32, bytes: &[u8]) -> Result<(), FlashError<F::Error>> {
        let mut block = [0xff; CHUNK];
        block[..bytes.len()].copy_from_slice(bytes);
        let length = bytes.len().next_multiple_of(F::WRITE_SIZE);
        let written = self.flash.write(at, &block[..length]);
        written.map_err(FlashError::Flash)
    }
}

impl<F: NorFlash> Slots for Flash<F> {
    type Error = FlashError<F::Error>;

    fn capacity(&self) -> u32 {
        self.size().saturating_sub(Self::SECTOR)
    }

    fn record(&mut self, slot: Slot) -> Result<[u8; RECORD], Self::Error> {
        let (mut block, mut record) = ([0; CHUNK], [0; RECORD]);
        let read = self.flash.read(self.start(slot), &mut block);
        read.map_err(FlashError::Flash)?;
        record.copy_from_slice(&block[..RECORD]);
        Ok(record)
    }

    fn read(&mut self, slot: Slot, block: u32, bytes: &mut [u8; CHUNK]) -> Result<(), Self::Error> {
        let at = self.place(slot, block)?;
        self.flash.read(at, bytes).map_err(FlashError::Flash)
    }

    fn erase(&mut self, slot: Slot) -> Result<(), Self::Error> {
        let (start, end) = (self.start(slot), self.start(slot) + self.size());
        // Sector by sector from the record on: how a driver goes through a range is its own affair.
        for sector in (start..end).step_by(F::ERASE_SIZE) {
            let erased = self.flash.erase(sector, sector + Self::SECTOR);
            erased.map_err(FlashError::Flash)?;
        }
        Ok(())
    }

    fn write(&mut self, slot: Slot, block: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let at = self.place(slot, block)?;
        self.write_padded(at, bytes)
    }

    fn seal(&mut self, slot: Slot, record: &[u8; RECORD]) -> Result<(), Self::Error> {
        self.write_padded(self.start(slot), record)
    }
}
