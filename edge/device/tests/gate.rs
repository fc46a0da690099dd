//! The gate's thread, with a pin that records what was done to it.

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use residua_device::{
    clock::Clock,
    gate::{Gate, Pin},
    journal::Journal,
    station::Station,
};
use residua_edge::gate::{FailSafe, GateConfig};
use residua_shared::{
    verdict::Outcome,
    wire::{Capabilities, FaultKind},
};
use tempfile::TempDir;

const DISTANCE: Duration = Duration::from_millis(400);
const PULSE: Duration = Duration::from_millis(500);
/// How late a busy machine may be.
const SLACK: Duration = Duration::from_millis(450);

struct Line {
    gate: Arc<Gate>,
    station: Arc<Station>,
    switched: Arc<Mutex<Vec<(Instant, bool)>>>,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Line {
    /// A line whose parts from before the start have passed.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let journal = Journal::open(folder.path(), 1 << 20).unwrap();
        let station = Station::new(
            "line".try_into().unwrap(),
            Capabilities::GATE,
            Clock::start(SystemTime::now),
            journal,
            Arc::new(AtomicBool::new(false)),
        );
        let station = Arc::new(station.unwrap());
        let switched = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&switched);
        let pin = Pin::new(move |on| {
            record.lock().unwrap().push((Instant::now(), on));
            Ok(())
        });
        let us = |time: Duration| time.as_micros() as u64;
        let times = GateConfig::new(us(DISTANCE), us(PULSE))
            .unwrap()
            .with_slack(us(SLACK))
            .unwrap();
        let gate = Arc::new(Gate::new(
            times.with_tolerated_late(9),
            pin,
            FailSafe::Reject,
        ));
        let thread = {
            let (gate, station) = (Arc::clone(&gate), Arc::clone(&station));
            thread::spawn(move || gate.drive(&station))
        };
        let line = Self {
            gate,
            station,
            switched,
            thread: Some(thread),
            _folder: folder,
        };
        line.becomes(false);
        line
    }

    fn on(&self) -> bool {
        self.switched
            .lock()
            .unwrap()
            .last()
            .is_some_and(|&(_, on)| on)
    }

    fn becomes(&self, on: bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.on() != on {
            assert!(Instant::now() < until, "the pin does not become {on}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.station.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn the_defect_is_rejected_in_its_time_and_the_good_part_is_not() {
    let line = Line::new();
    let before = line.switched.lock().unwrap().len();
    let seen = Instant::now();
    line.gate.passed(1, seen);
    line.gate.decide(1, Outcome::Good);
    let second = seen + PULSE + DISTANCE;
    thread::sleep(second.saturating_duration_since(Instant::now()));
    let seen = Instant::now();
    line.gate.passed(2, seen);
    line.gate.decide(2, Outcome::Defect);
    line.becomes(true);
    line.becomes(false);
    let switched = line.switched.lock().unwrap()[before..].to_vec();
    assert_eq!(switched.len(), 2, "{switched:?}");
    let [on, off] = [0, 1].map(|i| switched[i].0.duration_since(seen));
    assert!((DISTANCE..DISTANCE + SLACK).contains(&on), "{on:?}");
    assert!(off >= DISTANCE + PULSE, "{off:?}");
    let counts = line.gate.counts();
    assert_eq!((counts.good, counts.defects, counts.late), (1, 1, 0));
}

#[test]
fn a_part_without_verdict_is_rejected() {
    let line = Line::new();
    line.gate.passed(1, Instant::now());
    line.becomes(true);
    assert_eq!(line.gate.counts().late, 1);
    // Too late.
    line.gate.decide(1, Outcome::Good);
    line.becomes(false);
}

#[test]
fn all_is_rejected_while_the_camera_is_lost_and_at_the_end() {
    let line = Line::new();
    line.gate.fail(FaultKind::Camera);
    assert!(line.on());
    thread::sleep(DISTANCE + PULSE + SLACK);
    assert!(line.on());
    // Another fault's end is not this one's.
    line.gate.recover(FaultKind::Model);
    assert!(line.on());
    line.gate.recover(FaultKind::Camera);
    assert!(line.on(), "what passed unseen has not reached the gate");
    line.becomes(false);
    let switched = Arc::clone(&line.switched);
    drop(line);
    assert!(switched.lock().unwrap().last().unwrap().1);
}
