//! The runner for microcontrollers, under QEMU: takes the file `cases` and leaves the file
//! `replies` in QEMU's working folder, through semihosting. That it links shows that the inspection
//! path, the ONNX reader and the reference engine need neither std nor an allocator.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod bare_metal;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this program runs on microcontrollers only: `cargo xtask test` builds and runs it");
    std::process::exit(2);
}
