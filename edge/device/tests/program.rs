//! The program at work, with a host and without.

mod common;

use std::{fs, io::Write, net::TcpStream, process::Command};

use common::{AREA, Board, FOLDER, Host, STDIN, WIDTH, pixels};
use residua_shared::{
    rule::Threshold,
    verdict::Outcome,
    wire::{self, Capabilities, FaultKind, Message, Refusal},
};

const NAMES: [&str; 5] = ["blob", "crack", "good", "noise", "stain"];

#[test]
fn verdicts_and_masks_are_those_on_record() {
    let board = Board::new(STDIN);
    let mut device = board.start();
    let mut host = device.host();
    let hello = host.hello();
    assert_eq!(hello.next_part, 1);
    assert!(
        hello
            .capabilities
            .contains(Capabilities::MASKS.with(Capabilities::JOURNAL))
    );
    assert_eq!(hello.model.unwrap().name, "edge-tiny");

    let recorded = fs::read_to_string(common::fixtures().join("../expected.txt")).unwrap();
    for (part, name) in (1..).zip(NAMES) {
        device.send(&[&pixels(name)]);
        let report = host.report();
        assert_eq!(report.part, part);
        let verdict = report.verdict;
        let line = format!(
            "edge-tiny/{name}: {:?}, score {}, {} regions",
            verdict.outcome, verdict.score, verdict.regions
        );
        assert!(recorded.contains(&line), "{line}");
        if verdict.outcome == Outcome::Defect {
            assert_eq!(read_mask(&mut host, part), mask(name));
        }
    }
    assert_eq!(device.metric("residua_parts_total{outcome=\"good\"}"), 3.0);
    assert_eq!(
        device.metric("residua_parts_total{outcome=\"defect\"}"),
        2.0
    );
    assert_eq!(device.metric("residua_latency_seconds_count"), 5.0);
    assert_eq!(device.metric("residua_journal_waiting"), 5.0);
    host.acknowledge(5);
    device.metric_becomes("residua_journal_waiting", 0.0);
}

fn mask(name: &str) -> Vec<u8> {
    let file = common::fixtures()
        .join("masks")
        .join(name)
        .with_extension("png");
    image::open(file).unwrap().to_luma8().into_raw()
}

fn read_mask(host: &mut Host<TcpStream>, part: u64) -> Vec<u8> {
    let mut mask = vec![0; AREA];
    loop {
        let chunk = host.find(|message| match message {
            Message::Mask(chunk) => Some(chunk),
            _ => None,
        });
        assert_eq!(chunk.part, part);
        chunk.draw(&mut mask).unwrap();
        if chunk.last {
            return mask;
        }
    }
}

#[test]
fn a_watched_folder_is_emptied_in_order() {
    let mut board = Board::new(&format!("{FOLDER}done = \"done\"\n"));
    board.put_fixture("b.png", "noise");
    board.put_fixture("a.png", "good");
    fs::write(board.path("images/c.part"), "not an image").unwrap();
    fs::write(board.path("images/.d.png"), "not an image either").unwrap();
    let mut device = board.start();
    let mut host = device.host();
    let outcomes = [host.report(), host.report()].map(|report| report.verdict.outcome);
    assert_eq!(outcomes, [Outcome::Good, Outcome::Defect]);
    // PGM, and while it runs.
    let pgm = [b"P5 77 69 255\n", &pixels("noise")[..]].concat();
    board.put("e.pgm", &pgm);
    assert_eq!(host.report().verdict.outcome, Outcome::Defect);
    device.terminate();
    assert!(device.ended().success());
    for file in ["a.png", "b.png", "e.pgm"] {
        assert!(board.path("done").join(file).exists(), "{file}");
    }
    let mut left: Vec<_> = fs::read_dir(board.path("images"))
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, [".d.png", "c.part"]);

    // Without watching it ends by itself, and numbers go on.
    board.config = board
        .config
        .replace(FOLDER, &format!("{FOLDER}watch = false\n"));
    board.put_fixture("f.png", "good");
    assert!(board.start().ended().success());
    let mut device = board.start();
    assert!(device.ended().success());
    assert!(!board.path("images/f.png").exists());
}

