//! Inspecting images and showing what was found: a line, a mask and an overlay each.

use std::{
    collections::HashSet,
    fmt, fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use image::{ExtendedColorType, Rgb, RgbImage};
use residua_shared::{
    rule::{DecisionRule, MapScale},
    verdict::{Outcome, Region, Verdict},
};
use serde::Serialize;

use crate::{
    console,
    data::{Grey, read_grey},
    model::Inspected,
    save,
};

/// The perceptually uniform colour map "inferno" (S. van der Walt and N. Smith, matplotlib, CC0),
/// every sixteenth of its entries.
const INFERNO: [[u8; 3]; 17] = [
    [0, 0, 4],
    [11, 7, 36],
    [33, 12, 74],
    [61, 9, 101],
    [87, 16, 110],
    [113, 25, 110],
    [138, 34, 106],
    [163, 44, 97],
    [188, 55, 84],
    [210, 70, 68],
    [228, 90, 49],
    [241, 115, 29],
    [249, 142, 9],
    [252, 172, 17],
    [249, 203, 53],
    [242, 234, 105],
    [252, 255, 164],
];

/// The colours of contours and boxes, which the colour map does not hold.
const CONTOUR: Rgb<u8> = Rgb([0, 255, 150]);
const BOX: Rgb<u8> = Rgb([70, 200, 255]);

/// Pixels between a region and its box.
const BOX_MARGIN: u32 = 4;

/// The image with its anomaly map as a heat map over it, a contour around the defect mask and a box
/// around each region that counts.
///
/// Heat is on a scale that is the same for all images of a model: clear up to half the image
/// threshold, half way up the colour map at the threshold, at its end from twice the threshold on.
/// Contour and boxes lie outside what they mark.
///
/// # Panics
/// Where map or mask have not as many values as the image.
pub fn overlay(image: &Grey, inspected: &Inspected, rule: &DecisionRule) -> RgbImage {
    let (width, height) = (image.size.width() as u32, image.size.height() as u32);
    let full = 2.0 * rule.image_threshold().raw.max(1) as f32;
    let mut picture = RgbImage::from_fn(width, height, |x, y| {
        let i = (y * width + x) as usize;
        heated(image.pixels[i], inspected.map[i] as f32 / full)
    });
    draw_contour(&mut picture, &inspected.mask);
    for region in counting(inspected, rule) {
        draw_box(&mut picture, region);
    }
    picture
}

/// A pixel of the image under a heat of 0 to 1 and more.
fn heated(grey: u8, heat: f32) -> Rgb<u8> {
    const CLEAR: f32 = 0.25;
    // The defect itself must be seen through its heat.
    const STRONGEST: f32 = 0.6;
    let opacity = STRONGEST * ((heat - CLEAR) / (0.5 - CLEAR)).clamp(0.0, 1.0);
    let colour = inferno(heat);
    Rgb(colour.map(|channel| (f32::from(grey) * (1.0 - opacity) + channel * opacity).round() as u8))
}

/// The colour map between its entries, for `t` cut to 0..1.
fn inferno(t: f32) -> [f32; 3] {
    let at = t.clamp(0.0, 1.0) * (INFERNO.len() - 1) as f32;
    let below = (at as usize).min(INFERNO.len() - 2);
    let share = at - below as f32;
    std::array::from_fn(|channel| {
        let [low, high] = [below, below + 1].map(|i| f32::from(INFERNO[i][channel]));
        low + (high - low) * share
    })
}

/// Colours the pixels beside the mask.
fn draw_contour(picture: &mut RgbImage, mask: &[u8]) {
    let (width, height) = picture.dimensions();
    let inside = |x: u32, y: u32| mask[(y * width + x) as usize] != 0;
    for y in 0..height {
        for x in 0..width {
            let beside = (x > 0 && inside(x - 1, y))
                || (x + 1 < width && inside(x + 1, y))
                || (y > 0 && inside(x, y - 1))
                || (y + 1 < height && inside(x, y + 1));
            if beside && !inside(x, y) {
                picture.put_pixel(x, y, CONTOUR);
            }
        }
    }
}

fn draw_box(picture: &mut RgbImage, region: &Region) {
    let (width, height) = picture.dimensions();
    let low = |side: u16| u32::from(side).saturating_sub(BOX_MARGIN);
    let high = |side: u16, end: u32| (u32::from(side) + BOX_MARGIN).min(end - 1);
    let (left, top) = (low(region.left), low(region.top));
    let (right, bottom) = (high(region.right, width), high(region.bottom, height));
    for x in left..=right {
        picture.put_pixel(x, top, BOX);
        picture.put_pixel(x, bottom, BOX);
    }
    for y in top..=bottom {
        picture.put_pixel(left, y, BOX);
        picture.put_pixel(right, y, BOX);
    }
}

fn counting<'a>(
    inspected: &'a Inspected,
    rule: &'a DecisionRule,
) -> impl Iterator<Item = &'a Region> {
    inspected
        .regions
        .iter()
        .filter(|region| rule.counts(region.area, region.peak))
}

