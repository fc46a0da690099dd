//! Counts the instructions of one inference on ARM targets under QEMU, and prints a table.
//! `cargo xtask bench-arm` builds and runs it. Given the names of a processor, an engine or both, as
//! in the table, it counts those alone. With `--layers` it says what each part of the native engine
//! takes.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use residua_edge::regions::{max_regions, max_runs};
use residua_host::net::config::Preset;
use residua_runner::case::{Engine, Part};
use residua_shared::{
    frame::Size,
    onnx,
    rule::{Comparison, DecisionRule, MapScale},
};
use residua_tests::{
    onnxruntime_arm,
    presets::{images, untrained},
    targets::{AARCH64, ARMV7, CORTEX_M7, CORTEX_M55, Case, Count, Target},
};

/// The images' width and height.
const SIDE: usize = 160;

const PRESETS: [(&str, Preset); 3] = [
    ("edge", Preset::Edge),
    ("edge-small", Preset::EdgeSmall),
    ("edge-tiny", Preset::EdgeTiny),
];

/// Targets with the processors that QEMU is told to be, and the number of the native engine's best
/// kernel there.
const PROCESSORS: [(&Target, &str, u8); 5] = [
    (&CORTEX_M7, "cortex-m7", 1),
    (&CORTEX_M55, "cortex-m55", 2),
    (&AARCH64, "cortex-a72", 1),
    (&AARCH64, "cortex-a76", 2),
    (&ARMV7, "cortex-a7", 1),
];

fn main() -> Result<(), Box<dyn Error>> {
    let tools = std::env::var_os("RESIDUA_QEMU")
        .map(PathBuf::from)
        .ok_or("RESIDUA_QEMU is not set: run this by `cargo xtask bench-arm`")?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((_, words)) = words.split_first().filter(|(word, _)| *word == "--layers") {
        return layers(&tools, words);
    }
    let onnxruntime = std::env::var_os("RESIDUA_ONNXRUNTIME").map(PathBuf::from);
    println!(
        "Instructions are not cycles. The weights are untrained, which changes the count little: \
         only saturation and the regions found depend on values. Engines include the inspection \
         path, which is also given alone, but onnxruntime does not. Pages of 4 KiB are those that a process with one \
         inference touches, loading the model included; a microcontroller's memory is fixed.\n\n\
         | target | processor | engine | preset | image | million MAC | million instructions \
         | MAC per instruction | pages |\n|---|---|---|---|---|---|---|---|---|"
    );
    let wanted = |names: [&str; 2]| words.iter().all(|word| names.contains(&word.as_str()));
    for (target, cpu, kernel) in PROCESSORS {
        let line = |case: &Case, engine, preset, macs| -> Result<(), Box<dyn Error>> {
            if !wanted([cpu, engine]) {
                return Ok(());
            }
            let (count, pages) = count(target, cpu, &tools, case)?;
            row([target.name, cpu, engine, preset], macs, count, pages);
            Ok(())
        };
        for (name, preset) in PRESETS {
            let (onnx, case, macs) = case(preset)?;
            let with = |engine| Case {
                engine,
                ..case.clone()
            };
            let native = with(Engine::Native(onnx.clone(), kernel));
            line(&native, "native", name, Some(macs))?;
            if target.bare {
                let reference = with(Engine::Reference(onnx.clone()));
                line(&reference, "reference", name, Some(macs))?;
            } else {
                line(
                    &with(Engine::Tract(onnx.clone())),
                    "tract",
                    name,
                    Some(macs),
                )?;
            }
            let engine = "onnxruntime";
            if let (Some(folder), true) = (&onnxruntime, target.name == AARCH64.name)
                && wanted([cpu, engine])
            {
                // The images' size suits the network's strides.
                let (count, pages) =
                    onnxruntime_arm::count(&onnx, case.input, cpu, &tools, folder)?;
                row(
                    [target.name, cpu, engine, name],
                    Some(macs),
                    count,
                    Some(pages),
                );
            }
        }
        let (_, path, _) = case(Preset::EdgeTiny)?;
        line(&path, "path alone", "any", None)?;
    }
    Ok(())
}

