//! Inspects strips on a microcontroller: rows come over a serial port, verdicts leave over it as
//! frames of the wire protocol.
//!
//! What comes: [`ROW`] and a row's pixels; [`END`], after which all windows of the strip are
//! reported and the next strip begins; [`STOP`], which prints the memory used (through
//! semihosting) and ends. A window is as high as the images that the model was exported for.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod model;
mod stack;
mod uart;

use core::{num::NonZeroU32, panic::PanicInfo};

use cortex_m_rt::entry;
use heapless::String;
use model::LENGTHS;
use residua_edge::{
    engine::native::{
        Native,
        kernel::{Kernel, cortex_m},
    },
    strip::{OpenRegion, OpenRun, Strip, StripBuffers, StripRegion, Window},
};
use residua_shared::{
    frame::Size,
    manifest::Digest,
    onnx,
    rule::DecisionRule,
    verdict::Region,
    wire::{
        self, Capabilities, Fault, FaultKind, Hello, MAX_FRAME, MAX_REGIONS, Message, Model,
        ProgramVersion, Report, Time,
    },
};
use semihosting::eprintln;
use uart::Uart;

const END: u8 = 0;
const ROW: u8 = 1;
const STOP: u8 = 2;

const DEVICE: &str = if cfg!(feature = "mps3-an547") {
    "mps3-an547"
} else {
    "mps2-an500"
};

/// This program's version.
const PROGRAM: ProgramVersion = ProgramVersion {
    major: number(env!("CARGO_PKG_VERSION_MAJOR")),
    minor: number(env!("CARGO_PKG_VERSION_MINOR")),
    patch: number(env!("CARGO_PKG_VERSION_PATCH")),
};

/// No clock is read: every message says the device's start.
const TIME: Time = Time {
    uptime_us: 0,
    unix_us: None,
};

/// A number in decimal; a build with any other ends here.
const fn number(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("not a number"),
    }
}

/// Counting regions that end in a window at the most; more are a defect that says so.
const ENDING: usize = 1024;

/// The board's kernel, where the processor has what it needs.
fn kernel() -> Option<&'static dyn Kernel> {
    #[cfg(feature = "mps3-an547")]
    let kernel = cortex_m::Helium::detect().map(|kernel| kernel as &dyn Kernel);
    #[cfg(not(feature = "mps3-an547"))]
    let kernel = cortex_m::Dsp::detect().map(|kernel| kernel as &dyn Kernel);
    kernel
}

#[entry]
fn main() -> ! {
    static mut ARENA: [u8; model::ARENA] = [0; model::ARENA];
    static mut IMAGE: [u8; LENGTHS.image] = [0; LENGTHS.image];
    static mut RECONSTRUCTION: [i32; LENGTHS.reconstruction] = [0; LENGTHS.reconstruction];
    static mut RESIDUAL: [i32; LENGTHS.residual] = [0; LENGTHS.residual];
    static mut FILTER: [u32; LENGTHS.filter] = [0; LENGTHS.filter];
    static mut RUNS: [OpenRun; LENGTHS.runs] = [OpenRun::EMPTY; LENGTHS.runs];
    static mut REGIONS: [OpenRegion; LENGTHS.regions] = [OpenRegion::EMPTY; LENGTHS.regions];
    static mut ENDED: [StripRegion; ENDING] = [StripRegion::EMPTY; ENDING];
    #[allow(unsafe_code)]
    // SAFETY: the only use of the port.
    let mut uart = unsafe { Uart::new() };
    let buffers = StripBuffers {
        image: IMAGE,
        reconstruction: RECONSTRUCTION,
        residual: RESIDUAL,
        filter: FILTER,
        runs: RUNS,
        regions: REGIONS,
        ended: ENDED,
    };
    match strip(ARENA, buffers, &mut uart) {
        Ok((rule, strip)) => inspect(rule, strip, &mut uart),
        Err(Failed) => {
            let mut detail = String::new();
            // It fits.
            let _ = detail
                .push_str("the model does not run on this processor; build the firmware again");
            let fault = Fault {
                part: None,
                time: TIME,
                kind: FaultKind::Model,
                detail,
            };
            send(&mut uart, &Message::Fault(fault));
            stop()
        }
    }
}

