//! The original DAGM 2007 layout: `ClassN/Train/0576.PNG`, `ClassN/Train/Label/0576_label.PNG` for
//! the defects, `ClassN/Test` alike.
//!
//! M. Wieler and T. Hahn, "Weakly supervised learning for industrial optical inspection", 2007.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    Label, Sample, files,
    listing::{GIVEN_TEST, Listing, Shares},
};

/// The set does not name its defects: each class has one kind.
const KIND: &str = "defect";
const LABEL_SUFFIX: &str = "_label";

pub fn recognises(dir: &Path) -> Result<bool> {
    Ok(!classes(dir)?.is_empty())
}

pub fn list(dir: &Path) -> Result<Listing> {
    let class = match &classes(dir)?[..] {
        [class] => class.clone(),
        [] => bail!(
            "{}: no Train/Label folder in it, nor in a ClassN folder; \
             without the labels good images and defects can't be told apart",
            dir.display()
        ),
        several => bail!(
            "{}: several classes in it ({}); give the folder of one",
            dir.display(),
            several
                .iter()
                .map(|class| files::name(class))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let train = files::child(&class, "Train")?.context("recognised by its Train folder")?;
    let (good, defects): (Vec<_>, Vec<_>) =
        part(dir, &train)?.into_iter().partition(Sample::is_good);
    let pool = good.into_iter().map(|sample| vec![sample]).collect();
    Ok(match files::child(&class, "Test")? {
        Some(test) => Listing {
            pool,
            shares: GIVEN_TEST,
            test: part(dir, &test)?,
        },
        None => Listing {
            pool,
            shares: Shares {
                test: 0.2,
                ..GIVEN_TEST
            },
            test: defects,
        },
    })
}

/// `dir` itself where it holds `Train/Label`, else those of its `ClassN` folders that do.
fn classes(dir: &Path) -> Result<Vec<PathBuf>> {
    if is_class(dir)? {
        return Ok(vec![dir.to_owned()]);
    }
    let mut classes = Vec::new();
    for folder in files::folders(dir)? {
        if files::name(&folder).to_lowercase().starts_with("class") && is_class(&folder)? {
            classes.push(folder);
        }
    }
    Ok(classes)
}

fn is_class(dir: &Path) -> Result<bool> {
    Ok(match files::child(dir, "Train")? {
        Some(train) if train.is_dir() => files::child(&train, "Label")?.is_some_and(|l| l.is_dir()),
        _ => false,
    })
}

/// The samples of `Train` or `Test`: defects are those with a label.
fn part(root: &Path, dir: &Path) -> Result<Vec<Sample>> {
    let label_dir = files::child(dir, "Label")?.with_context(|| {
        format!(
            "{}: no Label folder in it; without the labels good images and defects can't be told \
             apart",
            dir.display()
        )
    })?;
    let mut labels: BTreeMap<String, PathBuf> = files::images(&label_dir)?
        .into_iter()
        .map(|label| (files::stem(&label).to_lowercase(), label))
        .collect();
    check_list(&label_dir, &labels)?;
    let samples = files::images(dir)?
        .into_iter()
        .map(|image| {
            let mask = labels.remove(&(files::stem(&image).to_lowercase() + LABEL_SUFFIX));
            Sample {
                name: files::relative(root, &image),
                image,
                window: None,
                label: match mask {
                    Some(_) => Label::Defect { kind: KIND.into() },
                    None => Label::Good,
                },
                mask,
                masks_by_kind: BTreeMap::new(),
            }
        })
        .collect();
    if let Some(label) = labels.values().next() {
        bail!(
            "{}: a label without its image in {}; restore the image or remove the label",
            label.display(),
            dir.display()
        );
    }
    Ok(samples)
}

/// Where the set's own `Labels.txt` is there, every label that it names must be too: an image
/// whose label was lost would be learnt as good.
fn check_list(label_dir: &Path, labels: &BTreeMap<String, PathBuf>) -> Result<()> {
    let Some(list) = files::child(label_dir, "Labels.txt")? else {
        return Ok(());
    };
    let text = fs::read(&list).with_context(|| format!("{}: cannot read", list.display()))?;
    for named in String::from_utf8_lossy(&text).split_whitespace() {
        let stem = files::stem(Path::new(named)).to_lowercase();
        ensure!(
            !stem.ends_with(LABEL_SUFFIX) || labels.contains_key(&stem),
            "{}: the ground truth {named} is missing, which Labels.txt names; restore it, or \
             remove its image and its line",
            label_dir.join(named).display()
        );
    }
    Ok(())
}
