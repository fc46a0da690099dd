//! The journal through crashes, on full disks, and with the host away.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use residua_device::journal::{Cursor, Entry, Journal};
use tempfile::TempDir;

const ROOM: u64 = 1 << 20;

fn verdict(part: u64) -> Vec<u8> {
    format!("verdict of {part}").into_bytes()
}

fn mask(part: u64) -> Vec<u8> {
    vec![part as u8; if part.is_multiple_of(3) { 50 } else { 0 }]
}

/// Appends so many parts.
fn fill(journal: &mut Journal, parts: u64) {
    for _ in 0..parts {
        let part = journal.next_part();
        journal.append(&verdict(part), &mask(part)).unwrap();
    }
}

/// Everything that is not acknowledged, by part; each at most once and in order.
fn read_all(journal: &Journal) -> BTreeMap<u64, Entry> {
    let (mut cursor, mut entry) = (Cursor::default(), Entry::default());
    let mut entries = BTreeMap::new();
    while journal.read(&mut cursor, &mut entry).unwrap() {
        assert!(
            entries
                .last_key_value()
                .is_none_or(|(&part, _)| part < entry.part),
            "part {} is out of order",
            entry.part
        );
        assert_eq!(entry.verdict, verdict(entry.part));
        entries.insert(entry.part, entry.clone());
    }
    entries
}

fn segments(folder: &Path, log: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with(log))
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_appended_is_read_until_it_is_acknowledged() {
    let folder = TempDir::new().unwrap();
    let mut journal = Journal::open(folder.path(), ROOM).unwrap();
    assert_eq!(journal.next_part(), 1);
    fill(&mut journal, 10);
    let entries = read_all(&journal);
    assert_eq!(entries.len(), 10);
    assert!(entries.values().all(|entry| entry.mask == mask(entry.part)));

    journal.acknowledge(7).unwrap();
    journal.acknowledge(3).unwrap();
    assert_eq!(read_all(&journal).keys().collect::<Vec<_>>(), [&8, &9, &10]);
    assert_eq!(journal.waiting(), 3);

    // More than there was: the part that comes next must still be sent.
    journal.acknowledge(99).unwrap();
    fill(&mut journal, 1);
    assert_eq!(read_all(&journal).keys().collect::<Vec<_>>(), [&11]);
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let folder = TempDir::new().unwrap();
    let mut journal = Journal::open(folder.path(), ROOM).unwrap();
    let (mut cursor, mut entry) = (Cursor::default(), Entry::default());
    for part in 1..200 {
        assert!(!journal.read(&mut cursor, &mut entry).unwrap());
        fill(&mut journal, 1);
        assert!(journal.read(&mut cursor, &mut entry).unwrap());
        assert_eq!((entry.part, &entry.mask), (part, &mask(part)));
        if part % 5 == 0 {
            journal.acknowledge(part).unwrap();
        }
    }
}

#[test]
fn numbers_and_acknowledgements_survive_a_restart() {
    let folder = TempDir::new().unwrap();
    for round in 0..5 {
        let mut journal = Journal::open(folder.path(), ROOM).unwrap();
        assert_eq!(journal.next_part(), 1 + round * 10);
        assert_eq!(journal.waiting(), 0);
        fill(&mut journal, 10);
        journal.acknowledge(journal.next_part() - 1).unwrap();
    }
}

/// Cuts the last segment of a log at every byte, as a crash in mid-write may leave it.
fn cut_everywhere(log: &str) {
    let folder = TempDir::new().unwrap();
    let mut journal = Journal::open(folder.path(), ROOM).unwrap();
    fill(&mut journal, 12);
    journal.acknowledge(2).unwrap();
    drop(journal);
    let segment = segments(folder.path(), log).pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    for length in 0..whole.len() {
        // A crash may also leave bytes that were never written.
        for rubbish in [&[][..], &[0; 40], &[0xa5; 40]] {
            let copy = TempDir::new().unwrap();
            for file in fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
            }
            let cut = [&whole[..length], rubbish].concat();
            fs::write(copy.path().join(segment.file_name().unwrap()), cut).unwrap();
            check_cut(copy.path(), log, length);
        }
    }
}

fn check_cut(folder: &Path, log: &str, length: usize) {
    let mut journal = Journal::open(folder, ROOM).unwrap();
    let next = journal.next_part();
    let entries = read_all(&journal);
    if log == "verdicts" {
        // Exactly those whose last byte was written, and the next number follows the last one that
        // was written or acknowledged.
        let record = |part: u64| 16 + verdict(part).len();
        let mut whole = (1..=12).scan(8, |end, part| {
            *end += record(part);
            Some(*end)
        });
        let there = whole.by_ref().take_while(|&end| end <= length).count() as u64;
        assert_eq!(next, there.max(2) + 1, "cut at {length}");
        assert!(entries.keys().copied().eq(3..next), "cut at {length}");
    } else {
        assert_eq!((next, entries.len()), (13, 10), "cut at {length}");
        for entry in entries.values() {
            assert!(entry.mask.is_empty() || entry.mask == mask(entry.part));
        }
    }
    // A part that comes now has no mask of one that was lost.
    journal.append(&verdict(next), &[]).unwrap();
    drop(journal);
    let last = read_all(&Journal::open(folder, ROOM).unwrap())
        .pop_last()
        .unwrap();
    assert_eq!((last.0, last.1.mask), (next, vec![]));
}

#[test]
fn verdicts_cut_at_every_byte() {
    cut_everywhere("verdicts");
}

#[test]
fn masks_cut_at_every_byte() {
    cut_everywhere("masks");
}

