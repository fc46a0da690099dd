//! Readers, splits and errors of `data`, on small folders made here and on the real sets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb};
use residua_host::data::{
    self, Dataset, Grey, Label, Layout, Sample, load, load_all, load_mask, load_masks_by_kind,
    open, parse_size, read_grey,
};
use residua_shared::frame::Size;
use tempfile::TempDir;

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");

fn real(set: &str) -> PathBuf {
    let path = Path::new(SHARED).join(set);
    assert!(
        path.is_dir(),
        "the real images are missing: {}",
        path.display()
    );
    path
}

fn put(path: PathBuf, width: u32, height: u32, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let image = GrayImage::from_pixel(width, height, Luma([value]));
    image.save(path).unwrap();
}

/// `n` good 8x8 images in `dir`.
fn put_many(dir: &Path, n: u8) {
    for i in 0..n {
        put(dir.join(format!("{i:03}.png")), 8, 8, i);
    }
}

fn names(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| &sample.name[..]).collect()
}

fn error(result: anyhow::Result<impl Sized>) -> String {
    let text = format!("{:#}", result.err().expect("an error"));
    assert!(!text.contains('\n'), "more than one line: {text}");
    text
}

/// The error of opening `dir`, which must name `wanted`.
#[track_caller]
fn refuses(dir: &Path, layout: Option<Layout>, wanted: &[&str]) {
    let text = error(open(dir, layout, None));
    for wanted in wanted {
        assert!(text.contains(wanted), "`{wanted}` is not in: {text}");
    }
}

fn assert_apart(set: &Dataset, seed: u64) {
    let split = set.split(seed).unwrap();
    let mut part_of = BTreeMap::new();
    for (part, samples) in [
        &split.train,
        &split.validation,
        &split.calibration,
        &split.test,
    ]
    .into_iter()
    .enumerate()
    {
        for sample in samples {
            let before = part_of.insert(sample.image.clone(), part);
            assert!(
                before.is_none_or(|before| before == part),
                "{}",
                sample.name
            );
        }
    }
    for sample in [split.train, split.validation, split.calibration].concat() {
        assert_eq!(sample.label, Label::Good);
        assert_eq!(sample.mask, None);
    }
}

fn mvtec() -> TempDir {
    let dir = TempDir::new().unwrap();
    put_many(&dir.path().join("train/good"), 20);
    put(dir.path().join("test/good/a.png"), 8, 8, 1);
    put(dir.path().join("test/hole/a.png"), 8, 8, 2);
    put(dir.path().join("ground_truth/hole/a_mask.png"), 8, 8, 255);
    dir
}

#[test]
fn mvtec_is_listed_and_split() {
    let dir = mvtec();
    let set = open(dir.path(), None, None).unwrap();
    assert_eq!(set.layout, Layout::Mvtec);
    assert_eq!(set.size, Size::new(8, 8).unwrap());
    let split = set.split(0).unwrap();
    let lengths = [
        split.train.len(),
        split.validation.len(),
        split.calibration.len(),
    ];
    assert_eq!(lengths, [14, 2, 4]);
    assert_eq!(names(&split.test), ["test/good/a.png", "test/hole/a.png"]);
    assert_eq!(
        split.test[1].label,
        Label::Defect {
            kind: "hole".into()
        }
    );
    let mask = load_mask(&split.test[1]).unwrap().unwrap();
    assert_eq!(mask.pixels, [255; 64]);
    assert_eq!(load_mask(&split.test[0]).unwrap(), None);
    assert_eq!(set.everything_as_test().unwrap().len(), 22);
}

#[test]
fn masks_of_each_kind_are_taken_where_they_are() {
    let dir = mvtec();
    let plain = open(dir.path(), None, None).unwrap();
    put(dir.path().join("test/hole/b.png"), 8, 8, 2);
    put(dir.path().join("ground_truth/hole/b_mask.png"), 8, 8, 255);
    let by_kind = dir.path().join("ground_truth_by_kind/hole");
    put(by_kind.join("deep/b_mask.png"), 8, 8, 255);
    put(by_kind.join("flat/b_mask.png"), 8, 8, 0);
    let set = open(dir.path(), None, None).unwrap();
    assert_ne!(set.digest(), plain.digest());
    let test = set.split(0).unwrap().test;
    let found = |i: usize| load_masks_by_kind(&test[i]).unwrap();
    assert_eq!(test[1].name, "test/hole/a.png");
    assert_eq!(found(1), []);
    let grey = |value| Grey {
        size: Size::new(8, 8).unwrap(),
        pixels: vec![value; 64],
    };
    let expected = [("deep".to_owned(), grey(255)), ("flat".to_owned(), grey(0))];
    assert_eq!(found(2), expected);

    put(by_kind.join("flat/b_mask.png"), 8, 9, 0);
    refuses(dir.path(), None, &["flat/b_mask.png", "8x9"]);
    fs::remove_file(by_kind.join("flat/b_mask.png")).unwrap();
    put(by_kind.join("flat/c_mask.png"), 8, 8, 0);
    refuses(
        dir.path(),
        None,
        &["flat/c_mask.png", "a mask without its image", "test/hole"],
    );
}

