//! The MVTec AD layout: `train/good`, `test/good`, `test/KIND`, `ground_truth/KIND/NAME_mask.png`.
//!
//! P. Bergmann et al., "MVTec AD", CVPR 2019. Many later sets come in the same folders.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{
    Label, Sample, files, folder,
    listing::{GIVEN_TEST, Listing},
};

const GOOD: &str = "good";

pub fn recognises(dir: &Path) -> bool {
    dir.join("train").join(GOOD).is_dir()
}

pub fn list(dir: &Path) -> Result<Listing> {
    ensure!(
        recognises(dir),
        "{}: no folder train/good in it; put the good training images there",
        dir.display()
    );
    let test_dir = dir.join("test");
    let mut test = Vec::new();
    if test_dir.is_dir() {
        for kind_dir in files::folders(&test_dir)? {
            test.extend(kind(dir, &kind_dir)?);
        }
    }
    Ok(Listing {
        pool: folder::good(dir, &dir.join("train").join(GOOD))?,
        shares: GIVEN_TEST,
        test,
    })
}

/// The samples of one folder of `test`.
fn kind(root: &Path, dir: &Path) -> Result<Vec<Sample>> {
    let kind = files::name(dir);
    if kind == GOOD {
        return Ok(folder::good(root, dir)?.into_iter().flatten().collect());
    }
    let mask_dir = root.join("ground_truth").join(&kind);
    let masks = if mask_dir.is_dir() {
        files::images(&mask_dir)?
    } else {
        Vec::new()
    };
    files::images(dir)?
        .into_iter()
        .map(|image| {
            Ok(Sample {
                name: files::relative(root, &image),
                mask: Some(mask(&image, &mask_dir, &masks)?),
                image,
                window: None,
                label: Label::Defect { kind: kind.clone() },
            })
        })
        .collect()
}

fn mask(image: &Path, mask_dir: &Path, masks: &[PathBuf]) -> Result<PathBuf> {
    let wanted = format!("{}_mask", files::stem(image));
    let found = masks.iter().find(|mask| files::stem(mask) == wanted);
    found.cloned().with_context(|| {
        format!(
            "{}: no ground truth {}; add the mask (white where the defect is) or move the image \
             out of test",
            image.display(),
            mask_dir.join(wanted.clone() + ".png").display()
        )
    })
}
