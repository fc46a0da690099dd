//! Thresholds from good images alone; `fixtures/metrics/make.py` wrote the expected values.

use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use residua_edge::engine::{Engine, EngineError};
use residua_host::{
    calibrate::{
        Calibrated, Options, Pareto, calibrate, exceeded_by, marks, tail_interval, tail_threshold,
        upper_bound,
    },
    data::Grey,
    eval::image_score,
};
use residua_shared::{
    frame::{Frame, Size},
    manifest::Digest,
    rule::{Comparison, DecisionRule, MapScale},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    bounds: Vec<Bound>,
    pareto: Vec<ParetoCase>,
}

#[derive(Deserialize)]
struct Bound {
    hits: usize,
    trials: usize,
    bound: f64,
}

#[derive(Deserialize)]
struct ParetoCase {
    values: Vec<u32>,
    rate: f64,
    shape: f64,
    scale: f64,
    exceeded_by: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/metrics/calibration.json")).unwrap()
}

fn assert_near(found: f64, expected: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= 1e-9 * expected.abs().max(1.0),
        "{found}, expected {expected}"
    );
}

#[test]
fn bounds_are_scipys_beta_quantiles() {
    for case in fixture().bounds {
        assert_near(upper_bound(case.hits, case.trials), case.bound);
    }
    assert_eq!(upper_bound(5, 5), 1.0);
    assert_eq!(upper_bound(0, 0), 1.0);
}

#[test]
fn pareto_tails_are_scipys() {
    for case in fixture().pareto {
        let fit = Pareto::fit(&case.values).unwrap();
        assert_near(fit.shape, case.shape);
        assert_near(fit.scale, case.scale);
        assert_near(fit.exceeded_by(case.rate), case.exceeded_by);
    }
    assert_eq!(Pareto::fit(&[7]), None);
    assert_eq!(Pareto::fit(&[7, 7, 9]), None);
}

#[test]
fn at_most_the_stated_share_lies_above_a_quantile() {
    let values: Vec<u32> = (0..1000).rev().collect();
    assert_eq!(exceeded_by(values.clone(), 0.001), 998);
    assert_eq!(exceeded_by(values.clone(), 0.0), 999);
    assert_eq!(exceeded_by(values, 0.0105), 989);
    assert_eq!(exceeded_by(vec![5, 5, 5, 9], 0.5), 5);
    assert_eq!(exceeded_by(vec![], 0.5), 0);
}

#[test]
fn the_tail_is_counted_where_it_can_be_and_extrapolated_elsewhere() {
    let many: Vec<u32> = (0..1000).collect();
    let counted = tail_threshold(&many, 0.01);
    assert_eq!(
        (counted.threshold, counted.method),
        (989, "empirical quantile")
    );

    let fixture = fixture();
    let sample = fixture
        .pareto
        .iter()
        .find(|c| c.values.len() == 48 && c.rate == 0.001);
    let sample = sample.unwrap();
    let extrapolated = tail_threshold(&sample.values, 0.001);
    assert_eq!(extrapolated.method, "generalized pareto");
    assert_eq!(extrapolated.threshold, sample.exceeded_by.ceil() as u32);

    let outlier: Vec<u32> = (0..30).map(|i| 100 + i % 3).chain([5000]).collect();
    let seen = tail_threshold(&outlier, 0.001);
    assert_eq!((seen.threshold, seen.method), (5000, "largest seen"));
    // One of 31 may be an alarm here, and is.
    let fitted = tail_threshold(&outlier, 0.05);
    assert_eq!(fitted.method, "generalized pareto");
    assert!((103..2500).contains(&fitted.threshold), "{fitted:?}");
    assert_eq!(tail_threshold(&[40; 6], 0.001).threshold, 40);
    assert_eq!(tail_threshold(&[12], 0.001).threshold, 12);
}