#[test]
fn every_damaged_byte_is_noticed() {
    let folder = TempDir::new().unwrap();
    fill(&mut Journal::open(folder.path(), ROOM).unwrap(), 4);
    let segment = segments(folder.path(), "verdicts").pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    for byte in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0x10;
        fs::write(&segment, &damaged).unwrap();
        // All others are there, and nothing but what was written is read; what is missing before
        // others is counted.
        let journal = Journal::open(folder.path(), ROOM).unwrap();
        let entries = read_all(&journal);
        let record = (16 + verdict(1).len()) as u64;
        let hit = (byte as u64).checked_sub(8).map(|byte| 1 + byte / record);
        let there = (1..=4).filter(|&part| Some(part) != hit);
        assert!(entries.keys().copied().eq(there), "byte {byte}");
        let counted = hit.is_some_and(|part| part < 4);
        assert_eq!(
            journal.dropped().verdicts,
            u64::from(counted),
            "byte {byte}"
        );
        assert_eq!(journal.damaged(), journal.dropped());
    }
}

#[test]
fn damage_in_older_files_takes_no_more_than_it_hits() {
    let folder = TempDir::new().unwrap();
    fill(&mut Journal::open(folder.path(), 16 * 1024).unwrap(), 200);
    let files = segments(folder.path(), "verdicts");
    assert!(files.len() > 3);
    let whole: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let restore = || {
        for (file, bytes) in files.iter().zip(&whole) {
            fs::write(file, bytes).unwrap();
        }
    };
    let opened = || {
        let journal = Journal::open(folder.path(), 16 * 1024).unwrap();
        let there: Vec<u64> = read_all(&journal).into_keys().collect();
        (journal, there)
    };
    let all = opened().1;
    let last_of_first = {
        let name = files[1].file_stem().unwrap().to_str().unwrap();
        u64::from_str_radix(name.rsplit_once('-').unwrap().1, 16).unwrap() - 1
    };
    // The first and the last record of a file, and all of it.
    let damage = |at: std::ops::Range<usize>| {
        restore();
        let mut bytes = whole[0].clone();
        bytes[at].fill(0xa5);
        fs::write(&files[0], bytes).unwrap();
    };
    let end = whole[0].len();
    for (at, lost) in [
        (8..9, all[0]..all[0] + 1),
        (end - 1..end, last_of_first..last_of_first + 1),
        (0..end, all[0]..last_of_first + 1),
    ] {
        damage(at);
        let (journal, there) = opened();
        assert!(
            there
                .iter()
                .eq(all.iter().filter(|part| !lost.contains(part)))
        );
        assert_eq!(journal.damaged().verdicts, lost.end - lost.start);
        assert_eq!(journal.next_part(), 201);
        // Mended: it is not told again, and the numbers go on.
        drop(journal);
        let (mut journal, again) = opened();
        assert_eq!((again, journal.damaged().masks), (there, 0));
        fill(&mut journal, 1);
        assert_eq!(journal.next_part(), 202);
        drop(journal);
    }
    // What the host has is no loss.
    restore();
    let mut journal = Journal::open(folder.path(), 16 * 1024).unwrap();
    journal.acknowledge(all[0]).unwrap();
    drop(journal);
    damage(8..9);
    assert_eq!(opened().0.damaged().verdicts, 0);
}

#[test]
fn oldest_masks_go_first_verdicts_last_and_each_is_counted() {
    let folder = TempDir::new().unwrap();
    let mut journal = Journal::open(folder.path(), 16 * 1024).unwrap();
    let (mut masks_gone, mut verdicts_gone) = (false, false);
    for part in 1..700_u64 {
        journal.append(&verdict(part), &[part as u8; 100]).unwrap();
        assert!(journal.bytes() <= 16 * 1024);
        let entries = read_all(&journal);
        let masks: Vec<_> = entries
            .values()
            .filter(|e| !e.mask.is_empty())
            .map(|e| e.part)
            .collect();
        // Of both kinds the newest are there, without a gap, and all others are counted.
        assert!(
            entries
                .keys()
                .copied()
                .eq(part + 1 - entries.len() as u64..=part)
        );
        assert!(
            masks
                .iter()
                .copied()
                .eq(part + 1 - masks.len() as u64..=part)
        );
        let dropped = journal.dropped();
        assert_eq!(dropped.verdicts, part - entries.len() as u64);
        assert_eq!(dropped.masks, part - masks.len() as u64);
        if dropped.verdicts > 0 {
            assert!(
                masks.len() <= 10,
                "verdicts went before masks: {}",
                masks.len()
            );
        }
        masks_gone |= dropped.masks > 0 && dropped.verdicts == 0;
        verdicts_gone |= dropped.verdicts > 0;
    }
    assert!(masks_gone && verdicts_gone);
}

#[test]
fn what_was_acknowledged_is_not_counted_as_dropped() {
    let folder = TempDir::new().unwrap();
    let mut journal = Journal::open(folder.path(), 16 * 1024).unwrap();
    for part in 1..700_u64 {
        journal.append(&verdict(part), &[part as u8; 100]).unwrap();
        journal.acknowledge(part).unwrap();
    }
    let dropped = journal.dropped();
    assert_eq!((dropped.verdicts, dropped.masks), (0, 0));
    assert!(journal.bytes() <= 4 * 1024);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_with_a_remedy() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = format!(
        "{:#}",
        Journal::open(&file.join("journal"), ROOM).unwrap_err()
    );
    assert!(error.contains("journal.folder"), "{error}");
    assert!(error.contains("file/journal"), "{error}");
}
