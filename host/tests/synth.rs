//! The synthetic generator: equal bytes for equal seeds, exact masks, and blemishes.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use residua_host::{
    data::{Label, Layout, load, load_mask, load_masks_by_kind, open},
    synth::{DefectKind, Family, MIN_SIDE, Options, blemish, generate},
};
use residua_shared::frame::Size;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const FAMILIES: [Family; 3] = [Family::Brushed, Family::Cloth, Family::Steel];

fn small(family: Family) -> Options {
    Options {
        train: 4,
        good: 2,
        per_kind: 3,
        kinds_per_image: 3,
        seed: 7,
        ..Options::new(family, Size::new(96, 80).unwrap())
    }
}

/// Every file under `dir` with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    found
}

fn made(options: &Options) -> BTreeMap<String, Vec<u8>> {
    let dir = TempDir::new().unwrap();
    generate(options, dir.path()).unwrap();
    files(dir.path())
}

fn without_masks_by_kind(files: &BTreeMap<String, Vec<u8>>) -> usize {
    let names = files.keys();
    names
        .filter(|name| !name.starts_with("ground_truth_by_kind/"))
        .count()
}

#[test]
fn equal_seeds_give_equal_bytes_and_other_seeds_do_not() {
    for family in FAMILIES {
        let first = made(&small(family));
        assert_eq!(without_masks_by_kind(&first), 4 + 2 + 2 * 3 * 6);
        assert!(first == made(&small(family)), "{family:?}");
        let other = made(&Options {
            seed: 8,
            ..small(family)
        });
        assert!(
            first
                .iter()
                .all(|(name, bytes)| other.get(name) != Some(bytes)),
            "{family:?}"
        );
    }
}

#[test]
fn more_images_of_one_part_change_none_of_another() {
    let few = made(&small(Family::Steel));
    let many = made(&Options {
        train: 6,
        good: 5,
        per_kind: 4,
        ..small(Family::Steel)
    });
    assert!(many.len() > few.len());
    assert!(few.iter().all(|(name, bytes)| &many[name] == bytes));
}

/// Figures are quoted for synthetic sets by their seed: their pixels must not change unnoticed, nor
/// differ from one machine to another.
#[test]
fn pixels_of_a_seed_are_pinned() {
    let mut hash = Sha256::new();
    for family in FAMILIES {
        let dir = TempDir::new().unwrap();
        generate(&small(family), dir.path()).unwrap();
        let set = open(dir.path(), None, None).unwrap();
        for sample in set.everything_as_test().unwrap() {
            hash.update(load(&sample).unwrap().pixels);
            if let Some(mask) = load_mask(&sample).unwrap() {
                hash.update(mask.pixels);
            }
        }
    }
    let digest: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        digest,
        "c30c6369e524788f5c894f082c04ef7cb057e3cab609154d8cd20984dcfa975e"
    );
}

#[test]
fn the_set_is_read_as_mvtec_and_every_defect_can_be_seen() {
    for family in FAMILIES {
        let dir = TempDir::new().unwrap();
        generate(&small(family), dir.path()).unwrap();
        let set = open(dir.path(), None, None).unwrap();
        assert_eq!(set.layout, Layout::Mvtec);
        let split = set.split(0).unwrap();
        assert_eq!(split.test.len(), small(family).test_images());
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for sample in &split.test {
            let image = load(sample).unwrap();
            let (dark, bright) = extremes(&image.pixels);
            assert!(bright - dark > 30, "{}: flat", sample.name);
            let Label::Defect { kind } = &sample.label else {
                // Good surfaces leave room to either side.
                assert!(dark > 0 && bright < 255, "{}: saturated", sample.name);
                continue;
            };
            *kinds.entry(kind.clone()).or_default() += 1;
            let mask = load_mask(sample).unwrap().unwrap();
            let marked = mask.pixels.iter().filter(|&&p| p == 255).count();
            assert!(marked >= 20, "{}: {marked} pixels", sample.name);
            assert!(
                marked < image.pixels.len() / 2,
                "{}: {marked} pixels",
                sample.name
            );
        }
        let names = DefectKind::ALL
            .map(DefectKind::name)
            .into_iter()
            .chain(["combined"]);
        assert_eq!(kinds, names.map(|name| (name.to_owned(), 3)).collect());
    }
}

