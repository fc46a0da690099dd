//! `inspect`'s lines, JSON, pictures and handling of bad files, with a stand-in for the network: the
//! map of a pixel is how far it is above 100.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use image::{GrayImage, Luma, Rgb, RgbImage};
use residua_host::{
    data::{Grey, read_grey},
    inspect::{Pictures, Request, Tally, inspect_all, overlay},
    model::Inspected,
};
use residua_shared::{
    frame::Size,
    rule::{Comparison, DecisionRule, MapScale},
    verdict::{Outcome, Region, Verdict},
};
use serde_json::Value;
use tempfile::TempDir;

const CONTOUR: Rgb<u8> = Rgb([0, 255, 150]);
const BOX: Rgb<u8> = Rgb([70, 200, 255]);

/// A map step is 1/16 grey level; a defect needs 4 pixels and 50 grey levels.
fn rule() -> DecisionRule {
    let scale = MapScale::new(4, 1).unwrap();
    DecisionRule::new(Comparison::Bright, scale, 30 << 4, 4, 50 << 4).unwrap()
}

/// One region at most: all pixels above the pixel threshold.
fn stand_in(image: &Grey) -> Result<Inspected> {
    ensure!(
        image.size.width() == 40,
        "the image is {} but the model takes 40x30",
        image.size
    );
    let rule = rule();
    let map: Vec<u32> = image
        .pixels
        .iter()
        .map(|&pixel| u32::from(pixel.saturating_sub(100)) << 4)
        .collect();
    let suspects: Vec<usize> = (0..map.len())
        .filter(|&i| map[i] > rule.pixel_threshold().raw)
        .collect();
    let columns = suspects.iter().map(|i| (i % 40) as u16);
    let rows = suspects.iter().map(|i| (i / 40) as u16);
    let region = (!suspects.is_empty()).then(|| Region {
        left: columns.clone().min().unwrap(),
        right: columns.max().unwrap(),
        top: rows.clone().min().unwrap(),
        bottom: rows.max().unwrap(),
        area: suspects.len() as u32,
        peak: suspects.iter().map(|&i| map[i]).max().unwrap(),
    });
    let large = region.filter(|region| region.area >= rule.min_area());
    let counts = region.is_some_and(|region| rule.counts(region.area, region.peak));
    let marked = |i: usize| counts && map[i] > rule.pixel_threshold().raw;
    Ok(Inspected {
        verdict: Verdict {
            outcome: if counts {
                Outcome::Defect
            } else {
                Outcome::Good
            },
            score: large.map_or(0, |region| region.peak),
            regions: counts.into(),
            overflow: false,
        },
        regions: region.into_iter().collect(),
        mask: (0..map.len())
            .map(|i| if marked(i) { 255 } else { 0 })
            .collect(),
        map,
    })
}

