//! Slots in a folder, for devices with a file system.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use residua_shared::wire::CHUNK;

use super::{RECORD, Slot, Slots};

/// Two slots in a folder: `a.onnx` and `b.onnx`, and beside each the record that says that it is
/// whole, `a.record` and `b.record`.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    capacity: u32,
}

impl Files {
    /// Slots of `capacity` bytes in `folder`, which is made where it is missing.
    pub fn open(folder: impl Into<PathBuf>, capacity: u32) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| named(&folder, error))?;
        Ok(Self { folder, capacity })
    }

    /// Where a slot's model lies.
    pub fn path(&self, slot: Slot) -> PathBuf {
        self.file(slot, "onnx")
    }

    fn file(&self, slot: Slot, extension: &str) -> PathBuf {
        let name = match slot {
            Slot::A => "a",
            Slot::B => "b",
        };
        self.folder.join(name).with_extension(extension)
    }

    /// Makes files that were created, renamed or removed stay so.
    fn sync_folder(&self) -> io::Result<()> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| named(&self.folder, error))
    }
}

/// An error that says which file it was.
fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), std::format!("{}: {error}", path.display()))
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, error)),
        _ => Ok(()),
    }
}

/// Fills `bytes` from `offset` on, with zeros behind the file's end.
fn read_at(path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    bytes.fill(0);
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut read = 0;
    while read < bytes.len() {
        match file.read(&mut bytes[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(())
}

fn write_at(path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Slots for Files {
    type Error = io::Error;

    fn capacity(&self) -> u32 {
        self.capacity
    }

    fn record(&mut self, slot: Slot) -> io::Result<[u8; RECORD]> {
        let (path, mut record) = (self.file(slot, "record"), [0; RECORD]);
        let read = read_at(&path, 0, &mut record);
        read.map_err(|error| named(&path, error))?;
        Ok(record)
    }

    fn read(&mut self, slot: Slot, block: u32, bytes: &mut [u8; CHUNK]) -> io::Result<()> {
        let (path, offset) = (self.path(slot), u64::from(block) * CHUNK as u64);
        read_at(&path, offset, bytes).map_err(|error| named(&path, error))
    }

    fn erase(&mut self, slot: Slot) -> io::Result<()> {
        removed(&self.file(slot, "record"))?;
        self.sync_folder()?;
        removed(&self.path(slot))
    }

    fn write(&mut self, slot: Slot, block: u32, bytes: &[u8]) -> io::Result<()> {
        let (path, offset) = (self.path(slot), u64::from(block) * CHUNK as u64);
        write_at(&path, offset, bytes).map_err(|error| named(&path, error))
    }

    fn seal(&mut self, slot: Slot, record: &[u8; RECORD]) -> io::Result<()> {
        let model = self.path(slot);
        let synced = File::open(&model).and_then(|file| file.sync_all());
        synced.map_err(|error| named(&model, error))?;
        let (new, path) = (self.file(slot, "new"), self.file(slot, "record"));
        write_synced(&new, record).map_err(|error| named(&new, error))?;
        self.sync_folder()?;
        fs::rename(&new, &path).map_err(|error| named(&path, error))?;
        self.sync_folder()
    }
}
