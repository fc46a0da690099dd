//! From an exported model's folder, which RESIDUA_MODEL names, and the settings of the line, which
//! RESIDUA_SETTINGS may name, to what firmware holds in flash; and the memory map that everything has
//! to fit.

#[path = "src/settings.rs"]
mod settings;

use std::{env, error::Error, fs, path::PathBuf};

use crc::{CRC_32_ISO_HDLC, Crc};
use residua_edge::{
    engine::native::{Plan, kernel},
    strip::StripBuffers,
};
use residua_shared::{manifest::Manifest, onnx};
use settings::Settings;

/// What both boards have at these places. The limits are 1 MiB of flash and 512 KiB of RAM; the
/// Cortex-M55's board has half the flash.
const MEMORY: &str = "MEMORY {
    FLASH : ORIGIN = 0x00000000, LENGTH = 512K
    RAM : ORIGIN = 0x20000000, LENGTH = 512K
}
";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RESIDUA_MODEL");
    let model = env::var("RESIDUA_MODEL").map_err(|_| {
        "RESIDUA_MODEL is not set: name the folder of an exported model, with model.onnx and \
         manifest.json"
    })?;
    let model = PathBuf::from(model);
    let [onnx, manifest] = ["model.onnx", "manifest.json"].map(|name| model.join(name));
    for file in [&onnx, &manifest] {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    let onnx = fs::read(onnx)?;
    let manifest: Manifest = serde_json::from_slice(&fs::read(manifest)?)?;
    manifest.check()?;
    manifest.check_digest(onnx::digest(&onnx)?)?;

    let settings = settings()?;
    let rule = manifest.rule;
    let net = onnx::read(&onnx, rule.scale().fraction_bits())?;
    let plan = Plan::new(&net)?;
    let formats = match env::var_os("CARGO_FEATURE_MPS3_AN547") {
        Some(_) => kernel::HELIUM,
        None => kernel::DSP,
    };
    let mut packed = vec![0; plan.packed_len(formats)];
    plan.pack(&net, formats, &mut packed)?;
    let lengths = StripBuffers::len_for(manifest.input.width(), rule, &plan);
    let source = format!(
        "pub static ONNX: [u8; {}] = *include_bytes!(\"model.onnx\");\n\
         pub static ABOUT: [u8; {}] = *include_bytes!(\"about\");\n\
         pub static PACKED: Aligned<[u8; {}]> = Aligned(*include_bytes!(\"packed\"));\n\
         pub const WIDTH: usize = {};\n\
         pub const HEIGHT: u32 = {};\n\
         pub const ARENA: usize = {};\n\
         pub const LENGTHS: StripLengths = StripLengths {{ image: {}, reconstruction: {}, \
         residual: {}, filter: {}, runs: {}, regions: {} }};\n",
        onnx.len(),
        {
            let about = (
                settings,
                manifest.digest,
                manifest.input,
                &manifest.name,
                rule,
            );
            let mut about = postcard::to_allocvec(&about)?;
            let checksum = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&about);
            about.extend(checksum.to_le_bytes());
            fs::write(out("about")?, &about)?;
            about.len()
        },
        packed.len(),
        manifest.input.width(),
        manifest.input.height(),
        plan.arena_len(),
        lengths.image,
        lengths.reconstruction,
        lengths.residual,
        lengths.filter,
        lengths.runs,
        lengths.regions,
    );
    fs::write(out("model.onnx")?, &onnx)?;
    fs::write(out("packed")?, &packed)?;
    fs::write(out("model.rs")?, source)?;
    if env::var("CARGO_CFG_TARGET_OS")? == "none" {
        let memory = out("memory.x")?;
        fs::write(&memory, MEMORY)?;
        println!("cargo:rustc-link-search={}", env::var("OUT_DIR")?);
        println!("cargo:rustc-link-arg-bins=-Tlink.x");
    }
    Ok(())
}

/// The settings of the line, checked.
fn settings() -> Result<Settings, Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=RESIDUA_SETTINGS");
    let file = env::var("RESIDUA_SETTINGS").unwrap_or_else(|_| "firmware.toml".into());
    println!("cargo:rerun-if-changed={file}");
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    let settings: Settings = toml::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
    let gate = settings.gate.config();
    gate.map_err(|error| format!("{file}: [gate] {error}"))?;
    Ok(settings)
}

fn out(name: &str) -> Result<PathBuf, env::VarError> {
    Ok(PathBuf::from(env::var("OUT_DIR")?).join(name))
}
