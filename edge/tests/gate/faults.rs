//! What makes the gate reject everything, and that it does.

use std::cell::Cell;

use embedded_hal::digital::OutputPin as _;
use residua_edge::gate::{FailSafe, Gate, GateConfig, GateFault, Inverted};
use residua_shared::{
    verdict::Outcome::{Defect, Good},
    wire::FaultKind,
};

use crate::bench::Bench;

/// Checks that everything is rejected since tick `since` for `fault`, whatever comes.
fn assert_failed(bench: &mut Bench, fault: GateFault, since: u64) {
    assert_eq!(bench.gate.fault(), Some(fault));
    assert_eq!(bench.line.edges(), [(0, true), (since, false)]);
    let edges = bench.actuator.edges();
    assert_eq!(edges.last(), Some(&(since, true)));
    for later in [1, 5000] {
        bench.set_time(since + later);
        assert_eq!(bench.gate.poll(), Err(fault));
        assert_eq!(bench.gate.passed(1000 + later, since + later), Err(fault));
        let _ = bench.gate.decide(1000 + later, Good);
    }
    bench.gate.report(FaultKind::Model);
    assert_eq!(bench.gate.poll(), Err(fault), "the first reason is kept");
    assert_eq!(bench.actuator.edges(), edges);

    // After a reset it is a gate again.
    let now = since + 6000;
    bench.set_time(now);
    bench.gate.reset();
    bench.run_to(now + 2000).unwrap();
    assert_eq!(bench.actuator.edges().last(), Some(&(now + 1100, false)));
    assert_eq!(bench.line.edges().last(), Some(&(now, true)));
}

#[test]
fn more_parts_than_the_queue_holds() {
    let mut bench = Bench::running(|config| config);
    for number in 1..=4 {
        bench.pass_at(number, 1200 + number).unwrap();
        bench.gate.decide(number, Good).unwrap();
    }
    bench.set_time(1300);
    assert_eq!(bench.gate.passed(5, 1300), Err(GateFault::Overflow));
    assert_failed(&mut bench, GateFault::Overflow, 1300);
}

#[test]
fn parts_out_of_order() {
    for (number, at) in [(7, 1250), (6, 1250), (8, 1199), (8, 1301)] {
        let mut bench = Bench::running(|config| config);
        bench.pass_at(7, 1200).unwrap();
        bench.set_time(1300);
        assert_eq!(bench.gate.passed(number, at), Err(GateFault::Order));
        assert_failed(&mut bench, GateFault::Order, 1300);
    }
}

#[test]
fn a_clock_that_goes_back() {
    let mut bench = Bench::running(|config| config);
    bench.run_to(2000).unwrap();
    bench.set_time(1999);
    assert_eq!(bench.gate.poll(), Err(GateFault::Clock));
    assert_failed(&mut bench, GateFault::Clock, 1999);
}

#[test]
fn a_defect_that_may_have_slipped_by() {
    let mut bench = Bench::running(|config| config.with_slack(50).unwrap());
    bench.pass_at(1, 1200).unwrap();
    bench.gate.decide(1, Defect).unwrap();
    bench.set_time(2251);
    assert_eq!(bench.gate.poll(), Err(GateFault::PollLate));
    assert_failed(&mut bench, GateFault::PollLate, 2251);
}

#[test]
fn a_good_part_that_slipped_by_is_no_fault() {
    let mut bench = Bench::running(|config| config.with_slack(50).unwrap());
    bench.pass_at(1, 1200).unwrap();
    bench.gate.decide(1, Good).unwrap();
    bench.set_time(4000);
    assert_eq!(bench.gate.poll(), Ok(None));
    assert_eq!(bench.actuator.edges(), []);
}

