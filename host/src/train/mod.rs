//! Training: good images in, a run folder out, from which any later step (and a resumed training)
//! goes on.

pub mod adam;
pub mod augmentation;
pub(crate) mod batches;
mod checkpoint;
mod curve;
pub mod heap;
pub mod loss;
mod options;
mod progress;
pub mod run;
mod schedule;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};

use crate::net::autoencoder::Autoencoder;
use adam::Adam;
use batches::{Batch, Batches, Prefetcher};
use loss::Loss;
use progress::Progress;
use run::{Metrics, RunFolder};

pub use crate::net::ops::Precision;
pub use options::{DeviceChoice, Objective, Options, Schedule};

/// Trains as `options` say and returns the run folder, which holds at least one kept epoch.
///
/// Ends after the epochs or minutes asked for, or when the loss on held-out good images has not
/// fallen for `patience` epochs. Errors leave the folder as the last completed epoch left it: data
/// or device that cannot be used, a folder that holds another run, a loss that is not finite, a
/// full disk.
pub fn train(options: &Options) -> Result<RunFolder> {
    heap::keep_freed();
    let device = options.open_device()?;
    let dataset = options.dataset()?;
    let config = options.config(&dataset)?;
    let split = dataset.split(config.data.split_seed)?;
    let seed = config.training.seed;
    let train = Batches::training(&split.train, &config)?;
    let held_out = Batches::held_out(&split.validation, &config)?.all(&device)?;

    // Only now, so that data which cannot be used leave no run behind.
    let mut run = options.open_run(config.clone())?;
    let (net, adam) = run.restore(&device)?.map_or_else(
        || {
            let net = Autoencoder::new(&config.network, seed, &device)?;
            let adam = Adam::new(net.parameters())?;
            anyhow::Ok((net, adam))
        },
        Ok,
    )?;

    let first = run.state().epoch + 1;
    Prefetcher::with(&train, first..=config.training.epochs, |prefetched| {
        let steps = train.steps();
        let progress = Progress::new(run.state(), &config, &device, steps, options.budget());
        let mut session = Session {
            net,
            adam,
            device,
            steps,
            prefetched,
            progress,
            clock: Clock::start(options.budget()),
        };
        session.run(&mut run, &held_out)
    })?;
    Ok(run)
}

/// A run's time: before this session, and in it.
struct Clock {
    start: Instant,
    budget: Option<Duration>,
}

impl Clock {
    fn start(budget: Option<Duration>) -> Self {
        Self {
            start: Instant::now(),
            budget,
        }
    }

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// The share of the budget that is used; 0 without one.
    fn spent(&self) -> f64 {
        self.budget
            .map_or(0.0, |budget| self.seconds() / budget.as_secs_f64())
    }
}

/// What a training from its start, or from where it was resumed, to its end works with.
struct Session {
    net: Autoencoder,
    adam: Adam,
    device: Device,
    /// Steps in an epoch.
    steps: usize,
    prefetched: Prefetcher,
    progress: Progress,
    clock: Clock,
}

impl Session {
    fn run(&mut self, run: &mut RunFolder, held_out: &[Batch<Tensor>]) -> Result<()> {
        let training = run.config().training.clone();
        let before = run.state().seconds;
        while run.state().epoch < training.epochs {
            let epoch = run.state().epoch + 1;
            let trained = self.epoch(run, epoch)?;
            let held_out_loss = mean_loss(&self.net, &training.loss, held_out)?;
            ensure!(held_out_loss.is_finite(), diverged(run, epoch));
            let seconds = before + self.clock.seconds();
            let state = run.state().after(epoch, held_out_loss, seconds);
            let metrics = Metrics {
                epoch,
                held_out_loss,
                seconds,
                ..trained
            };
            run.commit(&self.net, &self.adam, state, &metrics)?;
            self.progress.end_epoch(&metrics, run.state());
            let stale = epoch - run.state().kept_epoch;
            let patient = training.patience.is_none_or(|patience| stale < patience);
            if !patient || self.clock.spent() >= 1.0 {
                break;
            }
        }
        self.progress.finish(run.state());
        Ok(())
    }

    /// One epoch over the training batches; yields its metrics but for the held-out loss.
    fn epoch(&mut self, run: &RunFolder, epoch: u32) -> Result<Metrics> {
        let training = &run.config().training;
        let start = Instant::now();
        let mut metrics = Metrics {
            epoch,
            ..Metrics::default()
        };
        let (mut total, mut images, mut all_waited) = (0.0, 0, Duration::ZERO);
        for taken in 0..self.steps {
            let done = f64::from(epoch - 1) + taken as f64 / self.steps as f64;
            let done = (done / f64::from(training.epochs)).max(self.clock.spent());
            metrics.learning_rate = training.learning_rate * training.schedule.factor(done);

            let asked = Instant::now();
            let batch = self.prefetched.next()?.into_tensors(&self.device)?;
            let waited = asked.elapsed();
            all_waited += waited;
            let rate = metrics.learning_rate;
            let loss = step(
                &self.net,
                &mut self.adam,
                &training.loss,
                &batch.input,
                &batch.target,
                rate,
            )?;

            ensure!(loss.is_finite(), diverged(run, epoch));
            total += loss;
            images += batch.len();
            self.progress.step(epoch, loss, batch.len(), waited);
        }
        let seconds = start.elapsed().as_secs_f64();
        metrics.loss = total / self.steps as f64;
        metrics.images_per_second = images as f64 / seconds;
        metrics.waiting = all_waited.as_secs_f64() / seconds;
        Ok(metrics)
    }
}

fn diverged(run: &RunFolder, epoch: u32) -> String {
    format!(
        "{}: the loss of epoch {epoch} is not a finite number; the weights of epoch {} are kept; \
         go on from epoch {} with --resume and a lower --lr (it was {})",
        run.path().display(),
        run.state().kept_epoch,
        run.state().epoch,
        run.config().training.learning_rate
    )
}

/// One step of training: forward, loss, gradients, Adam. `input` and `target` are crops
/// `[crops, 1, height, width]` in `0..=1`; yields their loss before the step.
pub fn step(
    net: &Autoencoder,
    adam: &mut Adam,
    loss: &Loss,
    input: &Tensor,
    target: &Tensor,
    learning_rate: f64,
) -> Result<f64> {
    let loss = loss.of(&net.forward(input, true)?, target)?;
    adam.step(&loss.backward()?, learning_rate)?;
    Ok(f64::from(loss.to_scalar::<f32>()?))
}

fn mean_loss(net: &Autoencoder, loss: &Loss, batches: &[Batch<Tensor>]) -> Result<f64> {
    let (mut total, mut images) = (0.0, 0);
    for batch in batches {
        let loss = loss.of(&net.forward(&batch.input, false)?, &batch.target)?;
        total += f64::from(loss.to_scalar::<f32>()?) * batch.len() as f64;
        images += batch.len();
    }
    Ok(total / images as f64)
}