/// As other tools lay them out; beside the one that is read, other files mean nothing.
#[test]
fn further_files_in_ground_truth_are_passed_over() {
    let dir = mvtec();
    let before = open(dir.path(), None, None).unwrap();
    put(
        dir.path().join("ground_truth/hole/a_mask_deep.png"),
        8,
        8,
        0,
    );
    put(dir.path().join("ground_truth/hole/a.png"), 8, 8, 0);
    let set = open(dir.path(), None, None).unwrap();
    assert_eq!(set.digest(), before.digest());
    let mask = load_mask(&set.split(0).unwrap().test[1]).unwrap().unwrap();
    assert_eq!(mask.pixels, [255; 64]);
}

#[test]
fn splits_are_deterministic_and_depend_on_the_seed() {
    let dir = mvtec();
    let set = open(dir.path(), None, None).unwrap();
    assert_eq!(
        set.split(3).unwrap(),
        open(dir.path(), None, None).unwrap().split(3).unwrap()
    );
    let different: BTreeSet<Vec<String>> = (0..8)
        .map(|seed| {
            set.split(seed)
                .unwrap()
                .calibration
                .into_iter()
                .map(|s| s.name)
                .collect()
        })
        .collect();
    assert!(different.len() > 4, "{different:?}");
    // Runs are resumed and models evaluated by seed: the deal of a seed must never change.
    assert_eq!(
        names(&set.split(0).unwrap().calibration),
        [0, 3, 7, 10].map(|i| format!("train/good/{i:03}.png"))
    );
}

#[test]
fn folder_has_no_test_part_and_skips_what_is_no_image() {
    let dir = TempDir::new().unwrap();
    put_many(dir.path(), 10);
    fs::write(dir.path().join("notes.txt"), "about").unwrap();
    fs::write(dir.path().join("._000.png"), "of another system").unwrap();
    let set = open(dir.path(), None, None).unwrap();
    assert_eq!(set.layout, Layout::Folder);
    let split = set.split(0).unwrap();
    assert_eq!(
        split.train.len() + split.validation.len() + split.calibration.len(),
        10
    );
    assert!(split.test.is_empty());
    assert_apart(&set, 1);
}

fn dagm(root: &Path, part: &str) {
    for i in 0..12 {
        put(root.join(format!("{part}/{i:04}.PNG")), 8, 8, i);
    }
    put(root.join(format!("{part}/Label/0003_label.PNG")), 8, 8, 200);
}

#[test]
fn dagm_without_test_holds_good_images_back() {
    let dir = TempDir::new().unwrap();
    dagm(&dir.path().join("Class8"), "Train");
    let set = open(dir.path(), None, None).unwrap();
    assert_eq!(set.layout, Layout::Dagm);
    let split = set.split(0).unwrap();
    let good = split.test.iter().filter(|sample| sample.is_good()).count();
    assert_eq!((good, split.test.len()), (2, 3));
    let defects: Vec<_> = split
        .test
        .iter()
        .filter(|sample| !sample.is_good())
        .collect();
    assert_eq!(defects[0].name, "Class8/Train/0003.PNG");
    assert!(load_mask(defects[0]).unwrap().is_some());
    assert_apart(&set, 0);
}

#[test]
fn dagm_with_test_keeps_the_defects_of_train_out() {
    let dir = TempDir::new().unwrap();
    dagm(dir.path(), "Train");
    dagm(dir.path(), "Test");
    let split = open(dir.path(), None, None).unwrap().split(0).unwrap();
    assert_eq!(
        split.train.len() + split.validation.len() + split.calibration.len(),
        11
    );
    assert_eq!(split.test.len(), 12);
    assert!(
        split
            .test
            .iter()
            .all(|sample| sample.name.starts_with("Test/"))
    );
}

