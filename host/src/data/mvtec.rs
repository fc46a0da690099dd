//! The MVTec AD layout: `train/good`, `test/good`, `test/KIND`, `ground_truth/KIND/NAME_mask.png`.
//!
//! P. Bergmann et al., "MVTec AD", CVPR 2019. Many later sets come in the same folders. Of residua
//! alone is `ground_truth_by_kind/FOLDER/KIND/NAME_mask.png`: one more mask for each kind where an
//! image of `test/FOLDER` holds several. It is a folder of its own because readers of this layout
//! pair the files of `test/KIND` and `ground_truth/KIND` by their order.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    Label, Sample, files, folder,
    listing::{GIVEN_TEST, Listing},
};

const GOOD: &str = "good";
const BY_KIND: &str = "ground_truth_by_kind";

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
    let mut by_kind = masks_by_kind(&root.join(BY_KIND).join(&kind))?;
    let samples = files::images(dir)?
        .into_iter()
        .map(|image| {
            Ok(Sample {
                name: files::relative(root, &image),
                mask: Some(mask(&image, &mask_dir, &masks)?),
                masks_by_kind: by_kind.remove(&mask_stem(&image)).unwrap_or_default(),
                image,
                window: None,
                label: Label::Defect { kind: kind.clone() },
            })
        })
        .collect::<Result<_>>()?;
    if let Some(mask) = by_kind.values().flat_map(BTreeMap::values).next() {
        bail!(
            "{}: a mask without its image in {}; name it NAME_mask.png after image NAME, or remove \
             it",
            mask.display(),
            dir.display()
        );
    }
    Ok(samples)
}

/// The masks in the folders of `dir`, by their stem and then by their folder's name, which is the
/// kind; none where there is no such folder.
fn masks_by_kind(dir: &Path) -> Result<BTreeMap<String, BTreeMap<String, PathBuf>>> {
    let mut masks = BTreeMap::<_, BTreeMap<_, _>>::new();
    if dir.is_dir() {
        for kind_dir in files::folders(dir)? {
            for mask in files::images(&kind_dir)? {
                let of_image = masks.entry(files::stem(&mask)).or_default();
                of_image.insert(files::name(&kind_dir), mask);
            }
        }
    }
    Ok(masks)
}

fn mask_stem(image: &Path) -> String {
    format!("{}_mask", files::stem(image))
}

fn mask(image: &Path, mask_dir: &Path, masks: &[PathBuf]) -> Result<PathBuf> {
    let wanted = mask_stem(image);
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
