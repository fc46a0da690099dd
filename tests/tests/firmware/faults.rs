//! What can go wrong on a line: each is said in a fault, and the gate rejects everything and stops
//! the line until the host has the device restart; noise that costs no row does nothing.

use std::{fs, path::Path, process};

use residua_edge::{
    engine::native::{Plan, kernel},
    rows::Piece,
};
use residua_shared::{
    onnx,
    verdict::Outcome,
    wire::{Answer, Command, FaultKind, Message, Report},
};

use crate::{
    DEVICE, DISTANCE, PULSE, TOLERANCE,
    board::{BOARDS, Board, Kind, REJECT, RUN, row_frame},
    check_pulses, manifest, onnx, parts, stats,
};

/// Waits until what the gate could not know of at its start has passed.
fn settle(board: &mut Board) {
    assert!(
        board.is_high(REJECT),
        "the gate rejects what it did not see"
    );
    board.wait_until(DISTANCE + PULSE + TOLERANCE);
    assert!(!board.is_high(REJECT) && board.is_high(RUN));
}

fn running(kind: Kind) -> Board {
    let mut board = Board::start(kind, &kind.program());
    board.hello();
    settle(&mut board);
    board
}

/// A fault with this in its detail comes after nothing but reports and masks, and the gate stays in its
/// fail-safe state.
fn check_fault(board: &mut Board, kind: FaultKind, detail: &str) {
    let fault = loop {
        match board.hear() {
            Message::Report(_) | Message::Mask(_) => {}
            Message::Fault(fault) => break fault,
            other => panic!("{detail}: {other:?}"),
        }
    };
    assert!(
        fault.kind == kind && fault.detail.contains(detail),
        "{fault:?}"
    );
    let switched = board.switches(REJECT).len();
    // Rows that come now change nothing.
    board.row(0, &[0; 160]);
    board.end(1);
    board.wait_until(fault.time.uptime_us + 5 * PULSE);
    assert!(board.is_high(REJECT) && !board.is_high(RUN), "{fault:?}");
    assert_eq!(board.switches(REJECT).len(), switched, "{fault:?}");
    assert_eq!(stats(board).faults, 1);
}

fn restart(board: &mut Board) {
    let request = board.ask(Command::Reboot);
    let agreed = Message::Answer(Answer {
        request,
        result: Ok(()),
    });
    assert_eq!(board.hear(), agreed);
    assert!(board.hello().model.is_some());
    settle(board);
}

