//! The `residua` program from outside: its command line, files, figures and exit codes.

mod bad_input;
mod files;
mod fixture;
mod program;
mod walk;
