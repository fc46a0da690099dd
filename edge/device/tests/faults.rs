//! What goes wrong beside a conveyor, and what happens then.

mod common;

use std::{collections::BTreeMap, fs, io::Write, net::TcpStream, thread, time::Duration};

use common::{AREA, Board, FOLDER, Host, STDIN, pixels};
use residua_shared::{
    verdict::Outcome,
    wire::{FaultKind, Message},
};

#[test]
fn killed_again_and_again_no_number_comes_twice_and_none_is_lost() {
    let board = Board::new(STDIN);
    let mut reports = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 0..8_u64 {
        let mut device = board.start();
        let mut host = device.host();
        let first = host.hello().next_part;
        assert!(first > acknowledged);
        device.send(&[&pixels("good"), &pixels("noise"), &pixels("blob")]);
        for _ in 0..=round % 3 {
            let report = host.report();
            // The same number is the same part, however often it is sent.
            let part = report.part;
            let known = reports.entry(part).or_insert_with(|| report.clone());
            assert_eq!(known, &report);
            if round % 2 == 0 {
                host.acknowledge(part);
                acknowledged = part;
            }
        }
        thread::sleep(Duration::from_millis(5 * round));
        device.kill();
    }
    let mut device = board.start();
    let mut host = device.host();
    let next = host.hello().next_part;
    let mut seen = acknowledged.min(reports.first_key_value().map_or(0, |(&part, _)| part));
    while seen + 1 < next {
        let report = host.report();
        let known = reports.entry(report.part).or_insert_with(|| report.clone());
        assert_eq!(known, &report);
        seen = report.part;
    }
    // Everything that was counted came, and once under its number.
    assert!(reports.keys().copied().eq(1..next), "{:?}", reports.keys());
}

#[test]
fn images_that_show_nothing_or_are_none_have_no_verdict() {
    let board = Board::new(FOLDER);
    board.put_fixture("a.png", "black");
    board.put_fixture("b.png", "white");
    board.put("c.pgm", &[b"P5 64 64 255\n", &[128; 64 * 64][..]].concat());
    board.put("d.png", b"no image at all");
    board.put_fixture("e.png", "good");
    let mut device = board.start();
    let mut host = device.host();
    for words in ["black", "saturated", "64x64", "d.png"] {
        let fault = host.fault();
        assert_eq!(fault.kind, FaultKind::Image);
        assert!(
            fault.part.is_some() && fault.detail.contains(words),
            "{}",
            fault.detail
        );
        if words == "64x64" {
            // The damaged file is given time, as it may still be written; the next one goes first.
            assert_eq!(host.report().verdict.outcome, Outcome::Good);
        }
    }
    device.metric_becomes("residua_parts_total{outcome=\"fault\"}", 4.0);
}

#[test]
fn a_camera_that_falls_silent_is_reported_once() {
    let mut board = Board::new(STDIN);
    board.config += "[image]\ntimeout-seconds = 0.3\n";
    let mut device = board.start();
    let mut host = device.host();
    // Half an image, and nothing more.
    device.send(&[&[99; AREA / 2]]);
    let fault = host.fault();
    assert_eq!((fault.kind, fault.part), (FaultKind::Camera, None));
    assert!(fault.detail.contains("no image for"), "{}", fault.detail);
    thread::sleep(Duration::from_millis(700));
    assert_eq!(device.count_logged(&["event=fault", "kind=Camera"]), 1);
    // The pipe closes in the middle of an image: the program ends, and says so.
    device.input = None;
    assert!(device.ended().success());
    device.logged(&["event=image_cut_short"]);
}

#[test]
fn on_a_full_disk_the_inspection_goes_on_and_losses_are_counted() {
    let mut board = Board::new(STDIN);
    // The files of the journal cannot grow beyond this.
    board.file_limit = Some(0);
    fs::create_dir(board.path("journal")).unwrap();
    let started = board.start().ended();
    assert_eq!(
        started.code(),
        Some(2),
        "a journal that cannot be made is an error"
    );

    board.file_limit = Some(4);
    let mut device = board.start();
    let image = pixels("good");
    for _ in 0..400 {
        device.send(&[&image]);
    }
    device.metric_becomes("residua_parts_total{outcome=\"good\"}", 400.0);
    let dropped = device.metric("residua_dropped_total{what=\"reports\"}");
    let waiting = device.metric("residua_journal_waiting");
    assert_eq!(dropped + waiting, 400.0);
}

#[test]
fn a_dead_host_is_not_waited_for() {
    let board = Board::new(STDIN);
    let mut device = board.start();
    // It never reads, and never acknowledges.
    let _dead = TcpStream::connect(device.address("link")).unwrap();
    for _ in 0..200 {
        device.send(&[&pixels("good")]);
    }
    device.metric_becomes("residua_journal_waiting", 200.0);
    let mut host = device.host();
    assert_eq!(host.report().part, 1);
}

#[test]
fn of_two_hosts_the_first_that_acknowledges_is_the_collector() {
    let board = Board::new(STDIN);
    let mut device = board.start();
    let (mut collector, mut onlooker) = (device.host(), device.host());
    // Who is taken in later is told only what is not yet acknowledged.
    collector.hello();
    onlooker.hello();
    device.send(&[&pixels("good"), &pixels("good")]);
    collector.report();
    collector.acknowledge(1);
    device.metric_becomes("residua_journal_waiting", 1.0);
    assert_eq!([onlooker.report().part, onlooker.report().part], [1, 2]);
    onlooker.acknowledge(2);
    onlooker.send(residua_shared::wire::Command::Ping);
    onlooker.find(|message| matches!(message, Message::Pong(_)).then_some(()));
    assert_eq!(device.metric("residua_journal_waiting"), 1.0);
    drop(collector);
    // With the collector gone another may take its place.
    device.logged(&["event=host_gone"]);
    onlooker.acknowledge(2);
    device.metric_becomes("residua_journal_waiting", 0.0);
}

#[test]
fn noise_on_the_line_is_passed_over() {
    let board = Board::new(STDIN);
    let mut device = board.start();
    let mut host: Host<TcpStream> = device.host();
    host.stream.write_all(&[0xa5; 5000]).unwrap();
    host.stream.write_all(&[0, 1, 2, 3, 0]).unwrap();
    host.send(residua_shared::wire::Command::Identify);
    assert_eq!(host.hello().next_part, 1);
    device.metric_becomes("residua_dropped_total{what=\"frames\"}", 2.0);
}
