//! Recorded models, images, and what is found in them.

use std::{fs, path::PathBuf};

use serde_json::Value;

/// Images that have verdicts, two of them defects to edge-tiny.
pub const IMAGES: [&str; 5] = ["blob", "crack", "good", "noise", "stain"];

/// The image threshold of edge-tiny in steps, and that of [`raised`].
pub const OLD: u64 = 22_731;
pub const NEW: u64 = 99_731;

pub fn folder(model: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/golden"
    ))
    .join(model)
}

/// The pixels of an image, row by row.
pub fn pixels(model: &str, name: &str) -> Vec<u8> {
    read(model, "images", name)
}

fn read(model: &str, kind: &str, name: &str) -> Vec<u8> {
    let file = folder(model).join(kind).join(name).with_extension("png");
    image::open(file).unwrap().to_luma8().into_raw()
}

/// edge-tiny with a higher image threshold.
pub fn raised() -> Vec<u8> {
    let mut bytes = fs::read(folder("edge-tiny").join("model.onnx")).unwrap();
    let (old, new) = (OLD.to_string(), NEW.to_string());
    let at = bytes
        .windows(old.len())
        .position(|window| window == old.as_bytes());
    bytes[at.unwrap()..][..new.len()].copy_from_slice(new.as_bytes());
    bytes
}

/// Asserts that a part, as `residua device watch` writes it, is what is on record of an image.
#[track_caller]
pub fn assert_recorded(part: &Value, model: &str, name: &str) {
    let record = fs::read_to_string(folder("expected.txt")).unwrap();
    let outcome = part["outcome"].as_str().unwrap();
    let (first, rest) = outcome.split_at(1);
    let line = format!(
        "{model}/{name}: {}{rest}, score {}, {} regions",
        first.to_uppercase(),
        part["score_steps"],
        part["regions"].as_array().unwrap().len()
    );
    assert!(record.contains(&line), "{line}");
    if outcome == "defect" {
        let expected = read(model, "masks", name);
        let mut mask = vec![0; expected.len()];
        for span in part["mask"].as_array().unwrap() {
            let [start, length] = [0, 1].map(|i| span[i].as_u64().unwrap() as usize);
            mask[start..start + length].fill(255);
        }
        assert!(mask == expected, "{model}/{name}: another mask");
    }
}
