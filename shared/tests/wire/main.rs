//! The messages between devices and hosts: frames byte by byte, recorded, damaged, in streams, and
//! as another language reads them.

mod bytes;
mod damage;
mod histogram;
mod mask;
mod python;
mod reader;
mod recorded;
mod samples;
