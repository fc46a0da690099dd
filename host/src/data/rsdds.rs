//! The RSDDs layout: long images of rails in `images/`, their masks in `ground_truth/` under the
//! same names.
//!
//! J. Gan et al., "A hierarchical extractor-based visual rail surface inspection system", IEEE
//! Sensors Journal 17(23), 2017. Every rail has a defect, so good and bad exist only for patches:
//! the rails are cut along their length, and the patches of one rail are never torn apart.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use residua_shared::frame::Size;

use super::{
    Grey, Label, Sample, Window, files,
    listing::{Listing, Shares},
    read,
};

const SHARES: Shares = Shares {
    test: 1.0 / 3.0,
    validation: 1.0 / 8.0,
    calibration: 1.0 / 4.0,
};

/// Patch width and height of Minhas and Zelek 2020, in pixels.
const PATCH: (usize, usize) = (160, 200);

/// The set does not name its defects.
const KIND: &str = "defect";

pub fn recognises(dir: &Path) -> bool {
    dir.join("images").is_dir() && dir.join("ground_truth").is_dir()
}

pub fn list(dir: &Path, patch: Option<Size>) -> Result<Listing> {
    ensure!(
        recognises(dir),
        "{}: no folders images and ground_truth in it; put the rails and their masks there",
        dir.display()
    );
    let patch = match patch {
        Some(patch) => patch,
        None => Size::new(PATCH.0, PATCH.1)?,
    };
    let rails = files::images(&dir.join("images"))?;
    let masks = files::images(&dir.join("ground_truth"))?;
    let pool = rails
        .into_par_iter()
        .map(|rail| cut(dir, rail, &masks, patch))
        .collect::<Vec<Result<_>>>()
        .into_iter()
        .collect::<Result<_>>()?;
    Ok(Listing {
        pool,
        shares: SHARES,
        test: Vec::new(),
    })
}

/// The patches of one rail from the top; the last partial one is dropped.
fn cut(root: &Path, rail: PathBuf, masks: &[PathBuf], patch: Size) -> Result<Vec<Sample>> {
    let stem = files::stem(&rail);
    let mask_path = masks
        .iter()
        .find(|mask| files::stem(mask) == stem)
        .with_context(|| {
            format!(
                "{}: no ground truth ground_truth/{}; add the mask or move the image away",
                rail.display(),
                files::name(&rail)
            )
        })?;
    let size = files::size_with_mask(&rail, mask_path)?;
    ensure!(
        size.width() == patch.width() && size.height() >= patch.height(),
        "{}: a {size} image can't be cut into {patch} patches; give a patch size of {} by at most \
         {}",
        rail.display(),
        size.width(),
        size.height()
    );
    let mask = read::read_mask(mask_path)?;
    let name = files::relative(root, &rail);
    let tops = (0..=size.height() - patch.height()).step_by(patch.height());
    Ok(tops
        .map(|top| {
            let window = Window {
                left: 0,
                top,
                size: patch,
            };
            let defect = touches(&mask, window);
            Sample {
                name: format!("{name}#{top}"),
                image: rail.clone(),
                window: Some(window),
                label: if defect {
                    Label::Defect { kind: KIND.into() }
                } else {
                    Label::Good
                },
                mask: defect.then(|| mask_path.clone()),
                masks_by_kind: BTreeMap::new(),
            }
        })
        .collect())
}

fn touches(mask: &Grey, window: Window) -> bool {
    let rows =
        window.top * mask.size.width()..(window.top + window.size.height()) * mask.size.width();
    mask.pixels[rows].contains(&read::DEFECT)
}