#[test]
fn too_many_verdicts_in_a_row_that_come_too_late() {
    let mut bench = Bench::running(|config| config.with_tolerated_late(2));
    // Two late, one in time, three late.
    for number in 1..=6 {
        bench.pass_at(number, 1000 + 300 * number).unwrap();
        if number == 3 {
            bench.gate.decide(number, Good).unwrap();
        }
    }
    assert_eq!(bench.run_to(5000), Err(GateFault::VerdictLate));
    assert_failed(&mut bench, GateFault::VerdictLate, 3800);
}

#[test]
fn the_first_verdict_too_late_unless_some_are_tolerated() {
    let mut bench = Bench::running(|config| config);
    bench.pass_at(1, 1200).unwrap();
    assert_eq!(bench.run_to(5000), Err(GateFault::VerdictLate));
    assert_failed(&mut bench, GateFault::VerdictLate, 2200);
}

#[test]
fn a_lost_model() {
    let mut bench = Bench::running(|config| config);
    bench.run_to(1500).unwrap();
    bench.gate.report(FaultKind::Model);
    assert_failed(&mut bench, GateFault::Reported(FaultKind::Model), 1500);
}

#[test]
fn an_actuator_that_cannot_be_switched_stops_the_line_and_is_tried_again() {
    let mut bench = Bench::running(|config| config);
    bench.pass_at(1, 1200).unwrap();
    bench.gate.decide(1, Defect).unwrap();
    bench.break_actuator(true);
    assert_eq!(bench.run_to(5000), Err(GateFault::Pin));
    assert_eq!(bench.line.edges(), [(0, true), (2200, false)]);
    assert_eq!(bench.actuator.edges(), []);
    bench.break_actuator(false);
    bench.set_time(2210);
    assert_eq!(bench.gate.poll(), Err(GateFault::Pin));
    assert_eq!(bench.actuator.edges(), [(2210, true)]);
}

#[test]
fn without_a_line_to_stop_everything_is_rejected() {
    #[derive(Default)]
    struct Level(Cell<Option<bool>>);
    impl embedded_hal::digital::ErrorType for &Level {
        type Error = core::convert::Infallible;
    }
    impl embedded_hal::digital::OutputPin for &Level {
        fn set_low(&mut self) -> Result<(), Self::Error> {
            self.0.set(Some(false));
            Ok(())
        }
        fn set_high(&mut self) -> Result<(), Self::Error> {
            self.0.set(Some(true));
            Ok(())
        }
    }
    let (level, time) = (Level::default(), Cell::new(0));
    let config = GateConfig::new(100, 10).unwrap();
    // Rejects without power: low.
    let actuator = Inverted(&level);
    let clock = || time.get();
    let mut gate: Gate<_, _, _, 4> = Gate::new(config, actuator, FailSafe::REJECT, clock);
    assert_eq!(level.0.get(), Some(false));
    time.set(110);
    assert_eq!(gate.poll(), Ok(None));
    assert_eq!(level.0.get(), Some(true));
    gate.report(FaultKind::Engine);
    assert_eq!(level.0.get(), Some(false));
    (&level).set_high().unwrap();
    assert!(gate.poll().is_err());
    assert_eq!(level.0.get(), Some(false), "every poll sees to it again");
}

#[test]
fn every_fault_has_its_kind_and_its_line() {
    let faults = [
        (GateFault::Overflow, FaultKind::Gate),
        (GateFault::Order, FaultKind::Gate),
        (GateFault::Clock, FaultKind::Gate),
        (GateFault::Pin, FaultKind::Gate),
        (GateFault::PollLate, FaultKind::Watchdog),
        (GateFault::VerdictLate, FaultKind::Watchdog),
        (GateFault::Reported(FaultKind::Model), FaultKind::Model),
    ];
    let mut lines = faults.map(|(fault, kind)| {
        assert_eq!(fault.kind(), kind);
        fault.to_string()
    });
    assert!(lines.iter().all(|line| line.starts_with("gate: ")));
    lines.sort();
    assert!(lines.windows(2).all(|pair| pair[0] != pair[1]));
}
