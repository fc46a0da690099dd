//! A gate on the bench: a clock that the test sets, and pins that record.

use std::{cell::Cell, cell::RefCell, io, rc::Rc};

use embedded_hal::digital::{self, ErrorType, OutputPin};
use residua_edge::gate::{FailSafe, Gate, GateConfig, GateFault};

/// What was done to a pin, and when.
#[derive(Clone, Default)]
pub struct Record(Rc<RefCell<Vec<(u64, bool)>>>);

impl Record {
    pub fn edges(&self) -> Vec<(u64, bool)> {
        self.0.borrow().clone()
    }
}

/// A pin that records its edges, and fails when told to.
pub struct Pin {
    record: Record,
    time: Rc<Cell<u64>>,
    broken: Rc<Cell<bool>>,
    level: Option<bool>,
}

#[derive(Debug)]
pub struct Broken(#[expect(dead_code, reason = "shown by Debug")] io::Error);

impl digital::Error for Broken {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

impl ErrorType for Pin {
    type Error = Broken;
}

impl Pin {
    fn set(&mut self, high: bool) -> Result<(), Broken> {
        if self.broken.get() {
            return Err(Broken(io::Error::other("broken")));
        }
        if self.level.replace(high) != Some(high) {
            self.record.0.borrow_mut().push((self.time.get(), high));
        }
        Ok(())
    }
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Broken> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), Broken> {
        self.set(true)
    }
}

/// A gate for four parts in flight, its actuator, and a pin that lets the line run.
pub struct Bench {
    pub gate: Gate<Pin, Pin, Box<dyn FnMut() -> u64>, 4>,
    pub actuator: Record,
    pub line: Record,
    time: Rc<Cell<u64>>,
    actuator_broken: Rc<Cell<bool>>,
}

impl Bench {
    /// A gate at tick 0.
    pub fn new(config: GateConfig) -> Self {
        let time = Rc::new(Cell::new(0));
        let (actuator, line) = (Record::default(), Record::default());
        let broken = Rc::new(Cell::new(false));
        let pin = |record: &Record, broken: &Rc<Cell<bool>>| Pin {
            record: record.clone(),
            time: time.clone(),
            broken: broken.clone(),
            level: None,
        };
        let clock = time.clone();
        Self {
            gate: Gate::new(
                config,
                pin(&actuator, &broken),
                FailSafe::Stop(pin(&line, &Rc::default())),
                Box::new(move || clock.get()),
            ),
            actuator,
            line,
            time,
            actuator_broken: broken,
        }
    }

    /// A gate 1000 ticks behind the camera with pulses of 100, after its first 1100 ticks.
    pub fn running(change: impl FnOnce(GateConfig) -> GateConfig) -> Self {
        let mut bench = Self::new(change(GateConfig::new(1000, 100).unwrap()));
        bench.run_to(1100).unwrap();
        assert_eq!(bench.actuator.edges(), [(0, true), (1100, false)]);
        bench.actuator.0.borrow_mut().clear();
        bench
    }

    pub fn set_time(&self, time: u64) {
        self.time.set(time);
    }

    pub fn break_actuator(&self, broken: bool) {
        self.actuator_broken.set(broken);
    }

    /// Lets time pass up to a tick, polling whenever the gate asks for it.
    pub fn run_to(&mut self, end: u64) -> Result<(), GateFault> {
        loop {
            match self.gate.poll()? {
                Some(next) if next <= end => self.time.set(next),
                _ => break,
            }
        }
        self.time.set(end);
        self.gate.poll().map(|_| ())
    }

    /// Lets part `number` pass the camera at a tick, running up to it.
    pub fn pass_at(&mut self, number: u64, at: u64) -> Result<(), GateFault> {
        self.run_to(at)?;
        self.gate.passed(number, at)
    }
}
