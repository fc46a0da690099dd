//! The board's first serial port.
#![allow(unsafe_code)]

use crate::{board, register::Registers};

const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CONTROL: usize = 0x8;
const INTERRUPTS: usize = 0xc;
const DIVISOR: usize = 0x10;

const SEND_FULL: u32 = 1 << 0;
const RECEIVED: u32 = 1 << 1;
const OVERRUN: u32 = 1 << 3;

/// Both directions on, an interrupt for every byte received.
const BOTH: u32 = 0b1011;

/// The direction out.
#[derive(Debug)]
pub struct Sender(Registers);

/// The direction in.
#[derive(Debug)]
pub struct Inlet(Registers);

/// Switches the port on.
///
/// # Safety
/// Nothing else uses it, or only the [`stolen`] direction out at the program's end.
pub unsafe fn start() -> (Sender, Inlet) {
    // SAFETY: the board's port; each direction has registers or bits of its own.
    let (out, inlet) = unsafe { (Registers::new(board::UART), Registers::new(board::UART)) };
    // The smallest divisor: the highest speed.
    out.write(DIVISOR, 16);
    out.write(CONTROL, BOTH);
    (Sender(out), Inlet(inlet))
}

/// The direction out for a program's last words.
///
/// # Safety
/// Nothing else will be sent any more.
pub unsafe fn stolen() -> Sender {
    // SAFETY: the board's port, which whoever had it no longer uses.
    let out = unsafe { Registers::new(board::UART) };
    out.write(DIVISOR, 16);
    out.write(CONTROL, BOTH);
    Sender(out)
}

impl Sender {
    /// Sends bytes, and waits until the last one is on its way.
    pub fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while self.0.read(STATE) & SEND_FULL != 0 {}
            self.0.write(DATA, byte.into());
        }
    }
}

impl Inlet {
    /// Takes back the interrupt; a byte that comes from now on raises it again.
    pub fn acknowledge(&mut self) {
        self.0.write(INTERRUPTS, RECEIVED);
    }

    /// The byte that came, if one did.
    pub fn take(&mut self) -> Option<u8> {
        (self.0.read(STATE) & RECEIVED != 0).then(|| self.0.read(DATA) as u8)
    }

    /// Whether a byte was lost since this was last asked, because the one before it lay there.
    pub fn overrun(&mut self) -> bool {
        let lost = self.0.read(STATE) & OVERRUN != 0;
        if lost {
            self.0.write(STATE, OVERRUN);
        }
        lost
    }
}
