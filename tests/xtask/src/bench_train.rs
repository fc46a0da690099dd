//! `cargo xtask bench-train`: the time of a training step beside PyTorch's.

mod trainer;

use anyhow::{Result, ensure};

use crate::{
    engine::Engine,
    python::TORCH,
    run::run as run_command,
    timing::{machine, median},
    workspace::Workspace,
};
use trainer::Trainer;

/// All but `paper-leaky`, which is `paper` with another activation.
const PRESETS: [&str; 4] = ["paper", "edge", "edge-small", "edge-tiny"];
const THREADS: [usize; 2] = [1, 2];
/// Crops in a step, and their width and height.
const BATCH: usize = 4;
const SIDE: usize = 128;
/// Each side's turns, in alternation, so that other load on the machine meets both alike.
const ROUNDS: usize = 11;
/// About how long a turn should last.
const TURN_SECONDS: f64 = 0.5;
/// Steps before anything is timed: caches, thread pools and allocators settle.
const WARM_UP: usize = 3;
/// The slowest that training may be, in PyTorch's time.
const LIMIT: f64 = 1.2;

/// One line of the table: medians over the rounds.
struct Row {
    preset: &'static str,
    threads: usize,
    /// Milliseconds a step.
    residua: f64,
    torch: f64,
    /// Of the rounds' own ratios, so that a disturbed round disturbs nothing.
    ratio: f64,
    /// Of each side's fastest round: what is left of the ratio where other load is least.
    best_ratio: f64,
    residua_memory: Memory,
    torch_memory: Memory,
}

/// The largest resident set of a process, MiB.
#[derive(Clone, Copy)]
struct Memory {
    peak: f64,
    /// Of it before the first step: program, libraries, weights.
    idle: f64,
}

/// Times every preset on every number of threads and prints the table.
///
/// Errors where PyTorch cannot be installed, or the two networks are not the same.
pub fn run() -> Result<()> {
    let workspace = Workspace::of_this_program();
    TORCH.install(&workspace)?;
    run_command(&mut workspace.cargo(&[
        "build",
        "--release",
        "--package",
        "residua-host",
        "--example",
        "train_step",
    ]))?;
    println!("\n{}\n", machine());
    println!(
        "One step (forward, loss, backward, Adam) on {BATCH} crops of {SIDE}x{SIDE}; medians of \
         {ROUNDS} alternating rounds.\nOf fastest: the ratio of each side's fastest round, which \
         other load disturbs least; it disturbs\nPyTorch's threads far more than residua's, so \
         leave the machine idle for more than one thread.\nMemory: peak of the process, in \
         brackets how much of it came with the steps.\n"
    );
    println!(
        "| preset | threads | residua, ms | PyTorch, ms | ratio | of fastest | residua, MiB | PyTorch, MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for preset in PRESETS {
        for threads in THREADS {
            let row = measure(&workspace, preset, threads)?;
            println!("{}", row.line());
            if row.ratio > LIMIT || row.best_ratio > LIMIT {
                missed.push(format!("{preset} on {threads}"));
            }
        }
    }
    if missed.is_empty() {
        println!("\nAt most {LIMIT} times PyTorch's time everywhere.");
    } else {
        println!(
            "\nMore than {LIMIT} times PyTorch's time: {}.",
            missed.join(", ")
        );
    }
    Ok(())
}

fn measure(workspace: &Workspace, preset: &'static str, threads: usize) -> Result<Row> {
    let mut residua = Trainer::residua(workspace, preset, BATCH, SIDE, threads)?;
    let mut torch = Trainer::torch(workspace, &residua.config, BATCH, SIDE, threads)?;
    ensure!(
        residua.parameters == torch.parameters,
        "{preset}: {} parameters here, {} in PyTorch: not the same network",
        residua.parameters,
        torch.parameters
    );
    let idle = [residua.engine.peak_memory()?, torch.engine.peak_memory()?];
    let steps = [&mut residua.engine, &mut torch.engine]
        .map(turn_length)
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        // Each goes first every other time.
        let time = if round % 2 == 0 {
            let ours = residua.engine.time(steps[0])?;
            (ours, torch.engine.time(steps[1])?)
        } else {
            let theirs = torch.engine.time(steps[1])?;
            (residua.engine.time(steps[0])?, theirs)
        };
        times.push(time);
    }
    let memory = |peak, idle| Memory { peak, idle };
    Ok(Row {
        preset,
        threads,
        residua: 1e3 * median(times.iter().map(|time| time.0)),
        torch: 1e3 * median(times.iter().map(|time| time.1)),
        ratio: median(times.iter().map(|time| time.0 / time.1)),
        best_ratio: fastest(times.iter().map(|time| time.0))
            / fastest(times.iter().map(|time| time.1)),
        residua_memory: memory(residua.engine.peak_memory()?, idle[0]),
        torch_memory: memory(torch.engine.peak_memory()?, idle[1]),
    })
}

/// Warms up; yields how many steps make a turn.
fn turn_length(engine: &mut Engine) -> Result<usize> {
    engine.time(WARM_UP)?;
    let seconds = engine.time(WARM_UP)?;
    Ok((TURN_SECONDS / seconds).ceil() as usize)
}

fn fastest(times: impl Iterator<Item = f64>) -> f64 {
    times.fold(f64::INFINITY, f64::min)
}

impl Row {
    fn line(&self) -> String {
        format!(
            "| `{}` | {} | {:.1} | {:.1} | {:.2} | {:.2} | {} | {} |",
            self.preset,
            self.threads,
            self.residua,
            self.torch,
            self.ratio,
            self.best_ratio,
            self.residua_memory.cell(),
            self.torch_memory.cell()
        )
    }
}

impl Memory {
    fn cell(self) -> String {
        format!("{:.0} ({:.0})", self.peak, self.peak - self.idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_as_markdown() {
        let row = Row {
            preset: "edge",
            threads: 2,
            residua: 40.04,
            torch: 50.06,
            ratio: 0.8,
            best_ratio: 0.85,
            residua_memory: Memory {
                peak: 80.2,
                idle: 30.0,
            },
            torch_memory: Memory {
                peak: 700.0,
                idle: 640.0,
            },
        };
        assert_eq!(
            row.line(),
            "| `edge` | 2 | 40.0 | 50.1 | 0.80 | 0.85 | 80 (50) | 700 (60) |"
        );
    }
}