/// The model cannot be used.
struct Failed;

type Inspector = Strip<'static, &'static mut [u8], &'static [u8]>;

/// The inspector of strips, after the greeting.
fn strip(
    arena: &'static mut [u8],
    buffers: StripBuffers<'static>,
    uart: &mut Uart,
) -> Result<(DecisionRule, Inspector), Failed> {
    let about: model::About = postcard::from_bytes(&model::ABOUT).map_err(|_| Failed)?;
    let (model, input, name, rule) = about;
    let net = onnx::read(&model::ONNX, rule.scale().fraction_bits()).map_err(|_| Failed)?;
    let kernel = kernel().ok_or(Failed)?;
    let weights = &model::PACKED.0[..];
    let engine = Native::packed(&net, input, kernel, weights, arena).map_err(|_| Failed)?;
    let window = NonZeroU32::new(model::HEIGHT).ok_or(Failed)?;
    let strip = Strip::new(engine, rule, window, buffers).map_err(|_| Failed)?;
    send(uart, &Message::Hello(hello(model, input, name, rule)));
    Ok((rule, strip))
}

/// The greeting.
fn hello(digest: Digest, input: Size, name: String<64>, rule: DecisionRule) -> Hello {
    let mut device = String::new();
    // It fits.
    let _ = device.push_str(DEVICE);
    Hello {
        protocol: wire::VERSION,
        program: PROGRAM,
        device,
        capabilities: Capabilities::default(),
        next_part: 0,
        model: Some(Model {
            digest,
            version: 0,
            input,
            threshold: rule.image_threshold(),
            name,
        }),
    }
}

/// Inspects what comes until [`STOP`].
fn inspect(rule: DecisionRule, mut strip: Inspector, uart: &mut Uart) -> ! {
    let mut row = [0; model::WIDTH];
    let mut part = 0;
    let mut report = |window: Window<'_>, uart: &mut Uart| {
        let report = Report {
            part,
            time: TIME,
            verdict: window.verdict,
            threshold: rule.image_threshold(),
            regions: window
                .regions
                .iter()
                .take(MAX_REGIONS)
                .map(|region| within(region, &window))
                .collect(),
        };
        part += 1;
        send(uart, &Message::Report(report));
    };
    loop {
        match uart.receive() {
            ROW => {
                row.fill_with(|| uart.receive());
                if let Some(window) = strip.push_row(&row).unwrap_or_else(|_| stop()) {
                    report(window, uart);
                }
            }
            END => {
                while let Some(window) = strip.finish().unwrap_or_else(|_| stop()) {
                    report(window, uart);
                }
            }
            STOP => {
                let (used, of) = stack::used();
                eprintln!("stack: {used} of {of} bytes");
                semihosting::process::exit(0)
            }
            _ => {}
        }
    }
}

/// A region in rows of the window that it ends in; where it begins above, from the first one on.
fn within(region: &StripRegion, window: &Window<'_>) -> Region {
    let row = |row: u64| u16::try_from(row.saturating_sub(window.first_row)).unwrap_or(u16::MAX);
    Region {
        left: region.left,
        top: row(region.top),
        right: region.right,
        bottom: row(region.bottom),
        area: u32::try_from(region.area).unwrap_or(u32::MAX),
        peak: region.peak,
    }
}

fn send(uart: &mut Uart, message: &Message) {
    let mut frame = [0; MAX_FRAME];
    // It fits any message.
    if let Ok(frame) = wire::encode(message, &mut frame) {
        uart.send(frame);
    }
}

/// Says nothing any more: who hears no verdict must take the part for bad.
fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop()
}
