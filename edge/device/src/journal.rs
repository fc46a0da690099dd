//! What the host has not yet acknowledged, on disk: one verdict a part, and its mask where it has
//! one, so that neither an absent host nor a power cut loses a verdict.
//!
//! Parts are numbered here, and a number never stands for two parts: what is sent was on the disk
//! before ([`Journal::unsynced`]), and the next number follows what is on the disk. The journal is
//! bounded: where it is full, the oldest masks go first, then the oldest verdicts, and each is
//! counted. Where the disk itself is full, so that nothing can be appended, room is made the same
//! way before the newest verdict is given up.

mod log;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result};
use log::{Log, Place};

/// Into so many segments the journal is cut, at least; a segment is what is dropped at once.
const SEGMENTS: u64 = 16;

/// The first part's number.
const FIRST: u64 = 1;

/// The journal; see the module.
#[derive(Debug)]
pub struct Journal {
    verdicts: Log,
    masks: Log,
    /// Bytes of both logs, at most but for one record of each.
    limit: u64,
    /// The next part's number. Ahead of the log where a verdict could not be appended.
    next: u64,
    /// The host has everything up to this part.
    acknowledged: u64,
    mark: File,
    dropped: Dropped,
    damaged: Dropped,
}

/// What was given up without the host having it, since the program started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Verdicts.
    pub verdicts: u64,
    /// Masks.
    pub masks: u64,
}

/// How far a reader has come. The initial one is before everything that is not acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    verdicts: Place,
    masks: Place,
    /// Everything up to this part was read.
    through: u64,
}

impl Cursor {
    /// Everything up to this part was read.
    pub fn through(&self) -> u64 {
        self.through
    }
}

/// A part as it waits in the journal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// The part's number.
    pub part: u64,
    /// What was appended as its verdict.
    pub verdict: Vec<u8>,
    /// What was appended as its mask; empty where there is none.
    pub mask: Vec<u8>,
}

impl Journal {
    /// Opens the journal in `folder`, which is made where it is missing, with room for `limit`
    /// bytes. Errors name the folder and the remedy.
    pub fn open(folder: &Path, limit: u64) -> Result<Self> {
        Self::try_open(folder, limit).with_context(|| {
            format!(
                "{}: the journal cannot be opened; make room or check the rights, or set \
                 journal.folder to another place",
                folder.display()
            )
        })
    }

