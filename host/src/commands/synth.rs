use std::path::PathBuf;

use anyhow::Result;
use residua_shared::frame::Size;

use crate::{
    console,
    data::parse_size,
    synth::{Family, Options, generate},
};

/// Makes a data folder in the MVTec layout: good images, and defects with exact masks.
#[derive(clap::Args)]
pub struct Args {
    /// The folder to make; it must be empty or not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The surface.
    #[arg(long, value_enum, default_value = "brushed")]
    family: Family,
    /// Width and height of the images in pixels.
    #[arg(long, value_name = "WxH", default_value = "256x256", value_parser = parse_size)]
    size: Size,
    /// Equal seeds give equal bytes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Good images to learn from.
    #[arg(long, value_name = "N", default_value_t = 160)]
    train: usize,
    /// Good images to test with.
    #[arg(long, value_name = "N", default_value_t = 40)]
    good: usize,
    /// Test images of each kind of defect.
    #[arg(long, value_name = "N", default_value_t = 10)]
    per_kind: usize,
    /// Above 1, as many further test images again hold 2 to so many kinds each, with one more mask
    /// for each kind.
    #[arg(long, value_name = "1..3", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=3))]
    kinds_per_image: u8,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let options = Options {
            family: self.family,
            size: self.size,
            train: self.train,
            good: self.good,
            per_kind: self.per_kind,
            kinds_per_image: self.kinds_per_image.into(),
            seed: self.seed,
        };
        generate(&options, &self.out)?;
        console::print(&format!(
            "{}: {} good images to learn from, {} good and defective ones to test with, masks in \
             ground_truth",
            self.out.display(),
            options.train,
            options.test_images()
        ))
    }
}
