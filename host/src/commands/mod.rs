//! One module a command of the `residua` program: its arguments and what it does with them.

pub mod calibrate;
pub mod demo;
pub mod eval;
pub mod export;
pub mod inspect;
pub mod synth;
pub mod train;
