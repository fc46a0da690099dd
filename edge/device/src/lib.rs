//! What the program `residua-edge` is made of.
//!
//! The way of the data, one module a step:
//!
//! ```text
//! source → inspect → recorder → gate
//!                             → journal → link → host
//! ```
//!
//! The inspection has a thread of its own and never waits for a host; [`station`] holds what the
//! threads share.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod clock;
pub mod config;
pub mod events;
pub mod gate;
pub mod inspect;
pub mod journal;
pub mod link;
pub mod metrics;
pub mod model;
pub mod models;
pub mod program;
pub mod recorder;
pub mod source;
pub mod station;
