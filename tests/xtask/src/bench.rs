//! `cargo xtask bench`: the native engine beside onnxruntime, tract and PyTorch on the same network,
//! in integers and in floats, on one thread and on all.

mod contender;

use std::{
    fs,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use anyhow::{Context, Result};

use crate::{
    python::{TESTS, TORCH},
    run::{output, run as run_command},
    timing::machine,
    workspace::Workspace,
};
use contender::{Arithmetic, Contender};

const PRESETS: [&str; 3] = ["edge", "edge-small", "edge-tiny"];
/// Widths and heights: a part, and a strip of rail.
const IMAGES: [(usize, usize); 2] = [(512, 512), (160, 1282)];
/// Every engine's turns, in alternation, so that other load on the machine meets all alike.
const ROUNDS: usize = 7;

/// Times every preset and image and prints the table.
///
/// Errors where PyTorch or onnxruntime cannot be installed.
pub fn run() -> Result<()> {
    let workspace = Workspace::of_this_program();
    TESTS.install(&workspace)?;
    TORCH.install(&workspace)?;
    let build = ["build", "--release", "--package", "residua-tests"];
    run_command(workspace.cargo(&build).args(["--bin", "serve-engine"]))?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    println!(
        "\n{}\n\nOne inference, medians of {ROUNDS} alternating rounds: of the processor's time \
         on one thread, which other load disturbs least, and of the clock's on all. Peak memory of \
         the process. The weights are untrained, which changes no time.\n`native` engines are named by \
         their kernel; on several threads they divide the frame in bands.\n`peak` is the most that \
         the processor does, in the same rounds: for integers a row of the fastest kernel that \
         lies in the\nfirst-level cache, for floats fused multiplications and additions in \
         registers. Shares are of the peak of the same arithmetic\nand threads. The inspection path \
         is what follows the reconstruction in the same thread, for a good part.\n\n| preset | image \
         | engine | threads | million MAC | ms | GMAC/s | share of peak | times native | MiB |\n\
         |---|---|---|---|---|---|---|---|---|---|",
        machine()
    );
    let all = available_parallelism().context("number of threads")?.get();
    for threads in if all > 1 { vec![1, all] } else { vec![1] } {
        for preset in PRESETS {
            for image in IMAGES {
                compare(&workspace, &folder, preset, image, threads)?;
            }
        }
    }
    Ok(())
}

/// A network and images for it.
struct Subject {
    /// Multiply-accumulates of the integer file, and of the float network, whose transposed
    /// convolutions are not padded with zeros.
    macs: [f64; 2],
    bits: String,
    /// Of the image.
    size: [String; 2],
    /// Of the network's graph: the image padded to the strides.
    graph: [String; 2],
    /// The native engine's, the fastest last.
    kernels: Vec<String>,
    config: String,
    integer: PathBuf,
    float: PathBuf,
}

impl Subject {
    fn export(
        workspace: &Workspace,
        folder: &Path,
        preset: &str,
        (width, height): (usize, usize),
    ) -> Result<Self> {
        let size = [width, height].map(|side| side.to_string());
        let (integer, float) = (folder.join("model.onnx"), folder.join("float.onnx"));
        let mut export = workspace.command(server(workspace));
        let said = output(export.args(["export", preset]).args(&size).arg(&integer))?;
        let mut lines = said.lines().map(str::to_owned);
        let mut line = || lines.next().context("serve-engine says too little");
        let macs = pair(&line()?)?;
        let subject = Self {
            macs: [macs[0].parse()?, macs[1].parse()?],
            bits: line()?,
            size,
            graph: pair(&line()?)?,
            kernels: line()?.split(' ').map(str::to_owned).collect(),
            config: line()?,
            integer,
            float,
        };
        let mut write = workspace.command(TESTS.interpreter(workspace));
        output(
            write
                .arg(workspace.root.join("tests/python/float_net.py"))
                .arg(&subject.config)
                .args(&subject.graph)
                .arg(&subject.float),
        )?;
        Ok(subject)
    }

    /// All engines on one thread, or on several those that can.
    fn contenders(&self, workspace: &Workspace, threads: usize) -> Result<Vec<Contender>> {
        let [integer, float] = [Arithmetic::Integer, Arithmetic::Float];
        let number = threads.to_string();
        let serve = || workspace.command(server(workspace));
        let python = |environment: &crate::python::Environment, script: &str| {
            let mut command = workspace.command(environment.interpreter(workspace));
            command.arg(workspace.root.join("tests/python").join(script));
            command
        };
        let best = self.kernels.last().context("no kernel")?;
        let mut all = Vec::new();
        let mut enter = |name: &str, arithmetic, macs, command| -> Result<()> {
            all.push(Contender::start(name, arithmetic, threads, macs, command)?);
            Ok(())
        };
        // Of thousand millions on each thread.
        let peak = 1e9 * threads as f64;
        let mut command = serve();
        command.args(["peak", best, &number]);
        enter("peak, int8", integer, Some(peak), command)?;
        let mut command = serve();
        command.args(["peak-f32", &number]);
        enter("peak, f32", float, Some(peak), command)?;

        let [macs, float_macs] = self.macs.map(Some);
        for kernel in self.kernels.iter().rev() {
            // The scalar one would take most of the time, and nobody has it who has another.
            if kernel == best || (threads == 1 && kernel != "scalar") {
                let mut command = serve();
                command.args(["native", kernel]).arg(&self.integer);
                command.arg(&self.bits).args(&self.size).arg(&number);
                enter(&format!("native, {kernel}"), integer, macs, command)?;
            }
        }
        if threads == 1 {
            let mut command = serve();
            command.args(["path", &self.bits]).args(&self.size);
            enter("inspection path alone", integer, None, command)?;
        }
        for (name, arithmetic, macs, file) in [
            ("onnxruntime, int8", integer, macs, &self.integer),
            ("onnxruntime, f32", float, float_macs, &self.float),
        ] {
            let mut command = python(&TESTS, "serve_engine.py");
            command.arg(file).arg(&number);
            enter(name, arithmetic, macs, command)?;
        }
        if threads == 1 {
            let mut command = serve();
            command.arg("tract").arg(&self.integer);
            command.arg(&self.bits).args(&self.size);
            enter("tract, int8", integer, macs, command)?;
            let mut command = serve();
            command.arg("tract-f32").arg(&self.float);
            enter("tract, f32", float, float_macs, command)?;
        }
        let mut command = python(&TORCH, "serve_torch.py");
        command.arg(&self.config).args(&self.graph).arg(&number);
        command.env("OMP_NUM_THREADS", &number);
        enter("PyTorch, f32", float, float_macs, command)?;
        Ok(all)
    }
}

fn server(workspace: &Workspace) -> PathBuf {
    workspace.target.join("release/serve-engine")
}

fn pair(line: &str) -> Result<[String; 2]> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let pair = words.try_into();
    pair.map_err(|words| anyhow::anyhow!("two words expected, not {words:?}"))
}

fn compare(
    workspace: &Workspace,
    folder: &Path,
    preset: &str,
    image: (usize, usize),
    threads: usize,
) -> Result<()> {
    let subject = Subject::export(workspace, folder, preset, image)?;
    let mut contenders = subject.contenders(workspace, threads)?;
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            contender.take_turn()?;
        }
    }
    let find =
        |wanted: &dyn Fn(&Contender) -> bool| contenders.iter().find(|contender| wanted(contender));
    let native = find(&|contender| contender.name.starts_with("native"));
    let native = native.context("no native engine")?.seconds();
    for contender in &contenders {
        let peak = find(&|peak| peak.arithmetic == contender.arithmetic).context("no peak")?;
        let peak = peak.rate().context("a peak multiplies")?;
        let line = contender.line(peak, native)?;
        println!("| `{preset}` | {}x{} {line}", image.0, image.1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_make_a_pair() {
        assert_eq!(pair("160 1296").unwrap(), ["160", "1296"]);
        assert!(pair("160").is_err());
        assert!(pair("1 2 3").is_err());
    }
}
