//! Links the program for QEMU's machines mps2-an500 and mps3-an547.

use std::{env, error::Error, fs, path::PathBuf};

/// What both machines have: code memory at 0, and 16 MB or more of external RAM.
const MEMORY: &str = "MEMORY {
    FLASH : ORIGIN = 0x00000000, LENGTH = 512K
    RAM : ORIGIN = 0x60000000, LENGTH = 16M
}
";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS")? == "none" {
        let folder = PathBuf::from(env::var("OUT_DIR")?);
        fs::write(folder.join("memory.x"), MEMORY)?;
        println!("cargo:rustc-link-search={}", folder.display());
        println!("cargo:rustc-link-arg-bins=-Tlink.x");
    }
    Ok(())
}
