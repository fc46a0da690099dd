//! Training steps on random crops, timed: residua's side of `cargo xtask bench-train`.
//!
//! Prints the network's configuration as JSON and its number of parameters, a line each. Then, for
//! each line of standard input, which is a number of steps, the seconds that so many steps took.

use std::{
    io::{Write, stdin, stdout},
    time::Instant,
};

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use clap::Parser;
use residua_host::{
    net::{autoencoder::Autoencoder, config::Preset},
    train::{self, adam::Adam, heap, loss::Loss},
};

/// Adam's default, at which both sides step.
const LEARNING_RATE: f64 = 1e-3;

#[derive(Parser)]
struct Arguments {
    preset: Preset,
    /// Crops in a step.
    batch: usize,
    /// A crop's width and height.
    side: usize,
    #[arg(long, default_value = "mse")]
    loss: Loss,
}

fn main() -> Result<()> {
    let Arguments {
        preset,
        batch,
        side,
        loss,
    } = Arguments::parse();
    let config = preset.config();
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&config)?)?;
    writeln!(out, "{}", config.parameters()?)?;
    out.flush()?;

    heap::keep_freed();
    let net = Autoencoder::new(&config, 0, &Device::Cpu)?;
    let mut adam = Adam::new(net.parameters())?;
    let images = Tensor::rand(0f32, 1f32, (batch, 1, side, side), &Device::Cpu)?;
    for line in stdin().lines() {
        let line = line?;
        let steps: u32 = line.parse().with_context(|| format!("{line}: steps"))?;
        let start = Instant::now();
        for _ in 0..steps {
            train::step(&net, &mut adam, &loss, &images, &images, LEARNING_RATE)?;
        }
        writeln!(out, "{}", start.elapsed().as_secs_f64())?;
        out.flush()?;
    }
    Ok(())
}
