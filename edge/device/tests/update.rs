//! New models over the link, into the running program.

mod common;

use std::{fs, io::Write, net::TcpStream};

use common::{Board, Device, Host, STDIN, fixtures, pixels, signer};
use residua_edge::update::{SigningKey, header};
use residua_shared::{
    frame::Size,
    manifest::Digest,
    verdict::Outcome,
    wire::{
        CHUNK, Capabilities, Command, FaultKind, MAX_FRAME, Message, ModelHeader, Refusal, Request,
        encode,
    },
};

/// The image threshold of the model that the board comes with, and of those that are sent.
const OLD: u32 = 22_731;
const NEW: u32 = 99_731;

fn input() -> Size {
    Size::new(common::WIDTH, common::HEIGHT).unwrap()
}

/// The board's model with a higher threshold: to it the blob is good.
fn new_model() -> Vec<u8> {
    let mut bytes = fs::read(fixtures().join("model.onnx")).unwrap();
    let (old, new) = (OLD.to_string(), NEW.to_string());
    let at = bytes
        .windows(old.len())
        .position(|window| window == old.as_bytes());
    bytes[at.unwrap()..][..new.len()].copy_from_slice(new.as_bytes());
    bytes
}

fn signed(header: ModelHeader, key: &SigningKey) -> Command {
    Command::BeginModel {
        header,
        signature: key.sign(&header),
    }
}

fn begin(bytes: &[u8], version: u64) -> Command {
    signed(header(bytes, version, input()).unwrap(), &signer())
}

fn chunks(bytes: &[u8]) -> impl Iterator<Item = Command> {
    let chunk = |(offset, bytes): (usize, &[u8])| Command::ModelChunk {
        offset: offset as u32,
        bytes: bytes.iter().copied().collect(),
    };
    (0..).step_by(CHUNK).zip(bytes.chunks(CHUNK)).map(chunk)
}

/// The whole update, up to the first refusal.
fn install(host: &mut Host<TcpStream>, begin: Command, bytes: &[u8]) -> Result<(), Refusal> {
    host.ask(begin)?;
    for chunk in chunks(bytes) {
        host.ask(chunk)?;
    }
    host.ask(Command::CommitModel)
}

/// Asserts which model runs, by what it says and by a verdict.
#[track_caller]
fn runs(device: &mut Device, host: &mut Host<TcpStream>, version: u64, threshold: u32) {
    host.send(Command::Identify);
    let hello = host.hello();
    let model = hello.model.unwrap();
    assert_eq!((model.version, model.threshold.raw), (version, threshold));
    device.send(&[&pixels("blob")]);
    // Reports from before may come again first.
    let report = host.find(|message| match message {
        Message::Report(report) => Some(report).filter(|report| report.part >= hello.next_part),
        _ => None,
    });
    let blob = match threshold {
        OLD => Outcome::Defect,
        _ => Outcome::Good,
    };
    assert_eq!(
        (report.verdict.outcome, report.threshold.raw),
        (blob, threshold)
    );
    host.acknowledge(report.part);
}

#[test]
fn a_signed_model_takes_over_and_stays() {
    let board = Board::new(STDIN).takes_models();
    let (mut device, bytes) = (board.start(), new_model());
    let (mut host, mut onlooker) = (device.host(), device.host());
    let hello = host.hello();
    assert!(hello.capabilities.contains(Capabilities::UPDATE));
    assert_eq!(hello.model.unwrap().version, 0);
    onlooker.hello();
    runs(&mut device, &mut host, 0, OLD);

    // Parts that come meanwhile are inspected by the old model.
    host.ask(begin(&bytes, 5)).unwrap();
    let mut sent = chunks(&bytes);
    host.ask(sent.next().unwrap()).unwrap();
    runs(&mut device, &mut host, 0, OLD);
    sent.for_each(|chunk| host.ask(chunk).unwrap());
    host.ask(Command::CommitModel).unwrap();
    // Every host is told, unasked.
    for host in [&mut host, &mut onlooker] {
        let model = host.hello().model.unwrap();
        assert_eq!((model.version, model.threshold.raw), (5, NEW));
    }
    runs(&mut device, &mut host, 5, NEW);

    // The very same file as a newer version is news too.
    install(&mut host, begin(&bytes, 6), &bytes).unwrap();
    assert_eq!(host.hello().model.unwrap().version, 6);

    device.kill();
    let mut device = board.start();
    let mut host = device.host();
    runs(&mut device, &mut host, 6, NEW);
    drop(device);
    // Where the newest decays, the one before runs; without any, the configured one.
    fs::write(board.path("models/b.onnx"), "decayed").unwrap();
    let mut device = board.start();
    let mut host = device.host();
    runs(&mut device, &mut host, 5, NEW);
    drop(device);
    fs::remove_dir_all(board.path("models")).unwrap();
    let mut device = board.start();
    let mut host = device.host();
    runs(&mut device, &mut host, 0, OLD);
}

