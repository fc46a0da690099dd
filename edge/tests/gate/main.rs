//! The reject gate: by a pin that records what was done to it, and on a conveyor.

mod bench;
mod config;
mod conveyor;
mod faults;
mod rejects;