/// What is printed of one image as a line of JSON.
///
/// Scores, thresholds and peaks are in grey levels of mean anomaly over the model's box, and exact
/// in map steps under the names that end so.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Record<'a> {
    /// The file as it was given.
    pub image: &'a Path,
    pub outcome: Outcome,
    /// The highest peak over all regions that are large enough.
    pub score: f32,
    /// Above it an image is a defect.
    pub threshold: f32,
    pub score_steps: u32,
    pub threshold_steps: u32,
    /// Regions that count, the largest first.
    pub regions: Vec<RegionRecord>,
    /// There were more regions than could be counted, which alone makes a defect.
    pub overflow: bool,
    /// The pictures written, if any.
    pub mask: Option<&'a Path>,
    pub overlay: Option<&'a Path>,
}

/// A region that counts; both corners of its box are inside it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RegionRecord {
    pub left: u16,
    pub top: u16,
    pub right: u16,
    pub bottom: u16,
    /// In pixels.
    pub area: u32,
    pub peak: f32,
    pub peak_steps: u32,
}

impl RegionRecord {
    /// A region whose peak is in steps of `scale`.
    pub fn new(region: Region, scale: MapScale) -> Self {
        Self {
            left: region.left,
            top: region.top,
            right: region.right,
            bottom: region.bottom,
            area: region.area,
            peak: scale.grey(region.peak),
            peak_steps: region.peak,
        }
    }
}

/// What is printed of an image that could not be inspected, as a line of JSON.
#[derive(Serialize)]
struct Failure<'a> {
    image: &'a Path,
    error: &'a str,
}

impl<'a> Record<'a> {
    pub fn new(
        image: &'a Path,
        inspected: &Inspected,
        rule: &DecisionRule,
        pictures: Option<&'a Pictures>,
    ) -> Self {
        let Verdict {
            outcome,
            score,
            overflow,
            ..
        } = inspected.verdict;
        let threshold = rule.image_threshold();
        let mut regions: Vec<_> = counting(inspected, rule)
            .map(|&region| RegionRecord::new(region, rule.scale()))
            .collect();
        regions.sort_by_key(|region| std::cmp::Reverse(region.area));
        Self {
            image,
            outcome,
            score: rule.scale().grey(score),
            threshold: threshold.grey(),
            score_steps: score,
            threshold_steps: threshold.raw,
            regions,
            overflow,
            mask: pictures.map(|pictures| pictures.mask.as_path()),
            overlay: pictures.map(|pictures| pictures.overlay.as_path()),
        }
    }

    /// The line for people.
    pub fn line(&self) -> String {
        let verdict = VerdictWords {
            outcome: self.outcome,
            score: self.score,
            threshold: self.threshold,
            regions: self.regions.len(),
            largest: self.regions.first().copied(),
            overflow: self.overflow,
        };
        format!("{}  {verdict}", self.image.display())
    }
}

/// A verdict in words for people, whether it was reached here or came from a device.
pub struct VerdictWords {
    pub outcome: Outcome,
    pub score: f32,
    pub threshold: f32,
    /// Regions that count.
    pub regions: usize,
    pub largest: Option<RegionRecord>,
    pub overflow: bool,
}

impl fmt::Display for VerdictWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Good => "GOOD  ",
            Outcome::Defect => "DEFECT",
        };
        write!(
            f,
            "{outcome}  score {:.2} (threshold {:.2} grey levels)  {} region{}",
            self.score,
            self.threshold,
            self.regions,
            if self.regions == 1 { "" } else { "s" },
        )?;
        if let Some(region) = self.largest {
            // What came over a line may have its corners in any order.
            let side = |from: u16, to: u16| u32::from(to.saturating_sub(from)) + 1;
            let width = side(region.left, region.right);
            let height = side(region.top, region.bottom);
            let (left, top) = (region.left, region.top);
            write!(f, ", the largest {width}x{height} at ({left}, {top})")?;
        }
        if self.overflow {
            f.write_str(", and more than the tables hold")?;
        }
        Ok(())
    }
}

