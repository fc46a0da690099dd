//! Frames byte by byte in both directions. The literal frames were computed apart from this code
//! (COBS and varints by their definitions, the checksum by zlib's crc32).

use residua_shared::{
    frame::Size,
    manifest::Digest,
    rule::{MapScale, Threshold},
    verdict::{Outcome, Region, Verdict},
    wire::{
        Answer, Capabilities, Command, Dropped, Fault, FaultKind, Hello, Histogram, ImageChunk,
        MAX_FRAME, MaskChunk, Memory, Message, Model, ModelHeader, Pong, ProgramVersion, Refusal,
        Report, Request, Span, Stats, Time, Wire, decode, encode,
    },
};

use crate::samples::text;

fn hex(digits: &str) -> Vec<u8> {
    let bytes = digits.split_ascii_whitespace();
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// Checks a message against the literal bytes of its frame, in both directions.
fn check<M: Wire + PartialEq + std::fmt::Debug>(message: M, frame: &str) {
    let (frame, mut buffer) = (hex(frame), [0xaa; MAX_FRAME]);
    assert_eq!(encode(&message, &mut buffer).unwrap(), frame);
    assert_eq!(decode::<M>(&frame).unwrap(), message);
    assert_eq!(decode::<M>(&frame[..frame.len() - 1]).unwrap(), message);
}

fn uptime(uptime_us: u64) -> Time {
    Time {
        uptime_us,
        unix_us: None,
    }
}

fn threshold(raw: u32, fraction_bits: u8, box_size: u8) -> Threshold {
    Threshold {
        raw,
        scale: MapScale::new(fraction_bits, box_size).unwrap(),
    }
}

#[test]
fn hello() {
    let hello = Hello {
        protocol: 2,
        program: ProgramVersion {
            major: 1,
            minor: 20,
            patch: 300,
        },
        device: text("line 1"),
        capabilities: Capabilities::MASKS
            .with(Capabilities::THRESHOLD)
            .with(Capabilities::REBOOT),
        next_part: 16384,
        model: Some(Model {
            digest: Digest([0xd1; 32]),
            version: 7,
            input: Size::new(512, 300).unwrap(),
            threshold: threshold(128, 8, 5),
            name: text("rail"),
        }),
    };
    check(
        Message::Hello(hello),
        "03 02 44 45 02 01 14 ac 02 06 6c 69 6e 65 20 31 85 01 80 80 01 01 d1 d1 d1 d1 d1 d1 d1 d1 \
         d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 07 80 04 ac 02 80 \
         01 08 05 04 72 61 69 6c 1a 3d 33 1c 00",
    );
    let without_model = Hello {
        protocol: 2,
        program: ProgramVersion {
            major: 0,
            minor: 0,
            patch: 0,
        },
        device: text(""),
        capabilities: Capabilities::default(),
        next_part: 0,
        model: None,
    };
    check(
        Message::Hello(without_model),
        "03 02 44 02 02 01 01 01 01 01 01 05 8a a8 9f e6 00",
    );
}

#[test]
fn report() {
    let report = Report {
        part: 7,
        time: Time {
            uptime_us: 127,
            unix_us: Some(16383),
        },
        verdict: Verdict {
            outcome: Outcome::Defect,
            score: 300,
            regions: 1,
            overflow: true,
        },
        threshold: threshold(128, 8, 5),
        regions: [Region {
            left: 0,
            top: 127,
            right: 128,
            bottom: 8191,
            area: 1,
            peak: u32::MAX,
        }]
        .into_iter()
        .collect(),
    };
    check(
        Message::Report(report),
        "13 02 44 01 07 7f 01 ff 7f 01 ac 02 01 01 80 01 08 05 01 10 7f 80 01 ff 3f 01 ff ff ff ff \
         0f d2 86 52 49 00",
    );
}

#[test]
fn fault() {
    let fault = Fault {
        part: Some(u64::MAX),
        time: uptime(16384),
        kind: FaultKind::Image,
        detail: text("camera: dark"),
    };
    check(
        Message::Fault(fault),
        "12 02 44 02 01 ff ff ff ff ff ff ff ff ff 01 80 80 01 13 01 0c 63 61 6d 65 72 61 3a 20 64 \
         61 72 6b 64 6a 9c fe 00",
    );
}

#[test]
fn mask() {
    let span = |skip, length| Span { skip, length };
    let mask = MaskChunk {
        part: 7,
        index: 128,
        last: true,
        start: 262_143,
        spans: [span(0, 1), span(2_097_151, 2_097_152)]
            .into_iter()
            .collect(),
    };
    check(
        Message::Mask(mask),
        "0c 02 44 03 07 80 01 01 ff ff 0f 02 0d 01 ff ff 7f 80 80 80 01 aa 30 ae ce 00",
    );
}

#[test]
fn image() {
    let image = ImageChunk {
        part: 7,
        size: Size::new(2, 1).unwrap(),
        start: 0,
        pixels: [0, 255].into_iter().collect(),
    };
    check(
        Message::Image(image),
        "07 02 44 04 07 02 01 02 02 06 ff 6c 69 c2 7b 00",
    );
}

#[test]
fn stats() {
    let stats = Stats {
        time: uptime(0),
        good: 1,
        defects: 2,
        faults: 3,
        dropped: Dropped {
            images: 4,
            reports: 5,
            masks: 6,
            frames: 7,
            late: 127,
        },
        latency: Histogram {
            counts: std::array::from_fn(|i| i as u64),
            total_us: 128,
            max_us: 99,
        },
        memory: Memory {
            buffers: 65536,
            peak: 1 << 28,
        },
    };
    check(
        Message::Stats(stats),
        "04 02 44 05 01 09 01 02 03 04 05 06 07 7f 27 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f \
         10 11 12 13 14 15 16 17 80 01 63 80 80 04 80 80 80 80 01 e2 bf 2c 08 00",
    );
}

#[test]
fn answers() {
    let pong = Pong {
        request: u16::MAX,
        time: uptime(1),
    };
    check(
        Message::Pong(pong),
        "08 02 44 06 ff ff 03 01 05 06 24 26 4e 00",
    );
    let answer = |request, result| Message::Answer(Answer { request, result });
    check(answer(3, Ok(())), "05 02 44 07 03 05 51 2e f6 86 00");
    let offset = Refusal::Offset { expected: 512 };
    check(
        answer(128, Err(offset)),
        "0e 02 44 07 80 01 01 0a 80 04 38 4d 9a 0a 00",
    );
    let geometry = Refusal::Geometry {
        expected: Size::new(160, 127).unwrap(),
    };
    check(
        answer(128, Err(geometry)),
        "0f 02 44 07 80 01 01 07 a0 01 7f 8b cb e0 8d 00",
    );
}

#[test]
fn commands() {
    let request = |id, command| Request { id, command };
    check(request(0, Command::Ping), "03 02 48 01 05 ef cb c4 f5 00");
    check(
        request(127, Command::Identify),
        "09 02 48 7f 01 40 9e 64 2a 00",
    );
    check(
        request(128, Command::Stats),
        "0a 02 48 80 01 02 42 9f 62 f4 00",
    );
    check(
        request(1, Command::SetThreshold(threshold(16383, 4, 1))),
        "0d 02 48 01 03 ff 7f 04 01 71 96 dc 4e 00",
    );
    check(
        request(1, Command::Capture),
        "09 02 48 01 04 b7 3e b2 eb 00",
    );
    check(
        request(1, Command::CommitModel),
        "09 02 48 01 07 0d 6f bb 72 00",
    );
    check(request(1, Command::Reboot), "09 02 48 01 08 9c 72 04 e2 00");
    check(
        request(u16::MAX, Command::Acknowledge { part: u64::MAX }),
        "15 02 48 ff ff 03 09 ff ff ff ff ff ff ff ff ff 01 7f 55 b7 d6 00",
    );
}

#[test]
fn a_model_update() {
    let begin = Command::BeginModel {
        header: ModelHeader {
            version: 1 << 63,
            length: 70_000,
            input: Size::new(512, 300).unwrap(),
            digest: Digest([0xd1; 32]),
        },
        signature: std::array::from_fn(|i| if i < 32 { 0x72 } else { 0x73 }).into(),
    };
    check(
        Request {
            id: 16384,
            command: begin,
        },
        "7c 02 48 80 80 01 05 80 80 80 80 80 80 80 80 80 01 f0 a2 04 80 04 ac 02 d1 d1 d1 d1 d1 d1 \
         d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 d1 72 72 72 72 \
         72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 72 73 73 \
         73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 73 \
         43 93 db 01 00",
    );
    let chunk = Command::ModelChunk {
        offset: 512,
        bytes: [0, 1, 255].into_iter().collect(),
    };
    check(
        Request {
            id: 1,
            command: chunk,
        },
        "08 02 48 01 06 80 04 03 07 01 ff ca ef d3 e0 00",
    );
}

#[test]
fn the_bytes_of_a_header_that_are_signed() {
    let header = ModelHeader {
        version: 0x0102_0304_0506_0708,
        length: 0x0a0b_0c0d,
        input: Size::new(0x1112, 0x0314).unwrap(),
        digest: Digest([0xd1; 32]),
    };
    let mut bytes = b"residua-model-01".to_vec();
    bytes.extend(hex("08 07 06 05 04 03 02 01 0d 0c 0b 0a 12 11 14 03"));
    bytes.extend([0xd1; 32]);
    assert_eq!(header.signed_bytes().as_slice(), bytes);

    let read = |bytes: &[u8]| ModelHeader::from_signed_bytes(bytes.try_into().unwrap());
    assert_eq!(read(&bytes), Some(header));
    for (at, byte) in [(0, b'R'), (15, b'2'), (29, 0xff)] {
        let mut other = bytes.clone();
        other[at] = byte;
        assert_eq!(read(&other), None);
    }
}
