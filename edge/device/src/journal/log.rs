//! Records in files that only grow, cut into segments so that the oldest can be dropped.
//!
//! A segment `NAME-NUMBER.log` (the first record's number, 16 hexadecimal digits) is [`MAGIC`] and
//! then records: payload length (u32), number (u64), CRC-32 of both and the payload (u32), all
//! little-endian, and the payload. Numbers rise. What a crash left of the last record fails
//! its checksum and is cut off when the log is opened. Where the disk damaged records before
//! others, those are kept and the segment is written anew; what is missing is told ([`Lost`]).

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crc::{CRC_32_ISO_HDLC, Crc};

/// The first bytes of every segment; the last one is the format's version.
const MAGIC: &[u8; 8] = b"residua\x01";

/// Bytes of a record before its payload.
const HEADER: usize = 4 + 8 + 4;

/// The longest payload: a record that claims more is damaged.
const MAX_PAYLOAD: usize = 1 << 20;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A log; its last segment takes the appends.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    name: &'static str,
    /// A segment with so many bytes is followed by a new one.
    segment_bytes: u64,
    /// Never empty.
    segments: VecDeque<Segment>,
    lost: Vec<Lost>,
    /// The record being written.
    buffer: Vec<u8>,
}

/// The numbers of records that the disk damaged, together: not each of them was in use. Damage
/// behind the last good record of a log may be an unfinished one and is not among them.
pub type Lost = Range<u64>;

/// A segment, up to the last byte known to be good.
#[derive(Debug)]
struct Segment {
    first: u64,
    file: Arc<File>,
    bytes: u64,
    /// The last record's number, if there is a record.
    last: Option<u64>,
    records: u64,
}

/// A place between two records. The initial one is before all of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    segment: u64,
    offset: u64,
}

impl Log {
    /// Opens the log `name` in `folder`, which exists, and cuts off what a crash left unfinished.
    /// A new log begins with record `first`.
    pub fn open(
        folder: &Path,
        name: &'static str,
        segment_bytes: u64,
        first: u64,
    ) -> io::Result<Self> {
        let mut numbers = segment_numbers(folder, name)?;
        numbers.sort_unstable();
        let mut log = Self {
            folder: folder.to_owned(),
            name,
            segment_bytes,
            segments: VecDeque::new(),
            lost: Vec::new(),
            buffer: Vec::new(),
        };
        let mut cut = None;
        for number in numbers {
            // The one before was complete on the disk when this one was begun.
            log.lost.extend(cut.map(|from| from..number));
            let (segment, damage) = Segment::open(&log.path(number), number)?;
            log.lost.extend(damage.lost);
            cut = damage.cut.then(|| segment.next());
            log.segments.push_back(segment);
        }
        if log.segments.is_empty() {
            log.begin(first)?;
        }
        Ok(log)
    }