#[test]
fn an_extrapolated_threshold_keeps_its_false_alarm_rate() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut draw = || {
        let uniform: f64 = f64::from(rng.random_range(1_u32..1 << 30)) / f64::from(1 << 30);
        (1000.0 - 100.0 * (-uniform.ln()).ln()) as u32
    };
    let rate = 0.01;
    let mut alarms = 0;
    for _ in 0..100 {
        let good: Vec<u32> = (0..60).map(|_| draw()).collect();
        let threshold = tail_threshold(&good, rate).threshold;
        alarms += (0..200).filter(|_| draw() > threshold).count();
    }
    let found = alarms as f64 / 20_000.0;
    assert!((0.004..0.02).contains(&found), "{found}");
}

#[test]
fn the_interval_of_a_threshold_holds_it_and_narrows_with_the_sample() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut draw = |count: usize| -> Vec<u32> {
        let exponential = |uniform: f64| (1000.0 - 100.0 * uniform.ln()) as u32;
        (0..count)
            .map(|_| exponential(rng.random_range(1e-9..1.0)))
            .collect()
    };
    // 1 of 20 exceeds 1000 + 100 ln 20.
    let (truth, rate) = (1299.6, 0.05);
    let mut held = 0;
    let mut width = |count: usize| {
        let (mut widths, mut inside) = (0, 0);
        for _ in 0..40 {
            let (low, high) = tail_interval(&draw(count), rate);
            widths += high - low;
            inside += usize::from((f64::from(low)..f64::from(high)).contains(&truth));
        }
        held += inside;
        widths / 40
    };
    let (few, many) = (width(50), width(150));
    assert!(2 * many < 3 * few && many > 20, "{few}, {many}");
    assert!(held >= 68, "{held} of 80");
    assert_eq!(tail_interval(&[9; 30], 0.01), (9, 9));
    assert_eq!(tail_interval(&[], 0.01), (0, 0));
}

const SIDE: usize = 40;

/// Noise of `0..60`, with one brighter speck of 3x3 an image.
fn noise_maps(count: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut map = || {
        let mut map: Vec<u32> = (0..SIDE * SIDE).map(|_| rng.random_range(0..60)).collect();
        let (x, y) = (rng.random_range(0..SIDE - 3), rng.random_range(0..SIDE - 3));
        let strength = rng.random_range(50..90);
        for row in y..y + 3 {
            for value in &mut map[row * SIDE + x..][..3] {
                *value += strength;
            }
        }
        map
    };
    (0..count).map(|_| map()).collect()
}

fn size() -> Size {
    Size::new(SIDE, SIDE).unwrap()
}

fn scale() -> MapScale {
    MapScale::new(4, 5).unwrap()
}

#[test]
fn no_good_image_of_a_small_sample_is_an_alarm() {
    let maps = noise_maps(48, 1);
    let found = calibrate(&maps, size(), scale(), &Options::default()).unwrap();
    let rule = found.rule;
    for (map, score) in maps.iter().zip(&found.scores) {
        let again = image_score(map, size(), rule.pixel_threshold().raw, rule.min_area());
        assert_eq!(*score, again);
        assert!(*score <= rule.image_threshold().raw);
    }
    let suspects = maps
        .iter()
        .flatten()
        .filter(|v| **v > rule.pixel_threshold().raw);
    assert!(suspects.count() <= 48 * SIDE * SIDE / 1000);
    assert!(rule.pixel_threshold().raw < rule.image_threshold().raw);
    assert_eq!(found.calibration.images, 48);
    assert_near(
        found.calibration.false_alarm_bound,
        1.0 - 0.05_f64.powf(1.0 / 48.0),
    );
    assert_eq!(found.warnings, [] as [&str; 0]);
}

#[test]
fn a_large_sample_is_counted_and_its_alarms_bounded() {
    let maps = noise_maps(100, 2);
    let options = Options {
        false_alarm_rate: 0.1,
        ..Options::default()
    };
    let found = calibrate(&maps, size(), scale(), &options).unwrap();
    let alarms = found.scores.iter();
    let alarms = alarms
        .filter(|s| **s > found.rule.image_threshold().raw)
        .count();
    assert_eq!(found.calibration.method, "empirical quantile");
    assert!((8..=10).contains(&alarms), "{alarms}");
    assert_near(
        found.calibration.false_alarm_bound,
        upper_bound(alarms, 100),
    );
}