#[test]
fn dagm_errors_name_what_is_missing() {
    let dir = TempDir::new().unwrap();
    dagm(&dir.path().join("Class1"), "Train");
    dagm(&dir.path().join("Class2"), "Train");
    refuses(
        dir.path(),
        None,
        &["Class1, Class2", "give the folder of one"],
    );

    let class = dir.path().join("Class1");
    fs::write(
        class.join("Train/Label/Labels.txt"),
        "1\n4 1 0004.PNG 1 0004_label.PNG\n",
    )
    .unwrap();
    refuses(&class, None, &["0004_label.PNG is missing"]);
    fs::remove_file(class.join("Train/Label/Labels.txt")).unwrap();

    fs::remove_file(class.join("Train/0003.PNG")).unwrap();
    refuses(&class, None, &["0003_label.PNG", "without its image"]);
    refuses(
        &mvtec().path().join("train"),
        Some(Layout::Dagm),
        &["no Train/Label folder"],
    );
}

/// A rail of `patches` 16x10 patches and half of one, with a defect in patch `defect`.
fn rail(root: &Path, name: &str, patches: u32, defect: u32) {
    let height = patches * 10 + 5;
    let image = GrayImage::from_fn(16, height, |x, y| Luma([(x * 7 + y) as u8]));
    let mask = GrayImage::from_fn(16, height, |x, y| {
        Luma([if x == 4 && y / 10 == defect { 128 } else { 127 }])
    });
    for (folder, image) in [("images", image), ("ground_truth", mask)] {
        fs::create_dir_all(root.join(folder)).unwrap();
        image
            .save(root.join(folder).join(format!("{name}.png")))
            .unwrap();
    }
}

#[test]
fn rsdds_is_cut_and_split_by_rail() {
    let dir = TempDir::new().unwrap();
    for i in 0..9 {
        rail(dir.path(), &format!("rail_{i}"), 3 + i % 2, 1);
    }
    let patch = parse_size("16x10").unwrap();
    let set = open(dir.path(), None, Some(patch)).unwrap();
    assert_eq!((set.layout, set.size), (Layout::Rsdds, patch));
    assert_apart(&set, 0);
    assert_apart(&set, 1);
    let everything = set.everything_as_test().unwrap();
    assert_eq!(everything.len(), 5 * 3 + 4 * 4);
    assert_eq!(
        names(&everything)[..3],
        [
            "images/rail_0.png#0",
            "images/rail_0.png#10",
            "images/rail_0.png#20"
        ]
    );
    let split = set.split(0).unwrap();
    let test: BTreeSet<_> = split.test.iter().map(|sample| &sample.image).collect();
    assert_eq!(test.len(), 3);
    // Of a test rail every patch is measured; of a training rail only the good ones are used.
    assert_eq!(
        split.test.iter().filter(|sample| !sample.is_good()).count(),
        3
    );

    let second = load(&everything[1]).unwrap();
    assert_eq!(
        (second.size, second.pixels[0], second.pixels[17]),
        (patch, 10, 18)
    );
    let mask = load_mask(&everything[1]).unwrap().unwrap();
    assert_eq!(mask.pixels.iter().filter(|&&p| p == 255).count(), 10);
    assert_eq!(mask.pixels[4], 255);

    let mut shuffled = everything;
    shuffled.reverse();
    shuffled.swap(0, 7);
    let together = load_all(&shuffled).unwrap();
    let singly: Vec<Grey> = shuffled
        .iter()
        .map(|sample| load(sample).unwrap())
        .collect();
    assert_eq!(together, singly);
}

#[test]
fn rsdds_errors_name_the_rail() {
    let dir = TempDir::new().unwrap();
    rail(dir.path(), "a", 3, 0);
    refuses(dir.path(), None, &["a.png", "16x35", "160x200"]);
    fs::remove_file(dir.path().join("ground_truth/a.png")).unwrap();
    refuses(dir.path(), None, &["a.png", "no ground truth"]);
    let text = error(open(mvtec().path(), None, Some(parse_size("8x8").unwrap())));
    assert!(text.contains("only the rsdds layout"), "{text}");
}