    /// What was found damaged when the log was opened.
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// The number that follows the last record's, or the first of a log without records.
    pub fn next(&self) -> u64 {
        self.active().next()
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Appends a record; `number` is [`Self::next`] or above. On an error nothing was appended.
    pub fn append(&mut self, number: u64, payload: &[u8]) -> io::Result<()> {
        if self.active().bytes >= self.segment_bytes && self.active().last.is_some() {
            self.begin(number)?;
        }
        encode(number, payload, &mut self.buffer);
        if let Err(error) = self.write() {
            // A file may be at its limit where the disk is not.
            if self.active().last.is_none() || self.begin(number).is_err() {
                return Err(error);
            }
            self.write()?;
        }
        let segment = self.segments.back_mut().expect("never empty");
        segment.bytes += self.buffer.len() as u64;
        segment.last = Some(number);
        segment.records += 1;
        Ok(())
    }

    /// Writes the record in the buffer behind the last one.
    fn write(&self) -> io::Result<()> {
        let segment = self.active();
        let written = segment.file.write_all_at(&self.buffer, segment.bytes);
        if written.is_err() {
            // What was written of it would be cut off at the next start; the room is wanted now.
            let _ = segment.file.set_len(segment.bytes);
        }
        written
    }

    /// The file that must reach the disk for all records so far to survive a power cut; those
    /// before it do already.
    pub fn unsynced(&self) -> Arc<File> {
        Arc::clone(&self.active().file)
    }

    /// Reads the record after `place` into `payload`, moves `place` behind it and gives its number.
    pub fn read(&self, place: &mut Place, payload: &mut Vec<u8>) -> io::Result<Option<u64>> {
        for segment in &self.segments {
            if segment.first < place.segment {
                continue;
            }
            if segment.first > place.segment || place.offset == 0 {
                (place.segment, place.offset) = (segment.first, MAGIC.len() as u64);
            }
            if place.offset < segment.bytes {
                let number = segment.read(place.offset, payload)?;
                place.offset += (HEADER + payload.len()) as u64;
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Removes every segment but the last whose records are all numbered `number` or below.
    pub fn remove_through(&mut self, number: u64) -> io::Result<()> {
        while self.segments.len() > 1 && self.segments[0].last.is_none_or(|last| last <= number) {
            self.remove_first()?;
        }
        Ok(())
    }

    /// Cuts off every record numbered `number` or above; at the start, before any is appended.
    pub fn remove_from(&mut self, number: u64) -> io::Result<()> {
        while self.segments.len() > 1 && self.active().first >= number {
            let segment = self.segments.pop_back().expect("there are two");
            fs::remove_file(self.path(segment.first))?;
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.cut_from(number)?;
        }
        Ok(())
    }

    /// Removes the oldest segment, the last one included where it is alone, and gives how many
    /// records above `beyond` it held; `None` where there is no record.
    pub fn drop_oldest(&mut self, beyond: u64) -> io::Result<Option<u64>> {
        if self.segments.len() == 1 {
            let Some(last) = self.active().last else {
                return Ok(None);
            };
            self.begin(last + 1)?;
        }
        let count = self.segments[0].count(beyond)?;
        self.remove_first()?;
        Ok(Some(count))
    }

    /// How many records above `beyond` there are.
    pub fn count(&self, beyond: u64) -> io::Result<u64> {
        self.segments.iter().map(|s| s.count(beyond)).sum()
    }

    fn active(&self) -> &Segment {
        self.segments.back().expect("never empty")
    }

    /// Begins a segment. The one before is complete on the disk first, so that of all segments only
    /// the last can be unfinished.
    fn begin(&mut self, first: u64) -> io::Result<()> {
        if let Some(before) = self.segments.back() {
            before.file.sync_data()?;
        }
        let path = self.path(first);
        let segment = Segment::create(&path, first).inspect_err(|_| {
            // It would be taken for a segment; an empty one is removed at the next start too.
            let _ = fs::remove_file(&path);
        })?;
        File::open(&self.folder)?.sync_all()?;
        self.segments.push_back(segment);
        Ok(())
    }

    fn remove_first(&mut self) -> io::Result<()> {
        if let Some(segment) = self.segments.front() {
            fs::remove_file(self.path(segment.first))?;
            self.segments.pop_front();
        }
        Ok(())
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{}-{first:016x}.log", self.name))
    }
}

impl Segment {
    fn create(path: &Path, first: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.write_all_at(MAGIC, 0)?;
        file.sync_all()?;
        Ok(Self {
            first,
            file: Arc::new(file),
            bytes: MAGIC.len() as u64,
            last: None,
            records: 0,
        })
    }

    /// Opens a segment, and cuts it behind its last good record. Where damage lies before good
    /// records it is written anew without it. One without a good record keeps its number.
    fn open(path: &Path, first: u64) -> io::Result<(Self, Damage)> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut magic = Vec::new();
        (&mut file)
            .take(MAGIC.len() as u64)
            .read_to_end(&mut magic)?;
        if magic != MAGIC {
            return Self::mend(path, first);
        }
        let mut segment = Self {
            first,
            bytes: MAGIC.len() as u64,
            last: None,
            records: 0,
            file: Arc::new(file),
        };
        let (length, mut payload) = (segment.file.metadata()?.len(), Vec::new());
        while segment.bytes < length {
            let number = match segment.read(segment.bytes, &mut payload) {
                Ok(number) if segment.next() <= number => number,
                Ok(_) => break,
                Err(error) if damaged(&error) => break,
                Err(error) => return Err(error),
            };
            segment.bytes += (HEADER + payload.len()) as u64;
            segment.last = Some(number);
            segment.records += 1;
        }
        if segment.bytes < length {
            return Self::mend(path, first);
        }
        Ok((segment, Damage::default()))
    }

    /// Writes a damaged segment anew, with the records in it that are good.
    fn mend(path: &Path, first: u64) -> io::Result<(Self, Damage)> {
        let old = fs::read(path)?;
        let (mut damage, mut kept) = (Damage::default(), MAGIC.to_vec());
        let (mut last, mut records) = (None, 0);
        let mut rest = old.get(MAGIC.len()..).unwrap_or_default();
        while !rest.is_empty() {
            let next = last.map_or(first, |last| last + 1);
            match record(rest).filter(|&(number, _)| number >= next) {
                Some((number, length)) => {
                    if std::mem::take(&mut damage.cut) && number > next {
                        damage.lost.push(next..number);
                    }
                    kept.extend_from_slice(&rest[..length]);
                    (last, records) = (Some(number), records + 1);
                    rest = &rest[length..];
                }
                None => {
                    damage.cut = true;
                    rest = &rest[1..];
                }
            }
        }
        // Until it is whole it has a name that is no segment's.
        let new = path.with_extension("new");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&new)?;
        file.write_all_at(&kept, 0)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let segment = Self {
            first,
            file: Arc::new(file),
            bytes: kept.len() as u64,
            last,
            records,
        };
        Ok((segment, damage))
    }

    fn next(&self) -> u64 {
        self.last.map_or(self.first, |last| last + 1)
    }

    /// The record at `offset`; an error of kind `InvalidData` or `UnexpectedEof` where it is none.
    fn read(&self, offset: u64, payload: &mut Vec<u8>) -> io::Result<u64> {
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, offset)?;
        let (length, number, checksum) = fields(&header);
        if length > MAX_PAYLOAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        payload.resize(length, 0);
        self.file.read_exact_at(payload, offset + HEADER as u64)?;
        if checksum != checksum_of(&header, payload) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(number)
    }

    fn count(&self, beyond: u64) -> io::Result<u64> {
        if beyond < self.first {
            return Ok(self.records);
        }
        let (mut count, mut payload) = (0, Vec::new());
        let mut offset = MAGIC.len() as u64;
        while offset < self.bytes {
            let number = self.read(offset, &mut payload)?;
            count += u64::from(number > beyond);
            offset += (HEADER + payload.len()) as u64;
        }
        Ok(count)
    }

    fn cut_from(&mut self, number: u64) -> io::Result<()> {
        let (mut offset, mut last, mut payload) = (MAGIC.len() as u64, None, Vec::new());
        self.records = 0;
        while offset < self.bytes {
            let found = self.read(offset, &mut payload)?;
            if found >= number {
                break;
            }
            last = Some(found);
            self.records += 1;
            offset += (HEADER + payload.len()) as u64;
        }
        self.file.set_len(offset)?;
        (self.bytes, self.last) = (offset, last);
        Ok(())
    }
}

/// What is wrong with a segment.
#[derive(Default)]
struct Damage {
    /// Damage before good records.
    lost: Vec<Lost>,
    /// Something lies behind the last good record.
    cut: bool,
}

/// The number and the length of the good record that `bytes` begin with.
fn record(bytes: &[u8]) -> Option<(u64, usize)> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let (length, number, checksum) = fields(header);
    let end = HEADER + Some(length).filter(|&length| length <= MAX_PAYLOAD)?;
    let payload = bytes.get(HEADER..end)?;
    (checksum == checksum_of(header, payload)).then_some((number, end))
}

fn damaged(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

fn encode(number: u64, payload: &[u8], record: &mut Vec<u8>) {
    record.clear();
    record.extend((payload.len() as u32).to_le_bytes());
    record.extend(number.to_le_bytes());
    record.extend([0; 4]);
    let header = record.first_chunk().expect("just written");
    let checksum = checksum_of(header, payload).to_le_bytes();
    record[HEADER - 4..].copy_from_slice(&checksum);
    record.extend(payload);
}

fn fields(header: &[u8; HEADER]) -> (usize, u64, u32) {
    let [a, b, c, d, number @ .., e, f, g, h] = *header;
    (
        u32::from_le_bytes([a, b, c, d]) as usize,
        u64::from_le_bytes(number),
        u32::from_le_bytes([e, f, g, h]),
    )
}

fn checksum_of(header: &[u8; HEADER], payload: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&header[..HEADER - 4]);
    digest.update(payload);
    digest.finalize()
}

fn segment_numbers(folder: &Path, name: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name();
        let number = file
            .to_str()
            .and_then(|file| {
                file.strip_prefix(name)?
                    .strip_prefix('-')?
                    .strip_suffix(".log")
            })
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        numbers.extend(number);
    }
    Ok(numbers)
}