/// Differences that grow by the guard band stop no image that was not stopped before.
#[test]
fn a_guard_band_raises_what_decides_and_nothing_else() {
    let maps = noise_maps(100, 5);
    let plain = Options {
        false_alarm_rate: 0.1,
        ..Options::default()
    };
    let guarded = Options {
        guard: 0.2,
        ..plain
    };
    let of = |options| calibrate(&maps, size(), scale(), options).unwrap();
    let (plain, guarded) = (of(&plain), of(&guarded));
    let raised = |raw: u32| (f64::from(raw) * 1.2).ceil() as u32;
    let low = plain.rule.image_threshold().raw;
    let high = guarded.rule.image_threshold().raw;
    assert_eq!(high, raised(low));
    assert_eq!(guarded.rule.pixel_threshold(), plain.rule.pixel_threshold());
    let (from, to) = plain.calibration.threshold_interval.unwrap();
    let interval = guarded.calibration.threshold_interval;
    assert_eq!(interval, Some((raised(from), raised(to))));
    assert_eq!(guarded.calibration.guard, 0.2);
    let stopped = |grown: f64, raw| {
        let scores = plain.scores.iter();
        scores
            .filter(|&&score| f64::from(score) * grown > f64::from(raw))
            .count()
    };
    assert!(stopped(1.0, low) > 0);
    assert!(stopped(1.2, low) > stopped(1.0, low));
    assert!(stopped(1.2, high) <= stopped(1.0, low));
}

#[test]
fn a_threshold_that_nothing_can_pass_is_said_to_be_one() {
    let white = 255 * scale().steps_per_grey();
    let maps = vec![vec![white; SIDE * SIDE]; 30];
    let guarded = Options {
        guard: 0.5,
        ..Options::default()
    };
    let found = calibrate(&maps, size(), scale(), &guarded).unwrap();
    assert_eq!(found.rule.image_threshold().raw, white);
    assert_eq!(found.calibration.threshold_interval, Some((white, white)));
    assert!(
        found.warnings[0].contains("nothing"),
        "{:?}",
        found.warnings
    );
}

#[test]
fn the_pixel_threshold_never_passes_the_image_threshold() {
    let options = Options {
        pixel_rate: 0.0,
        min_area: 200,
        ..Options::default()
    };
    let found = calibrate(&noise_maps(30, 3), size(), scale(), &options).unwrap();
    assert_eq!(found.rule.pixel_threshold(), found.rule.image_threshold());
}

#[test]
fn a_poor_sample_is_said_to_be_poor() {
    let blank = vec![vec![0; SIDE * SIDE]; 3];
    let found = calibrate(&blank, size(), scale(), &Options::default()).unwrap();
    assert_eq!(found.rule.image_threshold().raw, 0);
    assert!(
        found.warnings[0].contains("only 3 good images"),
        "{:?}",
        found.warnings
    );
    assert!(
        found.warnings[1].contains("exactly"),
        "{:?}",
        found.warnings
    );
}

#[test]
fn bad_requests_are_refused_by_name() {
    let maps = noise_maps(2, 4);
    let refused = |options: Options| {
        let error = calibrate(&maps, size(), scale(), &options).unwrap_err();
        error.to_string()
    };
    let base = Options::default();
    for rate in [0.0, 1.0, -1.0, f64::NAN] {
        let line = refused(Options {
            false_alarm_rate: rate,
            ..base
        });
        assert!(line.contains("--false-alarms"), "{line}");
    }
    for guard in [-0.1, 9.5, f64::INFINITY, f64::NAN] {
        let line = refused(Options { guard, ..base });
        assert!(line.contains("--guard"), "{line}");
    }
    for pixel_rate in [-0.1, 1.0, f64::NAN] {
        let line = refused(Options { pixel_rate, ..base });
        assert!(line.contains("--pixel-rate"), "{line}");
    }
    let line = refused(Options {
        min_area: 0,
        ..base
    });
    assert!(line.contains("--min-area"), "{line}");
    let none = calibrate(&[], size(), scale(), &base).unwrap_err();
    assert!(none.to_string().contains("no good images"), "{none}");
    let short = calibrate(&[vec![1; 5]], size(), scale(), &base).unwrap_err();
    assert!(short.to_string().contains("5 values"), "{short}");
}

