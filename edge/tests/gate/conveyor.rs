//! A conveyor with known defects: nothing bad passes and nothing good is thrown out, over a million
//! parts, by the clock and by an encoder.
//!
//! Event by event, in millimetres and microseconds. The camera is at 0, the gate at
//! [`GATE`]; parts of length [`PART`] lie at random distances; the speed changes at random each
//! time a part passes the camera. A part is thrown out when the actuator is on at any moment at
//! which some of the part is at the gate, and a defect counts as caught only when it is on
//! during all of them.

use std::{cell::Cell, collections::VecDeque, rc::Rc};

use embedded_hal::digital::{ErrorType, OutputPin};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use residua_edge::gate::{FailSafe, Gate, GateConfig, GateCounts, NoPin};
use residua_shared::verdict::Outcome;

const PARTS: u64 = 1_000_000;
/// From camera to gate, mm.
const GATE: f64 = 500.0;
/// A part's length, mm.
const PART: f64 = 20.0;
/// The smallest distance between centres that the gate is set for, mm.
const SPACING: f64 = 50.0;
/// Speed, mm/µs.
const SPEED: f64 = 1e-3;
/// How late a poll may come, µs.
const JITTER: f64 = 500.0;

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Microseconds,
    /// Encoder pulses of so many mm.
    Pulses(f64),
}

/// What may happen on a line.
struct Line {
    unit: Unit,
    /// The speed stays within this share of [`SPEED`].
    wobble: f64,
    /// What the gate is set for.
    stated_wobble: f64,
    /// The smallest distance from part to part, centre to centre, mm.
    spacing: f64,
    /// Of 1000 verdicts so many never come.
    lost: u32,
    parts: u64,
    seed: u64,
}

/// The actuator, as the conveyor feels it.
struct Actuator(Rc<Cell<bool>>);

impl ErrorType for Actuator {
    type Error = core::convert::Infallible;
}

impl OutputPin for Actuator {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.0.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.0.set(true);
        Ok(())
    }
}

struct Part {
    centre: f64,
    defect: bool,
    lost: bool,
    /// Whether the actuator was ever on, and ever off, while some of it was at the gate.
    hit: bool,
    spared: bool,
}

#[derive(Debug, Default, PartialEq)]
struct Tally {
    good_passed: u64,
    good_thrown: u64,
    defects_caught: u64,
    defects_passed: u64,
    undecided_caught: u64,
    undecided_passed: u64,
}

impl Tally {
    fn count(&mut self, part: &Part) {
        let caught = part.hit && !part.spared;
        *match (part.lost, part.defect) {
            (true, _) if caught => &mut self.undecided_caught,
            (true, _) => &mut self.undecided_passed,
            (false, true) if caught => &mut self.defects_caught,
            (false, true) => &mut self.defects_passed,
            (false, false) if part.hit => &mut self.good_thrown,
            (false, false) => &mut self.good_passed,
        } += 1;
    }
}

/// The next thing to happen.
#[derive(Clone, Copy)]
enum Event {
    Camera,
    Verdict,
    Poll,
    Enter,
    Leave,
}

fn config(line: &Line) -> GateConfig {
    // From where the front may arrive early to where the end may leave late, in mm of travel at
    // nominal speed; a poll that comes late must not begin after the front.
    let uncertain = match line.unit {
        Unit::Microseconds => GATE * line.stated_wobble / (1.0 - line.stated_wobble),
        Unit::Pulses(pitch) => 2.0 * pitch,
    };
    let late = JITTER * SPEED * (1.0 + line.stated_wobble);
    let begin = GATE - PART / 2.0 - uncertain - late;
    let end = GATE + PART / 2.0 + uncertain;
    let ticks = |mm: f64| match line.unit {
        Unit::Microseconds => (mm / SPEED) as u64,
        Unit::Pulses(pitch) => (mm / pitch) as u64,
    };
    let slack = ticks(late) + 1;
    GateConfig::new(ticks(begin), ticks(end) - ticks(begin) + 1)
        .unwrap()
        .with_slack(slack)
        .unwrap()
        .with_min_pulse(ticks(PART))
        .unwrap()
        .with_min_pause(ticks(0.6 * SPACING))
        .with_tolerated_late(u32::MAX)
}

