//! A plain folder: good images directly in it, and nothing else to know.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use super::{
    Label, Sample, files,
    listing::{GIVEN_TEST, Listing},
};

pub fn recognises(dir: &Path) -> Result<bool> {
    Ok(!files::images(dir)?.is_empty())
}

pub fn list(dir: &Path) -> Result<Listing> {
    let pool = good(dir, dir)?;
    ensure!(
        !pool.is_empty(),
        "{}: no images directly in the folder (looked for {}; folders in it are not searched)",
        dir.display(),
        files::EXTENSIONS.join(", ")
    );
    Ok(Listing {
        pool,
        shares: GIVEN_TEST,
        test: Vec::new(),
    })
}

/// The images of `dir` as good samples, a unit each.
pub fn good(root: &Path, dir: &Path) -> Result<Vec<Vec<Sample>>> {
    let sample = |image: &PathBuf| Sample {
        name: files::relative(root, image),
        image: image.clone(),
        window: None,
        label: Label::Good,
        mask: None,
        masks_by_kind: BTreeMap::new(),
    };
    Ok(files::images(dir)?
        .iter()
        .map(|image| vec![sample(image)])
        .collect())
}
