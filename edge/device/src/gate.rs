//! The reject gate of `residua-edge`'s library on GPIO lines, polled by a thread of its own.
//!
//! Its clock is the system's that nobody sets, in microseconds. While the program does not run, the
//! kernel leaves the lines to their resting level: wire the actuator so that this rejects.

use std::{
    fmt, io,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use embedded_hal::digital::{ErrorKind, ErrorType, OutputPin};
use gpiocdev::{Request, line::Value};
use residua_edge::gate::{ConfigError, DecideError, FailSafe, GateConfig, GateCounts, GateFault};
use residua_shared::{verdict::Outcome, wire::FaultKind};

use crate::{
    config,
    events::{Level, log},
    station::{Station, lock},
};

/// Parts that can be between camera and gate.
const IN_FLIGHT: usize = 256;

/// With nothing due the gate is looked after so often.
const TICK: Duration = Duration::from_millis(50);

type Ticks = Box<dyn FnMut() -> u64 + Send>;

/// The gate, shared by the inspection and the thread that polls it.
#[derive(Debug)]
pub struct Gate {
    start: Instant,
    gate: Mutex<residua_edge::gate::Gate<Pin, Pin, Clock, IN_FLIGHT>>,
    /// Something may be due earlier than it was.
    changed: Condvar,
}

struct Clock(Ticks);

impl residua_edge::gate::Clock for Clock {
    fn now(&mut self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A line that is switched by a call: on is high.
pub struct Pin(Box<dyn FnMut(bool) -> io::Result<()> + Send>);

impl Pin {
    /// A pin that `switch` drives.
    pub fn new(switch: impl FnMut(bool) -> io::Result<()> + Send + 'static) -> Self {
        Self(Box::new(switch))
    }

    /// A line of a GPIO chip, low at first.
    fn gpio(config: &config::Gate, line: u32, active_low: bool) -> gpiocdev::Result<Self> {
        let mut builder = Request::builder();
        builder
            .on_chip(&config.chip)
            .with_consumer("residua-edge")
            .with_line(line)
            .as_output(Value::Inactive);
        if active_low {
            builder.as_active_low();
        }
        let request = builder.request()?;
        Ok(Self::new(move |on| {
            let value = if on { Value::Active } else { Value::Inactive };
            request.set_value(line, value).map_err(io::Error::other)?;
            Ok(())
        }))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

impl ErrorType for Pin {
    type Error = ErrorKind;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), ErrorKind> {
        (self.0)(false).map_err(|_| ErrorKind::Other)
    }

    fn set_high(&mut self) -> Result<(), ErrorKind> {
        (self.0)(true).map_err(|_| ErrorKind::Other)
    }
}

/// What the configuration says of the line, in microseconds.
pub fn times(config: &config::Gate) -> Result<GateConfig, ConfigError> {
    let us = |ms: u32| u64::from(ms) * 1000;
    let mut times = GateConfig::new(us(config.distance_ms), us(config.pulse_ms))?
        .with_min_pause(us(config.min_pause_ms))
        .with_tolerated_late(config.tolerated_late);
    if let Some(ms) = config.min_pulse_ms {
        times = times.with_min_pulse(us(ms))?;
    }
    if let Some(ms) = config.slack_ms {
        times = times.with_slack(us(ms))?;
    }
    Ok(times)
}

impl Gate {
    /// The gate on the lines that the configuration names. Errors where they cannot be used.
    pub fn open(config: &config::Gate) -> Result<Self> {
        let problem = |line: u32| {
            format!(
                "{}: gate: line {line} cannot be used; check chip, line and rights (`gpioinfo` \
                 shows the lines)",
                config.chip.display()
            )
        };
        let times = times(config).context("gate")?;
        let actuator = Pin::gpio(config, config.line, config.active_low)
            .with_context(|| problem(config.line))?;
        let fail_safe = match config.run_line {
            Some(line) => {
                let run = Pin::gpio(config, line, false).with_context(|| problem(line))?;
                FailSafe::Stop(run)
            }
            None => FailSafe::Reject,
        };
        Ok(Self::new(times, actuator, fail_safe))
    }

    /// A gate on any pins.
    pub fn new(times: GateConfig, actuator: Pin, fail_safe: FailSafe<Pin>) -> Self {
        let start = Instant::now();
        let clock = Clock(Box::new(move || ticks(start.elapsed())));
        Self {
            start,
            gate: Mutex::new(residua_edge::gate::Gate::new(
                times, actuator, fail_safe, clock,
            )),
            changed: Condvar::new(),
        }
    }

    /// Part `part` passed the camera at `at`.
    pub fn passed(&self, part: u64, at: Instant) {
        let at = ticks(at.saturating_duration_since(self.start));
        // A fault is told by the thread that polls.
        let _ = lock(&self.gate).passed(part, at);
        self.changed.notify_one();
    }

    /// The verdict on `part`.
    pub fn decide(&self, part: u64, outcome: Outcome) {
        if lock(&self.gate).decide(part, outcome) == Err(DecideError::Late) {
            log(Level::Warn, "verdict_late", &[("part", &part)]);
        }
        self.changed.notify_one();
    }

    /// Rejects everything from now on.
    pub fn fail(&self, kind: FaultKind) {
        lock(&self.gate).report(kind);
        self.changed.notify_one();
    }

    /// Goes on after a fault that [`Self::fail`] reported as `kind`, once it is over.
    pub fn recover(&self, kind: FaultKind) {
        let mut gate = lock(&self.gate);
        if gate.fault() == Some(GateFault::Reported(kind)) {
            gate.reset();
            log(Level::Info, "gate_works_again", &[]);
        }
        drop(gate);
        self.changed.notify_one();
    }

    /// What it did so far.
    pub fn counts(&self) -> GateCounts {
        lock(&self.gate).counts()
    }

    /// Switches what is due until the program ends, and then rejects everything.
    pub fn drive(&self, station: &Station) {
        let mut told = None;
        let mut gate = lock(&self.gate);
        while !station.stopping() {
            let polled = gate.poll();
            let due = match polled {
                Ok(next) => next.map(|at| self.until(at)),
                Err(_) => None,
            };
            let fault = polled.err();
            if fault != told {
                told = fault;
                if let Some(fault) = fault.filter(|f| !matches!(f, GateFault::Reported(_))) {
                    drop(gate);
                    station.fault(
                        fault.kind(),
                        format_args!("{fault}; all parts are rejected until a restart"),
                    );
                    gate = lock(&self.gate);
                }
            }
            let timeout = due.unwrap_or(TICK).min(TICK);
            let woken = self.changed.wait_timeout(gate, timeout);
            gate = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        gate.report(FaultKind::Internal);
    }

    fn until(&self, at: u64) -> Duration {
        Duration::from_micros(at).saturating_sub(self.start.elapsed())
    }
}

fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
