//! Names the microcontrollers that can have the kernels for them: Rust's own configuration tells
//! neither Arm's M profile nor its extensions apart.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(cortex_m)");
    let target = env::var("TARGET").unwrap_or_default();
    if ["thumbv7em-none", "thumbv8m.main-none"]
        .iter()
        .any(|of| target.starts_with(of))
    {
        println!("cargo:rustc-cfg=cortex_m");
    }
}
