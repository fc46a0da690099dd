//! The autoencoder in floating point.

pub mod folded;
