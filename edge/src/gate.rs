//! The reject gate: throws a part off the line a set way behind the camera.
//!
//! A part passes the camera ([`Gate::passed`]), its verdict comes while it travels
//! ([`Gate::decide`]), and when it reaches the gate the actuator is switched by [`Gate::poll`].
//! All lengths are ticks of one [`Clock`]: microseconds, where the conveyor's speed is steady, or
//! the pulses of an encoder, which stay right whatever it does.
//!
//! What the gate cannot be sure of it rejects:
//! - parts that were between camera and gate when it started: the actuator is on until they passed;
//! - a part whose verdict has not come when it reaches the gate;
//! - everything, once something failed ([`GateFault`]), until [`Gate::reset`]; with
//!   [`FailSafe::Stop`] the line is stopped too.
//!
//! No program can notice that it no longer runs: whoever polls the gate feeds the processor's own
//! watchdog there, and wires the actuator so that its rest position rejects or the line stops.

mod clock;
mod config;
mod pins;

use embedded_hal::digital::OutputPin;
use heapless::Deque;
use residua_shared::{verdict::Outcome, wire::FaultKind};

pub use clock::{Clock, Widened};
pub use config::{ConfigError, GateConfig};
pub use pins::{FailSafe, Inverted, NoPin};

/// A gate for at most `N` parts between camera and gate.
///
/// The actuator's pin is high where it rejects; [`Inverted`] turns that round.
#[derive(Debug)]
pub struct Gate<A, S, C, const N: usize> {
    config: GateConfig,
    actuator: A,
    fail_safe: FailSafe<S>,
    clock: C,
    now: u64,
    state: State,
    /// In the order in which they pass.
    flying: Deque<Part, N>,
    last: Option<(u64, u64)>,
    consecutive_late: u32,
    counts: GateCounts,
}

/// A part between camera and gate.
#[derive(Clone, Copy, Debug)]
struct Part {
    number: u64,
    /// The tick at which its reject would begin.
    start: u64,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// All is well; the actuator is on during a pulse.
    Running(Option<Pulse>),
    /// The actuator is on until a reset.
    Failed(GateFault),
}

/// The actuator is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pulse {
    since: u64,
    until: u64,
}

/// What a gate did since it started.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct GateCounts {
    /// Parts let through.
    pub good: u64,
    /// Parts rejected by their verdict.
    pub defects: u64,
    /// Parts rejected because no verdict had come.
    pub late: u64,
    /// Times that the actuator was switched on.
    pub pulses: u64,
}

/// Why a gate rejects everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GateFault {
    /// More parts between camera and gate than the queue holds.
    Overflow,
    /// A part did not come after the one before it, by number or by time, or comes in the future.
    Order,
    /// The clock went back.
    Clock,
    /// The gate was polled so late that a part may have passed untouched.
    PollLate,
    /// Too many parts in a row reached the gate without a verdict.
    VerdictLate,
    /// A pin could not be switched.
    Pin,
    /// The program reported a fault of its own: a lost model, a failed engine.
    Reported(FaultKind),
}

impl GateFault {
    /// What the wire calls it.
    pub fn kind(self) -> FaultKind {
        match self {
            Self::PollLate | Self::VerdictLate => FaultKind::Watchdog,
            Self::Overflow | Self::Order | Self::Clock | Self::Pin => FaultKind::Gate,
            Self::Reported(kind) => kind,
        }
    }
}

impl core::fmt::Display for GateFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Overflow => {
                "gate: more parts between camera and gate than its queue holds; \
                 enlarge the queue or check the part sensor"
            }
            Self::Order => "gate: parts came out of order; check the part sensor",
            Self::Clock => "gate: the clock or encoder went back; check the encoder's direction",
            Self::PollLate => "gate: polled too late to be sure of a part; lower the load",
            Self::VerdictLate => {
                "gate: too many verdicts in a row came too late; lower the load or the speed"
            }
            Self::Pin => "gate: a pin could not be switched; check the wiring and permissions",
            Self::Reported(_) => "gate: rejects everything after a fault of the inspection",
        })
    }
}

impl core::error::Error for GateFault {}

