//! The board's first serial port, a CMSDK UART, by polling.
#![allow(unsafe_code)]

use core::ptr;

#[cfg(feature = "mps3-an547")]
const BASE: usize = 0x5930_3000;
#[cfg(not(feature = "mps3-an547"))]
const BASE: usize = 0x4000_4000;

const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CONTROL: usize = 0x8;
const DIVISOR: usize = 0x10;

/// The port; there is one value of it.
pub struct Uart(());

impl Uart {
    /// Switches the port on.
    ///
    /// # Safety
    /// Nothing else uses it.
    pub unsafe fn new() -> Self {
        let uart = Self(());
        // The smallest divisor: the highest speed.
        uart.write(DIVISOR, 16);
        uart.write(CONTROL, 0b11);
        uart
    }

    /// Waits for a byte.
    pub fn receive(&mut self) -> u8 {
        while self.read(STATE) & 0b10 == 0 {}
        self.read(DATA) as u8
    }

    /// Sends bytes, and waits until the last one is on its way.
    pub fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while self.read(STATE) & 0b01 != 0 {}
            self.write(DATA, byte.into());
        }
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: a register of the port that this value owns, aligned and always there.
        unsafe { ptr::with_exposed_provenance::<u32>(BASE + register).read_volatile() }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(BASE + register).write_volatile(value) }
    }
}
