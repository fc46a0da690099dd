//! When the actuator is on.

use residua_edge::gate::{Clock as _, DecideError, GateCounts, Widened};
use residua_shared::verdict::Outcome::{Defect, Good};

use crate::bench::Bench;

#[test]
fn a_defect_is_rejected_when_it_arrives_and_a_good_part_is_not() {
    let mut bench = Bench::running(|config| config);
    bench.pass_at(1, 1200).unwrap();
    bench.pass_at(2, 1500).unwrap();
    bench.gate.decide(2, Defect).unwrap();
    bench.gate.decide(1, Good).unwrap();
    bench.run_to(5000).unwrap();
    assert_eq!(bench.actuator.edges(), [(2500, true), (2600, false)]);
    let counts = GateCounts {
        good: 1,
        defects: 1,
        late: 0,
        pulses: 2,
    };
    assert_eq!(bench.gate.counts(), counts);
    assert_eq!(bench.gate.fault(), None);
}

#[test]
fn what_no_one_inspected_before_the_start_is_rejected() {
    let mut bench = Bench::running(|config| config);
    bench.gate.reset();
    bench.run_to(9000).unwrap();
    assert_eq!(bench.actuator.edges(), [(1100, true), (2200, false)]);
}

#[test]
fn a_good_part_right_after_the_start_passes() {
    let mut bench = Bench::running(|config| config);
    bench.gate.reset();
    bench.pass_at(1, 1110).unwrap();
    bench.gate.decide(1, Good).unwrap();
    bench.run_to(9000).unwrap();
    assert_eq!(bench.actuator.edges(), [(1100, true), (2110, false)]);
}

#[test]
fn a_part_without_a_verdict_is_rejected() {
    let mut bench = Bench::running(|config| config.with_tolerated_late(1));
    bench.pass_at(1, 1200).unwrap();
    bench.run_to(2199).unwrap();
    assert_eq!(bench.actuator.edges(), []);
    bench.run_to(2200).unwrap();
    assert_eq!(bench.gate.decide(1, Good), Err(DecideError::Late));
    bench.run_to(5000).unwrap();
    assert_eq!(bench.actuator.edges(), [(2200, true), (2300, false)]);
    assert_eq!((bench.gate.counts().late, bench.gate.counts().good), (1, 0));
}

#[test]
fn a_part_that_never_passed_gets_no_verdict() {
    let mut bench = Bench::running(|config| config);
    assert_eq!(bench.gate.decide(1, Good), Err(DecideError::Unknown));
    bench.pass_at(1, 1200).unwrap();
    assert_eq!(bench.gate.decide(2, Good), Err(DecideError::Unknown));
}

#[test]
fn the_worse_of_two_verdicts_holds() {
    let mut bench = Bench::running(|config| config);
    for (number, verdicts) in [(1, [Good, Defect]), (2, [Defect, Good])] {
        bench.pass_at(number, 1000 + 200 * number).unwrap();
        for verdict in verdicts {
            bench.gate.decide(number, verdict).unwrap();
        }
    }
    bench.run_to(5000).unwrap();
    assert_eq!(bench.gate.counts().defects, 2);
}

/// Two defects, the second `apart` ticks behind.
fn two_defects(apart: u64, min_pause: u64) -> Vec<(u64, bool)> {
    let mut bench = Bench::running(|config| config.with_min_pause(min_pause));
    for (number, at) in [(1, 1200), (2, 1200 + apart)] {
        bench.pass_at(number, at).unwrap();
        bench.gate.decide(number, Defect).unwrap();
    }
    bench.run_to(5000).unwrap();
    bench.actuator.edges()
}

#[test]
fn rejects_that_overlap_or_nearly_meet_are_one_pulse() {
    let one = |end| vec![(2200, true), (end, false)];
    assert_eq!(two_defects(60, 0), one(2360));
    assert_eq!(two_defects(100, 0), one(2400));
    assert_eq!(two_defects(119, 20), one(2419));
    let two = vec![(2200, true), (2300, false), (2320, true), (2420, false)];
    assert_eq!(two_defects(120, 20), two);
}

#[test]
fn a_pulse_ends_for_a_good_part_close_behind() {
    let edges = |apart: u64, min_pulse| {
        let mut bench = Bench::running(|config| config.with_min_pulse(min_pulse).unwrap());
        for (number, at, verdict) in [(1, 1200, Defect), (2, 1200 + apart, Good)] {
            bench.pass_at(number, at).unwrap();
            bench.gate.decide(number, verdict).unwrap();
        }
        bench.run_to(5000).unwrap();
        bench.actuator.edges()
    };
    assert_eq!(edges(70, 40), [(2200, true), (2270, false)]);
    assert_eq!(edges(30, 40), [(2200, true), (2240, false)]);
    assert_eq!(edges(70, 100), [(2200, true), (2300, false)]);
    assert_eq!(edges(170, 40), [(2200, true), (2300, false)]);
}

#[test]
fn no_pulse_is_joined_across_a_good_part() {
    let mut bench = Bench::running(|config| config.with_min_pause(500).with_min_pulse(10).unwrap());
    for (number, verdict) in [(1, Defect), (2, Good), (3, Defect)] {
        bench.pass_at(number, 1000 + 150 * number).unwrap();
        bench.gate.decide(number, verdict).unwrap();
    }
    bench.run_to(5000).unwrap();
    let expected = [(2150, true), (2250, false), (2450, true), (2550, false)];
    assert_eq!(bench.actuator.edges(), expected);
}

#[test]
fn a_reject_that_begins_late_within_the_slack_is_not_too_short() {
    let mut bench = Bench::running(|config| config.with_slack(50).unwrap());
    bench.pass_at(1, 1200).unwrap();
    bench.gate.decide(1, Defect).unwrap();
    bench.set_time(2250);
    bench.run_to(5000).unwrap();
    assert_eq!(bench.actuator.edges(), [(2250, true), (2350, false)]);
}

#[test]
fn a_counter_of_32_bits_goes_on_after_its_end() {
    let counter = std::cell::Cell::new(u32::MAX - 5);
    let mut clock = Widened::new(|| counter.get());
    assert_eq!(clock.now(), u64::from(u32::MAX) - 5);
    for _ in 0..3 {
        for step in [0, 3, 1 << 31] {
            let before = clock.now();
            counter.set(counter.get().wrapping_add(step));
            assert_eq!(clock.now(), before + u64::from(step));
        }
    }
}
