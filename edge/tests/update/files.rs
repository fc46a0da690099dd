//! Slots in a folder.

use std::fs;

use residua_edge::update::{Files, RECORD, Slot, Slots};
use residua_shared::wire::{CHUNK, Refusal};

use crate::models::{chunks, in_use, install, model, open};

const CAPACITY: u32 = 4 * CHUNK as u32;

/// Cuts the power in the middle of an operation on the slots: writes half of what it should.
struct Cut<S> {
    slots: S,
    left: usize,
}

impl<S: Slots> Cut<S> {
    /// Whether the power lasts; errors when it has been lost.
    fn lasts(&mut self) -> Result<bool, ()> {
        let left = self.left;
        self.left = left.checked_sub(1).ok_or(())?;
        Ok(left > 1)
    }
}

impl<S: Slots> Slots for Cut<S> {
    type Error = ();

    fn capacity(&self) -> u32 {
        self.slots.capacity()
    }

    fn record(&mut self, slot: Slot) -> Result<[u8; RECORD], ()> {
        self.slots.record(slot).map_err(|_| ())
    }

    fn read(&mut self, slot: Slot, block: u32, bytes: &mut [u8; CHUNK]) -> Result<(), ()> {
        self.slots.read(slot, block, bytes).map_err(|_| ())
    }

    fn erase(&mut self, slot: Slot) -> Result<(), ()> {
        match self.lasts()? {
            true => self.slots.erase(slot).map_err(|_| ()),
            false => Err(()),
        }
    }

    fn write(&mut self, slot: Slot, block: u32, bytes: &[u8]) -> Result<(), ()> {
        let lasts = self.lasts()?;
        let length = if lasts { bytes.len() } else { bytes.len() / 2 };
        let written = self.slots.write(slot, block, &bytes[..length]);
        written
            .map_err(|_| ())
            .and(if lasts { Ok(()) } else { Err(()) })
    }

    fn seal(&mut self, slot: Slot, record: &[u8; RECORD]) -> Result<(), ()> {
        match self.lasts()? {
            true => self.slots.seal(slot, record).map_err(|_| ()),
            false => Err(()),
        }
    }
}

#[test]
fn models_take_turns_and_are_plain_files() {
    let folder = tempfile::tempdir().unwrap();
    // Folders that are missing are made.
    let inner = folder.path().join("models/line 1");
    for version in 1..=4 {
        let mut updater = open(Files::open(&inner, CAPACITY).unwrap());
        install(&mut updater, &model(version)).unwrap();
        let slot = [Slot::A, Slot::B][(version as usize + 1) % 2];
        assert_eq!(updater.active(), Some((slot, model(version).header)));
        let path = updater.slots().path(slot);
        assert_eq!(fs::read(path).unwrap(), model(version).bytes);
    }
    let mut updater = open(Files::open(&inner, CAPACITY).unwrap());
    assert_eq!(in_use(&mut updater), Some((4, model(4).bytes)));
    // The one before is still there.
    fs::write(updater.slots().path(Slot::B), b"decayed").unwrap();
    let mut updater = open(Files::open(&inner, CAPACITY).unwrap());
    assert_eq!(in_use(&mut updater), Some((3, model(3).bytes)));
}

#[test]
fn power_lost_at_any_operation_leaves_the_old_model() {
    // An erase, three chunks, a record.
    for left in 1..=5 {
        let folder = tempfile::tempdir().unwrap();
        let slots = || Files::open(folder.path(), CAPACITY).unwrap();
        for version in [1, 2] {
            install(&mut open(slots()), &model(version)).unwrap();
        }
        let cut = Cut {
            slots: slots(),
            left,
        };
        assert_eq!(install(&mut open(cut), &model(3)), Err(Refusal::Storage));
        let mut updater = open(slots());
        assert_eq!(in_use(&mut updater), Some((2, model(2).bytes)));
        install(&mut updater, &model(3)).unwrap();
        assert_eq!(in_use(&mut open(slots())), Some((3, model(3).bytes)));
    }
}

#[test]
fn a_record_torn_at_any_byte_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let slots = || Files::open(folder.path(), CAPACITY).unwrap();
    for version in [1, 2] {
        install(&mut open(slots()), &model(version)).unwrap();
    }
    let path = folder.path().join("b.record");
    let record = fs::read(&path).unwrap();
    assert_eq!(record.len(), RECORD);
    for length in 0..RECORD {
        fs::write(&path, &record[..length]).unwrap();
        assert_eq!(open(slots()).active().unwrap().1.version, 1);
    }
    fs::write(&path, &record).unwrap();
    assert_eq!(open(slots()).active().unwrap().1.version, 2);
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Files::open(file.join("inner"), CAPACITY).unwrap_err();
    assert!(error.to_string().contains("file/inner: "), "{error}");

    // A folder where the model's file should be.
    let mut slots = Files::open(folder.path(), CAPACITY).unwrap();
    fs::create_dir(slots.path(Slot::A)).unwrap();
    let error = slots.write(Slot::A, 0, &[1]).unwrap_err();
    assert!(error.to_string().contains("a.onnx: "), "{error}");
    let mut updater = open(slots);
    let new = model(1);
    let refused = updater.begin(new.header, new.signature);
    assert_eq!(refused, Err(Refusal::Storage));
    assert_eq!(chunks(&new.bytes).count(), 3);
}
