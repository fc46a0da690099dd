//! How a training shows itself: a bar on a terminal, a line an epoch elsewhere.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use candle_core::Device;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::run::{Metrics, RunConfig, State};
use crate::console;

/// Weight of the newest step in the loss shown, so that it can be read.
const SMOOTHING: f64 = 0.05;

pub struct Progress {
    /// `None` where standard error is not a terminal.
    bar: Option<ProgressBar>,
    epochs: u32,
    steps: usize,
    start: Instant,
    first_epoch: u32,
    budget: Option<Duration>,
    loss: f64,
    images: usize,
    waited: Duration,
    held_out: String,
}

impl Progress {
    /// Progress of a training from `state` to the end that `config` or `budget` sets.
    pub fn new(
        state: State,
        config: &RunConfig,
        device: &Device,
        steps: usize,
        budget: Option<Duration>,
    ) -> Self {
        let epochs = config.training.epochs;
        console::note(format_args!(
            "training {:?} on {} by {}: up to {epochs} epochs of {steps} steps",
            config.preset,
            config.data.folder.display(),
            name(device)
        ));
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(u64::from(epochs) * steps as u64);
            bar.set_position(u64::from(state.epoch) * steps as u64);
            let style = ProgressStyle::with_template("{wide_bar:.cyan/dim} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self {
            bar,
            epochs,
            steps,
            start: Instant::now(),
            first_epoch: state.epoch,
            budget,
            loss: f64::NAN,
            images: 0,
            waited: Duration::ZERO,
            held_out: "-".into(),
        }
    }

    /// A step of `epoch` on `images` crops, which it had `waited` for, ended with this loss.
    pub fn step(&mut self, epoch: u32, loss: f64, images: usize, waited: Duration) {
        self.loss = if self.loss.is_finite() {
            self.loss + SMOOTHING * (loss - self.loss)
        } else {
            loss
        };
        self.images += images;
        self.waited += waited;
        let Some(bar) = &self.bar else { return };
        bar.inc(1);
        let done = bar.position() as f64 - f64::from(self.first_epoch) * self.steps as f64;
        let step = bar.position() as usize - (epoch as usize - 1) * self.steps;
        bar.set_message(format!(
            "epoch {epoch}/{} step {step}/{}  {:.0} images/s  loss {:.2e}  held out {}  {} left  {} waiting",
            self.epochs,
            self.steps,
            self.images as f64 / self.start.elapsed().as_secs_f64(),
            self.loss,
            self.held_out,
            HumanDuration(self.left(done)),
            percent(self.waiting()),
        ));
    }

    /// The share of this session's time in which the training thread waited for images.
    fn waiting(&self) -> f64 {
        self.waited.as_secs_f64() / self.start.elapsed().as_secs_f64()
    }

    /// Time left by the speed so far after `done` steps of this session, or by the budget.
    fn left(&self, done: f64) -> Duration {
        let elapsed = self.start.elapsed();
        let all = f64::from(self.epochs - self.first_epoch) * self.steps as f64;
        let by_steps = elapsed.mul_f64(((all - done) / done).max(0.0));
        self.budget.map_or(by_steps, |budget| {
            by_steps.min(budget.saturating_sub(elapsed))
        })
    }

    /// An epoch is on disk.
    pub fn end_epoch(&mut self, metrics: &Metrics, state: State) {
        self.held_out = format!("{:.2e}", metrics.held_out_loss);
        if self.bar.is_some() {
            return;
        }
        let done = f64::from(metrics.epoch - self.first_epoch) * self.steps as f64;
        console::note(format_args!(
            "epoch {}/{}  {:.0} images/s  loss {:.3e}  held out {:.3e}{}  {} left  {} waiting",
            metrics.epoch,
            self.epochs,
            metrics.images_per_second,
            metrics.loss,
            metrics.held_out_loss,
            if state.kept_epoch == metrics.epoch {
                " (kept)"
            } else {
                ""
            },
            HumanDuration(self.left(done)),
            percent(metrics.waiting)
        ));
    }

    /// The training has ended.
    pub fn finish(&self, state: State) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        console::note(format_args!(
            "trained {} epochs in {}; kept epoch {} with a held-out loss of {:.3e}; waited {} of \
             the time for images",
            state.epoch,
            HumanDuration(Duration::try_from_secs_f64(state.seconds).unwrap_or(Duration::MAX)),
            state.kept_epoch,
            state.kept_loss,
            percent(self.waiting())
        ));
    }
}

fn name(device: &Device) -> String {
    match device {
        Device::Cpu => format!("the CPU, {} threads", rayon::current_num_threads()),
        _ => "the GPU".into(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