#[test]
fn lines_become_windows() {
    let board = Board::new("[source.line-scan]\nlisten = \"127.0.0.1:0\"\nwindow-rows = 69\n");
    let mut device = board.start();
    let mut host = device.host();
    assert!(!host.hello().capabilities.contains(Capabilities::MASKS));
    let mut camera = TcpStream::connect(device.address("line-scan")).unwrap();
    // Two windows and a half, in pieces that are no rows.
    let strip = [
        pixels("good"),
        pixels("noise"),
        pixels("noise")[..30 * WIDTH].to_vec(),
    ]
    .concat();
    for piece in strip.chunks(1000) {
        camera.write_all(piece).unwrap();
    }
    drop(camera);
    // That the camera hung up is said, before or after the last windows.
    let (mut outcomes, mut faults) = (Vec::new(), Vec::new());
    while outcomes.len() < 3 || faults.is_empty() {
        match host.next() {
            Some(Message::Report(report)) => outcomes.push(report.verdict.outcome),
            Some(Message::Fault(fault)) => faults.push(fault.kind),
            // Greetings may come again at any time.
            Some(Message::Hello(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(outcomes[1..], [Outcome::Defect; 2]);
    assert_eq!(faults, [FaultKind::Camera]);
    // Another may come.
    let mut camera = TcpStream::connect(device.address("line-scan")).unwrap();
    camera.write_all(&strip[..69 * WIDTH]).unwrap();
    drop(camera);
    let report = host.report();
    assert_eq!((report.part, report.verdict.outcome), (4, Outcome::Good));
}

#[test]
fn the_threshold_can_be_set_while_it_runs() {
    let board = Board::new(STDIN);
    let mut device = board.start();
    let mut host = device.host();
    let threshold = host.hello().model.unwrap().threshold;
    device.send(&[&pixels("blob")]);
    assert_eq!(host.report().verdict.outcome, Outcome::Defect);

    let set = |raw| wire::Command::SetThreshold(Threshold { raw, ..threshold });
    assert_eq!(host.ask(set(1_000_000)), Ok(()));
    device.send(&[&pixels("blob")]);
    let report = host.report();
    assert_eq!(report.verdict.outcome, Outcome::Good);
    assert_eq!(report.threshold.raw, 1_000_000);
    host.send(wire::Command::Identify);
    assert_eq!(host.hello().model.unwrap().threshold.raw, 1_000_000);

    let refused = host.ask(set(3)).unwrap_err();
    assert!(
        matches!(refused, Refusal::Threshold { pixel: 14938 }),
        "{refused:?}"
    );
    let scale = residua_shared::rule::MapScale::new(5, 5).unwrap();
    let other = wire::Command::SetThreshold(Threshold {
        raw: 1_000_000,
        scale,
    });
    assert_eq!(host.ask(other), Err(Refusal::Scale));
}

#[test]
fn a_host_gets_the_image_that_it_asked_for() {
    let board = Board::new(STDIN);
    let mut device = board.start();
    let (mut host, mut other) = (device.host(), device.host());
    assert_eq!(host.ask(wire::Command::Capture), Ok(()));
    assert_eq!(other.ask(wire::Command::Capture), Err(Refusal::Busy));
    device.send(&[&pixels("stain"), &pixels("good")]);
    let mut image: Vec<u8> = Vec::new();
    loop {
        let chunk = host.find(|message| match message {
            Message::Image(chunk) => Some(chunk),
            _ => None,
        });
        assert_eq!((chunk.part, chunk.start as usize), (1, image.len()));
        image.extend(&chunk.pixels);
        if chunk.last() {
            break;
        }
    }
    assert!(image == pixels("stain"));
    assert_eq!(other.ask(wire::Command::Capture), Ok(()));
}

#[test]
fn counts_and_time_are_told() {
    let board = Board::new(STDIN);
    let mut device = board.start();
    let mut host = device.host();
    device.send(&[&pixels("good"), &pixels("noise"), &[0; AREA]]);
    host.report();
    host.report();
    host.fault();
    host.send(wire::Command::Stats);
    let stats = host.find(|message| match message {
        Message::Stats(stats) => Some(stats),
        _ => None,
    });
    assert_eq!((stats.good, stats.defects, stats.faults), (1, 1, 1));
    assert_eq!(stats.latency.count(), 2);
    assert!(stats.memory.buffers > AREA as u64 && stats.memory.peak > stats.memory.buffers);
    host.send(wire::Command::Ping);
    let pong = host.find(|message| match message {
        Message::Pong(pong) => Some(pong),
        _ => None,
    });
    assert_eq!(pong.request, 7);
    assert!(pong.time.uptime_us >= stats.time.uptime_us && pong.time.unix_us.is_some());
}

#[test]
fn a_restart_is_a_clean_end() {
    let board = Board::new(STDIN);
    let mut device = board.start();
    let mut host = device.host();
    assert_eq!(host.ask(wire::Command::Reboot), Ok(()));
    assert!(device.ended().success());
    device.logged(&["event=ended"]);
}

#[test]
fn check_tells_what_is_wrong() {
    let mut board = Board::new(STDIN);
    let check = |board: &Board| {
        let output = Command::new(env!("CARGO_BIN_EXE_residua-edge"))
            .arg("check")
            .arg(board.write_config())
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = check(&board);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("in order") && text.contains("77x69"),
        "{text}"
    );

    let (_, text) = {
        board.config = board.config.replace("77x69", "64x64");
        check(&board)
    };
    assert!(
        text.contains("source.stdin.size") && text.contains("77x69"),
        "{text}"
    );

    board.config = board.config.replace("64x64", "77x69");
    let model = fs::read(board.path("model.onnx")).unwrap();
    for length in [0, 100, model.len() / 2, model.len() - 1] {
        fs::write(board.path("model.onnx"), &model[..length]).unwrap();
        let (code, text) = check(&board);
        assert_eq!((code, text.lines().count()), (Some(2), 1), "{text}");
        assert!(
            text.contains("model.onnx") && text.contains("again"),
            "{text}"
        );
    }
    fs::remove_file(board.path("model.onnx")).unwrap();
    let (code, text) = check(&board);
    assert_eq!(code, Some(2));
    assert!(text.contains("model.file"), "{text}");
}
