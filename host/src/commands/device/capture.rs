use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use image::ExtendedColorType;
use residua_shared::wire::{Command, ImageChunk, Message};

use super::Connection;
use crate::{commands::bar, console, save};

#[derive(clap::Args)]
pub struct Args {
    /// Where the image goes, as PNG.
    #[arg(value_name = "FILE.png")]
    out: PathBuf,
    /// Wait so long for the camera to take it.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = crate::commands::positive)]
    seconds: f64,
}

impl Args {
    pub fn run(self, device: &mut Connection) -> Result<()> {
        device.obey(Command::Capture)?;
        let patience = Duration::from_secs_f64(self.seconds.min(1e9));
        let (mut pixels, mut heard) = (Vec::new(), Instant::now());
        let mut progress = None;
        loop {
            ensure!(
                heard.elapsed() < patience,
                "{}: no image came; check the camera, or wait longer by --seconds",
                device.address()
            );
            let Some(Message::Image(chunk)) = device.receive(Duration::from_secs(1))? else {
                continue;
            };
            heard = Instant::now();
            let bar = progress.get_or_insert_with(|| bar::new(chunk.size.area() as u64));
            ensure!(
                chunk.start as usize == pixels.len(),
                "{}: a piece of the image was lost on the line; try again",
                device.address()
            );
            pixels.extend_from_slice(&chunk.pixels);
            bar.set(pixels.len() as u64);
            if chunk.last() {
                return self.save(&chunk, &pixels);
            }
        }
    }

    fn save(&self, chunk: &ImageChunk, pixels: &[u8]) -> Result<()> {
        save::png(&self.out, pixels, chunk.size, ExtendedColorType::L8)?;
        console::print(&format!(
            "{}: part {}, {}",
            self.out.display(),
            chunk.part,
            chunk.size
        ))
    }
}
