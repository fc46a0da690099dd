//! What interrupts work on beside the program: the gate, polled every millisecond whatever the
//! program does, and the serial port's direction in.

use core::cell::RefCell;

use cortex_m_rt::exception;
use critical_section::Mutex;
use residua_edge::gate;

use crate::{board, fail_safe, pin::Pin, receiver::Receiver};

/// Windows between camera and gate at the most.
pub const PARTS: usize = 32;

/// The gate on this board.
pub type Gate = gate::Gate<Pin, Pin, fn() -> u64, PARTS>;

/// All of it.
#[derive(Debug)]
pub struct Shared {
    /// The direction in.
    pub receiver: Receiver,
    /// The gate; none where nothing is known of the line, which leaves everything rejected.
    pub gate: Option<Gate>,
}

static SHARED: Mutex<RefCell<Option<Shared>>> = Mutex::new(RefCell::new(None));

/// From now on interrupts work on it.
pub fn hand_over(shared: Shared) {
    critical_section::with(|cs| SHARED.replace(cs, Some(shared)));
}

/// Works on it; what nothing was handed over for comes to nothing.
pub fn with<T>(work: impl FnOnce(&mut Shared) -> Option<T>) -> Option<T> {
    critical_section::with(|cs| SHARED.borrow_ref_mut(cs).as_mut().and_then(work))
}

/// Works on the gate, if there is one.
pub fn with_gate<T>(work: impl FnOnce(&mut Gate) -> T) -> Option<T> {
    with(|shared| shared.gate.as_mut().map(work))
}

#[exception]
fn SysTick() {
    // What fails the gate it says to whoever asks next.
    let _ = with_gate(|gate| gate.poll());
}

#[exception]
#[allow(unsafe_code)]
unsafe fn DefaultHandler(interrupt: i16) {
    if u16::try_from(interrupt) != Ok(board::UART_RECEIVED) {
        fail_safe("an interrupt came that nothing asked for; restart the device");
    }
    with(|shared| {
        shared.receiver.drain();
        Some(())
    });
}

#[exception]
#[allow(unsafe_code)]
unsafe fn HardFault(_: &cortex_m_rt::ExceptionFrame) -> ! {
    fail_safe("the processor met a fault; restart the device")
}
