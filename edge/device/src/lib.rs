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
//!
//! Once it runs, that thread allocates nothing for an image of a camera or a pipe, from the source to
//! gate and journal, but for a new file of the journal now and then. Image files are decoded on the
//! heap, and `log.level = "debug"` makes a line of each part.
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