    fn try_open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let segment_bytes = limit / SEGMENTS;
        let verdicts = Log::open(folder, "verdicts", segment_bytes, FIRST)?;
        let mark = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("acknowledged"))?;
        let acknowledged = read_mark(&mark).unwrap_or(0);
        // Where a disk lost what it had promised to keep, the host still knows the numbers.
        let next = verdicts.next().max(acknowledged.saturating_add(1));
        let mut masks = Log::open(folder, "masks", segment_bytes, next)?;
        // The mask of a verdict that a power cut took must not become another part's.
        masks.remove_from(next)?;
        let parts = verdicts.lost().iter();
        let damaged = Dropped {
            verdicts: parts
                .map(|lost| lost.end.saturating_sub(lost.start.max(acknowledged + 1)))
                .sum(),
            masks: masks
                .lost()
                .iter()
                .filter(|lost| lost.end > acknowledged + 1)
                .count() as u64,
        };
        Ok(Self {
            acknowledged,
            verdicts,
            masks,
            limit,
            next,
            mark,
            dropped: damaged,
            damaged,
        })
    }

    /// The number of the next part.
    pub fn next_part(&self) -> u64 {
        self.next
    }

    /// The host has everything up to this part.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// What was given up so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// What of it was lost because the disk damaged it, as far as that can be seen: masks at least
    /// so many.
    pub fn damaged(&self) -> Dropped {
        self.damaged
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.verdicts.bytes() + self.masks.bytes()
    }

    /// Verdicts that wait for the host.
    pub fn waiting(&self) -> u64 {
        self.verdicts.count(self.acknowledged).unwrap_or(0)
    }

    /// Appends the verdict and the mask (empty where there is none) of part [`Self::next_part`].
    ///
    /// An error says that the disk took no verdict, not even after room was made: the part's number
    /// is used up, and the verdict counts as dropped. A mask that finds no room is counted alone.
    pub fn append(&mut self, verdict: &[u8], mask: &[u8]) -> io::Result<()> {
        let part = self.next;
        self.next += 1;
        if let Err(error) = self.append_verdict(part, verdict) {
            self.dropped.verdicts += 1;
            self.dropped.masks += u64::from(!mask.is_empty());
            return Err(error);
        }
        if !mask.is_empty() && self.masks.append(part, mask).is_err() {
            self.dropped.masks += 1;
        }
        while self.bytes() > self.limit && self.make_room()? {}
        Ok(())
    }

    /// The next part's mask was given up before it came here.
    pub fn count_dropped_mask(&mut self) {
        self.dropped.masks += 1;
    }

    fn append_verdict(&mut self, part: u64, verdict: &[u8]) -> io::Result<()> {
        loop {
            match self.verdicts.append(part, verdict) {
                Ok(()) => return Ok(()),
                Err(error) if room_helps(&error) && self.make_room().unwrap_or(false) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Drops the oldest masks, or where there are none the oldest verdicts; false where there is
    /// nothing left to drop.
    fn make_room(&mut self) -> io::Result<bool> {
        if let Some(masks) = self.masks.drop_oldest(self.acknowledged)? {
            self.dropped.masks += masks;
            return Ok(true);
        }
        let verdicts = self.verdicts.drop_oldest(self.acknowledged)?;
        self.dropped.verdicts += verdicts.unwrap_or(0);
        Ok(verdicts.is_some())
    }

    /// The file to be synced (`File::sync_data`) before what was read so far may be sent; outside
    /// of any lock, as it takes its time.
    pub fn unsynced(&self) -> Arc<File> {
        self.verdicts.unsynced()
    }

    /// Brings everything to the disk; an error is of no use to one who ends.
    pub fn sync(&self) {
        let _ = self.verdicts.unsynced().sync_data();
        let _ = self.masks.unsynced().sync_data();
    }

    /// Reads the next part after `cursor` that is not acknowledged into `entry`; false where there
    /// is none.
    pub fn read(&self, cursor: &mut Cursor, entry: &mut Entry) -> io::Result<bool> {
        loop {
            let Some(part) = self
                .verdicts
                .read(&mut cursor.verdicts, &mut entry.verdict)?
            else {
                return Ok(false);
            };
            cursor.through = part;
            if part > self.acknowledged {
                entry.part = part;
                return self.read_mask(cursor, entry).map(|()| true);
            }
        }
    }

    /// Leaves the mask of `entry.part` in `entry`, and `cursor` before that of a later part.
    fn read_mask(&self, cursor: &mut Cursor, entry: &mut Entry) -> io::Result<()> {
        loop {
            let before = cursor.masks;
            match self.masks.read(&mut cursor.masks, &mut entry.mask)? {
                Some(part) if part < entry.part => {}
                Some(part) if part == entry.part => return Ok(()),
                _ => {
                    cursor.masks = before;
                    entry.mask.clear();
                    return Ok(());
                }
            }
        }
    }

    /// The host has everything up to `part`, which is not needed here any more. Numbers of parts
    /// that there were not yet are cut to those that there were.
    pub fn acknowledge(&mut self, part: u64) -> io::Result<()> {
        let part = part.min(self.next - 1);
        if part <= self.acknowledged {
            return Ok(());
        }
        self.acknowledged = part;
        write_mark(&self.mark, part)?;
        self.verdicts.remove_through(part)?;
        self.masks.remove_through(part)
    }
}

fn room_helps(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

/// The number and its complement, so that a torn one is noticed. One that is lost costs no more
/// than sending parts twice.
fn write_mark(file: &File, part: u64) -> io::Result<()> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&part.to_le_bytes());
    bytes[8..].copy_from_slice(&(!part).to_le_bytes());
    file.write_all_at(&bytes, 0)
}

fn read_mark(file: &File) -> Option<u64> {
    let [mut part, mut complement] = [[0; 8]; 2];
    file.read_exact_at(&mut part, 0).ok()?;
    file.read_exact_at(&mut complement, 8).ok()?;
    let (part, complement) = (u64::from_le_bytes(part), u64::from_le_bytes(complement));
    (part == !complement).then_some(part)
}
