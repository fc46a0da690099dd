//! Inspects strips on a microcontroller and throws defective windows off the line: rows come over a
//! serial port, verdicts and masks leave over it as frames of the wire protocol, and a pin drives the
//! gate.
//!
//! Rows come in frames of [`residua_edge::rows`], and a host's requests between them. A window is as
//! high as the images that the model was exported for, and is a part to host and gate. Whatever goes
//! wrong is said in a fault, and everything is rejected from then on until the host has the device
//! restart: what is damaged in flash, rows that are missing or too wide, a camera that falls silent,
//! a gate that lost count, a panic.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod board;
mod clock;
mod line;
mod model;
mod pin;
mod receiver;
mod register;
mod settings;
mod shared;
mod stack;
mod trouble;
mod uart;

use core::{
    fmt::{Display, Write as _},
    panic::PanicInfo,
};

use cortex_m::peripheral::NVIC;
use cortex_m_rt::entry;
use embedded_hal::digital::OutputPin;
use heapless::String;
use line::{Line, Memory};
use pin::Pin;
use receiver::{Arrived, Receiver};
use residua_edge::{
    gate::FailSafe,
    rows::{self, Piece},
    strip::MaskRun,
};
use residua_shared::{
    verdict::Outcome,
    wire::{
        self, Answer, Capabilities, Command, Dropped, Fault, FaultKind, Hello, MAX_FRAME,
        MaskChunks, Message, Model, Pong, ProgramVersion, Refusal, Request, Stats,
    },
};
use settings::{FailSafeSetting, GateSettings};
use shared::{Gate, Shared};
use trouble::Trouble;
use uart::Sender;

/// This program's version.
const PROGRAM: ProgramVersion = ProgramVersion {
    major: number(env!("CARGO_PKG_VERSION_MAJOR")),
    minor: number(env!("CARGO_PKG_VERSION_MINOR")),
    patch: number(env!("CARGO_PKG_VERSION_PATCH")),
};

/// A number in decimal; a build with any other ends here.
const fn number(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("not a number"),
    }
}

/// An interrupt by its number.
#[derive(Clone, Copy)]
struct Interrupt(u16);

#[allow(unsafe_code)]
// SAFETY: an interrupt has one number, for good.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

#[entry]
#[allow(unsafe_code)]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::NEW;
    // SAFETY: nothing drives these pins yet; the gate gets them.
    let (mut reject, run) = unsafe { (Pin::new(pin::REJECT), Pin::new(pin::RUN)) };
    let Ok(()) = reject.set_high();
    // SAFETY: the only use of the port but for last words.
    let (sender, inlet) = unsafe { uart::start() };
    if let Some(mut core) = cortex_m::Peripherals::take() {
        clock::start(&mut core.SYST);
    }
    let about = model::about();
    let gate = about
        .as_ref()
        .and_then(|about| gate(&about.0.gate, reject, run));
    let known = about.is_some() && gate.is_some();
    shared::hand_over(Shared {
        receiver: Receiver::new(inlet),
        gate,
    });
    // SAFETY: what its handler works on is there, and no critical section is open.
    unsafe { NVIC::unmask(Interrupt(board::UART_RECEIVED)) };

    let mut device = Device {
        sender,
        about,
        line: None,
        failed: false,
        counts: Stats::default(),
    };
    let line = match &device.about {
        Some(about) if known => Line::new(about.1, about.4, MEMORY),
        _ => Err(Trouble::Other(
            FaultKind::Model,
            "the settings in flash are damaged; write the firmware again",
        )),
    };
    match line {
        Ok(line) => device.line = Some(line),
        Err(trouble) => device.fail(trouble),
    }
    device.greet();
    device.run()
}

/// The gate as the line needs it.
fn gate(settings: &GateSettings, reject: Pin, run: Pin) -> Option<Gate> {
    let fail_safe = match settings.fail_safe {
        FailSafeSetting::Reject => FailSafe::Reject,
        FailSafeSetting::Stop => FailSafe::Stop(run),
    };
    let config = settings.config().ok()?;
    Some(Gate::new(config, reject, fail_safe, clock::now))
}

/// All that the program works on beside what interrupts do.
struct Device {
    sender: Sender,
    about: Option<model::About>,
    /// None where there is no model.
    line: Option<Line>,
    /// Nothing is inspected any more.
    failed: bool,
    /// Good, defects, faults, damaged frames and latencies; the rest is asked for when it is told.
    counts: Stats,
}

impl Device {
    fn run(&mut self) -> ! {
        loop {
            match shared::with(|shared| shared.receiver.next()) {
                Some(arrived) => self.hear(arrived),
                None => cortex_m::asm::wfi(),
            }
            self.watch();
        }
    }

    /// A frame came.
    fn hear(&mut self, mut arrived: Arrived) {
        let at = arrived.at;
        let Some(frame) = arrived.bytes() else {
            self.counts.dropped.frames += 1;
            return;
        };
        // The first byte of a frame is not zero, so that COBS leaves it where it is.
        if frame.get(1) == Some(&wire::VERSION) {
            match wire::decode(frame) {
                Ok(request) => self.answer(&request, at),
                Err(_) => self.counts.dropped.frames += 1,
            }
            return;
        }
        match rows::decode(frame) {
            Ok(piece) => self.inspect(piece, at),
            Err(_) => self.counts.dropped.frames += 1,
        }
    }

