#![no_std]
#![deny(missing_docs)]
//! The inspection path for devices.