#[test]
fn what_is_not_in_order_is_refused_and_the_old_model_goes_on() {
    let board = Board::new(STDIN).takes_models();
    let (mut device, bytes) = (board.start(), new_model());
    let mut host = device.host();
    install(&mut host, begin(&bytes, 5), &bytes).unwrap();
    assert_eq!(
        host.find(|message| match message {
            Message::Hello(hello) => hello.model.filter(|model| model.version == 5),
            _ => None,
        })
        .threshold
        .raw,
        NEW
    );
    let good = header(&bytes, 6, input()).unwrap();
    let stranger = SigningKey::from_seed(&[8; 32]);
    let turned = Size::new(common::HEIGHT, common::WIDTH).unwrap();
    let capacity = 1 << 20;
    let longer = ModelHeader {
        length: capacity + 1,
        ..good
    };
    let mut forged = signed(good, &signer());
    if let Command::BeginModel { header, .. } = &mut forged {
        header.version = 7;
    }
    for (begin, refusal) in [
        (signed(good, &stranger), Refusal::Signature),
        (forged, Refusal::Signature),
        (begin(&bytes, 4), Refusal::Version { current: 5 }),
        (begin(&bytes, 5), Refusal::Version { current: 5 }),
        (
            signed(header(&bytes, 6, turned).unwrap(), &signer()),
            Refusal::Geometry { expected: input() },
        ),
        (signed(longer, &signer()), Refusal::Length { capacity }),
    ] {
        assert_eq!(host.ask(begin), Err(refusal));
        let fault = host.fault();
        assert_eq!(fault.kind, FaultKind::Update);
        // No longer than a fault's detail, it is told in full.
        assert!(refusal.to_string().starts_with(fault.detail.as_str()));
        let first = chunks(&bytes).next().unwrap();
        assert_eq!(host.ask(first), Err(Refusal::NotBegun));
    }
    assert_eq!(host.ask(Command::CommitModel), Err(Refusal::NotBegun));
    runs(&mut device, &mut host, 5, NEW);

    // What was signed is not what comes.
    let wrong = ModelHeader {
        digest: Digest([1; 32]),
        ..good
    };
    let refused = install(&mut host, signed(wrong, &signer()), &bytes);
    assert_eq!(refused, Err(Refusal::Digest));
    // It is, but no model, a damaged one, or one for other images than was signed.
    let damaged = [&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2 + 1..]].concat();
    let other = fs::read(fixtures().join("../edge-small/model.onnx")).unwrap();
    for bytes in [b"no model".to_vec(), damaged, other] {
        let refused = install(&mut host, begin(&bytes, 6), &bytes);
        assert_eq!(refused, Err(Refusal::Invalid));
    }
    runs(&mut device, &mut host, 5, NEW);
    device.kill();
    let mut device = board.start();
    let mut host = device.host();
    runs(&mut device, &mut host, 5, NEW);
    install(&mut host, begin(&bytes, 6), &bytes).unwrap();
}

#[test]
fn chunks_go_in_order_and_all_of_them() {
    let board = Board::new(STDIN).takes_models();
    let (mut device, bytes) = (board.start(), new_model());
    let mut host = device.host();
    let all: Vec<Command> = chunks(&bytes).collect();
    let expected = |expected| Err(Refusal::Offset { expected });
    host.ask(begin(&bytes, 1)).unwrap();
    assert_eq!(host.ask(all[1].clone()), expected(0));
    assert_eq!(host.ask(all[0].clone()), Ok(()));
    assert_eq!(host.ask(all[0].clone()), expected(512));
    assert_eq!(host.ask(all[2].clone()), expected(512));
    let short = Command::ModelChunk {
        offset: 512,
        bytes: bytes[512..600].iter().copied().collect(),
    };
    assert_eq!(host.ask(short), expected(512));
    assert_eq!(host.ask(Command::CommitModel), expected(512));
    // A host that hung up can go on over another connection.
    drop(host);
    let mut host = device.host();
    for chunk in &all[1..all.len() - 1] {
        host.ask(chunk.clone()).unwrap();
    }
    let cut = 512 * (all.len() as u32 - 1);
    assert_eq!(host.ask(Command::CommitModel), expected(cut));
    runs(&mut device, &mut host, 0, OLD);
    // Another host that begins takes over.
    let mut other = device.host();
    other.ask(begin(&bytes, 2)).unwrap();
    assert_eq!(host.ask(all[all.len() - 1].clone()), expected(0));
    for chunk in all {
        other.ask(chunk).unwrap();
    }
    other.ask(Command::CommitModel).unwrap();
    other.find(|message| match message {
        Message::Hello(hello) => hello.model.filter(|model| model.version == 2),
        _ => None,
    });
    runs(&mut device, &mut host, 2, NEW);
}

