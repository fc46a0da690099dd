//! An engine in the comparison.

use std::process::Command;

use anyhow::Result;

use crate::{engine::Engine, timing::median};

/// About how long a turn should last.
const TURN_SECONDS: f64 = 0.2;

/// What is multiplied, and with it whose peak is to be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    Integer,
    Float,
}

pub struct Contender {
    pub name: String,
    pub arithmetic: Arithmetic,
    threads: usize,
    /// Multiply-accumulates of one inference, where it is one.
    macs: Option<f64>,
    engine: Engine,
    /// Inferences in a turn.
    count: usize,
    /// Seconds for an inference, one value a turn.
    times: Vec<f64>,
}

impl Contender {
    /// Starts it and warms it up.
    pub fn start(
        name: &str,
        arithmetic: Arithmetic,
        threads: usize,
        macs: Option<f64>,
        mut command: Command,
    ) -> Result<Self> {
        let mut contender = Self {
            name: name.into(),
            arithmetic,
            threads,
            macs,
            engine: Engine::start(name, &mut command)?,
            count: 1,
            times: Vec::new(),
        };
        contender.time()?;
        let seconds = contender.time()?;
        contender.count = (TURN_SECONDS / seconds).ceil().max(1.0) as usize;
        Ok(contender)
    }

    pub fn take_turn(&mut self) -> Result<()> {
        let seconds = self.time()?;
        self.times.push(seconds);
        Ok(())
    }

    /// Seconds for an inference: of a processor where there is one thread, which other load on the
    /// machine prolongs least; of the clock where there are several.
    fn time(&mut self) -> Result<f64> {
        let before = self.engine.processor_time()?;
        let seconds = self.engine.time(self.count)?;
        if self.threads > 1 {
            return Ok(seconds);
        }
        Ok((self.engine.processor_time()? - before) / self.count as f64)
    }

    /// For one inference, the median of all turns.
    pub fn seconds(&self) -> f64 {
        median(self.times.iter().copied())
    }

    /// Multiply-accumulates in a second.
    pub fn rate(&self) -> Option<f64> {
        Some(self.macs? / self.seconds())
    }

    /// Its cells of the table, given the peak's rate and the native engine's seconds.
    pub fn line(&self, peak: f64, native: f64) -> Result<String> {
        let seconds = self.seconds();
        let cell = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        Ok(format!(
            "| {} | {} | {} | {:.3} | {} | {} | {:.2} | {:.0} |",
            self.name,
            self.threads,
            cell(self.macs.map(|macs| format!("{:.0}", macs / 1e6))),
            seconds * 1e3,
            cell(self.rate().map(|rate| format!("{:.1}", rate / 1e9))),
            cell(
                self.rate()
                    .map(|rate| format!("{:.0} %", 100.0 * rate / peak))
            ),
            seconds / native,
            self.engine.peak_memory()?
        ))
    }
}
