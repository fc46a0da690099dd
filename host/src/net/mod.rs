//! The autoencoder in floating point.

pub mod autoencoder;
pub mod config;
pub mod float;
pub mod folded;
pub mod ops;
