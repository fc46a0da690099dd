//! Microseconds since the start, from the board's counter, and a tick every millisecond.

use core::cell::RefCell;

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use critical_section::Mutex;
use residua_edge::gate::{Clock, Widened};
use residua_shared::wire::Time;

use crate::{board, register::Registers};

const COUNTER: usize = 0x18;
const PRESCALE: usize = 0x1c;

static CLOCK: Mutex<RefCell<Option<Widened<Counter>>>> = Mutex::new(RefCell::new(None));

type Counter = fn() -> u32;

#[allow(unsafe_code)]
fn fpgaio() -> Registers {
    // SAFETY: a peripheral of the board, whose counter and prescaler are this module's alone.
    unsafe { Registers::new(board::FPGAIO) }
}

/// Starts the clock at 0, and the tick.
pub fn start(tick: &mut SYST) {
    let counter = fpgaio();
    counter.write(PRESCALE, board::COUNTS_PER_US - 1);
    counter.write(COUNTER, 0);
    let clock = Widened::new((|| fpgaio().read(COUNTER)) as Counter);
    critical_section::with(|cs| CLOCK.replace(cs, Some(clock)));
    tick.set_clock_source(SystClkSource::Core);
    tick.set_reload(board::CYCLES_PER_MS - 1);
    tick.clear_current();
    tick.enable_interrupt();
    tick.enable_counter();
}

/// Microseconds since the start; 0 before it. Right as long as it is asked at least once an hour,
/// which the tick sees to.
pub fn now() -> u64 {
    critical_section::with(|cs| {
        let mut clock = CLOCK.borrow_ref_mut(cs);
        clock.as_mut().map_or(0, Clock::now)
    })
}

/// The same for messages.
pub fn time(uptime_us: u64) -> Time {
    Time {
        uptime_us,
        unix_us: None,
    }
}
