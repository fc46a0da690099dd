//! An engine in a process of its own, to be timed from outside by `cargo xtask bench`.
//!
//! `serve-engine export PRESET WIDTH HEIGHT FILE` writes an untrained network as ONNX and prints, a
//! line each: its multiply-accumulates and those of the float network; its fraction bits; the
//! graph's width and height; the names of the native engine's kernels on this processor; the
//! network's configuration as JSON.
//!
//! `serve-engine native KERNEL FILE BITS WIDTH HEIGHT THREADS`, `serve-engine tract FILE BITS WIDTH
//! HEIGHT` and, on a float network, `serve-engine tract-f32 FILE` answer each number of inferences on
//! their standard input with the seconds that they took, and `serve-engine path BITS WIDTH HEIGHT`
//! those of inspections without the engine. `serve-engine peak KERNEL THREADS` and
//! `serve-engine peak-f32 THREADS` do so for numbers of thousand million multiply-accumulates on each
//! thread.

use std::{
    error::Error,
    fs,
    io::{BufRead, stdin},
    thread,
    time::Instant,
};

use clap::ValueEnum;
use residua_edge::{
    engine::{
        Engine,
        bands::Bands,
        native::{
            Native, Plan,
            kernel::{self, Kernel},
        },
        tract::Tract,
    },
    inspector::{Storage, decide},
};
use residua_host::{calibrate, net::config::Preset};
use residua_shared::{
    frame::{Frame, Size},
    onnx,
    rule::{Comparison, DecisionRule, MapScale},
    verdict::Outcome,
};
use residua_tests::{
    peak::{FloatPeak, IntegerPeak},
    presets::{images, untrained},
};
use tract_onnx::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["export", preset, width, height, file] => export(preset, size(width, height)?, file),
        ["native", name, file, bits, width, height, threads] => {
            let (file, bits, input) = (fs::read(file)?, bits.parse()?, size(width, height)?);
            native(kernel(name)?, &file, bits, input, threads.parse()?)
        }
        ["path", bits, width, height] => path(bits.parse()?, size(width, height)?),
        ["tract", file, bits, width, height] => {
            let (file, bits, input) = (fs::read(file)?, bits.parse()?, size(width, height)?);
            serve_engine(Tract::new(&file, input, bits)?)
        }
        ["tract-f32", file] => tract_float(file),
        ["peak", name, threads] => {
            let kernel = kernel(name)?;
            let peak = || IntegerPeak::new(kernel);
            serve_peak(threads.parse()?, peak, IntegerPeak::run)
        }
        ["peak-f32", threads] => serve_peak(threads.parse()?, || FloatPeak, FloatPeak::run),
        _ => Err("see the first lines of this program's source".into()),
    }
}

fn size(width: &str, height: &str) -> Result<Size> {
    Ok(Size::new(width.parse()?, height.parse()?)?)
}

fn kernel(name: &str) -> Result<&'static dyn Kernel> {
    let kernel = kernel::all()
        .into_iter()
        .find(|kernel| kernel.name() == name);
    Ok(kernel.ok_or("this processor has no such kernel")?)
}

fn export(preset: &str, input: Size, file: &str) -> Result<()> {
    let preset = Preset::from_str(preset, false)?;
    let (config, exported) = (preset.config(), untrained(preset, input)?);
    fs::write(file, &exported.onnx)?;
    let net = onnx::read(&exported.onnx, exported.fraction_bits)?;
    let graph = net.graph();
    let float = config.macs_per_pixel()? * graph.area() as f64;
    println!("{} {float:.0}", net.macs());
    println!("{}", exported.fraction_bits);
    println!("{} {}", graph.width(), graph.height());
    let names: Vec<&str> = kernel::all().iter().map(|kernel| kernel.name()).collect();
    println!("{}", names.join(" "));
    println!("{}", serde_json::to_string(&config)?);
    Ok(())
}

fn native(
    kernel: &'static dyn Kernel,
    file: &[u8],
    bits: u8,
    input: Size,
    threads: usize,
) -> Result<()> {
    let net = onnx::read(file, bits)?;
    if threads > 1 {
        return serve_engine(Bands::new(&net, input, kernel, threads)?);
    }
    let plan = Plan::new(&net)?;
    let (weights, arena) = (vec![0; plan.weights_len(kernel)], vec![0; plan.arena_len()]);
    serve_engine(Native::new(&net, input, kernel, weights, arena)?)
}

/// What follows the engine, on an image and a reconstruction of it that nowhere differ by 16 grey
/// levels, with the map and the box that are calibrated by default.
fn path(bits: u8, size: Size) -> Result<()> {
    let scale = MapScale::new(bits, calibrate::Options::default().box_size)?;
    let threshold = 16 * scale.steps_per_grey();
    let rule = DecisionRule::new(Comparison::Absolute, scale, threshold, 1, threshold)?;
    let pixels = images(size).swap_remove(0);
    let frame = Frame::new(size, &pixels)?;
    let mut storage = Storage::new(size, rule);
    let mut buffers = storage.buffers();
    for (index, (y, &x)) in buffers.reconstruction.iter_mut().zip(&pixels).enumerate() {
        *y = (i32::from(x) << bits) + (index % 251) as i32 - 125;
    }
    serve(|| {
        let inspection = decide(rule, frame, &mut buffers)?;
        match inspection.verdict().outcome {
            Outcome::Good => Ok(()),
            Outcome::Defect => Err("an image without a defect has one".into()),
        }
    })
}

fn serve_engine(mut engine: impl Engine) -> Result<()> {
    let size = engine.input();
    let pixels = images(size).swap_remove(0);
    let frame = Frame::new(size, &pixels)?;
    let mut reconstruction = vec![0; size.area()];
    serve(|| Ok(engine.reconstruct(frame, &mut reconstruction)?))
}

fn tract_float(file: &str) -> Result<()> {
    let model = tract_onnx::onnx()
        .model_for_path(file)?
        .into_optimized()?
        .into_runnable()?;
    let shape = model.model().input_fact(0)?.shape.as_concrete();
    let shape = shape.ok_or("the float network's input has no fixed shape")?;
    let area = shape.iter().product();
    let values: Vec<f32> = (0..area).map(|n| (n % 251) as f32 / 250.0).collect();
    let image = Tensor::from_shape(shape, &values)?.into_tvalue();
    serve(|| {
        model.run(tvec!(image.clone()))?;
        Ok(())
    })
}

/// Runs as often as each line says.
fn serve(mut run: impl FnMut() -> Result<()>) -> Result<()> {
    for line in stdin().lock().lines() {
        let count: u32 = line?.parse()?;
        let start = Instant::now();
        for _ in 0..count {
            run()?;
        }
        println!("{}", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// What a peak counts in.
const UNIT: u64 = 1_000_000_000;

fn serve_peak<P>(
    threads: usize,
    peak: impl Fn() -> P + Sync,
    run: impl Fn(&mut P) -> u64 + Sync,
) -> Result<()> {
    let work = || {
        let (mut peak, mut macs) = (peak(), 0);
        while macs < UNIT {
            macs += run(&mut peak);
        }
    };
    serve(|| {
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        Ok(())
    })
}
