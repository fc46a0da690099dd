//! Crops of good images, and for repair training their blemished twins, made ahead of the training
//! thread. Every batch is a function of the seed, the epoch and the step alone, so that a resumed
//! training sees what the uninterrupted one would have.

use std::{
    ops::RangeInclusive,
    sync::mpsc::{Receiver, sync_channel},
};

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{augmentation::Augmentation, options::Objective, run::RunConfig};
use crate::{
    data::{self, Grey, Sample},
    synth,
};

/// Batches that lie ready for the training thread.
const AHEAD: usize = 4;
/// Held-out crops at most: enough to choose an epoch by, few enough to cost little.
const HELD_OUT_CROPS: usize = 64;

/// Input and target of some crops, each `[crops, 1, height, width]` in `0..=1`.
pub struct Batch<T> {
    pub input: T,
    pub target: T,
    crops: usize,
}

impl<T> Batch<T> {
    /// Crops in it.
    pub fn len(&self) -> usize {
        self.crops
    }
}

/// A batch as the worker made it.
pub struct Raw {
    values: Vec<f32>,
    width: usize,
    height: usize,
}

impl Batch<Raw> {
    /// The same batch as tensors.
    pub fn into_tensors(self, device: &Device) -> Result<Batch<Tensor>> {
        let crops = self.crops;
        let tensor =
            |raw: Raw| Tensor::from_vec(raw.values, (crops, 1, raw.height, raw.width), device);
        Ok(Batch {
            input: tensor(self.input)?,
            target: tensor(self.target)?,
            crops,
        })
    }
}

/// All batches of a training or of its validation.
pub struct Batches {
    images: Vec<Grey>,
    width: usize,
    height: usize,
    crops: usize,
    batch: usize,
    seed: u64,
    objective: Objective,
    augmentation: Augmentation,
}

impl Batches {
    /// The training batches: in an epoch each image's area is seen about once.
    pub fn training(samples: &[Sample], config: &RunConfig) -> Result<Self> {
        Self::new(samples, config, config.training.seed, usize::MAX)
    }

    /// The held-out batches: always the same crops with the same blemishes.
    pub fn held_out(samples: &[Sample], config: &RunConfig) -> Result<Self> {
        let seed = config.training.seed ^ u64::MAX;
        Self::new(samples, config, seed, HELD_OUT_CROPS)
    }

    fn new(samples: &[Sample], config: &RunConfig, seed: u64, most: usize) -> Result<Self> {
        let images = data::load_all(samples)?;
        let stride = config.network.stride();
        let size = images.first().context("no images to make batches of")?.size;
        let side = |image: usize| config.training.crop.min(image) / stride * stride;
        let (width, height) = (side(size.width()), side(size.height()));
        ensure!(
            width > 0 && height > 0,
            "crops of {size} images: this network needs sides of at least {stride} pixels, and \
             --crop {} too; choose larger images or crops",
            config.training.crop
        );
        config.training.loss.check_size(width, height)?;
        let crops = images.len() * size.area().div_ceil(width * height);
        Ok(Self {
            images,
            width,
            height,
            crops: crops.min(most),
            batch: config.training.batch,
            seed,
            objective: config.training.objective,
            augmentation: config.training.augmentation(),
        })
    }

    /// Batches in an epoch.
    pub fn steps(&self) -> usize {
        self.crops.div_ceil(self.batch)
    }

    /// Every batch of epoch 0.
    pub fn all(&self, device: &Device) -> Result<Vec<Batch<Tensor>>> {
        let order = self.order(0);
        (0..self.steps())
            .map(|step| self.batch(&order, 0, step).into_tensors(device))
            .collect()
    }

    /// Which image each crop of an epoch is taken from: every image in turn, in a new order each
    /// time round.
    fn order(&self, epoch: u32) -> Vec<usize> {
        let mut rng = self.rng(epoch, usize::MAX);
        let mut order = Vec::with_capacity(self.crops + self.images.len());
        while order.len() < self.crops {
            let start = order.len();
            order.extend(0..self.images.len());
            order[start..].shuffle(&mut rng);
        }
        order.truncate(self.crops);
        order
    }

    /// Random numbers of their own for each step of each epoch.
    fn rng(&self, epoch: u32, step: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream((u64::from(epoch) << 32) | (step as u64 & u64::from(u32::MAX)));
        rng
    }

