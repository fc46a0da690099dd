//! Image folders: what lies in them, and which part each image plays.

use std::path::PathBuf;

use residua_shared::frame::Size;

/// How a data folder is laid out.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// MVTec AD: `train/good`, `test/KIND`, `ground_truth/KIND/NAME_mask.png`.
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