#[test]
fn the_real_sets_open_and_split_as_documented() {
    let rails = open(&real("rsdds1"), None, None).unwrap();
    assert_eq!(
        (rails.layout, rails.size),
        (Layout::Rsdds, Size::new(160, 200).unwrap())
    );
    assert_apart(&rails, 0);
    let split = rails.split(0).unwrap();
    let test: BTreeSet<_> = split.test.iter().map(|sample| &sample.image).collect();
    assert_eq!(test.len(), 15);
    assert!(split.test.iter().filter(|sample| !sample.is_good()).count() >= 15);
    let images = load_all(&split.test).unwrap();
    assert!(images.iter().all(|image| image.size == rails.size));
    for defect in split.test.iter().filter(|sample| !sample.is_good()) {
        assert!(load_mask(defect).unwrap().unwrap().pixels.contains(&255));
    }

    let cracks = open(&real("dagm_class8"), None, None).unwrap();
    assert_eq!(cracks.layout, Layout::Mvtec);
    let split = cracks.split(0).unwrap();
    let lengths = [
        &split.train,
        &split.validation,
        &split.calibration,
        &split.test,
    ]
    .map(Vec::len);
    assert_eq!(lengths, [168, 24, 48, 160]);
    assert_apart(&cracks, 0);
}

#[test]
fn digest_sees_names_and_lengths() {
    let dir = mvtec();
    let digest = || open(dir.path(), None, None).unwrap().digest();
    let before = digest();
    assert_eq!(before, digest());
    // The digest is in manifests: it must never change for equal files.
    let moved = mvtec();
    assert_eq!(open(moved.path(), None, None).unwrap().digest(), before);
    fs::rename(
        dir.path().join("train/good/000.png"),
        dir.path().join("train/good/x.png"),
    )
    .unwrap();
    let renamed = digest();
    assert_ne!(renamed, before);
    put(dir.path().join("test/good/a.png"), 8, 8, 1);
    assert_eq!(digest(), renamed);
    let noisy = GrayImage::from_fn(8, 8, |x, y| Luma([(x * 31 + y * 57) as u8]));
    noisy.save(dir.path().join("test/good/a.png")).unwrap();
    assert_ne!(digest(), renamed);
}

#[test]
fn what_comes_to_the_test_folder_changes_no_deal() {
    let dir = mvtec();
    let set = || open(dir.path(), None, None).unwrap();
    let before = set();
    put(dir.path().join("test/good/more.png"), 8, 8, 1);
    let after = set();
    assert_ne!(after.digest(), before.digest());
    assert_eq!(after.pool_digest(), before.pool_digest());
    let (dealt, again) = (before.split(3).unwrap(), after.split(3).unwrap());
    assert_eq!(again.test.len(), dealt.test.len() + 1);
    assert_eq!(again.train, dealt.train);
    assert_eq!(again.validation, dealt.validation);
    assert_eq!(again.calibration, dealt.calibration);
    put(dir.path().join("train/good/more.png"), 8, 8, 1);
    assert_ne!(set().pool_digest(), before.pool_digest());
}

#[test]
fn folders_that_cannot_be_used_say_why() {
    let dir = TempDir::new().unwrap();
    refuses(&dir.path().join("none"), None, &["none: no such folder"]);
    refuses(
        dir.path(),
        None,
        &["train/good/", "Train/Label/", "images/", "png, jpg"],
    );
    refuses(
        dir.path(),
        Some(Layout::Folder),
        &["no images directly in the folder"],
    );
    refuses(dir.path(), Some(Layout::Mvtec), &["no folder train/good"]);
    refuses(
        dir.path(),
        Some(Layout::Rsdds),
        &["no folders images and ground_truth"],
    );
    fs::create_dir_all(dir.path().join("train/good")).unwrap();
    refuses(dir.path(), None, &["no good images", "train/good"]);

    let few = TempDir::new().unwrap();
    put_many(few.path(), 2);
    let text = error(open(few.path(), None, None).unwrap().split(0));
    assert!(
        text.contains("2 images to learn from are too few"),
        "{text}"
    );
}

#[test]
fn images_and_masks_of_other_sizes_are_named() {
    let dir = mvtec();
    put(dir.path().join("ground_truth/hole/a_mask.png"), 8, 9, 255);
    refuses(dir.path(), None, &["a_mask.png", "8x9", "8x8"]);
    fs::remove_file(dir.path().join("ground_truth/hole/a_mask.png")).unwrap();
    refuses(
        dir.path(),
        None,
        &["hole/a.png", "no ground truth", "a_mask.png"],
    );

    let dir = mvtec();
    put(dir.path().join("train/good/005.png"), 9, 8, 0);
    refuses(dir.path(), None, &["005.png is 9x8", "a.png is 8x8"]);
}