#[test]
fn killed_at_any_chunk_the_old_model_runs() {
    let board = Board::new(STDIN).takes_models();
    let bytes = new_model();
    let all: Vec<Command> = chunks(&bytes).collect();
    for cut in 0..=all.len() {
        let mut device = board.start();
        let mut host = device.host();
        runs(&mut device, &mut host, 0, OLD);
        host.ask(begin(&bytes, 1)).unwrap();
        for chunk in &all[..cut] {
            host.ask(chunk.clone()).unwrap();
        }
        // One more is on its way.
        if let Some(chunk) = all.get(cut) {
            send_half(&mut host, chunk);
        }
        device.kill();
    }
    // At the commit itself, whenever it is, one of the two runs.
    for patience in [0, 1, 2, 4, 8] {
        let mut device = board.start();
        let mut host = device.host();
        host.send(Command::Identify);
        let before = host.hello().model.unwrap().version;
        host.ask(begin(&bytes, before + 1)).unwrap();
        for chunk in &all {
            host.ask(chunk.clone()).unwrap();
        }
        host.send(Command::CommitModel);
        std::thread::sleep(std::time::Duration::from_millis(patience));
        device.kill();
        let mut device = board.start();
        let mut host = device.host();
        let now = host.hello().model.unwrap();
        assert!(now.version == before || now.version == before + 1);
        runs(&mut device, &mut host, now.version, now.threshold.raw);
    }
}

fn send_half(host: &mut Host<TcpStream>, command: &Command) {
    let mut frame = [0; MAX_FRAME];
    let command = command.clone();
    let frame = encode(&Request { id: 9, command }, &mut frame).unwrap();
    host.stream.write_all(&frame[..frame.len() / 2]).unwrap();
}

#[test]
fn a_model_that_no_longer_runs_is_reported_and_the_configured_one_used() {
    let board = Board::new(STDIN).takes_models();
    // Signed and whole, as it came when another program ran here; but this one cannot run it.
    let bytes = b"of another time".to_vec();
    let slots = residua_edge::update::Files::open(board.path("models"), 1 << 20).unwrap();
    let key = signer().trusted();
    let mut updater = residua_edge::update::Updater::open(slots, key, input()).unwrap();
    let header = header(&bytes, 3, input()).unwrap();
    updater.begin(header, signer().sign(&header)).unwrap();
    updater.chunk(0, &bytes).unwrap();
    updater.commit(|_, _, _| Ok(())).unwrap();
    let mut device = board.start();
    let mut host = device.host();
    let fault = host.fault();
    assert_eq!(fault.kind, FaultKind::Update);
    assert!(fault.detail.contains("model.file is used"), "{fault:?}");
    runs(&mut device, &mut host, 0, OLD);
}

#[test]
fn without_a_key_no_model_is_taken() {
    let board = Board::new(STDIN);
    let (mut device, bytes) = (board.start(), new_model());
    let mut host = device.host();
    assert!(!host.hello().capabilities.contains(Capabilities::UPDATE));
    let refused = install(&mut host, begin(&bytes, 1), &bytes);
    assert_eq!(refused, Err(Refusal::Unsupported));

    let board = board.takes_models();
    for key in ["", "zz", &"0".repeat(64), &"g".repeat(64), &"é".repeat(32)] {
        fs::write(board.path("models.pub"), key).unwrap();
        let mut device = board.start();
        assert_eq!(device.ended().code(), Some(2), "{key}");
        device.logged(&["models.pub", "update.key", "device-key"]);
    }
}