/// What the native engine's layers take, and what it takes beside them.
///
/// A part takes what the count rises by when the part is done twice, so that it is counted where it
/// runs, on what is there then.
fn layers(tools: &Path, words: &[String]) -> Result<(), Box<dyn Error>> {
    println!(
        "A layer is what the kernel takes for it; the engine's other work brings image rows into their \
         ring, finds what is due and where it lies. Images are {SIDE}x{SIDE}.\n\n\
         | processor | preset | part | million MAC | thousand instructions | share \
         | MAC per instruction |\n|---|---|---|---|---|---|---|"
    );
    for (target, cpu, kernel) in PROCESSORS {
        for (name, preset) in PRESETS {
            if !words
                .iter()
                .all(|word| [cpu, name].contains(&word.as_str()))
            {
                continue;
            }
            let (onnx, case, macs) = case(preset)?;
            let with = |engine| Case {
                engine,
                ..case.clone()
            };
            let native = with(Engine::Native(onnx.clone(), kernel));
            let (all, _) = count(target, cpu, tools, &native)?;
            let line = |part: &str, macs: Option<u64>, instructions: f64| {
                let number = |value: Option<String>| value.unwrap_or("-".into());
                println!(
                    "| {cpu} | {name} | {part} | {} | {:.0} | {:.1} % | {} |",
                    number(macs.map(|macs| format!("{:.2}", macs as f64 / 1e6))),
                    instructions / 1e3,
                    100.0 * instructions / all,
                    number(macs.map(|macs| format!("{:.2}", macs as f64 / instructions))),
                );
            };
            let net = onnx::read(&onnx, case.rule.scale().fraction_bits())?;
            let with_twice = |part| -> Result<f64, String> {
                let case = with(Engine::NativeTwice(onnx.clone(), kernel, part));
                Ok(target.count(&case, cpu, tools, false)?.instructions as f64)
            };
            let once = with_twice(Part::Nothing)?;
            let path = with_twice(Part::Path)? - once;
            let mut rest = all - path;
            for (index, layer) in net.layers().iter().enumerate() {
                let instructions = with_twice(Part::Layer(index as u8))? - once;
                rest -= instructions;
                let shape = format!(
                    "{}: {} to {} channels, kernel {}{}",
                    layer.name,
                    layer.input_channels,
                    layer.channels(),
                    layer.kernel,
                    match (layer.depth_to_space, layer.stride) {
                        (true, _) => ", depth to space",
                        (_, 2) => ", stride 2",
                        _ => "",
                    }
                );
                line(&shape, Some(net.layer_macs(index)), instructions);
            }
            line("the engine's other work", None, rest);
            line("inspection path", None, path);
            line("all", Some(macs), all);
        }
    }
    Ok(())
}

/// One line of the table; no multiply-accumulates where no network runs.
fn row(words: [&str; 4], macs: Option<u64>, instructions: f64, pages: Option<u64>) {
    let number = |value: Option<String>| value.unwrap_or("-".into());
    let [target, cpu, engine, preset] = words;
    println!(
        "| {target} | {cpu} | {engine} | {preset} | {SIDE}x{SIDE} | {} | {:.2} | {} | {} |",
        number(macs.map(|macs| format!("{:.1}", macs as f64 / 1e6))),
        instructions / 1e6,
        number(macs.map(|macs| format!("{:.2}", macs as f64 / instructions))),
        number(pages.map(|pages| pages.to_string())),
    );
}

/// A network's file, an image of which the reconstruction is given, and the network's
/// multiply-accumulates.
fn case(preset: Preset) -> Result<(Vec<u8>, Case, u64), Box<dyn Error>> {
    let input = Size::new(SIDE, SIDE)?;
    let exported = untrained(preset, input)?;
    let macs = onnx::read(&exported.onnx, exported.fraction_bits)?.macs();
    let scale = MapScale::new(exported.fraction_bits, 5)?;
    // Far above the map, as on a good part.
    let threshold = 200 * scale.steps_per_grey();
    let case = Case {
        engine: Engine::Given(vec![0; 4 * SIDE * SIDE]),
        input,
        rule: DecisionRule::new(Comparison::Absolute, scale, threshold, 2, threshold)?,
        runs: max_runs(input) as u32,
        regions: max_regions(input) as u32,
        images: images(input).swap_remove(0),
        first: 0,
        repetitions: 1,
    };
    Ok((exported.onnx, case, macs))
}

/// Instructions per inference, and the pages that a process with one inference touches; none for a
/// microcontroller, whose start-up code touches all of its memory.
fn count(
    target: &Target,
    cpu: &str,
    tools: &Path,
    case: &Case,
) -> Result<(f64, Option<u64>), Box<dyn Error>> {
    let counted = |repetitions, pages| -> Result<Count, String> {
        let case = Case {
            repetitions,
            ..case.clone()
        };
        target.count(&case, cpu, tools, pages)
    };
    // tract's memory settles over a few inferences; without a heap one is like the other.
    let more = if target.bare { 1 } else { 4 };
    let (one, all) = (counted(1, false)?, counted(1 + more, false)?);
    let instructions = all.instructions - one.instructions;
    let pages = if target.bare {
        None
    } else {
        Some(counted(1, true)?.pages)
    };
    Ok((instructions as f64 / f64::from(more), pages))
}