/// Why a verdict changed nothing. Neither lets a part pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecideError {
    /// The part has reached the gate, and was rejected there.
    Late,
    /// No such part passed the camera.
    Unknown,
}

impl<A: OutputPin, S: OutputPin, C: Clock, const N: usize> Gate<A, S, C, N> {
    /// A gate, at once rejecting what lies between camera and gate.
    pub fn new(config: GateConfig, actuator: A, fail_safe: FailSafe<S>, mut clock: C) -> Self {
        let now = clock.now();
        let mut gate = Self {
            config,
            actuator,
            fail_safe,
            clock,
            now,
            state: State::Running(None),
            flying: Deque::new(),
            last: None,
            consecutive_late: 0,
            counts: GateCounts::default(),
        };
        gate.start();
        gate
    }

    /// What it did so far.
    pub fn counts(&self) -> GateCounts {
        self.counts
    }

    /// Why everything is rejected, if it is.
    pub fn fault(&self) -> Option<GateFault> {
        match self.state {
            State::Failed(fault) => Some(fault),
            State::Running(_) => None,
        }
    }

    /// Part `number` passed the camera at tick `at` of the gate's clock. Numbers rise; so does `at`.
    ///
    /// Errors with what makes the gate reject everything, if anything does.
    pub fn passed(&mut self, number: u64, at: u64) -> Result<(), GateFault> {
        self.running()?;
        self.tick()?;
        let before = self.last.is_some_and(|(n, t)| number <= n || at < t);
        if before || at > self.now {
            return self.fail(GateFault::Order);
        }
        self.last = Some((number, at));
        let part = Part {
            number,
            start: at.saturating_add(self.config.distance()),
            outcome: None,
        };
        match self.flying.push_back(part) {
            Ok(()) => Ok(()),
            Err(_) => self.fail(GateFault::Overflow),
        }
    }

    /// The verdict on part `number`, which takes effect at the gate. Of two verdicts on one part
    /// the worse one holds.
    pub fn decide(&mut self, number: u64, outcome: Outcome) -> Result<(), DecideError> {
        let known = self.last.is_some_and(|(last, _)| number <= last);
        let part = self.flying.iter_mut().find(|part| part.number == number);
        match part {
            Some(part) => {
                if part.outcome != Some(Outcome::Defect) {
                    part.outcome = Some(outcome);
                }
                Ok(())
            }
            None if known => Err(DecideError::Late),
            None => Err(DecideError::Unknown),
        }
    }

    /// Switches what is due now. Returns the tick at which something will be due next, if anything
    /// is known to be; polling more often does no harm.
    ///
    /// Errors with what makes the gate reject everything, if anything does.
    pub fn poll(&mut self) -> Result<Option<u64>, GateFault> {
        let mut pulse = self.running()?;
        self.tick()?;
        while let Some(&part) = self.flying.front().filter(|part| part.start <= self.now) {
            self.flying.pop_front();
            pulse = self.arrived(part, pulse)?;
        }
        let pulse = pulse.map(|pulse| self.merged(pulse));
        let pulse = pulse.filter(|pulse| self.now < pulse.until);
        self.switch(pulse)?;

        let arrival = self.flying.front().map(|part| part.start);
        let ends = pulse.map(|pulse| pulse.until);
        Ok(arrival.into_iter().chain(ends).min())
    }

    /// Rejects everything from now on, because of a fault outside the gate: a lost model, an engine
    /// that failed. Where one part alone could not be inspected, call that part a defect instead.
    pub fn report(&mut self, kind: FaultKind) {
        // The fault is returned by every later call.
        let _ = self.fail(GateFault::Reported(kind));
    }

    /// Starts again after a fault. The actuator stays on until all that now lies between camera and
    /// gate has passed.
    pub fn reset(&mut self) {
        self.flying.clear();
        self.last = None;
        self.consecutive_late = 0;
        self.now = self.clock.now();
        self.start();
    }

    fn start(&mut self) {
        let passage = self.config.distance().saturating_add(self.config.pulse());
        self.state = State::Running(None);
        let pulse = Pulse {
            since: self.now,
            until: self.now.saturating_add(passage),
        };
        // A pin that fails here fails the gate, as every later call says.
        let _ = self.switch(Some(pulse)).and_then(|()| self.permit_line());
    }

