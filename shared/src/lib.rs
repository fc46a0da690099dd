//! What host and devices must agree on: the manifest, the decision rule, the wire format, the
//! integer network, and the scalar reference of the whole inspection path against which every
//! other implementation is checked.
//!
//! The way of the data, one module an arrow, in [`mod@reference`] here and under the same names in
//! `residua-edge`:
//!
//! ```text
//! image → reconstruction → residual → anomaly map → mask → regions → verdict → wire
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod buffer;
pub mod frame;
pub mod manifest;
pub mod net;
pub mod onnx;
pub mod reference;
pub mod rule;
pub mod verdict;
pub mod wire;
