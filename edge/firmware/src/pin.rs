//! Pins of the board's first general-purpose port.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use crate::{board, register::Registers};

const OUTPUT_ENABLE_SET: usize = 0x10;
/// Writing here changes the pins alone whose bits are in the address.
const MASKED_LOW_BYTE: usize = 0x400;

/// The gate's actuator.
pub const REJECT: u8 = 0;
/// High while the line may run.
pub const RUN: u8 = 1;

/// An output.
#[derive(Debug)]
pub struct Pin {
    port: Registers,
    bit: u32,
}

impl Pin {
    /// Pin `number` (0 to 7), which drives from now on what was last set.
    ///
    /// # Safety
    /// Nothing else drives this pin, or what it drives is never again of interest.
    #[allow(unsafe_code)]
    pub unsafe fn new(number: u8) -> Self {
        // SAFETY: a port of the board; each write changes bits of this pin alone.
        let port = unsafe { Registers::new(board::GPIO) };
        Self {
            port,
            bit: 1 << number,
        }
    }

    fn drive(&mut self, value: u32) {
        self.port
            .write(MASKED_LOW_BYTE + 4 * self.bit as usize, value);
        self.port.write(OUTPUT_ENABLE_SET, self.bit);
    }
}

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.drive(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.drive(self.bit);
        Ok(())
    }
}
