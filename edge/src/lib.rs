//! The inspection path for devices, in buffers that the caller hands in; `no_std` and without
//! allocation unless an engine of the standard library is asked for.
//!
//! The way of the data, one module an arrow, and by rows so that an engine may feed it while the
//! image still arrives:
//!
//! ```text
//! image → reconstruction → residual → anomaly map → mask → regions → verdict
//!         (engine)          (residual) (map)         (mask) (regions) (verdict)
//! ```
//!
//! [`inspector::Inspector`] walks it for whole frames, [`strip::Strip`] row by row for strips
//! without end. Every step yields, bit for bit, what the
//! scalar reference in [`residua_shared::reference`] does.
//!
//! What stands around it on a line: [`rows`] takes rows from a serial line, [`gate`] throws parts
//! off, [`link`] talks to the host,
//! [`update`] takes new models.
#![no_std]
#![deny(missing_docs)]
#![deny(unsafe_code)]

#[cfg(any(feature = "std", test))]
extern crate std;

pub mod engine;
pub mod gate;
pub mod inspector;
pub mod link;
pub mod map;
pub mod mask;
pub mod regions;
pub mod residual;
pub mod rows;
pub mod strip;
pub mod update;
pub mod verdict;
mod wide;
