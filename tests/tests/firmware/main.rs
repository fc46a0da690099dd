//! The firmware on both Cortex-M boards under QEMU. The test plays the conveyor: rows go in over the
//! serial port, what comes out equals the reference, and the gate's pin throws off the defective
//! windows and no others; whatever goes wrong is said, and everything rejected.

mod board;
mod faults;

use std::{
    fs,
    path::{Path, PathBuf},
};

use board::{BOARDS, Board, Kind, REJECT, RUN, Switch};
use residua_host::data::read_grey;
use residua_shared::{
    manifest::Manifest,
    rule::DecisionRule,
    verdict::{Outcome, Region},
    wire::{
        self, Capabilities, Command, Hello, MAX_REGIONS, Message, Model, ProgramVersion, Report,
        Stats, Time,
    },
};
use residua_tests::strips::{self, Found};

/// As `firmware.toml` beside the model says, in microseconds.
const DISTANCE: u64 = 1_500_000;
const PULSE: u64 = 400_000;

/// How far from when it is due a pin may be switched. The gate is polled every millisecond, but while
/// the board sleeps its time is this machine's; if it is polled later than this the gate itself fails.
const TOLERANCE: u64 = 250_000;

/// The device's name there.
const DEVICE: &str = "strip-line";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/firmware")
}

fn manifest() -> Manifest {
    let manifest = fs::read(folder().join("manifest.json")).unwrap();
    serde_json::from_slice(&manifest).unwrap()
}

fn onnx() -> Vec<u8> {
    fs::read(folder().join("model.onnx")).unwrap()
}

/// The synthetic parts, each a strip of one window, in the order of their names.
fn parts() -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder().join("images")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| read_grey(file).unwrap().pixels;
    files.iter().map(read).collect()
}

/// A stretch of a real rail, with a defect across the edge of two windows.
fn rail() -> Vec<u8> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let file = folder.join("rsdds1/images").join(RAIL.0);
    assert!(file.is_file(), "{} is missing", file.display());
    let image = read_grey(&file).unwrap();
    let width = manifest().input.width();
    assert_eq!(image.size.width(), width, "{}", file.display());
    image.pixels[RAIL.1 * width..RAIL.2 * width].to_vec()
}

/// File, first row and the one behind the last.
const RAIL: (&str, usize, usize) = ("rail_02.jpg", 0, 224);

fn hello(manifest: &Manifest) -> Hello {
    Hello {
        protocol: wire::VERSION,
        program: ProgramVersion {
            major: 0,
            minor: 1,
            patch: 0,
        },
        device: DEVICE.parse().unwrap(),
        capabilities: Capabilities::MASKS
            .with(Capabilities::GATE)
            .with(Capabilities::REBOOT),
        next_part: 0,
        model: Some(Model {
            digest: manifest.digest,
            version: 0,
            input: manifest.input,
            threshold: manifest.rule.image_threshold(),
            name: manifest.name.clone(),
        }),
    }
}

/// The windows of strips, by the reference.
fn windows(manifest: &Manifest, onnx: &[u8], strips: &[Vec<u8>]) -> Vec<Found> {
    let (rule, input) = (manifest.rule, manifest.input);
    let of_strip = |image: &Vec<u8>| {
        let values = strips::reconstruction(onnx, rule, input.width(), image);
        strips::windows(rule, input.width(), input.height(), image, &values)
    };
    strips.iter().flat_map(of_strip).collect()
}

/// The report on a window, but for its time.
fn report(part: u64, rule: DecisionRule, window: &Found) -> Report {
    let row = |row: u64| row.saturating_sub(window.first_row) as u16;
    let regions = window.regions.iter().map(|region| Region {
        left: region.left,
        top: row(region.top),
        right: region.right,
        bottom: row(region.bottom),
        area: region.area as u32,
        peak: region.peak,
    });
    Report {
        part,
        time: Time::default(),
        verdict: window.verdict,
        threshold: rule.image_threshold(),
        regions: regions.take(MAX_REGIONS).collect(),
    }
}

/// When the actuator has to be on: from the start until everything between camera and gate has
/// passed, and for each defect.
fn pulses(reports: &[Report]) -> Vec<(u64, u64)> {
    let defects = reports
        .iter()
        .filter(|r| r.verdict.outcome == Outcome::Defect);
    let rejects = defects.map(|report| {
        let start = report.time.uptime_us + DISTANCE;
        (start, start + PULSE)
    });
    [(0, DISTANCE + PULSE)].into_iter().chain(rejects).collect()
}

