//! From a training run to integers that were trained as such.

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use indicatif::{ProgressBar, ProgressStyle};
use residua_shared::frame::Size;

use super::{Aware, Quantized, Rounded, post_training::measured};
use crate::{
    console,
    train::{
        Schedule,
        adam::Adam,
        batches::{Batch, Batches, Prefetcher},
        heap,
        loss::Loss,
        run::RunFolder,
    },
};

/// A learning rate to begin with: small, since rounding has moved no weight far.
pub const LEARNING_RATE: f64 = 2e-5;

/// Quantizes the kept weights of a run for images of `input`, then trains the integers for `epochs`
/// more on what the run was trained on, by its own objective and loss, the learning rate falling from
/// `learning_rate` along a cosine. Keeps the epoch with the lowest loss on the held-out good images,
/// that before the first included: it never yields a worse network than post-training quantization
/// by that measure.
///
/// Errors as [`super::post_training`], and where the loss is not finite.
pub fn fine_tune(
    run: &RunFolder,
    input: Size,
    epochs: u32,
    learning_rate: f64,
) -> Result<Quantized> {
    heap::keep_freed();
    let config = run.config();
    let split = run.dataset(None)?.split(config.data.split_seed)?;
    let device = Device::Cpu;
    let train = Batches::training(&split.train, config)?;
    let held_out = Batches::held_out(&split.validation, config)?.all(&device)?;
    let (folded, activations) = measured(run, input)?;
    let aware = Aware::new(&folded, &activations, &device)
        .with_context(|| run.path().display().to_string())?;
    let tuning = Tuning {
        adam: Adam::new(aware.parameters())?,
        aware,
        steps: train.steps(),
        epochs,
        learning_rate,
        loss: config.training.loss.clone(),
        device,
    };
    // Crops that the training has not seen.
    let done = run.state().epoch;
    let unseen = done.saturating_add(1)..=done.saturating_add(epochs);
    Prefetcher::with(&train, unseen, |batches| tuning.run(&batches, &held_out))
}

struct Tuning {
    aware: Aware,
    adam: Adam,
    /// In an epoch.
    steps: usize,
    epochs: u32,
    learning_rate: f64,
    loss: Loss,
    device: Device,
}

impl Tuning {
    fn run(mut self, batches: &Prefetcher, held_out: &[Batch<Tensor>]) -> Result<Quantized> {
        let mut best = self.aware.quantized()?;
        let mut lowest = self.held_out_loss(&best, held_out)?;
        console::note(format_args!(
            "fine-tuning the integers: held out {lowest:.3e} before"
        ));
        for epoch in 0..self.epochs {
            self.epoch(epoch, batches)?;
            let quantized = self.aware.quantized()?;
            let loss = self.held_out_loss(&quantized, held_out)?;
            let kept = loss < lowest;
            console::note(format_args!(
                "fine-tuning epoch {}/{}: held out {loss:.3e}{}",
                epoch + 1,
                self.epochs,
                if kept { " (kept)" } else { "" }
            ));
            if kept {
                (best, lowest) = (quantized, loss);
            }
        }
        Ok(best)
    }

    fn epoch(&mut self, epoch: u32, batches: &Prefetcher) -> Result<()> {
        let bar = ProgressBar::new(self.steps as u64).with_style(
            ProgressStyle::with_template("{wide_bar} step {pos}/{len}, {eta} left")
                .context("the progress bar's template")?,
        );
        let all = f64::from(self.epochs) * self.steps as f64;
        for step in 0..self.steps {
            let done = (f64::from(epoch) * self.steps as f64 + step as f64) / all;
            let batch = batches.next()?.into_tensors(&self.device)?;
            let rounded = self.aware.rounded(&self.aware.quantized()?)?;
            let seen = reconstruct(&self.aware, &rounded, &batch)?;
            let loss = self.loss.of(&seen, &batch.target)?;
            let mut gradients = loss.backward()?;
            self.aware.straight_through(&mut gradients, &rounded)?;
            let rate = self.learning_rate * Schedule::Cosine.factor(done);
            self.adam.step(&gradients, rate)?;
            let loss = loss.to_scalar::<f32>()?;
            ensure!(
                loss.is_finite(),
                "fine-tuning: the loss of epoch {} is not a finite number; export without \
                 --qat-epochs",
                epoch + 1
            );
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Of the reconstruction as the residual sees it, within black and white. Training does without
    /// that limit: pixels beyond it would have no gradient.
    fn held_out_loss(&self, quantized: &Quantized, held_out: &[Batch<Tensor>]) -> Result<f64> {
        let rounded = self.aware.rounded(quantized)?;
        let (mut total, mut images) = (0.0, 0);
        for batch in held_out {
            let seen = reconstruct(&self.aware, &rounded, batch)?.clamp(0_f32, 1_f32)?;
            let loss = self.loss.of(&seen, &batch.target)?;
            total += f64::from(loss.to_scalar::<f32>()?) * batch.len() as f64;
            images += batch.len();
        }
        Ok(total / images as f64)
    }
}

/// The reconstruction of a batch, white at 1.
fn reconstruct(aware: &Aware, rounded: &Rounded, batch: &Batch<Tensor>) -> Result<Tensor> {
    // A camera delivers whole grey levels.
    let images = (&batch.input * 255.0)?.round()?;
    Ok((aware.reconstruct(rounded, &images)? / 255.0)?)
}