/// A grey 40x30 image with a `value` square from (10, 8) to (17, 13).
fn image(value: u8) -> GrayImage {
    GrayImage::from_fn(40, 30, |x, y| {
        let square = (10..18).contains(&x) && (8..14).contains(&y);
        Luma([if square { value } else { 100 }])
    })
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn put(&self, name: &str, value: u8) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image(value).save(&path).unwrap();
        path
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn run(images: &[PathBuf], pictures: Option<&[Pictures]>, json: bool) -> (Tally, Vec<String>) {
    let rule = rule();
    let request = Request {
        images,
        rule: &rule,
        pictures,
        json,
    };
    let mut out = Vec::new();
    let tally = inspect_all(request, stand_in, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    (tally, text.lines().map(str::to_owned).collect())
}

#[test]
fn lines_tell_verdict_score_and_place() {
    let folder = Folder::new();
    let images = [folder.put("good.png", 140), folder.put("bad.png", 180)];
    let (tally, lines) = run(&images, None, false);
    assert_eq!(
        tally,
        Tally {
            defects: 1,
            errors: 0
        }
    );
    let path = |i: usize| images[i].display();
    assert_eq!(
        lines,
        [
            format!(
                "{}  GOOD    score 40.00 (threshold 50.00 grey levels)  0 regions",
                path(0)
            ),
            format!(
                "{}  DEFECT  score 80.00 (threshold 50.00 grey levels)  1 region, the largest 8x6 \
                 at (10, 8)",
                path(1)
            ),
        ]
    );
}

#[test]
fn json_has_one_object_a_line() {
    let folder = Folder::new();
    let images = [folder.put("bad.png", 180), folder.path().join("none.png")];
    let pictures = Pictures::plan(&images, &folder.path().join("out")).unwrap();
    let (tally, lines) = run(&images, Some(&pictures), true);
    assert_eq!(
        tally,
        Tally {
            defects: 1,
            errors: 1
        }
    );
    let bad: Value = serde_json::from_str(&lines[0]).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(
        bad,
        serde_json::json!({
            "image": text(&images[0]), "outcome": "defect", "score": 80.0, "threshold": 50.0,
            "score_steps": 1280, "threshold_steps": 800, "overflow": false,
            "regions": [{"left": 10, "top": 8, "right": 17, "bottom": 13, "area": 48, "peak": 80.0,
                         "peak_steps": 1280}],
            "mask": text(&pictures[0].mask), "overlay": text(&pictures[0].overlay),
        })
    );
    let none: Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(none["image"], text(&images[1]));
    assert!(none["error"].as_str().unwrap().contains("cannot read"));
    assert_eq!(none.as_object().unwrap().len(), 2);
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let folder = Folder::new();
    let text = folder.path().join("text.png");
    fs::write(&text, "not an image").unwrap();
    let wide = folder.path().join("wide.png");
    GrayImage::new(50, 30).save(&wide).unwrap();
    let images = [text, wide, folder.put("bad.png", 180)];
    let (tally, lines) = run(&images, None, false);
    assert_eq!(
        tally,
        Tally {
            defects: 1,
            errors: 2
        }
    );
    assert_eq!(lines.len(), 1);
    let (_, lines) = run(&images, None, true);
    assert!(
        lines[0].contains("text.png") && lines[0].contains("not a PNG"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains("wide.png") && lines[1].contains("50x30"),
        "{}",
        lines[1]
    );
}

#[test]
fn mask_and_overlay_are_written_beside_each_other() {
    let folder = Folder::new();
    let images = [folder.put("a/part.png", 180), folder.put("b/part.png", 140)];
    let out = folder.path().join("out");
    let pictures = Pictures::plan(&images, &out).unwrap();
    run(&images, Some(&pictures), false);
    let mask = read_grey(&out.join("part_mask.png")).unwrap();
    let marked: Vec<usize> = (0..1200).filter(|&i| mask.pixels[i] == 255).collect();
    assert_eq!(
        (marked.len(), marked[0], marked[47]),
        (48, 8 * 40 + 10, 13 * 40 + 17)
    );
    let clean = read_grey(&out.join("part_2_mask.png")).unwrap();
    assert_eq!(clean.pixels, [0; 1200]);
    let overlay = image::open(out.join("part_overlay.png")).unwrap().to_rgb8();
    assert_eq!(overlay.dimensions(), (40, 30));
    assert!(out.join("part_2_overlay.png").is_file());
}

#[test]
fn no_picture_replaces_an_image() {
    let folder = Folder::new();
    let images = [
        folder.put("part.png", 180),
        folder.put("part_mask.png", 140),
    ];
    let error = Pictures::plan(&images, folder.path())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("part_mask.png: would be overwritten"),
        "{error}"
    );
    assert!(Pictures::plan(&images, &folder.path().join("out")).is_ok());
    assert!(Pictures::plan(&images, &images[0]).is_err());
}

#[test]
fn pictures_that_cannot_be_written_are_errors_but_hide_no_verdict() {
    let folder = Folder::new();
    let images = [folder.put("bad.png", 180)];
    let pictures = Pictures::plan(&images, &folder.path().join("out")).unwrap();
    fs::remove_dir(folder.path().join("out")).unwrap();
    fs::write(folder.path().join("out"), "a file in the folder's place").unwrap();
    let (tally, lines) = run(&images, Some(&pictures), true);
    assert_eq!(
        tally,
        Tally {
            defects: 1,
            errors: 1
        }
    );
    let bad: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        (&bad["outcome"], &bad["mask"]),
        (&"defect".into(), &Value::Null)
    );
}

fn drawn(value: u8) -> RgbImage {
    let grey = Grey {
        size: Size::new(40, 30).unwrap(),
        pixels: image(value).into_raw(),
    };
    overlay(&grey, &stand_in(&grey).unwrap(), &rule())
}

#[test]
fn overlay_of_a_good_image_is_the_image() {
    let picture = drawn(114);
    for (x, y, pixel) in picture.enumerate_pixels() {
        let square = (10..18).contains(&x) && (8..14).contains(&y);
        let grey = if square { 114 } else { 100 };
        assert_eq!(pixel.0, [grey; 3], "at ({x}, {y})");
    }
}

#[test]
fn overlay_marks_heat_contour_and_box_of_a_defect() {
    let picture = drawn(220);
    // From twice the threshold on: 0.6 of the last colour, 0.4 of the image.
    assert_eq!(*picture.get_pixel(13, 10), Rgb([239, 241, 186]));
    for (x, y) in [(9, 8), (18, 13), (10, 7), (17, 14)] {
        assert_eq!(*picture.get_pixel(x, y), CONTOUR, "at ({x}, {y})");
    }
    for (x, y) in [(6, 4), (21, 4), (6, 17), (21, 17), (12, 4), (6, 10)] {
        assert_eq!(*picture.get_pixel(x, y), BOX, "at ({x}, {y})");
    }
    assert_eq!(picture.get_pixel(0, 0).0, [100; 3]);
    let contour = picture.pixels().filter(|&&pixel| pixel == CONTOUR).count();
    assert_eq!(contour, 2 * (8 + 6));
    let drawn_box = picture.pixels().filter(|&&pixel| pixel == BOX).count();
    assert_eq!(drawn_box, 2 * (16 + 14) - 4);
}

#[test]
fn warmer_than_good_but_below_the_threshold_is_heat_without_marks() {
    let picture = drawn(145);
    let [red, green, blue] = picture.get_pixel(13, 10).0;
    assert!(red > green && blue > green, "{red} {green} {blue}");
    assert!(
        picture
            .pixels()
            .all(|&pixel| pixel != CONTOUR && pixel != BOX)
    );
}

#[test]
fn boxes_at_the_border_stay_inside() {
    let size = Size::new(6, 5).unwrap();
    let grey = Grey {
        size,
        pixels: vec![9; 30],
    };
    let region = Region {
        left: 0,
        top: 0,
        right: 5,
        bottom: 4,
        area: 30,
        peak: u32::MAX,
    };
    let inspected = Inspected {
        verdict: Verdict {
            outcome: Outcome::Defect,
            score: u32::MAX,
            regions: 1,
            overflow: true,
        },
        regions: vec![region],
        map: vec![u32::MAX; 30],
        mask: vec![255; 30],
    };
    let picture = overlay(&grey, &inspected, &rule());
    assert_eq!(*picture.get_pixel(5, 4), BOX);
    assert_eq!(picture.pixels().filter(|&&pixel| pixel == BOX).count(), 18);
}