/// Reconstructs every image as itself, or as one even grey.
struct Paints(Option<u8>);

impl Engine for Paints {
    fn input(&self) -> Size {
        Size::new(96, 64).unwrap()
    }

    fn fraction_bits(&self) -> u8 {
        4
    }

    fn reconstruct(
        &mut self,
        frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError> {
        for (value, &grey) in reconstruction.iter_mut().zip(frame.pixels()) {
            *value = i32::from(self.0.unwrap_or(grey)) << 4;
        }
        Ok(())
    }
}

#[test]
fn marks_are_found_unless_they_are_reproduced_too_faint_or_of_the_other_sign() {
    let size = Paints(None).input();
    let even = Grey {
        size,
        pixels: vec![100; size.area()],
    };
    let found = |engine: Option<u8>, comparison, level: u32| {
        let scale = MapScale::new(4, 5).unwrap();
        let threshold = level * scale.steps_per_grey();
        let rule = DecisionRule::new(comparison, scale, threshold, 4, threshold).unwrap();
        let marks = marks(&mut Paints(engine), rule, &[even.clone(), even.clone()]).unwrap();
        assert!(marks.iter().all(|marks| marks.painted == 24));
        let contrasts: Vec<_> = marks.iter().map(|marks| marks.contrast).collect();
        assert_eq!(contrasts, [16, 32, 64, 128]);
        let copies = if engine.is_none() { 1.0 } else { 0.0 };
        assert!(marks.iter().all(|marks| marks.reproduced == copies));
        marks.iter().map(|marks| marks.found).collect::<Vec<_>>()
    };
    assert_eq!(found(None, Comparison::Absolute, 1), [0; 4]);
    for comparison in [Comparison::Absolute, Comparison::Dark, Comparison::Bright] {
        assert_eq!(found(Some(100), comparison, 2), [24; 4]);
        // A line of 2 pixels fills two fifths of the box.
        assert_eq!(found(Some(100), comparison, 20), [0, 0, 24, 24]);
    }
    assert_eq!(found(Some(0), Comparison::Dark, 2), [0; 4]);
    let none = marks(
        &mut Paints(None),
        DecisionRule::new(Comparison::Dark, MapScale::new(4, 5).unwrap(), 1, 1, 1).unwrap(),
        &[],
    );
    assert_eq!(none.unwrap(), []);
}

fn calibrated() -> Calibrated {
    let found = calibrate(&noise_maps(48, 5), size(), scale(), &Options::default()).unwrap();
    Calibrated {
        digest: Digest([0xc4; 32]),
        input: size(),
        rule: found.rule,
        calibration: found.calibration,
        marks: Vec::new(),
        warnings: found.warnings,
    }
}

#[test]
fn the_file_holds_all_of_it() {
    let calibrated = calibrated();
    let text = toml::to_string(&calibrated).unwrap();
    assert_eq!(toml::from_str::<Calibrated>(&text).unwrap(), calibrated);
    let stranger = format!("colour = 3\n{text}");
    let refused = toml::from_str::<Calibrated>(&stranger).unwrap_err();
    assert!(refused.message().contains("colour"), "{refused}");
}

#[test]
fn the_words_give_grey_levels_and_what_the_sample_can_say() {
    let calibrated = calibrated();
    let words = calibrated.words();
    for expected in [
        format!(
            "{:.3} grey levels",
            calibrated.rule.image_threshold().grey()
        ),
        "at least 4 pixels".into(),
        "48 good images".into(),
        "about 1 in 1000".into(),
        "6.1 in 100".into(),
        "extrapolated".into(),
    ] {
        assert!(words.contains(&expected), "{expected}: {words}");
    }
}
