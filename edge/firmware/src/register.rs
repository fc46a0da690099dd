//! A peripheral's registers.
#![allow(unsafe_code)]

use core::ptr;

/// The registers of one peripheral, by whoever owns this value alone.
#[derive(Debug)]
pub struct Registers(usize);

impl Registers {
    /// Those from address `base` on.
    ///
    /// # Safety
    /// A peripheral whose registers are always there lies at `base`, and what is done to the
    /// registers through this value disturbs no other user of them.
    pub const unsafe fn new(base: usize) -> Self {
        Self(base)
    }

    /// Reads the word at `offset`.
    pub fn read(&self, offset: usize) -> u32 {
        // SAFETY: an aligned register of this value's peripheral.
        unsafe { ptr::with_exposed_provenance::<u32>(self.0 + offset).read_volatile() }
    }

    /// Writes the word at `offset`.
    pub fn write(&self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.0 + offset).write_volatile(value) }
    }
}
