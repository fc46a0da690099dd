//! What a reader found, and how it is dealt into parts.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use residua_shared::{frame::Size, manifest::Digest};
use sha2::{Digest as _, Sha256};

use super::{Sample, Split, files};

/// Which share of the units goes to which part.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Of all units.
    pub test: f64,
    /// Of the units that are not test; at least one unit.
    pub validation: f64,
    /// Of the units that are not test; at least one unit.
    pub calibration: f64,
}

/// Sets that bring their own test part, or have none.
pub const GIVEN_TEST: Shares = Shares {
    test: 0.0,
    validation: 0.1,
    calibration: 0.2,
};

/// What a reader found in a data folder.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Units that are never torn apart: an image each, or all patches of one image.
    pub pool: Vec<Vec<Sample>>,
    /// How the pool is dealt.
    pub shares: Shares,
    /// Samples that are test whatever the seed.
    pub test: Vec<Sample>,
}

impl Listing {
    pub fn has_good(&self) -> bool {
        self.pool.iter().flatten().any(Sample::is_good)
    }

    /// All samples, by name.
    pub fn everything(&self) -> Vec<Sample> {
        by_name(self.pool.iter().flatten().chain(&self.test).cloned())
    }

    /// The one size of all samples, from their windows or their files' headers; checks each mask
    /// of a whole image against it.
    pub fn common_size(&self) -> Result<Size> {
        let samples = self.everything();
        let sizes = samples
            .par_iter()
            .map(|sample| match (&sample.window, &sample.mask) {
                (Some(window), _) => Ok(window.size),
                (None, Some(mask)) => {
                    for own in sample.masks_by_kind.values() {
                        files::size_with_mask(&sample.image, own)?;
                    }
                    files::size_with_mask(&sample.image, mask)
                }
                (None, None) => files::size(&sample.image),
            })
            // Every error is kept until here, so that the first by name is the one reported.
            .collect::<Vec<Result<Size>>>()
            .into_iter()
            .collect::<Result<Vec<Size>>>()?;
        let common = most_frequent(&sizes).context("no images")?;
        if let Some(odd) = sizes.iter().position(|&size| size != sizes[common]) {
            bail!(
                "{} is {} but {} is {}; all images of a set must have one size: \
                 cut or scale them, or make two sets",
                samples[odd].image.display(),
                sizes[odd],
                samples[common].image.display(),
                sizes[common],
            );
        }
        Ok(sizes[common])
    }

    /// SHA-256 over the names and lengths of all files.
    pub fn digest(&self, root: &Path) -> Result<Digest> {
        digest(root, self.pool.iter().flatten().chain(&self.test))
    }

    /// The same of the pool alone.
    pub fn pool_digest(&self, root: &Path) -> Result<Digest> {
        digest(root, self.pool.iter().flatten())
    }

    pub fn split(&self, root: &Path, seed: u64) -> Result<Split> {
        let mut units: Vec<&[Sample]> = self.pool.iter().map(Vec::as_slice).collect();
        shuffle(&mut units, &mut ChaCha8Rng::seed_from_u64(seed));

        let test = share(units.len(), self.shares.test);
        let rest = units.len() - test;
        let validation = share(rest, self.shares.validation).max(1);
        let calibration = share(rest, self.shares.calibration).max(1);
        ensure!(
            rest > validation + calibration,
            "{}: {} images to learn from are too few; training, validation and calibration need \
             one each, and about 100 for a threshold one can trust",
            root.display(),
            units.len()
        );

        let (test, units) = units.split_at(test);
        let (validation, units) = units.split_at(validation);
        let (calibration, train) = units.split_at(calibration);
        let split = Split {
            train: good(train),
            validation: good(validation),
            calibration: good(calibration),
            test: by_name(test.iter().copied().flatten().chain(&self.test).cloned()),
        };
        for (part, samples) in [
            ("training", &split.train),
            ("validation", &split.validation),
            ("calibration", &split.calibration),
        ] {
            ensure!(
                !samples.is_empty(),
                "{}: no good patch fell into the {part} part; \
                 give more images, a smaller patch or another split seed",
                root.display()
            );
        }
        Ok(split)
    }
}

fn digest<'s>(root: &Path, samples: impl Iterator<Item = &'s Sample>) -> Result<Digest> {
    let paths: BTreeSet<_> = samples
        .flat_map(|sample| {
            let masks = sample.mask.iter().chain(sample.masks_by_kind.values());
            std::iter::once(&sample.image).chain(masks)
        })
        .map(|path| (files::relative(root, path), path))
        .collect();
    let mut hash = Sha256::new();
    for (name, path) in paths {
        let length = fs::metadata(path)
            .with_context(|| format!("{}: cannot read", path.display()))?
            .len();
        hash.update(name.as_bytes());
        // A zero byte is in no file name, so that no two lists give the same bytes.
        hash.update([0]);
        hash.update(length.to_le_bytes());
    }
    Ok(Digest(hash.finalize().into()))
}

/// Where the most frequent size is first; of equally frequent ones, the one that comes last.
fn most_frequent(sizes: &[Size]) -> Option<usize> {
    let mut places: HashMap<Size, (usize, usize)> = HashMap::new();
    for (i, &size) in sizes.iter().enumerate() {
        places.entry(size).or_insert((0, i)).0 += 1;
    }
    let (_, first) = places.into_values().max()?;
    Some(first)
}

fn share(units: usize, share: f64) -> usize {
    (units as f64 * share).round() as usize
}

fn good(units: &[&[Sample]]) -> Vec<Sample> {
    let samples = units.iter().copied().flatten();
    by_name(samples.filter(|sample| sample.is_good()).cloned())
}

fn by_name(samples: impl Iterator<Item = Sample>) -> Vec<Sample> {
    let mut samples: Vec<_> = samples.collect();
    samples.sort_by(|a, b| a.image.cmp(&b.image).then(top(a).cmp(&top(b))));
    samples
}

fn top(sample: &Sample) -> usize {
    sample.window.map_or(0, |window| window.top)
}

/// Fisher-Yates with draws from `u64`, so that 32- and 64-bit machines split alike.
fn shuffle<T>(items: &mut [T], rng: &mut impl Rng) {
    for i in (1..items.len()).rev() {
        let j = rng.random_range(0..=i as u64) as usize;
        items.swap(i, j);
    }
}
