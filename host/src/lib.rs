//! The workstation side of residua: images in, a trained, calibrated and exported model out.
//!
//! The modules follow the data: [`data`] (or [`synth`]) → [`net`] and [`train`] → [`quantize`] →
//! [`calibrate`] → [`export`] → [`model`] → [`eval`] and [`inspect`] → [`report`].

pub mod calibrate;
pub mod commands;
pub mod console;
pub mod data;
mod engine;
pub mod eval;
pub mod export;
pub mod inspect;
pub mod model;
pub mod net;
pub mod quality;
pub mod quantize;
pub mod report;
pub mod save;
pub mod synth;
pub mod train;