/// A 40x30 gradient in `format`.
fn encoded(format: ImageFormat) -> Vec<u8> {
    let image = GrayImage::from_fn(40, 30, |x, y| Luma([(x * 4 + y * 3) as u8]));
    let mut bytes = Vec::new();
    image
        .write_to(&mut std::io::Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

const FORMATS: [ImageFormat; 5] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::Pnm,
];

#[test]
fn content_decides_the_format() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("image.png");
    for format in FORMATS {
        fs::write(&path, encoded(format)).unwrap();
        let grey = read_grey(&path).unwrap();
        assert_eq!(grey.size, Size::new(40, 30).unwrap());
        let tolerance = if format == ImageFormat::Jpeg { 4 } else { 0 };
        assert!(
            grey.pixels[39 + 29 * 40].abs_diff(39 * 4 + 29 * 3) <= tolerance,
            "{format:?}"
        );
    }
}

#[test]
fn no_cut_or_flipped_file_is_taken_for_a_whole_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("image.bin");
    for format in FORMATS {
        let bytes = encoded(format);
        for kept in (0..bytes.len() - 16).step_by(7) {
            fs::write(&path, &bytes[..kept]).unwrap();
            let text = error(read_grey(&path));
            assert!(text.contains("image.bin"), "{text}");
        }
        // No panic, whatever a byte of the header says.
        for i in 0..bytes.len().min(200) {
            let mut bytes = bytes.clone();
            bytes[i] ^= 0xff;
            fs::write(&path, &bytes).unwrap();
            if let Err(error) = read_grey(&path) {
                assert!(format!("{error:#}").contains("image.bin"));
            }
        }
    }
}

#[test]
fn files_that_are_no_images_are_named() {
    let dir = TempDir::new().unwrap();
    put_many(dir.path(), 4);
    fs::write(dir.path().join("001.png"), "not an image at all").unwrap();
    refuses(
        dir.path(),
        None,
        &["001.png", "not a PNG, JPEG, BMP, TIFF or PGM"],
    );
    fs::write(dir.path().join("001.png"), "").unwrap();
    refuses(dir.path(), None, &["001.png", "the file is empty"]);
    assert!(error(read_grey(dir.path())).contains("not a file"));
    assert!(error(read_grey(&dir.path().join("absent.png"))).contains("absent.png: cannot read"));
}

#[test]
fn a_huge_header_is_refused_before_memory_is_taken() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("huge.pgm");
    fs::write(&path, "P5 8193 8 255\n").unwrap();
    assert!(error(read_grey(&path)).contains("huge.pgm"));
    fs::write(&path, "P5 4000000000 4000000000 255\n").unwrap();
    assert!(error(read_grey(&path)).contains("huge.pgm"));
    assert!(error(open(dir.path(), None, None)).contains("huge.pgm"));
}

#[test]
fn colour_and_depth_become_eight_bit_grey() {
    let dir = TempDir::new().unwrap();
    let save = |name: &str, image: DynamicImage| {
        let path = dir.path().join(name);
        image.save(&path).unwrap();
        read_grey(&path).unwrap().pixels
    };
    let rgb = ImageBuffer::from_fn(3, 1, |x, _| {
        let mut pixel = Rgb([0u8; 3]);
        pixel.0[x as usize] = 250;
        pixel
    });
    assert_eq!(save("rgb.png", rgb.into()), [53, 179, 18]);
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_raw(5, 1, vec![0, 128, 129, 65535 - 129, 65535]).unwrap();
    assert_eq!(save("deep.png", deep.into()), [0, 0, 1, 254, 255]);

    let path = dir.path().join("float.tiff");
    let float = ImageBuffer::<Rgb<f32>, _>::from_pixel(2, 2, Rgb([0.5; 3]));
    DynamicImage::from(float).save(&path).unwrap();
    assert!(error(read_grey(&path)).contains("8 or 16 bits"));
}

#[test]
fn sizes_are_read_from_text() {
    assert_eq!(parse_size("160x200").unwrap(), Size::new(160, 200).unwrap());
    for wrong in [
        "",
        "160",
        "160x",
        "x200",
        "axb",
        "0x5",
        "160x200x3",
        "-1x5",
        "99999x1",
    ] {
        assert!(parse_size(wrong).is_err(), "{wrong}");
    }
    assert!(error(data::parse_size("160")).contains("WIDTHxHEIGHT"));
}
