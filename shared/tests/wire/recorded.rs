//! Frames that an earlier build wrote, read by this one.
//!
//! `fixtures/SIDE-vN.bin` are frames one after the other, `SIDE-vN.jsonl` what they say, one line
//! a frame. A file of an older version is never recorded anew; the current ones are, for review, by
//! `cargo test -p residua-shared --test wire -- --ignored record`.

use std::{fs, path::PathBuf};

use residua_shared::wire::{MAX_FRAME, Message, Reader, Request, VERSION, Wire, WireError, encode};
use serde::Serialize;

use crate::samples;

pub fn fixture(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/fixtures");
    PathBuf::from(folder).join(name)
}

fn frames<M: Wire>(messages: &[M]) -> Vec<u8> {
    let frame = |message| encode(message, &mut [0; MAX_FRAME]).unwrap().to_vec();
    messages.iter().flat_map(frame).collect()
}

fn lines<M: Serialize>(messages: &[M]) -> String {
    let line = |message| serde_json::to_string(message).unwrap() + "\n";
    messages.iter().map(line).collect()
}

fn read<M: Wire>(name: &str) -> Vec<Result<M, WireError>> {
    let mut found = Vec::new();
    Reader::new().extend(&fs::read(fixture(name)).unwrap(), |m| found.push(m));
    found
}

fn check<M: Wire>(side: &str, samples: &[M]) {
    let (bin, jsonl) = (format!("{side}-v2.bin"), format!("{side}-v2.jsonl"));
    let found: Result<Vec<M>, _> = read(&bin).into_iter().collect();
    let found = found.unwrap();
    assert_eq!(lines(&found), fs::read_to_string(fixture(&jsonl)).unwrap());
    assert_eq!(frames(&found), fs::read(fixture(&bin)).unwrap());
    // A kind of message that is new must be recorded too.
    assert_eq!(found.len(), samples.len());
}

#[test]
fn version_2_is_still_understood() {
    check::<Message>("device", &samples::messages());
    check::<Request>("host", &samples::requests());
}

#[test]
fn version_1_is_refused_by_name() {
    let found = read::<Message>("device-v1.bin");
    assert_eq!(found, [const { Err(WireError::Version(1)) }; 3]);
    assert!(
        found[0]
            .clone()
            .unwrap_err()
            .to_string()
            .contains("version 1")
    );
}

#[test]
#[ignore = "records the fixtures of the current version anew"]
fn record() {
    let write = |side: &str, frames: Vec<u8>, lines: String| {
        fs::write(fixture(&format!("{side}-v{VERSION}.bin")), frames).unwrap();
        fs::write(fixture(&format!("{side}-v{VERSION}.jsonl")), lines).unwrap();
    };
    let (messages, requests) = (samples::messages(), samples::requests());
    write("device", frames(&messages), lines(&messages));
    write("host", frames(&requests), lines(&requests));
}
