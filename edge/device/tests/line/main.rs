//! `residua-edge` and the commands that `residua` has for it, both as they run on a line: over TCP,
//! over a serial line with noise on it, and on a 64-bit ARM board.

mod board;
mod cable;
mod commands;
mod emulated;
mod fixtures;
mod host;
mod serial;
