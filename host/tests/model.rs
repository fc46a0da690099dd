//! `Model::open` on models that are whole, and on ones with a single fault each, everything else
//! consistent: one line that names file, field and remedy.

mod model_support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use residua_host::{
    export,
    model::{MANIFEST, Model, ONNX, save},
};
use residua_shared::{
    frame::Size,
    manifest::{Calibration, Digest, Manifest, Quantization, Training, VERSION},
    onnx,
    rule::{Comparison, DecisionRule, MapScale},
};
use serde_json::Value;
use tempfile::TempDir;

/// A model's file without its manifest, and the manifest.
static GOOD: LazyLock<(Vec<u8>, Manifest)> = LazyLock::new(|| {
    let network = model_support::random_quantized(3, 2, false);
    let graph = Size::new(32, 32).unwrap();
    let onnx = export::onnx(&network, graph).unwrap();
    let scale = MapScale::new(network.fraction_bits, 3).unwrap();
    let manifest = Manifest {
        version: VERSION,
        name: "small".try_into().unwrap(),
        preset: "edge".try_into().unwrap(),
        digest: onnx::digest(&onnx).unwrap(),
        input: Size::new(30, 25).unwrap(),
        graph,
        streaming: None,
        rule: DecisionRule::new(Comparison::Absolute, scale, 100, 4, 200).unwrap(),
        calibration: Calibration {
            images: 40,
            false_alarm_rate: 1e-3,
            method: "tail".try_into().unwrap(),
            threshold_interval: None,
            guard: 0.0,
            false_alarm_bound: 0.07,
            pixel_rate: 1e-3,
        },
        quantization: Quantization {
            method: "ptq".try_into().unwrap(),
            images: 8,
        },
        training: Training {
            layout: "folder".try_into().unwrap(),
            data: Digest([7; 32]),
            split_seed: 0,
            seed: 0,
            epochs: 1,
            kept_epoch: 1,
        },
    };
    (onnx, manifest)
});

/// A folder with a whole model in `MODEL`.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        save(&folder.model(), &GOOD.0, &GOOD.1).unwrap();
        folder
    }

    /// One whose manifest, inside and beside alike, was changed.
    fn with_manifest(change: impl FnOnce(&mut Value)) -> Self {
        let folder = Self::new();
        let mut manifest = serde_json::to_value(&GOOD.1).unwrap();
        change(&mut manifest);
        let text = serde_json::to_string_pretty(&manifest).unwrap();
        fs::write(folder.onnx(), export::with_manifest(&GOOD.0, &text)).unwrap();
        fs::write(folder.manifest(), text).unwrap();
        folder
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("MODEL")
    }

    fn onnx(&self) -> PathBuf {
        self.model().join(ONNX)
    }

    fn manifest(&self) -> PathBuf {
        self.model().join(MANIFEST)
    }

    /// Both ways to open it are refused, with what is said of the file in both.
    fn refused(&self, parts: &[&str]) {
        refused(&self.model(), &self.onnx(), parts);
        refused(&self.onnx(), &self.onnx(), parts);
    }
}