    fn batch(&self, order: &[usize], epoch: u32, step: usize) -> Batch<Raw> {
        let first = step * self.batch;
        let chosen = &order[first..order.len().min(first + self.batch)];
        let mut rng = self.rng(epoch, step);
        let blemished = self.augmentation.blemished as f32;
        let mut target = Vec::with_capacity(chosen.len() * self.width * self.height);
        let mut input = Vec::with_capacity(target.capacity());
        for &image in chosen {
            let start = target.len();
            self.crop(&self.images[image], &mut target, &mut rng);
            input.extend_from_slice(&target[start..]);
            if self.objective == Objective::Repair && rng.random::<f32>() < blemished {
                synth::blemish(&mut input[start..], self.width, self.height, &mut rng);
            }
        }
        let raw = |values| Raw {
            values,
            width: self.width,
            height: self.height,
        };
        Batch {
            input: raw(input),
            target: raw(target),
            crops: chosen.len(),
        }
    }

    /// Appends a random crop of an image, varied.
    fn crop(&self, image: &Grey, values: &mut Vec<f32>, rng: &mut ChaCha8Rng) {
        let (width, height) = (image.size.width(), image.size.height());
        let left = rng.random_range(0..=width - self.width);
        let top = rng.random_range(0..=height - self.height);
        let variation = self.augmentation.draw(rng);
        let start = values.len();
        for row in image.pixels.chunks_exact(width).skip(top).take(self.height) {
            let crop = &row[left..left + self.width];
            values.extend(crop.iter().map(|&grey| f32::from(grey) / 255.0));
        }
        variation.apply(&mut values[start..], self.width);
    }
}

/// Batches made by another thread, ahead of their use.
pub struct Prefetcher {
    ready: Receiver<Batch<Raw>>,
}

impl Prefetcher {
    /// Runs `consume` beside the thread that makes the batches of `epochs` for it, in order.
    pub fn with<T>(
        batches: &Batches,
        epochs: RangeInclusive<u32>,
        consume: impl FnOnce(Self) -> Result<T>,
    ) -> Result<T> {
        std::thread::scope(|scope| {
            let (send, ready) = sync_channel(AHEAD);
            scope.spawn(move || {
                for epoch in epochs {
                    let order = batches.order(epoch);
                    for step in 0..batches.steps() {
                        // The consumer stops early where its time is up or the training diverges.
                        if send.send(batches.batch(&order, epoch, step)).is_err() {
                            return;
                        }
                    }
                }
            });
            consume(Self { ready })
        })
    }

    /// The next batch.
    pub fn next(&self) -> Result<Batch<Raw>> {
        self.ready
            .recv()
            .context("the thread that makes the batches has ended")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_shared::frame::Size;

    fn batches(objective: Objective) -> Batches {
        let size = Size::new(40, 24).unwrap();
        let images = (0..3_usize).map(|image| Grey {
            size,
            pixels: (0..size.area())
                .map(|i| (i * 7 + image * 31) as u8)
                .collect(),
        });
        Batches {
            images: images.collect(),
            width: 16,
            height: 16,
            crops: 12,
            batch: 5,
            seed: 9,
            objective,
            augmentation: Augmentation::of(objective),
        }
    }

    #[test]
    fn an_epoch_takes_every_image_equally_often_and_no_two_epochs_are_alike() {
        let batches = batches(Objective::Repair);
        let mut order = batches.order(1);
        assert_ne!(order, batches.order(2));
        order.sort_unstable();
        assert_eq!(order, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(batches.steps(), 3);
    }

    #[test]
    fn plain_training_asks_for_its_input_and_repair_for_the_clean_image() {
        let plain = batches(Objective::Mse);
        let order = plain.order(1);
        let batch = plain.batch(&order, 1, 0);
        assert_eq!(batch.input.values, batch.target.values);
        assert_eq!(batch.len(), 5);
        assert_eq!(plain.batch(&order, 1, 2).len(), 2);

        let repair = batches(Objective::Repair);
        let batch = repair.batch(&order, 1, 0);
        assert_ne!(batch.input.values, batch.target.values);
        let again = repair.batch(&order, 1, 0);
        assert_eq!(batch.input.values, again.input.values);
        assert!(batch.input.values.iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn prefetched_batches_are_those_made_at_once() {
        let batches = batches(Objective::Repair);
        Prefetcher::with(&batches, 2..=3, |prefetched| {
            for epoch in 2..=3 {
                let order = batches.order(epoch);
                for step in 0..batches.steps() {
                    let expected = batches.batch(&order, epoch, step);
                    assert_eq!(prefetched.next()?.input.values, expected.input.values);
                }
            }
            assert!(prefetched.next().is_err());
            Ok(())
        })
        .unwrap();
    }
}
