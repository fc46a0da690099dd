//! What the two boards differ in: addresses, speeds and interrupts.

/// The board's name.
pub const NAME: &str = if MPS3 { "mps3-an547" } else { "mps2-an500" };

const MPS3: bool = cfg!(feature = "mps3-an547");

/// The first serial port, a CMSDK UART.
pub const UART: usize = if MPS3 { 0x5930_3000 } else { 0x4000_4000 };

/// The interrupt of a byte received there.
pub const UART_RECEIVED: u16 = if MPS3 { 33 } else { 0 };

/// The first general-purpose port, a CMSDK GPIO.
pub const GPIO: usize = if MPS3 { 0x5110_0000 } else { 0x4001_0000 };

/// The block of lights, switches and counters, FPGAIO.
pub const FPGAIO: usize = if MPS3 { 0x5930_2000 } else { 0x4002_8000 };

/// Counts per microsecond of its counter without a prescaler.
pub const COUNTS_PER_US: u32 = if MPS3 { 20 } else { 25 };

/// Processor cycles in a millisecond.
pub const CYCLES_PER_MS: u32 = if MPS3 { 32_000 } else { 25_000 };