/// `path` is refused in one line with the name of `file`, one remedy and all `parts`.
fn refused(path: &Path, file: &Path, parts: &[&str]) {
    let error = Model::open(path).map(|_| ()).expect_err("a fault");
    let text = format!("{error:#}");
    assert!(!text.contains('\n'), "{text}");
    assert!(text.contains(&file.display().to_string()), "{text}");
    let remedies = [
        "export the model again",
        "export it again",
        "`residua export`",
    ];
    assert!(
        remedies.iter().any(|r| text.contains(r)),
        "no remedy: {text}"
    );
    assert!(text.matches("again").count() <= 1, "said twice: {text}");
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

#[test]
fn a_whole_model_opens_as_a_folder_and_as_a_file() {
    let folder = Folder::new();
    for path in [folder.model(), folder.onnx()] {
        let model = Model::open(&path).unwrap();
        assert_eq!(*model.manifest(), GOOD.1);
        assert_eq!(model.net().unwrap().graph(), GOOD.1.graph);
    }
    // The manifest's spelling does not matter: each fault below is the only one.
    let folder = Folder::with_manifest(|_| {});
    assert_eq!(*Model::open(&folder.model()).unwrap().manifest(), GOOD.1);
}

#[test]
fn missing_files() {
    let folder = Folder::new();
    let absent = folder.0.path().join("absent");
    refused(&absent, &absent, &[]);
    fs::remove_file(folder.manifest()).unwrap();
    refused(&folder.model(), &folder.manifest(), &[]);
    fs::remove_file(folder.onnx()).unwrap();
    refused(&folder.model(), &folder.onnx(), &[]);
}

#[test]
fn empty_and_foreign_files() {
    for content in [
        &b""[..],
        b"\x89PNG\r\n\x1a\n",
        b"{}",
        &[0xff; 300],
        &[0; 300],
    ] {
        let folder = Folder::new();
        fs::write(folder.onnx(), content).unwrap();
        folder.refused(&[]);
    }
}

#[test]
fn a_file_without_a_manifest() {
    let folder = Folder::new();
    fs::write(folder.onnx(), &GOOD.0).unwrap();
    folder.refused(&["no residua manifest"]);
}

#[test]
fn a_manifest_that_is_none() {
    for text in ["", "[]", "{}", "{\"version\":1}"] {
        let folder = Folder::new();
        fs::write(folder.onnx(), export::with_manifest(&GOOD.0, text)).unwrap();
        fs::write(folder.manifest(), text).unwrap();
        folder.refused(&["manifest"]);
    }
}

#[test]
fn a_manifest_beside_that_differs_from_that_inside() {
    let folder = Folder::new();
    let text = fs::read_to_string(folder.manifest()).unwrap();
    fs::write(folder.manifest(), text.replace("small", "other")).unwrap();
    refused(&folder.model(), &folder.manifest(), &["inside"]);
    assert!(Model::open(&folder.onnx()).is_ok());
}

#[test]
fn an_unknown_version() {
    for version in [0, VERSION + 1, u16::MAX] {
        Folder::with_manifest(|m| m["version"] = version.into())
            .refused(&["version", &version.to_string()]);
    }
}

#[test]
fn another_digest() {
    Folder::with_manifest(|m| m["digest"] = "0".repeat(64).into()).refused(&["digest"]);
    Folder::with_manifest(|m| m["digest"] = "0".into()).refused(&["64 hexadecimal digits"]);
}

#[test]
fn another_weight() {
    let folder = Folder::new();
    let mut file = fs::read(folder.onnx()).unwrap();
    let net = onnx::read(&GOOD.0, GOOD.1.rule.scale().fraction_bits()).unwrap();
    let weights = net.layers()[0].weights;
    let at = file
        .windows(weights.len())
        .position(|window| window == weights)
        .unwrap();
    file[at] ^= 1;
    fs::write(folder.onnx(), file).unwrap();
    folder.refused(&["digest"]);
}

#[test]
fn another_scale() {
    let scale_of = |m: &mut Value, bits: u8| {
        for threshold in ["pixel_threshold", "image_threshold"] {
            m["rule"][threshold]["scale"]["fraction_bits"] = bits.into();
        }
    };
    let bits = GOOD.1.rule.scale().fraction_bits();
    let other = if bits == 12 { 11 } else { bits + 1 };
    Folder::with_manifest(|m| scale_of(m, other)).refused(&[
        "rule",
        "fraction bits",
        &other.to_string(),
    ]);
    Folder::with_manifest(|m| scale_of(m, 13)).refused(&["fraction_bits", "13"]);
}

#[test]
fn another_shape() {
    Folder::with_manifest(|m| m["graph"]["width"] = 48.into())
        .refused(&["graph", "48x32", "32x32"]);
    Folder::with_manifest(|m| m["graph"]["height"] = 16.into())
        .refused(&["graph", "32x16", "30x25"]);
    Folder::with_manifest(|m| m["input"]["width"] = 33.into())
        .refused(&["graph", "32x32", "33x25"]);
    Folder::with_manifest(|m| m["input"]["width"] = 0.into()).refused(&["0x25"]);
}

#[test]
fn truncated_files() {
    let folder = Folder::new();
    let whole = fs::read(folder.onnx()).unwrap();
    // The manifest is the file's last record, so that no shorter file is a model.
    let samples = (0..whole.len()).step_by(97);
    for length in samples.chain([whole.len() - 1]) {
        fs::write(folder.onnx(), &whole[..length]).unwrap();
        refused(&folder.onnx(), &folder.onnx(), &[]);
    }
}

#[test]
fn weights_of_columns() {
    let columns = |weights: Value| Folder::with_manifest(|m| m["rule"]["columns"] = weights);
    let good = columns(vec![200; 32].into());
    let model = Model::open(&good.model()).unwrap();
    let weights = model.manifest().rule.columns().copied().unwrap();
    assert!(
        weights
            .zones(64)
            .all(|(zone, weight)| zone.len() == 2 && weight.get() == 200)
    );
    // As models from before columns could be weighed.
    let old = Folder::with_manifest(|m| {
        m["rule"]
            .as_object_mut()
            .unwrap()
            .remove("columns")
            .unwrap();
    });
    assert_eq!(
        Model::open(&old.model()).unwrap().manifest().rule.columns(),
        None
    );
    columns(vec![64; 31].into()).refused(&["manifest"]);
    columns(vec![0; 32].into()).refused(&["nonzero"]);
    columns(vec![256; 32].into()).refused(&["256"]);
}

/// A flip in the manifest's free text is the only one that can pass unseen, and only where no
/// manifest lies beside.
#[test]
fn single_flipped_bytes() {
    let folder = Folder::new();
    let whole = fs::read(folder.onnx()).unwrap();
    let samples = (0..whole.len()).step_by(61);
    for (at, bit) in samples.zip((0..8).cycle()) {
        let mut file = whole.clone();
        file[at] ^= 1_u8 << bit;
        fs::write(folder.onnx(), &file).unwrap();
        // Which of the two files is damaged cannot be known, so either may be blamed.
        refused(&folder.model(), &folder.model(), &[]);
        let alone = Model::open(&folder.onnx());
        assert!(alone.is_err() || at >= GOOD.0.len(), "byte {at}, bit {bit}");
    }
}
