//! A process that trains when told to.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{python::TORCH, workspace::Workspace};

/// It is told the number of steps on its standard input, and answers with the seconds they took. It
/// ends when its standard input does.
pub struct Engine {
    name: &'static str,
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// The network, as JSON.
    pub config: String,
    /// Trained values.
    pub parameters: String,
}

impl Engine {
    pub fn residua(
        workspace: &Workspace,
        preset: &str,
        batch: usize,
        side: usize,
        threads: usize,
    ) -> Result<Self> {
        let mut command = workspace.command(workspace.target.join("release/examples/train_step"));
        command
            .args([preset, &batch.to_string(), &side.to_string()])
            .env("RAYON_NUM_THREADS", threads.to_string());
        let mut engine = Self::start("residua", &mut command)?;
        engine.config = engine.answer()?;
        engine.parameters = engine.answer()?;
        Ok(engine)
    }

    pub fn torch(
        workspace: &Workspace,
        config: &str,
        batch: usize,
        side: usize,
        threads: usize,
    ) -> Result<Self> {
        let mut command = workspace.command(TORCH.interpreter(workspace));
        command
            .arg(workspace.root.join("tests/python/train_step.py"))
            .arg(config)
            .args([batch, side, threads].map(|number| number.to_string()))
            .env("OMP_NUM_THREADS", threads.to_string());
        let mut engine = Self::start("PyTorch", &mut command)?;
        engine.config = config.into();
        engine.parameters = engine.answer()?;
        Ok(engine)
    }

    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let input = process.stdin.take().context("standard input")?;
        let output = process.stdout.take().context("standard output")?;
        Ok(Self {
            name,
            process,
            input,
            output: BufReader::new(output).lines(),
            config: String::new(),
            parameters: String::new(),
        })
    }

    /// Trains so many steps; yields the seconds that one took.
    pub fn step(&mut self, steps: usize) -> Result<f64> {
        let name = self.name;
        writeln!(self.input, "{steps}").with_context(|| format!("{name} ended early"))?;
        let answer = self.answer()?;
        let seconds: f64 = answer
            .parse()
            .with_context(|| format!("{name} answered {answer:?}"))?;
        Ok(seconds / steps as f64)
    }

    fn answer(&mut self) -> Result<String> {
        let line = self.output.next();
        let line = line.with_context(|| format!("{} ended early", self.name))?;
        line.with_context(|| format!("the answer of {}", self.name))
    }

    /// The largest resident set so far, MiB.
    pub fn peak_memory(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        let kib: f64 = kib.with_context(|| format!("{path}: no VmHWM"))?.parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It has nothing to lose; and it may hang, which its end of input would not change.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
