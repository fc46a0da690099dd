//! `cargo xtask bench-train`: the time of a training step beside PyTorch's.

mod engine;

use std::{fs, thread::available_parallelism};

use anyhow::{Result, ensure};

use crate::{python::TORCH, run::run as run_command, workspace::Workspace};
use engine::Engine;

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
    let mut residua = Engine::residua(workspace, preset, BATCH, SIDE, threads)?;
    let mut torch = Engine::torch(workspace, &residua.config, BATCH, SIDE, threads)?;
    ensure!(
        residua.parameters == torch.parameters,
        "{preset}: {} parameters here, {} in PyTorch: not the same network",
        residua.parameters,
        torch.parameters
    );
    let idle = [residua.peak_memory()?, torch.peak_memory()?];
    let steps = [&mut residua, &mut torch]
        .map(turn_length)
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        // Each goes first every other time.
        let time = if round % 2 == 0 {
            let ours = residua.step(steps[0])?;
            (ours, torch.step(steps[1])?)
        } else {
            let theirs = torch.step(steps[1])?;
            (residua.step(steps[0])?, theirs)
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
        residua_memory: memory(residua.peak_memory()?, idle[0]),
        torch_memory: memory(torch.peak_memory()?, idle[1]),
    })
}

/// Warms up; yields how many steps make a turn.
fn turn_length(engine: &mut Engine) -> Result<usize> {
    engine.step(WARM_UP)?;
    let seconds = engine.step(WARM_UP)?;
    Ok((TURN_SECONDS / seconds).ceil() as usize)
}

/// The middle value; of an even number of values the upper of the two.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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

/// The processor's name, how many threads it offers, and how many others want them.
fn machine() -> String {
    let name = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let threads = available_parallelism().map_or(0, usize::from);
    let name = name.unwrap_or_else(|| "unknown processor".into());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!("{name}, {threads} hardware threads; load average at the start {load}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_does_not_move_the_median() {
        assert_eq!(median([1.0, 900.0, 2.0, 3.0, 2.5].into_iter()), 2.5);
        assert_eq!(median([7.0].into_iter()), 7.0);
    }

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
