//! An engine in a process of its own, to be timed from outside by `cargo xtask bench`.
//!
//! `serve-engine export PRESET WIDTH HEIGHT FILE` writes an untrained network as ONNX and prints its
//! multiply-accumulates, its fraction bits and the names of the native engine's kernels on this
//! processor. `serve-engine ENGINE FILE BITS WIDTH HEIGHT` answers each number of inferences on its
//! standard input with the seconds that they took; ENGINE is a kernel's name or `tract`.

use std::{
    error::Error,
    fs,
    io::{BufRead, stdin},
    time::Instant,
};

use clap::ValueEnum;
use residua_edge::engine::{
    Engine,
    native::{Native, Plan, kernel},
    tract::Tract,
};
use residua_host::net::config::Preset;
use residua_shared::{
    frame::{Frame, Size},
    onnx,
};
use residua_tests::presets::{images, untrained};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["export", preset, width, height, file] => export(preset, size(width, height)?, file),
        [engine, file, bits, width, height] => {
            let (file, bits, input) = (fs::read(file)?, bits.parse()?, size(width, height)?);
            if engine == "tract" {
                return serve(Tract::new(&file, input, bits)?);
            }
            let kernels = kernel::all();
            let kernel = kernels.into_iter().find(|kernel| kernel.name() == engine);
            let kernel = kernel.ok_or("this processor has no such kernel")?;
            let net = onnx::read(&file, bits)?;
            let plan = Plan::new(&net)?;
            let (weights, arena) = (vec![0; plan.weights_len(kernel)], vec![0; plan.arena_len()]);
            serve(Native::new(&net, input, kernel, weights, arena)?)
        }
        _ => Err("see the first lines of this program's source".into()),
    }
}

fn size(width: &str, height: &str) -> Result<Size, Box<dyn Error>> {
    Ok(Size::new(width.parse()?, height.parse()?)?)
}

fn export(preset: &str, input: Size, file: &str) -> Result<(), Box<dyn Error>> {
    let exported = untrained(Preset::from_str(preset, false)?, input)?;
    fs::write(file, &exported.onnx)?;
    let macs = onnx::read(&exported.onnx, exported.fraction_bits)?.macs();
    print!("{macs} {}", exported.fraction_bits);
    for kernel in kernel::all() {
        print!(" {}", kernel.name());
    }
    println!();
    Ok(())
}

fn serve(mut engine: impl Engine) -> Result<(), Box<dyn Error>> {
    let size = engine.input();
    let pixels = images(size).swap_remove(0);
    let frame = Frame::new(size, &pixels)?;
    let mut reconstruction = vec![0; size.area()];
    for line in stdin().lock().lines() {
        let count: u32 = line?.parse()?;
        let start = Instant::now();
        for _ in 0..count {
            engine.reconstruct(frame, &mut reconstruction)?;
        }
        println!("{}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