/// Where the pictures of one image go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pictures {
    pub mask: PathBuf,
    pub overlay: PathBuf,
}

impl Pictures {
    /// Makes the folder `dir` and plans `STEM_mask.png` and `STEM_overlay.png` in it for each
    /// image; stems given several times get numbers.
    ///
    /// Errors where the folder can't be made, or a picture would overwrite one of the images.
    pub fn plan(images: &[PathBuf], dir: &Path) -> Result<Vec<Self>> {
        fs::create_dir_all(dir)
            .with_context(|| format!("{}: cannot make the folder", dir.display()))?;
        let sources: HashSet<PathBuf> = images
            .iter()
            .filter_map(|i| i.canonicalize().ok())
            .collect();
        let mut taken = HashSet::new();
        images
            .iter()
            .map(|image| {
                let stem = image.file_stem().unwrap_or_default().to_string_lossy();
                let pictures = (1..)
                    .map(|number| Self::named(dir, &stem, number))
                    .find(|pictures| !taken.contains(&pictures.mask))
                    .context("there is always another number")?;
                for path in [&pictures.mask, &pictures.overlay] {
                    ensure!(
                        !path
                            .canonicalize()
                            .is_ok_and(|path| sources.contains(&path)),
                        "{}: would be overwritten by the pictures of {}; give another --out folder",
                        path.display(),
                        image.display()
                    );
                }
                taken.insert(pictures.mask.clone());
                Ok(pictures)
            })
            .collect()
    }

    fn named(dir: &Path, stem: &str, number: usize) -> Self {
        let stem = if number == 1 {
            stem.to_owned()
        } else {
            format!("{stem}_{number}")
        };
        Self {
            mask: dir.join(format!("{stem}_mask.png")),
            overlay: dir.join(format!("{stem}_overlay.png")),
        }
    }

    fn write(&self, image: &Grey, inspected: &Inspected, rule: &DecisionRule) -> Result<()> {
        let overlay = overlay(image, inspected, rule);
        save::png(
            &self.mask,
            &inspected.mask,
            image.size,
            ExtendedColorType::L8,
        )?;
        save::png(
            &self.overlay,
            overlay.as_raw(),
            image.size,
            ExtendedColorType::Rgb8,
        )
    }
}

/// What to inspect and what to make of it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub images: &'a [PathBuf],
    pub rule: &'a DecisionRule,
    /// For each image, where its pictures go.
    pub pictures: Option<&'a [Pictures]>,
    /// Print a JSON object a line instead of text.
    pub json: bool,
}

/// How many images were found defective, and how many errors were reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    pub defects: usize,
    pub errors: usize,
}

/// Inspects every image with `inspect` and prints a line of each to `out`.
///
/// An image that can't be read or inspected is reported, as a line too with `json`, and counted;
/// the others are inspected nevertheless. So are pictures that can't be written: the verdict is
/// printed, without them. Errors only where `out` can't be written.
pub fn inspect_all(
    request: Request<'_>,
    mut inspect: impl FnMut(&Grey) -> Result<Inspected>,
    out: &mut impl Write,
) -> Result<Tally> {
    let (mut defects, mut errors) = (0, 0);
    let mut report = |error: &anyhow::Error| {
        errors += 1;
        console::note(format_args!("error: {}", console::one_line(error)));
    };
    for (i, path) in request.images.iter().enumerate() {
        let line = match inspect_one(path, &mut inspect) {
            Ok((image, inspected)) => {
                let written = request.pictures.and_then(|pictures| {
                    let pictures = pictures.get(i)?;
                    pictures
                        .write(&image, &inspected, request.rule)
                        .inspect_err(&mut report)
                        .ok()?;
                    Some(pictures)
                });
                let record = Record::new(path, &inspected, request.rule, written);
                defects += usize::from(record.outcome == Outcome::Defect);
                if request.json {
                    serde_json::to_string(&record)?
                } else {
                    record.line()
                }
            }
            Err(error) => {
                report(&error);
                if !request.json {
                    continue;
                }
                serde_json::to_string(&Failure {
                    image: path,
                    error: &console::one_line(&error),
                })?
            }
        };
        writeln!(out, "{line}").context("cannot print the verdict")?;
    }
    Ok(Tally { defects, errors })
}

fn inspect_one(
    path: &Path,
    inspect: &mut impl FnMut(&Grey) -> Result<Inspected>,
) -> Result<(Grey, Inspected)> {
    let image = read_grey(path)?;
    let inspected = inspect(&image).with_context(|| path.display().to_string())?;
    Ok((image, inspected))
}