    fn inspect(&mut self, piece: Piece<'_>, at: u64) {
        let Self {
            sender,
            line: Some(line),
            failed: false,
            counts,
            ..
        } = self
        else {
            return;
        };
        let taken = line.take(piece, at, |report, mask| {
            let latency = clock::now().saturating_sub(report.time.uptime_us);
            let latency = u32::try_from(latency).unwrap_or(u32::MAX);
            counts.latency.record(latency);
            let (part, outcome) = (report.part, report.verdict.outcome);
            send(sender, &Message::Report(report));
            if outcome == Outcome::Good {
                counts.good += 1;
                return;
            }
            counts.defects += 1;
            match mask {
                Some(runs) => send_mask(sender, part, runs),
                None => counts.dropped.masks += 1,
            }
        });
        if let Err(trouble) = taken {
            self.fail(trouble);
        }
    }

    /// What no frame tells of.
    fn watch(&mut self) {
        if self.failed {
            return;
        }
        let silence = self.about.as_ref().map_or(0, |about| about.0.silence_ms);
        let silent = |line: &Line| line.silent(clock::now(), 1000 * u64::from(silence));
        let trouble = if let Some(fault) = shared::with_gate(|gate| gate.fault()).flatten() {
            Some(fault.into())
        } else if shared::with(|shared| shared.receiver.overrun().then_some(())).is_some() {
            Some(Trouble::Other(
                FaultKind::Link,
                "bytes came faster than they were taken; lower the serial line's speed",
            ))
        } else if self.line.as_ref().is_some_and(silent) {
            Some(Trouble::Other(
                FaultKind::Camera,
                "the camera fell silent within a strip; check it, or end strips where they end",
            ))
        } else {
            None
        };
        if let Some(trouble) = trouble {
            self.fail(trouble);
        }
    }

    /// Rejects everything from now on, and says why.
    fn fail(&mut self, trouble: Trouble) {
        let time = clock::time(clock::now());
        shared::with_gate(|gate| gate.report(trouble.kind()));
        self.failed = true;
        self.counts.faults += 1;
        let fault = Fault {
            part: self.line.as_ref().map(Line::next_part),
            time,
            kind: trouble.kind(),
            detail: text(trouble),
        };
        send(&mut self.sender, &Message::Fault(fault));
    }

    fn answer(&mut self, request: &Request, at: u64) {
        let result = match request.command {
            Command::Ping => {
                let pong = Pong {
                    request: request.id,
                    time: clock::time(at),
                };
                return send(&mut self.sender, &Message::Pong(pong));
            }
            Command::Identify => return self.greet(),
            Command::Stats => return self.tell(),
            // Nothing is kept that a host could acknowledge.
            Command::Acknowledge { .. } => return,
            Command::Reboot => Ok(()),
            _ => Err(Refusal::Unsupported),
        };
        let answer = Answer {
            request: request.id,
            result,
        };
        send(&mut self.sender, &Message::Answer(answer));
        if result.is_ok() {
            cortex_m::peripheral::SCB::sys_reset();
        }
    }

    fn greet(&mut self) {
        let (device, model) = match &self.about {
            Some((settings, digest, input, name, rule)) => (
                settings.device.clone(),
                self.line.as_ref().map(|_| Model {
                    digest: *digest,
                    version: 0,
                    input: *input,
                    threshold: rule.image_threshold(),
                    name: name.clone(),
                }),
            ),
            None => (String::try_from(board::NAME).unwrap_or_default(), None),
        };
        let hello = Hello {
            protocol: wire::VERSION,
            program: PROGRAM,
            device,
            capabilities: Capabilities::MASKS
                .with(Capabilities::GATE)
                .with(Capabilities::REBOOT),
            next_part: self.line.as_ref().map_or(0, Line::next_part),
            model,
        };
        send(&mut self.sender, &Message::Hello(hello));
    }

    fn tell(&mut self) {
        let late = shared::with_gate(|gate| gate.counts().late).unwrap_or(0);
        let stats = Stats {
            time: clock::time(clock::now()),
            dropped: Dropped {
                late,
                ..self.counts.dropped
            },
            memory: wire::Memory {
                buffers: size_of::<Memory>() as u64,
                peak: stack::used() as u64,
            },
            ..self.counts.clone()
        };
        send(&mut self.sender, &Message::Stats(stats));
    }
}

/// As much of it as a fault has room for.
fn text(of: impl Display) -> String<128> {
    let mut text = String::new();
    // What does not fit is left out.
    let _ = write!(text, "{of}");
    text
}

fn send(sender: &mut Sender, message: &Message) {
    let mut frame = [0; MAX_FRAME];
    // It fits any message.
    if let Ok(frame) = wire::encode(message, &mut frame) {
        sender.send(frame);
    }
}

/// Sends the mask of a part, chunk by chunk.
fn send_mask(sender: &mut Sender, part: u64, runs: &[MaskRun]) {
    for chunk in MaskChunks::new(part, runs.iter().map(MaskRun::span)) {
        send(sender, &Message::Mask(chunk));
    }
}

/// Rejects everything, stops the line and says why, for good: the program can no longer be relied
/// on, nor its memory.
#[allow(unsafe_code)]
fn fail_safe(detail: &str) -> ! {
    cortex_m::interrupt::disable();
    // SAFETY: with interrupts off nothing else drives them ever again.
    let (mut reject, mut run) = unsafe { (Pin::new(pin::REJECT), Pin::new(pin::RUN)) };
    let Ok(()) = reject.set_high();
    let Ok(()) = run.set_low();
    // SAFETY: nothing else sends ever again.
    let mut sender = unsafe { uart::stolen() };
    // Ends what may have been torn.
    sender.send(&[0]);
    let fault = Fault {
        part: None,
        time: clock::time(clock::now()),
        kind: FaultKind::Internal,
        detail: text(detail),
    };
    send(&mut sender, &Message::Fault(fault));
    loop {
        core::hint::spin_loop();
    }
}

/// Formats nothing, which could fail again.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    fail_safe("the program failed; restart the device and report it")
}
