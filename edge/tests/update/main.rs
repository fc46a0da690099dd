//! New models: taken whole and signed, or not at all, wherever power is lost.

mod flash;
mod models;
mod power;
mod record;
mod refusals;
mod wire;

#[cfg(feature = "std")]
mod files;
