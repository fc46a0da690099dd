//! A flash in memory whose power can be cut in the middle of any operation.

use std::{cell::RefCell, rc::Rc};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use residua_edge::update::{Flash, FlashError, Slot, Slots};
use residua_shared::wire::CHUNK;

use crate::models::{in_use, install, model, open};

pub const SECTOR: usize = 1024;
const SECTORS: usize = 8;

/// The chip: what it holds stays when its users are gone.
#[derive(Clone)]
pub struct Chip(Rc<RefCell<Cells>>);

struct Cells {
    bytes: Vec<u8>,
    /// Operations until the power is cut.
    left: usize,
    /// What of the last one is done, in quarters.
    quarters: usize,
    operations: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PowerLost;

impl NorFlashError for PowerLost {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Chip {
    pub fn new() -> Self {
        let bytes = vec![0xff; SECTORS * SECTOR];
        Self(Rc::new(RefCell::new(Cells {
            bytes,
            left: usize::MAX,
            quarters: 0,
            operations: 0,
        })))
    }

    /// Cuts the power in the middle of the operation after `operations` more, when so many quarters
    /// of it are done.
    pub fn cut_after(&self, operations: usize, quarters: usize) {
        let mut cells = self.0.borrow_mut();
        (cells.left, cells.quarters) = (operations, quarters);
    }

    pub fn power_on(&self) {
        self.cut_after(usize::MAX, 0);
    }

    pub fn operations(&self) -> usize {
        self.0.borrow().operations
    }

    /// The same contents on another chip.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        copy.0.borrow_mut().bytes = self.0.borrow().bytes.clone();
        copy
    }

    pub fn damage(&self, at: usize) {
        self.0.borrow_mut().bytes[at] ^= 1;
    }

    /// Changes bytes, as far as the power lasts.
    fn operate(
        &self,
        at: usize,
        length: usize,
        change: impl Fn(usize, u8) -> u8,
    ) -> Result<(), PowerLost> {
        let mut cells = self.0.borrow_mut();
        cells.operations += 1;
        let done = match cells.left {
            0 => length * std::mem::take(&mut cells.quarters) / 4,
            _ => length,
        };
        for i in 0..done {
            let byte = cells.bytes[at + i];
            cells.bytes[at + i] = change(i, byte);
        }
        cells.left = cells.left.checked_sub(1).ok_or(PowerLost)?;
        Ok(())
    }
}

impl ErrorType for Chip {
    type Error = PowerLost;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerLost> {
        assert!(offset.is_multiple_of(4) && bytes.len().is_multiple_of(4));
        bytes.copy_from_slice(&self.0.borrow().bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        SECTORS * SECTOR
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerLost> {
        let (from, to) = (from as usize, to as usize);
        assert!(from.is_multiple_of(SECTOR) && to.is_multiple_of(SECTOR) && from < to);
        self.operate(from, to - from, |_, _| 0xff)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerLost> {
        assert!(offset.is_multiple_of(8) && bytes.len().is_multiple_of(8));
        // A cell is written once after each erase, as chips with error correction demand.
        self.operate(offset as usize, bytes.len(), |i, old| {
            assert_eq!(old, 0xff, "byte {} was written before", offset as usize + i);
            bytes[i]
        })
    }
}

#[test]
fn models_take_turns_in_the_two_slots() {
    let chip = Chip::new();
    let mut updater = open(Flash::new(chip.clone()));
    assert_eq!(updater.active(), None);
    for (version, slot) in [(1, Slot::A), (2, Slot::B), (9, Slot::A), (10, Slot::B)] {
        let model = model(version);
        install(&mut updater, &model).unwrap();
        assert_eq!(updater.active(), Some((slot, model.header)));
        // And after a restart.
        updater = open(Flash::new(chip.clone()));
        assert_eq!(updater.active(), Some((slot, model.header)));
        assert_eq!(in_use(&mut updater), Some((version, model.bytes)));
    }
}

#[test]
fn when_the_model_decays_the_one_before_it_runs() {
    let chip = Chip::new();
    let mut updater = open(Flash::new(chip.clone()));
    for version in [1, 2] {
        install(&mut updater, &model(version)).unwrap();
    }
    let slot = SECTORS / 2 * SECTOR;
    for at in [slot, slot + 100, slot + SECTOR, slot + SECTOR + 1123] {
        let chip = chip.copy();
        chip.damage(at);
        assert_eq!(
            in_use(&mut open(Flash::new(chip))),
            Some((1, model(1).bytes))
        );
    }
    chip.damage(SECTOR);
    chip.damage(slot + SECTOR);
    assert_eq!(open(Flash::new(chip)).active(), None);
}

#[test]
fn a_block_outside_the_slot_is_an_error() {
    let mut flash = Flash::new(Chip::new());
    let blocks = flash.capacity() / CHUNK as u32;
    assert_eq!(blocks, 6);
    assert_eq!(flash.write(Slot::A, blocks - 1, &[1; CHUNK]), Ok(()));
    for block in [blocks, u32::MAX] {
        let error = Err(FlashError::Block(block));
        assert_eq!(flash.write(Slot::A, block, &[1; CHUNK]), error);
        assert_eq!(flash.read(Slot::A, block, &mut [0; CHUNK]), error);
    }
    let mut other = [0; CHUNK];
    flash.read(Slot::B, 0, &mut other).unwrap();
    assert_eq!(other, [0xff; CHUNK]);
}