fn run(line: &Line) -> (Tally, GateCounts) {
    let mut rng = ChaCha8Rng::seed_from_u64(line.seed);
    let on = Rc::new(Cell::new(false));
    let ticks = Rc::new(Cell::new(0));
    let clock = ticks.clone();
    let mut gate: Gate<_, _, _, 24> = Gate::new(
        config(line),
        Actuator(on.clone()),
        FailSafe::<NoPin>::REJECT,
        move || clock.get(),
    );

    let (mut time, mut position, mut speed) = (0.0, 0.0, SPEED);
    let tick_at = |time: f64, position: f64| match line.unit {
        Unit::Microseconds => time as u64,
        Unit::Pulses(pitch) => (position / pitch) as u64,
    };
    let mut tally = Tally::default();
    let mut flying = VecDeque::<(u64, Part)>::new();
    let mut verdicts = VecDeque::<(f64, u64, Outcome)>::new();
    // Parts at the gate are the first `entered` of those flying.
    let (mut entered, mut number) = (0, 0);
    let mut camera = 2.0 * GATE;
    let mut poll: Option<f64> = Some(0.0);

    while number < line.parts || !flying.is_empty() {
        // Times, at the present speed, of all that may come next.
        let when = |at: f64| time + (at - position) / speed;
        let mut next = (f64::INFINITY, Event::Poll);
        let mut consider = |at: f64, event| {
            if at < next.0 {
                next = (at, event);
            }
        };
        if number < line.parts {
            consider(when(camera), Event::Camera);
        }
        if let Some(&(at, ..)) = verdicts.front() {
            consider(at, Event::Verdict);
        }
        if let Some(at) = poll {
            consider(at, Event::Poll);
        }
        if let Some((_, part)) = flying.get(entered) {
            consider(when(part.centre + GATE - PART / 2.0), Event::Enter);
        }
        if let Some((_, part)) = flying.front().filter(|_| entered > 0) {
            consider(when(part.centre + GATE + PART / 2.0), Event::Leave);
        }
        let (at, event) = next;
        position += (at - time).max(0.0) * speed;
        time = at.max(time);
        ticks.set(tick_at(time, position));

        match event {
            Event::Camera => {
                let part = Part {
                    centre: camera,
                    defect: rng.random_ratio(1, 5),
                    lost: rng.random_ratio(line.lost, 1000),
                    hit: false,
                    spared: false,
                };
                gate.passed(number, ticks.get()).unwrap();
                if !part.lost {
                    let outcome = if part.defect {
                        Outcome::Defect
                    } else {
                        Outcome::Good
                    };
                    // Up to 340 ms, in order, as one engine gives them.
                    let at = time + rng.random_range(1e3..3.4e5);
                    let at = verdicts.back().map_or(at, |&(last, ..)| at.max(last));
                    verdicts.push_back((at, number, outcome));
                }
                flying.push_back((number, part));
                number += 1;
                // Often as close as they may lie.
                let gap = [
                    0.0,
                    rng.random_range(0.0..20.0),
                    rng.random_range(0.0..300.0),
                ];
                camera += line.spacing + gap[rng.random_range(0..3)];
                speed = SPEED * rng.random_range(1.0 - line.wobble..=1.0 + line.wobble);
            }
            Event::Verdict => {
                let (_, number, outcome) = verdicts.pop_front().unwrap();
                gate.decide(number, outcome).unwrap();
            }
            Event::Enter => {
                let part = &mut flying[entered].1;
                *(if on.get() {
                    &mut part.hit
                } else {
                    &mut part.spared
                }) = true;
                entered += 1;
                continue;
            }
            Event::Leave => {
                let (_, part) = flying.pop_front().unwrap();
                tally.count(&part);
                entered -= 1;
                continue;
            }
            Event::Poll => {}
        }
        let due = gate.poll().unwrap();
        for (_, part) in flying.iter_mut().take(entered) {
            *(if on.get() {
                &mut part.hit
            } else {
                &mut part.spared
            }) = true;
        }
        // The next poll comes some time after it is due. An encoder's tick may come sooner than
        // it seems now; then the speed's change, at a part's arrival, polls again.
        poll = due.map(|tick| {
            let at = match line.unit {
                Unit::Microseconds => tick as f64,
                Unit::Pulses(pitch) => time + (tick as f64 * pitch - position) / speed,
            };
            at.max(time) + rng.random_range(1.0..JITTER)
        });
    }
    assert_eq!(gate.fault(), None);
    (tally, gate.counts())
}

fn check(line: &Line) {
    let (tally, counts) = run(line);
    println!("{tally:?} {counts:?}");
    assert_eq!(tally.good_thrown, 0);
    assert_eq!(tally.defects_passed, 0);
    assert_eq!(tally.undecided_passed, 0);
    // All of them really came, of every kind, and the gate counted them so.
    let undecided = tally.undecided_caught;
    assert_eq!(tally.good_passed + tally.defects_caught + undecided, PARTS);
    assert!(tally.good_passed > PARTS / 2 && tally.defects_caught > PARTS / 10);
    assert_eq!(undecided > 0, line.lost > 0);
    assert_eq!(
        (counts.good, counts.defects, counts.late),
        (tally.good_passed, tally.defects_caught, undecided)
    );
    // Close rejects were joined.
    assert!(counts.pulses < (counts.defects + undecided) * 95 / 100);
}

#[test]
fn by_the_clock_with_a_steady_speed() {
    check(&Line {
        unit: Unit::Microseconds,
        wobble: 0.01,
        stated_wobble: 0.01,
        spacing: SPACING,
        lost: 0,
        parts: PARTS,
        seed: 1,
    });
}

#[test]
fn by_an_encoder_whatever_the_speed() {
    check(&Line {
        unit: Unit::Pulses(0.1),
        wobble: 0.3,
        stated_wobble: 0.3,
        spacing: SPACING,
        lost: 0,
        parts: PARTS,
        seed: 2,
    });
}

#[test]
fn verdicts_that_never_come() {
    check(&Line {
        unit: Unit::Microseconds,
        wobble: 0.01,
        stated_wobble: 0.01,
        spacing: SPACING,
        lost: 20,
        parts: PARTS,
        seed: 3,
    });
}

/// The conveyor tells a gate that is set wrongly from one that is set right.
#[test]
fn what_goes_beyond_what_was_stated_is_felt() {
    let line = |wobble, spacing| Line {
        unit: Unit::Microseconds,
        wobble,
        stated_wobble: 0.01,
        spacing,
        lost: 0,
        parts: 10_000,
        seed: 4,
    };
    let (tally, _) = run(&line(0.05, SPACING));
    assert!(tally.defects_passed > 100, "{tally:?}");
    let (tally, _) = run(&line(0.01, 25.0));
    assert!(tally.good_thrown > 100, "{tally:?}");
    let (tally, _) = run(&line(0.01, SPACING));
    assert_eq!((tally.defects_passed, tally.good_thrown), (0, 0));
}
