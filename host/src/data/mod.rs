//! Image folders: what lies in them, and which part each image plays.
//!
//! [`open`] lists a folder by one of the four [`Layout`]s and checks every header,
//! [`Dataset::split`] deals its images out, [`load_all`] decodes them. Nothing is cached here.

mod dagm;
mod files;
mod folder;
mod listing;
mod mvtec;
mod read;
mod rsdds;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail, ensure};
use residua_shared::{frame::Size, manifest::Digest};

use listing::Listing;
pub use read::{load, load_all, load_mask, load_masks_by_kind, read_grey};

/// How a data folder is laid out.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// MVTec AD: `train/good`, `test/KIND`, `ground_truth/KIND/NAME_mask.png`; where images of a
    /// folder of `test` hold several kinds, `ground_truth_by_kind/FOLDER/KIND/NAME_mask.png` too.
    Mvtec,
    /// Good images only, in one folder.
    Folder,
    /// DAGM 2007: `Train/NAME.PNG` with `Train/Label/NAME_label.PNG` for the defects, `Test` alike.
    Dagm,
    /// RSDDs: `images/` and `ground_truth/`, cut into patches, split by image.
    Rsdds,
}

/// A grey image, owned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grey {
    pub size: Size,
    pub pixels: Vec<u8>,
}

/// Good, or what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Label {
    Good,
    Defect { kind: String },
}

/// A rectangle of an image, in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    pub left: usize,
    pub top: usize,
    pub size: Size,
}

/// One image, or one patch of one, with what is known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The file's path relative to the data folder, with the window's top row after a `#` for a patch.
    pub name: String,
    pub image: PathBuf,
    pub window: Option<Window>,
    pub label: Label,
    /// The ground-truth mask's file; a pixel above 127 is defect. Never given for good samples.
    pub mask: Option<PathBuf>,
    /// Where the image holds defects of several kinds and it is known which is which: each kind's
    /// own mask. Else empty, and all of `mask` is of the label's kind.
    pub masks_by_kind: BTreeMap<String, PathBuf>,
}

impl Sample {
    pub fn is_good(&self) -> bool {
        self.label == Label::Good
    }
}

/// The samples of a data folder by the part they play; no image (for patches: no parent image)
/// plays two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    /// Good: the network learns from these.
    pub train: Vec<Sample>,
    /// Good: choose the weights that are kept.
    pub validation: Vec<Sample>,
    /// Good: set the thresholds.
    pub calibration: Vec<Sample>,
    /// Labelled: measured at the end, looked at by nothing before.
    pub test: Vec<Sample>,
}

/// A data folder whose files were listed and whose headers were read.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub layout: Layout,
    pub root: PathBuf,
    /// The size of every sample (for patches: of the patch).
    pub size: Size,
    listing: Listing,
    digest: Digest,
    pool_digest: Digest,
}

/// Opens the data folder `dir` as `layout`, or as the one it looks like.
///
/// `patch` is the size of the windows that [`Layout::Rsdds`] is cut into, 160x200 unless given; no
/// other layout is cut. Reads all headers, and for RSDDs the masks; decodes no image.
///
/// Errors name the file and the remedy: a folder that is missing or fits no layout, no good
/// images, a file that is not an image, images of several sizes, a defect without its mask, a mask
/// of another size than its image.
pub fn open(dir: &Path, layout: Option<Layout>, patch: Option<Size>) -> Result<Dataset> {
    check_folder(dir)?;
    let layout = match layout {
        Some(layout) => layout,
        None => detect(dir)?,
    };
    if layout != Layout::Rsdds && patch.is_some() {
        bail!(
            "{}: a patch size is given, but only the rsdds layout is cut into patches; leave it out",
            dir.display()
        );
    }
    let listing = match layout {
        Layout::Mvtec => mvtec::list(dir)?,
        Layout::Folder => folder::list(dir)?,
        Layout::Dagm => dagm::list(dir)?,
        Layout::Rsdds => rsdds::list(dir, patch)?,
    };
    ensure!(
        listing.has_good(),
        "{}: no good images to learn from; {}",
        dir.display(),
        match layout {
            Layout::Mvtec => "put them into train/good",
            Layout::Folder => "put them into the folder itself",
            Layout::Dagm => "images of Train that have no label in Train/Label are good",
            Layout::Rsdds => "every patch touches a defect: give a smaller patch size",
        }
    );
    Ok(Dataset {
        layout,
        root: dir.to_owned(),
        size: listing.common_size()?,
        digest: listing.digest(dir)?,
        pool_digest: listing.pool_digest(dir)?,
        listing,
    })
}

fn check_folder(dir: &Path) -> Result<()> {
    ensure!(
        dir.is_dir(),
        "{}: no such folder; give the folder that holds the images",
        dir.display()
    );
    Ok(())
}

/// The layout that the folder `dir` looks like, the most specific first.
///
/// Errors where there is no such folder or it looks like none.
pub fn detect(dir: &Path) -> Result<Layout> {
    check_folder(dir)?;
    if mvtec::recognises(dir) {
        Ok(Layout::Mvtec)
    } else if dagm::recognises(dir)? {
        Ok(Layout::Dagm)
    } else if rsdds::recognises(dir) {
        Ok(Layout::Rsdds)
    } else if folder::recognises(dir)? {
        Ok(Layout::Folder)
    } else {
        bail!(
            "{}: not a data folder: looked for train/good/ (mvtec), Train/Label/ here or in a \
             ClassN folder (dagm), images/ with ground_truth/ (rsdds), and images in the folder \
             itself (folder; {}); check the path or lay the images out in one of these ways",
            dir.display(),
            files::EXTENSIONS.join(", ")
        )
    }
}

impl Dataset {
    /// Deals the images into parts by `seed`: equal seeds give equal splits on every machine.
    ///
    /// MVTec and plain folders: good training images 70 / 10 / 20 % for training, validation and
    /// calibration, at least one each; the `test` folder is the test part (plain folders have
    /// none). DAGM: its `Train` images likewise; the test part is `Test`, or without one the
    /// defects of `Train` and 20 % of its good images. RSDDs, by rail: one third of the rails are
    /// the test part with all their patches; of the rest 1/8 validation, 1/4 calibration, at least
    /// one each, with their good patches alone.
    ///
    /// Errors where there are too few good images to give each part one.
    pub fn split(&self, seed: u64) -> Result<Split> {
        self.listing.split(&self.root, seed)
    }

    /// Every labelled sample, by name: to evaluate a model on a set that it was not trained on.
    pub fn everything_as_test(&self) -> Result<Vec<Sample>> {
        Ok(self.listing.everything())
    }

    /// SHA-256 over the sorted relative names and lengths of all images and masks used.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The same of those that [`Self::split`] deals by its seed. Where this is equal a seed gives the
    /// same images to learn from and to calibrate on, whatever came to a test folder of its own.
    pub fn pool_digest(&self) -> Digest {
        self.pool_digest
    }
}

/// Reads `WIDTHxHEIGHT`, for command lines.
pub fn parse_size(text: &str) -> Result<Size> {
    let sides = text
        .split_once(['x', 'X'])
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let Some((width, height)) = sides else {
        bail!("`{text}` is not a size; write WIDTHxHEIGHT, as 256x256");
    };
    Ok(Size::new(width, height)?)
}
