//! A process that works when told to, and says how long it took.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};

/// It is told how often to work on its standard input, and answers with the seconds that all took.
/// It ends when its standard input does.
pub struct Engine {
    name: String,
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Engine {
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let input = process.stdin.take().context("standard input")?;
        let output = process.stdout.take().context("standard output")?;
        Ok(Self {
            name: name.into(),
            process,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    /// Works so often; yields the seconds that once took.
    pub fn time(&mut self, count: usize) -> Result<f64> {
        let name = &self.name;
        writeln!(self.input, "{count}").with_context(|| format!("{name} ended early"))?;
        let answer = self.answer()?;
        let seconds: f64 = answer
            .parse()
            .with_context(|| format!("{} answered {answer:?}", self.name))?;
        Ok(seconds / count as f64)
    }

    /// The next line that it prints.
    pub fn answer(&mut self) -> Result<String> {
        let line = self.output.next();
        let line = line.with_context(|| format!("{} ended early", self.name))?;
        line.with_context(|| format!("the answer of {}", self.name))
    }

    /// Seconds that a processor has worked for it so far, threads that have ended not counted.
    pub fn processor_time(&self) -> Result<f64> {
        let folder = format!("/proc/{}/task", self.process.id());
        let tasks = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
        let mut nanoseconds = 0.0;
        for task in tasks {
            let path = task?.path().join("schedstat");
            // Where the thread has just ended, there is none.
            let text = fs::read_to_string(&path).unwrap_or_default();
            if let Some(word) = text.split_whitespace().next() {
                let time: f64 = word.parse().with_context(|| path.display().to_string())?;
                nanoseconds += time;
            }
        }
        Ok(nanoseconds / 1e9)
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