/// When the actuator was on.
fn switched(switches: &[Switch]) -> Vec<(u64, u64)> {
    switches
        .chunks(2)
        .map(|pair| match pair {
            [on, off] if on.high && !off.high => (on.at, off.at),
            _ => panic!("not on and off in turn: {switches:?}"),
        })
        .collect()
}

/// The same with pulses as one that are too close to be told apart.
fn joined(pulses: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, end) in pulses {
        match joined.last_mut() {
            Some(last) if start <= last.1 + 2 * TOLERANCE => last.1 = end.max(last.1),
            _ => joined.push((start, end)),
        }
    }
    joined
}

fn check_pulses(kind: Kind, switches: &[Switch], reports: &[Report]) {
    let (found, due) = (joined(switched(switches)), joined(pulses(reports)));
    let close = |a: u64, b: u64| a.abs_diff(b) <= TOLERANCE;
    let mut pairs = found.iter().zip(&due);
    assert!(
        found.len() == due.len() && pairs.all(|(f, d)| close(f.0, d.0) && close(f.1, d.1)),
        "{kind:?}: {switches:?}, due {due:?}"
    );
}

#[test]
fn boards_report_what_the_reference_does_and_reject_defects_alone() {
    let (manifest, onnx) = (manifest(), onnx());
    let width = manifest.input.width();
    let mut strips = parts();
    strips.push(rail());
    let windows = windows(&manifest, &onnx, &strips);
    let outcomes = || windows.iter().map(|window| window.verdict.outcome);
    let good = outcomes().filter(|&o| o == Outcome::Good).count() as u64;
    let defects = windows.len() as u64 - good;
    assert!(good > 2 && defects > 2);
    let crossing = |window: &Found| window.regions.iter().any(|r| r.top < window.first_row);
    assert!(windows.iter().any(crossing));
    for kind in BOARDS {
        let mut board = Board::start(kind, &kind.program());
        assert_eq!(board.hello(), hello(&manifest), "{kind:?}");
        for image in &strips {
            board.strip(width, image);
        }
        let mut reports = Vec::new();
        for (part, window) in (0..).zip(&windows) {
            let found = match board.hear() {
                Message::Report(found) => found,
                other => panic!("{kind:?}: {other:?} instead of a report on part {part}"),
            };
            let timeless = Report {
                time: Time::default(),
                ..found.clone()
            };
            assert_eq!(timeless, report(part, manifest.rule, window), "{kind:?}");
            let before = reports.last().map_or(0, |r: &Report| r.time.uptime_us);
            assert!(before < found.time.uptime_us, "{kind:?}: {:?}", found.time);
            assert_eq!(found.time.unix_us, None);
            let mask = match found.verdict.outcome {
                Outcome::Good => Vec::new(),
                Outcome::Defect => board.mask(part, manifest.input.area()),
            };
            assert!(Some(mask) == window.mask, "{kind:?}, mask of part {part}");
            reports.push(found);
        }
        let last = reports.last().unwrap().time.uptime_us;
        board.wait_until(last + DISTANCE + PULSE + TOLERANCE);
        check_pulses(kind, &board.switches(REJECT), &reports);
        assert!(board.is_high(RUN), "{kind:?}");
        let stats = stats(&mut board);
        assert_eq!(
            (stats.good, stats.defects, stats.faults),
            (good, defects, 0)
        );
        assert_eq!(stats.dropped, wire::Dropped::default());
        assert_eq!(stats.latency.count(), good + defects);
        assert!(stats.latency.max_us > 1000 && u64::from(stats.latency.max_us) < DISTANCE);
        assert!(
            stats.memory.peak > 1000 && stats.memory.buffers > 100_000,
            "{:?}",
            stats.memory
        );
        println!(
            "{}: {:?}, latency {:?}",
            kind.machine, stats.memory, stats.latency
        );
    }
}

fn stats(board: &mut Board) -> Stats {
    board.ask(Command::Stats);
    match board.hear() {
        Message::Stats(stats) => stats,
        other => panic!("{other:?} instead of statistics"),
    }
}
