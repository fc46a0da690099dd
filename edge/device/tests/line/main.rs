//! `residua-edge` and the commands that `residua` has for it, both as they run on a line: over TCP,
//! over a serial line with noise on it, on 64-bit and 32-bit ARM, and on a whole board with camera
//! and gate.

mod board;
mod cable;
mod commands;
mod emulated;
mod fixtures;
mod host;
mod machine;
mod serial;
