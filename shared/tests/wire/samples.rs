//! Messages of every kind, their integers on both sides of the borders where an encoding grows.

use heapless::{String, Vec};
use residua_shared::{
    frame::Size,
    manifest::Digest,
    rule::{MapScale, Threshold},
    verdict::{Outcome, Region, Verdict},
    wire::{
        Answer, CHUNK, Capabilities, Command, Dropped, Fault, FaultKind, Hello, Histogram,
        ImageChunk, MASK_SPANS, MAX_REGIONS, MaskChunk, Memory, Message, Model, ModelHeader, Pong,
        ProgramVersion, Refusal, Report, Request, Span, Stats, Time,
    },
};

/// Where a varint takes one byte more than below, and the highest values.
pub const BORDERS: [u64; 11] = [
    0,
    0x7f,
    0x80,
    0x3fff,
    0x4000,
    0x1f_ffff,
    0x20_0000,
    0xfff_ffff,
    0x1000_0000,
    u32::MAX as u64,
    u64::MAX,
];

pub fn text<const N: usize>(text: &str) -> String<N> {
    text.try_into().unwrap()
}

fn full<T: Clone, const N: usize>(item: T) -> Vec<T, N> {
    std::iter::repeat_n(item, N).collect()
}

fn word(n: u64) -> u32 {
    n.min(u32::MAX.into()) as u32
}

fn half(n: u64) -> u16 {
    n.min(u16::MAX.into()) as u16
}

fn size(n: u64) -> Size {
    Size::new(n.clamp(1, 8192) as usize, 8192).unwrap()
}

fn time(n: u64) -> Time {
    Time {
        uptime_us: n,
        unix_us: (n > 0).then_some(n),
    }
}

fn threshold(n: u64) -> Threshold {
    Threshold {
        raw: word(n),
        scale: MapScale::new(12, 31).unwrap(),
    }
}

fn region(n: u64) -> Region {
    Region {
        left: half(n),
        top: half(n),
        right: half(n),
        bottom: half(n),
        area: word(n),
        peak: word(n),
    }
}

pub fn hello(n: u64) -> Hello {
    Hello {
        protocol: 2,
        program: ProgramVersion {
            major: half(n),
            minor: half(n),
            patch: half(n),
        },
        device: text(&"d".repeat(n.min(32) as usize)),
        capabilities: Capabilities(word(n)),
        next_part: n,
        model: (n > 0).then(|| Model {
            digest: Digest([half(n) as u8; 32]),
            version: n,
            input: size(n),
            threshold: threshold(n),
            name: text(&"m".repeat(n.min(64) as usize)),
        }),
    }
}

pub fn report(n: u64) -> Report {
    Report {
        part: n,
        time: time(n),
        verdict: Verdict {
            outcome: if n == 0 {
                Outcome::Good
            } else {
                Outcome::Defect
            },
            score: word(n),
            regions: word(n),
            overflow: n == u64::MAX,
        },
        threshold: threshold(n),
        regions: (0..n.min(MAX_REGIONS as u64)).map(|_| region(n)).collect(),
    }
}

fn fault(n: u64, kind: FaultKind) -> Fault {
    Fault {
        part: (n > 0).then_some(n),
        time: time(n),
        kind,
        detail: text(&"!".repeat(n.min(128) as usize)),
    }
}

fn mask(n: u64) -> MaskChunk {
    let span = Span {
        skip: word(n),
        length: word(n),
    };
    MaskChunk {
        part: n,
        index: word(n),
        last: n == 0,
        start: word(n),
        spans: if n == 0 { Vec::new() } else { full(span) },
    }
}

fn image(n: u64) -> ImageChunk {
    ImageChunk {
        part: n,
        size: size(n),
        start: word(n),
        pixels: (0..n.min(CHUNK as u64)).map(|i| i as u8).collect(),
    }
}

fn stats(n: u64) -> Stats {
    Stats {
        time: time(n),
        good: n,
        defects: n,
        faults: n,
        dropped: Dropped {
            images: n,
            reports: n,
            masks: n,
            frames: n,
            late: n,
        },
        latency: Histogram {
            counts: [n; 24],
            total_us: n,
            max_us: word(n),
        },
        memory: Memory {
            buffers: n,
            peak: n,
        },
    }
}

pub const FAULTS: [FaultKind; 10] = [
    FaultKind::Model,
    FaultKind::Image,
    FaultKind::Engine,
    FaultKind::Camera,
    FaultKind::Gate,
    FaultKind::Watchdog,
    FaultKind::Storage,
    FaultKind::Update,
    FaultKind::Link,
    FaultKind::Internal,
];

pub fn refusals(n: u64) -> [Refusal; 14] {
    [
        Refusal::Unsupported,
        Refusal::Busy,
        Refusal::NoModel,
        Refusal::Scale,
        Refusal::Threshold { pixel: word(n) },
        Refusal::Signature,
        Refusal::Version { current: n },
        Refusal::Geometry { expected: size(n) },
        Refusal::Length { capacity: word(n) },
        Refusal::NotBegun,
        Refusal::Offset { expected: word(n) },
        Refusal::Digest,
        Refusal::Invalid,
        Refusal::Storage,
    ]
}

fn answer(n: u64, result: Result<(), Refusal>) -> Message {
    Message::Answer(Answer {
        request: half(n),
        result,
    })
}

/// From devices.
pub fn messages() -> std::vec::Vec<Message> {
    let each = |n| {
        [
            Message::Hello(hello(n)),
            Message::Report(report(n)),
            Message::Fault(fault(n, FaultKind::Image)),
            Message::Mask(mask(n)),
            Message::Image(image(n)),
            Message::Stats(stats(n)),
            Message::Pong(Pong {
                request: half(n),
                time: time(n),
            }),
            answer(n, Ok(())),
        ]
    };
    let faults = FAULTS.map(|kind| Message::Fault(fault(3, kind)));
    let refusals = [0x7f, u64::MAX]
        .into_iter()
        .flat_map(|n| refusals(n).map(|refusal| answer(n, Err(refusal))));
    BORDERS
        .into_iter()
        .flat_map(each)
        .chain(faults)
        .chain(refusals)
        .collect()
}

pub fn header(n: u64) -> ModelHeader {
    ModelHeader {
        version: n,
        length: word(n),
        input: size(n),
        digest: Digest([half(n) as u8; 32]),
    }
}

/// From hosts.
pub fn requests() -> std::vec::Vec<Request> {
    let commands = |n: u64| {
        [
            Command::Ping,
            Command::Identify,
            Command::Stats,
            Command::SetThreshold(threshold(n)),
            Command::Capture,
            Command::BeginModel {
                header: header(n),
                signature: std::array::from_fn::<u8, 64, _>(|i| i as u8).into(),
            },
            Command::ModelChunk {
                offset: word(n),
                bytes: (0..n.min(CHUNK as u64)).map(|i| i as u8).collect(),
            },
            Command::CommitModel,
            Command::Reboot,
            Command::Acknowledge { part: n },
        ]
    };
    let request = |n, command| Request {
        id: half(n),
        command,
    };
    BORDERS
        .into_iter()
        .flat_map(|n| commands(n).map(|command| request(n, command)))
        .collect()
}

/// The longest of each kind of message: every integer in its longest encoding, every list full.
pub fn longest() -> std::vec::Vec<Message> {
    assert!(mask(u64::MAX).spans.len() == MASK_SPANS);
    messages().split_off(8 * (BORDERS.len() - 1))
}
