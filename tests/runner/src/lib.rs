//! What the parity suite runs on a target: reads cases, inspects their images as a device would,
//! and answers with everything that an inspection yields, for a judge elsewhere to compare.
//!
//! Without the feature `linux` there is neither std nor an allocator, as on a microcontroller.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "linux")]
extern crate std;

pub mod case;
pub mod inspect;
#[cfg(feature = "linux")]
pub mod layers;
mod twice;