    fn permit_line(&mut self) -> Result<(), GateFault> {
        match &mut self.fail_safe {
            FailSafe::Stop(run) => run.set_high().or_else(|_| self.fail(GateFault::Pin)),
            FailSafe::Reject => Ok(()),
        }
    }

    /// Reads the clock.
    fn tick(&mut self) -> Result<(), GateFault> {
        let now = self.clock.now();
        if now < self.now {
            return self.fail(GateFault::Clock);
        }
        self.now = now;
        Ok(())
    }

    /// The pulse in progress; or why everything is rejected, which is then seen to again.
    fn running(&mut self) -> Result<Option<Pulse>, GateFault> {
        match self.state {
            State::Running(pulse) => Ok(pulse),
            State::Failed(fault) => self.fail(fault).map(|()| None),
        }
    }

    /// A part reached the gate: the pulse from here on.
    fn arrived(&mut self, part: Part, pulse: Option<Pulse>) -> Result<Option<Pulse>, GateFault> {
        match part.outcome {
            Some(Outcome::Good) => {
                self.counts.good += 1;
                self.consecutive_late = 0;
                Ok(pulse.map(|pulse| self.cut(pulse, part.start)))
            }
            Some(Outcome::Defect) => {
                self.counts.defects += 1;
                self.consecutive_late = 0;
                self.reject(part, pulse).map(Some)
            }
            None => {
                self.counts.late += 1;
                self.consecutive_late += 1;
                if self.consecutive_late > self.config.tolerated_late() {
                    self.fail(GateFault::VerdictLate)?;
                }
                self.reject(part, pulse).map(Some)
            }
        }
    }

    /// The pulse, ended for a good part that arrives at tick `start`.
    fn cut(&self, pulse: Pulse, start: u64) -> Pulse {
        Pulse {
            until: pulse.until.min(start).max(self.shortest(pulse.since)),
            ..pulse
        }
    }

    /// A pulse for `part`, or the one in progress made longer.
    fn reject(&mut self, part: Part, pulse: Option<Pulse>) -> Result<Pulse, GateFault> {
        if self.now - part.start > self.config.slack() {
            self.fail(GateFault::PollLate)?;
        }
        let pulse = pulse.unwrap_or(Pulse {
            since: self.now,
            until: self.shortest(self.now),
        });
        let end = part.start.saturating_add(self.config.pulse());
        Ok(Pulse {
            until: pulse.until.max(end),
            ..pulse
        })
    }

    /// The earliest end of a pulse that began at tick `since`.
    fn shortest(&self, since: u64) -> u64 {
        since.saturating_add(self.config.min_pulse())
    }

    /// The pulse, joined with the next one where the actuator could not close between them.
    fn merged(&self, pulse: Pulse) -> Pulse {
        let next = self.flying.front();
        let next = next.filter(|part| part.outcome == Some(Outcome::Defect));
        match next.map(|part| part.start) {
            Some(start) if start.saturating_sub(pulse.until) < self.config.min_pause() => Pulse {
                until: pulse.until.max(start),
                ..pulse
            },
            _ => pulse,
        }
    }

    fn switch(&mut self, pulse: Option<Pulse>) -> Result<(), GateFault> {
        let was = self.state;
        self.state = State::Running(pulse);
        let switched = match (was, pulse) {
            (State::Running(Some(_)), Some(_)) | (State::Running(None), None) => Ok(()),
            (_, Some(_)) => {
                self.counts.pulses += 1;
                self.actuator.set_high()
            }
            (_, None) => self.actuator.set_low(),
        };
        switched.or_else(|_| self.fail(GateFault::Pin))
    }

    /// Enters the state in which everything is rejected, or stays in it for its first reason.
    fn fail(&mut self, fault: GateFault) -> Result<(), GateFault> {
        let fault = self.fault().unwrap_or(fault);
        self.state = State::Failed(fault);
        // Pins that fail are tried again by every later call; there is nothing else to be done.
        let _ = self.actuator.set_high();
        if let FailSafe::Stop(run) = &mut self.fail_safe {
            let _ = run.set_low();
        }
        Err(fault)
    }
}
