//! `cargo xtask bench`: the native engine beside onnxruntime and tract on the same integer model.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{
    engine::Engine,
    python::TESTS,
    run::{output, run as run_command},
    timing::{machine, median},
    workspace::Workspace,
};

const PRESETS: [&str; 3] = ["edge", "edge-small", "edge-tiny"];
/// Widths and heights: a part, and a strip of rail.
const IMAGES: [(usize, usize); 2] = [(512, 512), (160, 1282)];
/// Every engine's turns, in alternation, so that other load on the machine meets all alike.
const ROUNDS: usize = 9;
/// About how long a turn should last.
const TURN_SECONDS: f64 = 0.3;

/// Times every preset and image and prints the table.
pub fn run() -> Result<()> {
    let workspace = Workspace::of_this_program();
    TESTS.install(&workspace)?;
    let build = ["build", "--release", "--package", "residua-tests"];
    run_command(workspace.cargo(&build).args(["--bin", "serve-engine"]))?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    println!(
        "\n{}\n\nOne inference on one thread, medians of {ROUNDS} alternating rounds; peak memory \
         of the process.\nThe weights are untrained, which changes no time. `native` engines are \
         named by their kernel.\n\n| preset | image | million MAC | engine | ms | GMAC/s | in the \
         best native engine's time | MiB |\n|---|---|---|---|---|---|---|---|",
        machine()
    );
    for preset in PRESETS {
        for image in IMAGES {
            compare(&workspace, &folder.join("model.onnx"), preset, image)?;
        }
    }
    Ok(())
}

fn compare(
    workspace: &Workspace,
    file: &Path,
    preset: &str,
    (width, height): (usize, usize),
) -> Result<()> {
    let server = || workspace.command(workspace.target.join("release/serve-engine"));
    let (w, h) = (width.to_string(), height.to_string());
    let line = output(server().args(["export", preset, &w, &h]).arg(file))?;
    let mut words = line.split_whitespace();
    let macs: f64 = words.next().context("no multiply-accumulates")?.parse()?;
    let bits = words.next().context("no fraction bits")?;

    let mut contenders = Vec::new();
    for name in words.rev().chain(["tract"]) {
        let mut command = server();
        command.arg(name).arg(file).args([bits, &w, &h]);
        contenders.push(Contender::start(name, command)?);
    }
    let mut command = workspace.command(TESTS.interpreter(workspace));
    command
        .arg(workspace.root.join("tests/python/serve_engine.py"))
        .arg(file);
    contenders.push(Contender::start("onnxruntime", command)?);

    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            contender.take_turn()?;
        }
    }
    let typical = |contender: &Contender| median(contender.times.iter().copied());
    let best = contenders.first().map_or(f64::NAN, typical);
    for contender in &contenders {
        let seconds = typical(contender);
        println!(
            "| `{preset}` | {width}x{height} | {:.0} | {} | {:.3} | {:.1} | {:.2} | {:.0} |",
            macs / 1e6,
            contender.name,
            seconds * 1e3,
            macs / seconds / 1e9,
            seconds / best,
            contender.engine.peak_memory()?
        );
    }
    Ok(())
}

/// An engine in the comparison.
struct Contender {
    name: String,
    engine: Engine,
    /// Inferences in a turn.
    count: usize,
    /// Seconds for an inference, one value a turn.
    times: Vec<f64>,
}

impl Contender {
    /// Starts it and warms it up.
    fn start(name: &str, mut command: Command) -> Result<Self> {
        let mut engine = Engine::start(name, &mut command)?;
        engine.time(1)?;
        let seconds = engine.time(1)?;
        Ok(Self {
            name: name.into(),
            engine,
            count: (TURN_SECONDS / seconds).ceil().max(1.0) as usize,
            times: Vec::new(),
        })
    }

    fn take_turn(&mut self) -> Result<()> {
        let seconds = self.engine.time(self.count)?;
        self.times.push(seconds);
        Ok(())
    }
}