#[test]
fn each_kind_in_a_combined_image_has_a_mask_of_its_own() {
    for (family, most) in [(Family::Steel, 2), (Family::Cloth, 3), (Family::Brushed, 3)] {
        let dir = TempDir::new().unwrap();
        let options = Options {
            kinds_per_image: most,
            per_kind: 8,
            ..small(family)
        };
        generate(&options, dir.path()).unwrap();
        let test = open(dir.path(), None, None).unwrap().split(0).unwrap().test;
        let mut counts = vec![0; most + 1];
        for sample in &test {
            let masks = load_masks_by_kind(sample).unwrap();
            if !sample.name.starts_with("test/combined/") {
                assert_eq!(masks, [], "{}", sample.name);
                continue;
            }
            counts[masks.len()] += 1;
            let all = load_mask(sample).unwrap().unwrap();
            let mut covered = 0;
            for (kind, own) in &masks {
                assert!(DefectKind::ALL.iter().any(|known| known.name() == kind));
                assert!(own.pixels.contains(&255), "{}: no {kind}", sample.name);
            }
            for (i, &all) in all.pixels.iter().enumerate() {
                let any = masks.iter().any(|(_, own)| own.pixels[i] == 255);
                assert!(!any || all == 255, "{}: pixel {i}", sample.name);
                covered += usize::from(any);
            }
            let marked = all.pixels.iter().filter(|&&p| p == 255).count();
            assert!(
                covered * 20 > marked * 19,
                "{}: {covered} of {marked}",
                sample.name
            );
        }
        assert_eq!(counts[..2], [0, 0], "{family:?}");
        assert!(counts[2..].iter().all(|&images| images > 0), "{counts:?}");
    }
}

/// Readers of this layout pair `test/KIND` with `ground_truth/KIND` by the order of their files.
#[test]
fn a_mask_in_ground_truth_is_there_for_each_defect_and_no_other() {
    let files = made(&small(Family::Steel));
    let under = |folder: &str| -> Vec<&str> {
        let names = files.keys().filter_map(|name| name.strip_prefix(folder));
        names.filter(|name| !name.starts_with("good/")).collect()
    };
    let masks: Vec<String> = under("test/")
        .iter()
        .map(|image| image.replace(".png", "_mask.png"))
        .collect();
    assert_eq!(under("ground_truth/"), masks);
    assert!(!under("ground_truth_by_kind/combined/").is_empty());
}

fn extremes(pixels: &[u8]) -> (u8, u8) {
    (*pixels.iter().min().unwrap(), *pixels.iter().max().unwrap())
}

#[test]
fn what_cannot_be_made_is_refused() {
    let dir = TempDir::new().unwrap();
    let error = |options: &Options| format!("{:#}", generate(options, dir.path()).unwrap_err());
    let options = small(Family::Cloth);
    let tiny = Size::new(MIN_SIDE - 1, 200).unwrap();
    assert!(
        error(&Options {
            size: tiny,
            ..options
        })
        .contains("63x200")
    );
    assert!(
        error(&Options {
            train: 0,
            ..options
        })
        .contains("train is 0")
    );
    for kinds_per_image in [0, 6] {
        assert!(
            error(&Options {
                kinds_per_image,
                ..options
            })
            .contains("1 to 5")
        );
    }
    fs::write(dir.path().join("mine.txt"), "precious").unwrap();
    assert!(error(&options).contains("not empty"));
    assert_eq!(files(dir.path()).len(), 1);
    let file = dir.path().join("mine.txt");
    assert!(generate(&options, &file).is_err());
    let below_file = file.join("set");
    let text = format!("{:#}", generate(&options, &below_file).unwrap_err());
    assert!(text.contains("cannot be written"), "{text}");
}

