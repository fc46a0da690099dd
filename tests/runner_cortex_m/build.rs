//! Chooses the memory map of the QEMU machine that stands for a target.

use std::{env, error::Error, fs, path::PathBuf};

/// mps2-an500: code in its ZBT SSRAM1, data in the 16 MB PSRAM.
const CORTEX_M7: &str = "MEMORY {
    FLASH : ORIGIN = 0x00000000, LENGTH = 4M
    RAM : ORIGIN = 0x21000000, LENGTH = 16M
}
";

/// mps3-an547: code in the ITCM, data in the DDR4, of which there is more than anyone needs.
const CORTEX_M55: &str = "MEMORY {
    FLASH : ORIGIN = 0x00000000, LENGTH = 512K
    RAM : ORIGIN = 0x60000000, LENGTH = 16M
}
";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    let memory = if env::var("TARGET")?.starts_with("thumbv8m") {
        CORTEX_M55
    } else {
        CORTEX_M7
    };
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(folder.join("memory.x"), memory)?;
    println!("cargo:rustc-link-search={}", folder.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
