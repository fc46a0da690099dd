//! `residua-edge` and the commands that `residua` has for it, both as they run on a line: over TCP
//! and over a serial line with noise on it.

mod board;
mod cable;
mod commands;
mod fixtures;
mod host;
mod serial;
