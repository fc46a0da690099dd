//! Synthetic images: surfaces, defects with exact masks, and the blemishes of repair training.
//!
//! Equal seeds give equal bytes on every machine: nothing but integers, `+ - * /` and `sqrt` goes
//! into a pixel, no function of the platform's mathematical library.

mod blemish;
mod brushed;
mod canvas;
mod cloth;
mod defect;
mod mark;
mod noise;
mod random;
mod steel;
mod texture;

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use image::ExtendedColorType;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use residua_shared::frame::Size;

pub use blemish::blemish;
pub use defect::{DefectKind, VISIBLE};
pub use mark::{LENGTH as MARK_LENGTH, Marked, WIDTH as MARK_WIDTH, mark};
use random::below;
pub use texture::Family;
use texture::Surface;

use crate::save;

/// The smallest side of a synthetic image: a defect must fit in it.
pub const MIN_SIDE: usize = 64;

/// What to generate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    pub family: Family,
    /// Each side at least [`MIN_SIDE`].
    pub size: Size,
    /// Good images to learn from.
    pub train: usize,
    /// Good images to test with.
    pub good: usize,
    /// Test images of each [`DefectKind`], with one defect each.
    pub per_kind: usize,
    /// Above 1, `per_kind` further test images hold 2 to so many kinds each, in `test/combined`.
    pub kinds_per_image: usize,
    pub seed: u64,
}

impl Options {
    /// A small set: enough to learn from in a minute and to see what is found.
    pub fn new(family: Family, size: Size) -> Self {
        Self {
            family,
            size,
            train: 160,
            good: 40,
            per_kind: 10,
            kinds_per_image: 1,
            seed: 0,
        }
    }

    /// Test images in all.
    pub fn test_images(&self) -> usize {
        let combined = usize::from(self.kinds_per_image > 1);
        self.good + self.per_kind * (DefectKind::ALL.len() + combined)
    }
}

/// One image to make.
struct Job {
    /// The folder of its part, as `train/good`, and its number there.
    folder: String,
    number: usize,
    /// Which stream of the seed's generator it draws from: one of its own, so that more images of
    /// one part change no image of another.
    stream: u64,
    wrong: Wrong,
}

/// What is wrong with an image.
#[derive(Clone, Copy)]
enum Wrong {
    Nothing,
    One(DefectKind),
    /// So many kinds at most, and at least two.
    Several(usize),
}

/// Writes a data folder in the MVTec layout into `out`, which must be empty or not exist:
/// `train/good`, `test/good`, `test/KIND` (and `test/combined`) and
/// `ground_truth/KIND/NAME_mask.png`.
///
/// A mask is 255 exactly where the defects changed the image by at least [`VISIBLE`] grey levels.
/// Each kind in an image of `combined` has a mask of its own besides, of the pixels that this defect
/// changed so much, in `ground_truth_by_kind/combined/KIND/NAME_mask.png`: not in `ground_truth`,
/// where tools pair images and masks by counting the files.
/// Errors where `out` is not empty or can't be written, a side is below [`MIN_SIDE`], there are no
/// training images, or `kinds_per_image` is not 1 to the number of kinds.
pub fn generate(options: &Options, out: &Path) -> Result<()> {
    check(options, out)?;
    let jobs = jobs(options);
    jobs.par_iter().try_for_each(|job| job.run(options, out))
}

fn check(options: &Options, out: &Path) -> Result<()> {
    ensure!(
        options.size.width() >= MIN_SIDE && options.size.height() >= MIN_SIDE,
        "size {}: a defect needs sides of at least {MIN_SIDE} pixels",
        options.size
    );
    ensure!(
        options.train > 0,
        "train is 0: a model needs good images to learn from"
    );
    ensure!(
        (1..=DefectKind::ALL.len()).contains(&options.kinds_per_image),
        "kinds per image are {}; give 1 to {}",
        options.kinds_per_image,
        DefectKind::ALL.len()
    );
    if out.exists() {
        let mut entries = fs::read_dir(out)
            .with_context(|| format!("{}: cannot list the folder", out.display()))?;
        ensure!(
            entries.next().is_none(),
            "{}: the folder is not empty; give a new one",
            out.display()
        );
    }
    Ok(())
}

fn jobs(options: &Options) -> Vec<Job> {
    let mut parts = vec![
        ("train/good".to_owned(), options.train, Wrong::Nothing),
        ("test/good".to_owned(), options.good, Wrong::Nothing),
    ];
    for kind in DefectKind::ALL {
        let folder = format!("test/{}", kind.name());
        parts.push((folder, options.per_kind, Wrong::One(kind)));
    }
    if options.kinds_per_image > 1 {
        let wrong = Wrong::Several(options.kinds_per_image);
        parts.push(("test/combined".to_owned(), options.per_kind, wrong));
    }
    let number = |(part, (folder, count, wrong)): (u64, (String, usize, Wrong))| {
        (0..count).map(move |number| Job {
            folder: folder.clone(),
            number,
            stream: (part + 1) << 32 | number as u64,
            wrong,
        })
    };
    (0..).zip(parts).flat_map(number).collect()
}

impl Job {
    fn run(&self, options: &Options, out: &Path) -> Result<()> {
        // The set's own stream is 0.
        let mut set = ChaCha8Rng::seed_from_u64(options.seed);
        let mut image = set.clone();
        image.set_stream(self.stream);
        let surface = Surface::new(options.family, options.size, &mut set, &mut image);

        let kinds = self.wrong.kinds(&mut image);
        let name = format!("{:03}", self.number);
        let path = out.join(&self.folder).join(format!("{name}.png"));
        if kinds.is_empty() {
            return write(&path, options.size, &defect::flawless(&surface));
        }
        let flawed = defect::flawed(&surface, options.size, &kinds, &mut image);
        let masks = |folder| out.join(self.folder.replacen("test", folder, 1));
        let file = format!("{name}_mask.png");
        write(&path, options.size, &flawed.pixels)?;
        write(
            &masks("ground_truth").join(&file),
            options.size,
            &flawed.mask,
        )?;
        if let Wrong::Several(_) = self.wrong {
            let by_kind = masks("ground_truth_by_kind");
            for (kind, mask) in &flawed.by_kind {
                write(&by_kind.join(kind.name()).join(&file), options.size, mask)?;
            }
        }
        Ok(())
    }
}

impl Wrong {
    fn kinds(self, rng: &mut ChaCha8Rng) -> Vec<DefectKind> {
        match self {
            Self::Nothing => Vec::new(),
            Self::One(kind) => vec![kind],
            Self::Several(most) => {
                let mut kinds = DefectKind::ALL.to_vec();
                let count = 2 + below(rng, most - 1);
                while kinds.len() > count {
                    kinds.remove(below(rng, kinds.len()));
                }
                kinds
            }
        }
    }
}

fn write(path: &Path, size: Size, pixels: &[u8]) -> Result<()> {
    save::png(path, pixels, size, ExtendedColorType::L8)
}
