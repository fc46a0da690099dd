//! The ablation bench on a synthetic set; and what it compares images by.

use std::{fs, path::Path};

use residua_host::{
    data::Grey,
    eval::{LIGHTS, region_sum, residual_l1, top_mean},
    net::config::Preset,
    quality::{BASELINE, Bench, CELLS, Style, Summary, default_baseline, rows, tables},
    synth::{Family, Options, generate},
    train::{DeviceChoice, Objective},
};
use residua_shared::frame::Size;

fn size(width: usize, height: usize) -> Size {
    Size::new(width, height).unwrap()
}

fn bench(folder: &Path) -> Bench {
    let data = folder.join("parts");
    let options = Options {
        train: 24,
        good: 4,
        per_kind: 1,
        ..Options::new(Family::Brushed, size(64, 64))
    };
    generate(&options, &data).unwrap();
    let mut baseline = default_baseline();
    baseline.train.preset = Some(Preset::EdgeTiny);
    baseline.train.epochs = Some(4);
    baseline.train.crop = Some(64);
    baseline.train.batch = Some(4);
    baseline.train.device = DeviceChoice::Cpu;
    Bench {
        data: vec![data],
        seeds: vec![0, 1],
        out: folder.join("state"),
        // The second is what the baseline is already.
        only: vec!["dark".into(), "absolute".into()],
        light: true,
        baseline,
    }
}

#[test]
fn cells_share_trainings_and_a_bench_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path());
    let first = bench.run().unwrap();
    assert_eq!(first.failed, 0);
    let names: Vec<_> = first.cells.iter().map(|cell| &*cell.variant).collect();
    assert_eq!(names, [BASELINE, "dark", BASELINE, "dark"]);
    let runs = fs::read_dir(bench.out.join("runs")).unwrap().count();
    assert_eq!(runs, 2, "one training a seed, for both comparisons");
    for cell in &first.cells {
        let measured = &cell.measured;
        assert_eq!((measured.good, measured.defect), (4, 5));
        // Light tells nothing of how dark is compared with absolute.
        let taken = measured.lights.first();
        assert_eq!(taken.is_some(), cell.variant == BASELINE);
        if let Some(taken) = taken {
            assert_eq!(
                (taken.stopped, taken.caught),
                (measured.stopped, measured.caught)
            );
        }
        assert_eq!(measured.scores[0].auroc, measured.image_auroc);
        assert_eq!(measured.scores[0].f1_best, measured.image_f1_best);
    }

    // Killed while it wrote its last line: only that cell is made again, and comes out equal.
    let file = bench.out.join(CELLS);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() - 10]).unwrap();
    let again = bench.run().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(again.cells.len(), first.cells.len());
    // Figures that were read differ by a last bit from those that were written.
    for (again, first) in again.cells.iter().zip(&first.cells) {
        assert_eq!(again.key, first.key);
        let [again, first] = [again, first].map(|cell| &cell.measured);
        assert_eq!((again.stopped, again.caught), (first.stopped, first.caught));
        assert!((again.pixel_f1_best.unwrap() - first.pixel_f1_best.unwrap()).abs() < 1e-12);
    }

    // Another option: nothing finished is taken for it, nothing is lost.
    bench.baseline.calibrate.box_size = 3;
    assert_ne!(bench.run().unwrap().cells[0].key, first.cells[0].key);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 8);

    let rows = rows(&first.cells);
    assert_eq!((rows.len(), rows[0].seeds, rows[0].caught.1), (2, 2, 10));
    let markdown = tables(&first.cells, Style::Markdown);
    assert!(markdown.contains("| comparison | dark"), "{markdown}");
    assert!(markdown.contains("| gain 0.7 "), "{markdown}");

    bench.only = vec!["darker".into()];
    let error = bench.run().unwrap_err().to_string();
    assert!(
        error.contains("darker") && error.contains("; dark;"),
        "{error}"
    );
}

#[test]
fn what_has_no_test_images_is_refused_before_any_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path());
    bench.data[0] = bench.data[0].join("train/good");
    let error = bench.run().unwrap_err();
    assert!(error.to_string().contains("no test images"), "{error:#}");
    assert!(!bench.out.exists());
}

#[test]
fn what_cannot_be_compared_is_refused_before_any_training() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |change: fn(&mut Bench), words: &str| {
        let mut bench = bench(&tempfile::tempdir_in(&folder).unwrap().keep());
        change(&mut bench);
        let error = format!("{:#}", bench.run().unwrap_err());
        assert!(error.contains(words), "{error}");
        assert!(!bench.out.exists());
    };
    refused(|b| b.baseline.calibrate.box_size = 4, "--box 4");
    refused(|b| b.seeds = vec![1, 0, 1], "--seeds: 1");
    refused(|b| b.baseline.train.patch = Some(size(8, 8)), "--patch");
    refused(
        |b| {
            b.baseline.train.objective = Some(Objective::Mse);
            b.only = vec!["blemished 1".into()];
        },
        "--only: `blemished 1`",
    );
}

#[test]
fn summaries_are_means_and_sample_deviations() {
    let summary = Summary::of([Some(1.0), None, Some(2.0), Some(3.0)].into_iter()).unwrap();
    assert_eq!((summary.mean, summary.deviation), (2.0, 1.0));
    assert_eq!(Summary::of([None].into_iter()), None);
}

#[test]
fn light_rounds_and_clips_as_a_camera() {
    let image = Grey {
        size: size(3, 1),
        pixels: vec![10, 101, 250],
    };
    let under = |name: &str| {
        let light = LIGHTS.iter().find(|light| light.name == name).unwrap();
        light.on(&image).pixels
    };
    assert_eq!(under("as taken"), image.pixels);
    assert_eq!(under("gain 0.7"), [7, 71, 175]);
    assert_eq!(under("offset -30"), [0, 71, 220]);
    assert_eq!(under("gain 1.3"), [13, 131, 255]);
    assert_eq!(under("gain 0.7 to 1.3, left to right"), [7, 101, 255]);
    assert_eq!(under("gain 0.7 to 1.3, top to bottom"), [7, 71, 175]);
}

#[test]
fn rival_scores() {
    let map = [0, 9, 7, 0, 0, 0, 0, 0, 4, 4, 4, 0];
    assert_eq!(top_mean(&map, 0.25), 6, "9, 7 and one 4, rounded down");
    assert_eq!(top_mean(&map, 0.0), 9, "one value at least");
    assert_eq!(
        region_sum(&map, size(6, 2), 3, 2, 1),
        28,
        "one region of all five"
    );
    assert_eq!(
        region_sum(&map, size(12, 1), 3, 2, 1),
        16,
        "9 + 7 before 4 + 4 + 4"
    );
    assert_eq!(
        region_sum(&map, size(12, 1), 3, 3, 2),
        6,
        "only three pixels are enough"
    );
    assert_eq!(region_sum(&map, size(12, 1), 9, 1, 1), 0);
    // |1 - 0.5| and |2 - 4| grey levels at 4 bits are 8 and 32 steps: 20 on average.
    assert_eq!(residual_l1(&[1, 2], &[8, 64], 4), 20 * 16);
}
