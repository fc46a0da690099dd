//! What the program `residua-edge` is made of.
//!
//! The way of the data, one module a step: `source` → `inspect` → `gate` → [`journal`] → `link`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod journal;
