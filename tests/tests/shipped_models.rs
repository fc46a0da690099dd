//! The models in `models/`: whole, and alike on every target.

use std::{fs, num::NonZeroUsize, path::PathBuf};

use clap::ValueEnum;
use residua_edge::regions::{max_regions, max_runs};
use residua_host::{
    data::{Grey, read_grey},
    eval::{self, Choice},
    model::{EngineKind, Model},
    report::{self, Report},
    synth::{Family, Options, generate},
};
use residua_runner::case::Engine;
use residua_shared::frame::Size;
use residua_tests::{
    suite::{Subject, check_on_targets},
    targets::Case,
};

/// The largest model, in multiply-accumulates, that runs on the slowest target in a test's time.
const SMALL: u64 = 80_000_000;
/// The largest that inspects hundreds of images in a test's time.
const MEDIUM: u64 = 1_000_000_000;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models"))
}

fn folder_of(name: &str) -> PathBuf {
    folder().join(name)
}

/// By name.
fn models() -> Vec<(String, Model)> {
    let entries = fs::read_dir(folder()).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    assert!(folders.len() >= 4, "a model for every preset: {folders:?}");
    let open = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, Model::open(&path).unwrap())
    };
    folders.into_iter().map(open).collect()
}

/// Opening checks that the graph is the one that the manifest describes.
#[test]
fn each_has_a_manifest_and_a_card_of_its_own() {
    for (name, model) in models() {
        let manifest = model.manifest();
        assert_eq!(manifest.name.as_str(), name);
        let card = fs::read_to_string(folder_of(&name).join("card.md")).unwrap();
        let digest = format!("| Digest (SHA-256) | {} |", manifest.digest);
        assert!(
            card.contains(&digest),
            "{name}: the card is of another model"
        );
        for part in ["## Figures", "## Known failures", "## How it was made"] {
            assert!(card.contains(part), "{name}: the card lacks «{part}»");
        }
        let file = folder_of(&name).join("model.onnx");
        let alone = Model::open(&file).unwrap();
        assert_eq!(
            alone.manifest(),
            manifest,
            "{name}: the manifest in the file"
        );
    }
}

#[test]
fn small_ones_inspect_alike_on_every_target() {
    let folder = tempfile::tempdir().unwrap();
    let mut subjects = Vec::new();
    for (name, model) in models() {
        let manifest = model.manifest();
        if model.net().unwrap().macs() > SMALL {
            continue;
        }
        let family = Family::from_str(name.split('-').next().unwrap(), false).unwrap();
        let data = folder.path().join(&name);
        let options = Options {
            train: 1,
            good: 0,
            per_kind: 1,
            seed: 1,
            ..Options::new(family, manifest.input)
        };
        generate(&options, &data).unwrap();
        let crack = fs::read_dir(data.join("test/crack")).unwrap().next();
        let image = read_grey(&crack.unwrap().unwrap().path()).unwrap();
        subjects.push(Subject {
            rerun: "cargo xtask test -p residua-tests --test shipped_models".into(),
            case: Case {
                engine: Engine::Tract(model.onnx().to_vec()),
                input: manifest.input,
                rule: manifest.rule,
                runs: max_runs(manifest.input) as u32,
                regions: max_regions(manifest.input) as u32,
                images: image.pixels,
                first: 0,
                repetitions: 1,
            },
            name,
        });
    }
    assert!(subjects.len() >= 3, "one for every family");
    check_on_targets(&subjects);
}

#[test]
fn large_ones_inspect_alike_by_both_engines() {
    for (name, model) in models() {
        let size = model.manifest().input;
        // Stripes that leave light and dark, fine and coarse, with noise from a congruence.
        let pixels = (0..size.area()).map(|i| {
            let (x, y) = (i % size.width(), i / size.width());
            (96 + x / 9 % 7 * 12 + y * x % 61 + i * 7919 % 31) as u8
        });
        let image = Grey {
            size,
            pixels: pixels.collect(),
        };
        let inspect = |engine| {
            let mut inspector = model.inspector(engine, NonZeroUsize::MIN).unwrap();
            let found = inspector.inspect(&image).unwrap();
            let reconstruction = inspector.reconstruct(&image).unwrap();
            (found.verdict, found.mask, found.map, reconstruction)
        };
        assert_eq!(
            inspect(EngineKind::Native),
            inspect(EngineKind::Tract),
            "{name}"
        );
    }
}

/// The generator's images are the same everywhere, and so is what an integer model finds in them.
#[test]
fn cards_of_synthetic_models_are_what_eval_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("brushed");
    let mut options = Options::new(Family::Brushed, Size::new(256, 256).unwrap());
    (options.train, options.good, options.per_kind) = (320, 200, 40);
    generate(&options, &data).unwrap();
    let mut seen = 0;
    for (name, model) in models() {
        if !name.starts_with("brushed-") || model.net().unwrap().macs() > MEDIUM {
            continue;
        }
        let manifest = model.manifest();
        let dataset = eval::open(&data, None, manifest).unwrap();
        let part = eval::part(&dataset, manifest, Choice::Auto).unwrap();
        let mut inspector = model
            .inspector(EngineKind::Native, NonZeroUsize::MIN)
            .unwrap();
        let evaluation = eval::measure(&mut inspector, manifest.rule, &part.samples).unwrap();
        let text = report::card(&Report {
            manifest,
            model: &name,
            data: "brushed",
            part: part.meaning,
            engine: "native",
            evaluation: &evaluation,
            groups: &[],
        });
        let shipped = fs::read_to_string(folder_of(&name).join("card.md")).unwrap();
        let shipped = shipped.split("\n## How it was made").next().unwrap();
        assert_eq!(
            shipped, text,
            "{name}: shipped on the left, found on the right"
        );
        seen += 1;
    }
    assert!(seen >= 3, "one for every small preset");
}