#[test]
fn smallest_and_odd_sizes_work_for_every_family() {
    for family in FAMILIES {
        for (width, height) in [(MIN_SIDE, MIN_SIDE), (301, 65)] {
            let size = Size::new(width, height).unwrap();
            let options = Options {
                size,
                ..small(family)
            };
            assert_eq!(without_masks_by_kind(&made(&options)), 42);
        }
    }
}

/// A ramp, so that a moved patch shows.
fn ramp(width: usize, height: usize) -> Vec<f32> {
    (0..width * height)
        .map(|i| 0.2 + 0.6 * (i % width + i / width) as f32 / (width + height) as f32)
        .collect()
}

#[test]
fn blemishes_stay_in_range_and_change_a_part_of_the_image() {
    let clean = ramp(128, 96);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut untouched, mut up, mut down, mut shares) = (0, 0, 0, Vec::new());
    for _ in 0..1000 {
        let mut pixels = clean.clone();
        blemish(&mut pixels, 128, 96, &mut rng);
        assert!(pixels.iter().all(|p| (0.0..=1.0).contains(p)));
        let changed = pixels.iter().zip(&clean).filter(|(a, b)| a != b).count();
        untouched += usize::from(changed == 0);
        up += pixels.iter().zip(&clean).filter(|(a, b)| a > b).count();
        down += pixels.iter().zip(&clean).filter(|(a, b)| a < b).count();
        shares.push(changed as f32 / clean.len() as f32);
    }
    assert!(untouched < 20, "{untouched} of 1000 images are unchanged");
    let (up, down) = (up as f32, down as f32);
    assert!(
        (0.5..2.0).contains(&(up / down)),
        "{up} brighter, {down} darker"
    );
    shares.sort_by(f32::total_cmp);
    // From specks to a quarter of the image, most of them small.
    assert!(
        (0.005..0.05).contains(&shares[500]),
        "median {}",
        shares[500]
    );
    assert!(
        shares[990] > 0.1 && shares[999] < 0.7,
        "{:?}",
        &shares[990..]
    );
}

#[test]
fn blemishes_follow_the_generator_alone() {
    let draw = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pixels = ramp(64, 64);
        blemish(&mut pixels, 64, 64, &mut rng);
        (pixels, rng.next_u32())
    };
    assert!(draw(3) == draw(3));
    assert!(draw(3) != draw(4));
}

#[test]
fn blemishes_fit_images_of_any_size() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (width, height) in [(1, 1), (1, 40), (300, 2), (16, 16), (17, 5)] {
        for _ in 0..200 {
            let mut pixels = ramp(width, height);
            blemish(&mut pixels, width, height, &mut rng);
            assert!(pixels.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }
}

#[test]
fn the_command_makes_a_set_once() {
    let dir = TempDir::new().unwrap();
    let run = |arguments: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_residua"))
            .args(["synth", "--out"])
            .arg(dir.path().join("set"))
            .args(arguments)
            .output()
            .unwrap();
        (
            out.status.code(),
            String::from_utf8(out.stdout).unwrap(),
            String::from_utf8(out.stderr).unwrap(),
        )
    };
    let few = [
        "--size",
        "64x70",
        "--train",
        "2",
        "--good",
        "1",
        "--per-kind",
        "1",
    ];
    let (code, out, _) = run(&few);
    assert_eq!(code, Some(0));
    assert!(out.contains("2 good images to learn from, 6"), "{out}");
    let set = open(&dir.path().join("set"), None, None).unwrap();
    assert_eq!(set.size, Size::new(64, 70).unwrap());

    let (code, _, error) = run(&few);
    assert_eq!(code, Some(2));
    assert!(error.contains("not empty"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");

    for wrong in [
        ["--kinds-per-image", "4"],
        ["--size", "64"],
        ["--family", "wood"],
    ] {
        assert_eq!(run(&wrong).0, Some(2), "{wrong:?}");
    }
}