/// What goes wrong, and what must be said of it.
type Case = (FaultKind, &'static str, fn(&Board));

const PIXELS: [u8; 160] = [128; 160];

const CASES: [Case; 9] = [
    // A damaged row.
    (FaultKind::Image, "number 2 came, 1 was due", |board| {
        board.row(0, &PIXELS);
        let pixels = &PIXELS;
        let mut damaged = row_frame(Piece::Row { number: 1, pixels });
        damaged[40] ^= 4;
        board.send(&damaged);
        board.row(2, &PIXELS);
    }),
    // A lost row.
    (FaultKind::Image, "number 3 came, 2 was due", |board| {
        board.row(0, &PIXELS);
        board.row(1, &PIXELS);
        board.row(3, &PIXELS);
    }),
    // A row that comes twice.
    (FaultKind::Image, "number 0 came, 1 was due", |board| {
        board.row(0, &PIXELS);
        board.row(0, &PIXELS);
    }),
    // Rows lost at the end.
    (FaultKind::Image, "number 3 came, 1 was due", |board| {
        board.row(0, &PIXELS);
        board.end(3);
    }),
    // Another width.
    (FaultKind::Image, "159 pixels came", |board| {
        board.row(0, &PIXELS);
        board.row(1, &PIXELS[1..]);
    }),
    // A row whose closing zero was lost.
    (FaultKind::Image, "number 3 came, 1 was due", |board| {
        board.row(0, &PIXELS);
        for number in 1..3 {
            let pixels = &PIXELS;
            let mut frame = row_frame(Piece::Row { number, pixels });
            frame.pop();
            board.send(&frame.repeat(2));
        }
        board.send(&[0]);
        board.row(3, &PIXELS);
    }),
    // The camera falls silent.
    (FaultKind::Camera, "fell silent", |board| {
        board.row(0, &PIXELS)
    }),
    // A window is complete, but the rows that its verdict waits for do not come.
    (
        FaultKind::Watchdog,
        "verdicts in a row came too late",
        |board| {
            for number in 0..64 {
                board.row(number, &PIXELS);
            }
        },
    ),
    // More windows between camera and gate than there is room for.
    (
        FaultKind::Gate,
        "more parts between camera and gate",
        |board| {
            for _ in 0..40 {
                board.row(0, &PIXELS);
                board.end(1);
            }
        },
    ),
];

fn faults_reach_the_fail_safe_state(kind: Kind) {
    let mut board = running(kind);
    for (fault, detail, provoke) in CASES {
        provoke(&board);
        check_fault(&mut board, fault, detail);
        restart(&mut board);
    }
}

#[test]
fn faults_reach_the_fail_safe_state_on_a_cortex_m7() {
    faults_reach_the_fail_safe_state(BOARDS[0]);
}

#[test]
fn faults_reach_the_fail_safe_state_on_a_cortex_m55() {
    faults_reach_the_fail_safe_state(BOARDS[1]);
}

#[test]
fn noise_between_frames_costs_nothing() {
    let (part, width) = (&parts()[0], manifest().input.width());
    for kind in BOARDS {
        let mut board = Board::start(kind, &kind.program());
        board.hello();
        let noise: [&[u8]; 5] = [
            b"\x03garbage\0",
            &[0xff, 1, 2, 3, 0],
            // Longer than any frame.
            &[[0x55; 3000].as_slice(), &[0]].concat(),
            // A request of another version of the protocol, and a damaged one.
            &[2, 9, 1, 0],
            &[3, 2, b'H', 0],
        ];
        let rows = part.chunks_exact(width);
        for (number, row) in (0..).zip(rows.clone()) {
            if let Some(noise) = noise.get(number as usize) {
                board.send(noise);
            }
            board.row(number, row);
        }
        board.end(rows.len() as u32);
        let Message::Report(report) = board.hear() else {
            panic!("{kind:?}: no report");
        };
        assert_eq!(report.verdict.outcome, Outcome::Defect);
        assert!(!board.mask(report.part, part.len()).is_empty());
        board.wait_until(report.time.uptime_us + DISTANCE + PULSE + TOLERANCE);
        let reports: [Report; 1] = [report];
        check_pulses(kind, &board.switches(REJECT), &reports);
        let stats = stats(&mut board);
        assert_eq!(
            (stats.faults, stats.dropped.frames),
            (0, noise.len() as u64)
        );
    }
}

/// The program with one byte changed in the middle of `piece`, which lies in it once.
fn damaged(program: &Path, piece: &[u8]) -> Vec<u8> {
    let mut bytes = fs::read(program).unwrap();
    let mut places = bytes.windows(piece.len()).enumerate();
    let place = places.find(|(_, window)| *window == piece);
    let (place, _) = place.expect("the program holds it");
    bytes[place + piece.len() / 2] ^= 1;
    bytes
}

#[test]
fn damage_in_flash_is_noticed_before_anything_passes() {
    let (manifest, onnx) = (manifest(), onnx());
    let net = onnx::read(&onnx, manifest.rule.scale().fraction_bits()).unwrap();
    let plan = Plan::new(&net).unwrap();
    for (kind, formats) in BOARDS.into_iter().zip([kernel::DSP, kernel::HELIUM]) {
        let mut packed = vec![0; plan.packed_len(formats)];
        plan.pack(&net, formats, &mut packed).unwrap();
        let pieces = [
            (DEVICE.as_bytes(), "settings in flash are damaged"),
            (&onnx, "model in flash is damaged"),
            (&packed, "model does not fit"),
        ];
        for (piece, detail) in pieces {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("program");
            fs::write(&program, damaged(&kind.program(), piece)).unwrap();
            let mut board = Board::start(kind, &program);
            check_start(&mut board, detail);
        }
    }
}

/// It says that there is no model, and never lets anything pass.
fn check_start(board: &mut Board, detail: &str) {
    let fault = board.fault();
    assert_eq!(fault.kind, FaultKind::Model);
    assert!(fault.detail.contains(detail), "{fault:?}");
    assert_eq!(board.hello().model, None);
    board.row(0, &PIXELS);
    board.wait_until(DISTANCE + PULSE + TOLERANCE);
    let switches = board.switches(REJECT);
    assert!(
        switches.len() == 1 && switches[0].high,
        "{detail}: {switches:?}"
    );
    assert!(!board.is_high(RUN), "{detail}");
}

/// The address of the program's only function whose name contains `name`.
fn address(program: &Path, name: &str) -> u32 {
    let listed = process::Command::new("readelf")
        .arg("-sW")
        .arg(program)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut functions = listed
        .lines()
        .filter(|line| line.contains(" FUNC ") && line.contains(name));
    let line = functions
        .next()
        .unwrap_or_else(|| panic!("{name} is no function of the program"));
    let address = line.split_whitespace().nth(1).unwrap();
    // The lowest bit only says that it is Thumb code.
    u32::from_str_radix(address, 16).unwrap() & !1
}

#[test]
fn panics_reach_the_fail_safe_state() {
    for kind in BOARDS {
        let panic = address(&kind.program(), "panic_bounds_check");
        // No code can run there, by the architecture, so that the processor faults.
        let nowhere = 0xa000_0000;
        for (place, detail) in [(panic, "the program failed"), (nowhere, "met a fault")] {
            let mut board = running(kind);
            board.derail(place);
            let fault = board.fault();
            assert_eq!(fault.kind, FaultKind::Internal);
            assert!(fault.detail.contains(detail), "{fault:?}");
            assert!(fault.time.uptime_us > DISTANCE);
            assert!(board.is_high(REJECT) && !board.is_high(RUN), "{detail}");
            board.ask(Command::Ping);
            // Nothing runs any more that could let anything pass.
            std::thread::sleep(std::time::Duration::from_millis(500));
            assert!(board.is_high(REJECT) && !board.is_high(RUN), "{detail}");
        }
    }
}
