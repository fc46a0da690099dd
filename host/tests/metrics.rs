//! Every metric against scikit-learn, scipy and plain slow code; see `fixtures/metrics/make.py`.

use residua_host::{
    data::{Grey, Label},
    eval::{Evaluator, Observation, Point, Scores, components, image_score, text},
};
use residua_shared::{
    frame::Size,
    rule::{Comparison, DecisionRule, MapScale},
    verdict::{Outcome, Verdict},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    scores: Vec<ScoresCase>,
    maps: Vec<MapsCase>,
    image_scores: Vec<ImageScoreCase>,
}

#[derive(Deserialize)]
struct ScoresCase {
    name: String,
    positives: Vec<u32>,
    negatives: Vec<u32>,
    auroc: Option<f64>,
    ap: Option<f64>,
    roc: Vec<(f64, f64)>,
    precision_recall: Vec<(f64, f64)>,
    f1_best: Option<f64>,
    plateau: Option<(u32, u32)>,
    f1_at: Vec<(u32, Option<f64>)>,
}

#[derive(Deserialize)]
struct MapsCase {
    name: String,
    width: usize,
    height: usize,
    rule: Rule,
    maps: Vec<Vec<u32>>,
    truths: Vec<Vec<u8>>,
    masks: Vec<Vec<u8>>,
    scores: Vec<u32>,
    image: ImageExpected,
    region: RegionExpected,
    pixel: PixelExpected,
}

#[derive(Deserialize)]
struct Rule {
    pixel_threshold: u32,
    min_area: u32,
    image_threshold: u32,
}

#[derive(Deserialize)]
struct ImageExpected {
    auroc: Option<f64>,
    f1: Option<f64>,
    f1_best: Option<f64>,
}

#[derive(Deserialize, PartialEq, Debug)]
struct RegionExpected {
    defects: usize,
    found: usize,
    predicted: usize,
    right: usize,
}

#[derive(Deserialize)]
struct PixelExpected {
    auroc: Option<f64>,
    ap: Option<f64>,
    f1: Option<f64>,
    /// Of one threshold on every pixel.
    f1_best: Option<f64>,
    iou: Option<f64>,
    aupro: Option<f64>,
}

#[derive(Deserialize)]
struct ImageScoreCase {
    width: usize,
    height: usize,
    map: Vec<u32>,
    pixel_threshold: u32,
    min_area: u32,
    score: u32,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/metrics/metrics.json")).unwrap()
}

fn assert_near(found: Option<f64>, expected: Option<f64>, what: &str) {
    let equal = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
        (found, expected) => found == expected,
    };
    assert!(equal, "{what}: {found:?}, expected {expected:?}");
}

fn assert_curve(found: &[Point], expected: &[(f64, f64)], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert_near(Some(found.x), Some(expected.0), what);
        assert_near(Some(found.y), Some(expected.1), what);
    }
}

#[test]
fn areas_and_curves_are_scikit_learns() {
    for case in fixture().scores {
        let name = &case.name;
        let scores = Scores::new(case.positives, case.negatives);
        assert_near(scores.auroc(), case.auroc, &format!("{name}: auroc"));
        assert_near(scores.average_precision(), case.ap, &format!("{name}: ap"));
        assert_curve(&scores.roc(0.0), &case.roc, &format!("{name}: roc"));
        assert_curve(
            &scores.precision_recall(0.0),
            &case.precision_recall,
            &format!("{name}: precision-recall"),
        );
    }
}

#[test]
fn f1_its_best_and_its_plateau_are_those_of_all_integer_thresholds() {
    for case in fixture().scores {
        let name = &case.name;
        let scores = Scores::new(case.positives, case.negatives);
        let best = scores.best_f1();
        assert_near(
            best.map(|b| b.f1),
            case.f1_best,
            &format!("{name}: best F1"),
        );
        for (threshold, expected) in case.f1_at {
            let found = scores.f1_at(threshold);
            assert_near(found, expected, &format!("{name}: F1 above {threshold}"));
        }
        if let Some(best) = best {
            assert_near(
                scores.f1_at(best.threshold),
                Some(best.f1),
                &format!("{name}: F1 at the best threshold"),
            );
        }
        let plateau = scores.plateau();
        assert_eq!(plateau.map(|p| (p.low, p.high)), case.plateau, "{name}");
        if let (Some(plateau), Some(best)) = (plateau, best) {
            assert!(plateau.contains(best.threshold), "{name}");
        }
    }
}

#[test]
fn thinned_curves_keep_their_ends_and_lose_little() {
    let values = |step: usize, count: u32| (0..count).map(|i| i * step as u32 % 977).collect();
    let scores = Scores::new(values(7, 3000), values(5, 5000));
    let (all, thin) = (scores.roc(0.0), scores.roc(0.01));
    assert!(thin.len() < all.len() / 4 && thin.len() > 50);
    assert_eq!((thin.first(), thin.last()), (all.first(), all.last()));
    let apart = |a: &Point, b: &Point| (a.x - b.x).abs() + (a.y - b.y).abs();
    for point in &all {
        let nearest = thin.iter().map(|kept| apart(kept, point));
        assert!(nearest.fold(f64::MAX, f64::min) < 0.01);
    }
}

#[test]
fn image_scores_are_those_of_the_rule_tried_at_every_threshold() {
    for case in fixture().image_scores {
        let size = Size::new(case.width, case.height).unwrap();
        let found = image_score(&case.map, size, case.pixel_threshold, case.min_area);
        assert_eq!(
            found, case.score,
            "pixel threshold {}, minimum area {}",
            case.pixel_threshold, case.min_area
        );
    }
}

#[test]
fn components_touch_at_corners_and_not_across_the_border() {
    let mask = b"\
        #...#\
        .#..#\
        .....\
        ##..#";
    let size = Size::new(5, 4).unwrap();
    let found = components(size, |pixel| mask[pixel] == b'#');
    assert_eq!(found.areas, [2, 2, 2, 1]);
    assert_eq!(
        found.labels,
        [1, 0, 0, 0, 2, 0, 1, 0, 0, 2, 0, 0, 0, 0, 0, 3, 3, 0, 0, 4]
    );
}

fn kind(truth: &[u8]) -> Label {
    if truth.contains(&1) {
        let kind = "blemish".into();
        Label::Defect { kind }
    } else {
        Label::Good
    }
}

fn rule(rule: &Rule) -> DecisionRule {
    DecisionRule::new(
        Comparison::Absolute,
        MapScale::new(4, 1).unwrap(),
        rule.pixel_threshold,
        rule.min_area,
        rule.image_threshold,
    )
    .unwrap()
}

#[test]
fn evaluations_of_maps_are_those_of_scikit_learn_and_scipy() {
    for case in fixture().maps {
        let size = Size::new(case.width, case.height).unwrap();
        let mut evaluator = Evaluator::new(rule(&case.rule));
        for ((map, truth), mask) in case.maps.iter().zip(&case.truths).zip(&case.masks) {
            let label = kind(truth);
            let pixels = truth.iter().map(|t| t * 255).collect();
            let grey = Grey { size, pixels };
            let defect = mask.contains(&1);
            evaluator
                .add(&Observation {
                    name: "image",
                    label: &label,
                    truth: (label != Label::Good).then_some(&grey),
                    truth_by_kind: &[],
                    size,
                    map,
                    mask,
                    verdict: Verdict {
                        outcome: if defect {
                            Outcome::Defect
                        } else {
                            Outcome::Good
                        },
                        score: 0,
                        regions: 0,
                        overflow: false,
                    },
                    milliseconds: 1.0,
                })
                .unwrap();
        }
        let evaluation = evaluator.finish();
        let near = |found, expected, what| {
            assert_near(found, expected, &format!("{}: {what}", case.name));
        };
        let scores: Vec<_> = evaluation.images.iter().map(|i| i.score).collect();
        assert_eq!(scores, case.scores, "{}", case.name);
        for image in &evaluation.images {
            let above = image.score > case.rule.image_threshold;
            assert_eq!(above, image.outcome == Outcome::Defect, "{}", case.name);
        }
        let (image, pixel) = (evaluation.figures.image, evaluation.figures.pixel);
        near(image.auroc, case.image.auroc, "image AUROC");
        near(image.f1, case.image.f1, "image F1");
        near(image.f1_best, case.image.f1_best, "image best F1");
        near(pixel.auroc, case.pixel.auroc, "pixel AUROC");
        near(pixel.ap, case.pixel.ap, "pixel AP");
        near(pixel.f1, case.pixel.f1, "pixel F1");
        let plain = evaluation.pixel_scores.best_f1().map(|best| best.f1);
        near(plain, case.pixel.f1_best, "pixel best F1 of one threshold");
        let best = case
            .pixel
            .f1_best
            .into_iter()
            .chain(case.pixel.f1)
            .reduce(f64::max);
        near(pixel.f1_best, best, "pixel best F1");
        near(pixel.iou, case.pixel.iou, "IoU");
        near(pixel.aupro, case.pixel.aupro, "AUPRO");
        let region = evaluation.figures.region;
        let counts = RegionExpected {
            defects: region.defects,
            found: region.found,
            predicted: region.predicted,
            right: region.right,
        };
        assert_eq!(counts, case.region, "{}", case.name);
        let ratio = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        near(region.recall, ratio(counts.found, counts.defects), "recall");
        let precision = ratio(counts.right, counts.predicted).filter(|_| counts.defects > 0);
        near(region.precision, precision, "precision");
    }
}

fn observe(evaluator: &mut Evaluator, label: Label, truth: Option<&Grey>, defect: bool, ms: f64) {
    let size = Size::new(4, 2).unwrap();
    let value = if defect { 100 } else { 3 };
    evaluator
        .add(&Observation {
            name: "image",
            label: &label,
            truth,
            truth_by_kind: &[],
            size,
            map: &[value; 8],
            mask: &[u8::from(defect); 8],
            verdict: Verdict {
                outcome: if defect {
                    Outcome::Defect
                } else {
                    Outcome::Good
                },
                score: value,
                regions: defect.into(),
                overflow: false,
            },
            milliseconds: ms,
        })
        .unwrap();
}

fn defect(kind: &str) -> Label {
    Label::Defect { kind: kind.into() }
}

#[test]
fn defects_without_a_mask_count_for_images_and_not_for_pixels() {
    let thresholds = Rule {
        pixel_threshold: 10,
        min_area: 1,
        image_threshold: 20,
    };
    let mut evaluator = Evaluator::new(rule(&thresholds));
    observe(&mut evaluator, defect("crack"), None, true, 1.0);
    observe(&mut evaluator, defect("dent"), None, false, 9.0);
    observe(&mut evaluator, Label::Good, None, false, 2.0);
    observe(&mut evaluator, Label::Good, None, true, 4.0);
    let figures = evaluator.finish().figures;
    assert_eq!((figures.images.good, figures.images.defect), (2, 2));
    assert_eq!(figures.images.defect_with_mask, 0);
    assert_eq!(figures.image.f1, Some(0.5));
    assert_eq!((figures.image.false_alarms, figures.image.missed), (1, 1));
    assert_eq!(figures.image.auroc, Some(0.5));
    assert_eq!((figures.pixel.auroc, figures.pixel.f1), (None, None));
    assert_eq!(
        (figures.region.recall, figures.region.precision),
        (None, None)
    );
    assert_eq!(figures.ms_per_image, Some(3.0));
    let kinds: Vec<_> = figures
        .kinds
        .iter()
        .map(|k| (&*k.kind, k.found, k.auroc))
        .collect();
    assert_eq!(kinds, [("crack", 1, Some(0.75)), ("dent", 0, Some(0.25))]);
}

/// Rows of `#` and `.`, 255 and 0.
fn drawn(size: Size, rows: &str) -> Grey {
    let marks = rows.bytes().filter(|byte| b"#.".contains(byte));
    let pixels = marks.map(|mark| if mark == b'#' { 255 } else { 0 });
    Grey {
        size,
        pixels: pixels.collect(),
    }
}

#[test]
fn defects_are_counted_by_their_own_kind_in_images_of_one_and_of_several() {
    let thresholds = Rule {
        pixel_threshold: 10,
        min_area: 1,
        image_threshold: 20,
    };
    let size = Size::new(16, 3).unwrap();
    let mut evaluator = Evaluator::new(rule(&thresholds));
    let mut add = |label: &Label, truth: &str, by_kind: &[(&str, &str)], mask: &str| {
        let by_kind = by_kind.iter();
        let by_kind: Vec<_> = by_kind
            .map(|(kind, rows)| ((*kind).to_owned(), drawn(size, rows)))
            .collect();
        let truth = drawn(size, truth);
        evaluator
            .add(&Observation {
                name: "image",
                label,
                truth: Some(&truth),
                truth_by_kind: &by_kind,
                size,
                map: &[0; 48],
                mask: &drawn(size, mask).pixels,
                verdict: Verdict {
                    outcome: Outcome::Defect,
                    score: 0,
                    regions: 1,
                    overflow: false,
                },
                milliseconds: 1.0,
            })
            .unwrap();
    };
    // One of three cracks is met; a region beside the other is no luck.
    let none = "................";
    let cracks = format!("##......#....... {none} ..............##");
    let mask = format!(".#.....#........ {none} {none}");
    add(&defect("crack"), &cracks, &[], &mask);
    // They touch, so that the union is one component; the region meets the dent alone. Of the stain
    // there is nothing to see.
    let [crack, dent, stain, union, mask] = [
        ["##....", "#.....", "......"],
        ["......", ".##...", "..##.."],
        ["......", "......", "......"],
        ["##....", "###...", "..##.."],
        ["......", "......", "...###"],
    ]
    .map(|rows| rows.map(|row| format!("{row:.<16}")).concat());
    let kinds = [("crack", &*crack), ("dent", &dent), ("stain", &stain)];
    add(&defect("combined"), &union, &kinds, &mask);

    let figures = evaluator.finish().figures;
    assert_eq!((figures.region.defects, figures.region.found), (4, 2));
    let by_kind: Vec<_> = figures
        .regions_by_kind
        .iter()
        .map(|k| {
            let counts = [k.images, k.images_met, k.defects, k.found];
            (&*k.kind, counts, k.recall)
        })
        .collect();
    let expected = [("crack", [2, 1, 4, 1], 0.25), ("dent", [1, 1, 1, 1], 1.0)];
    assert_eq!(by_kind, expected);
    let folders: Vec<_> = figures.kinds.iter().map(|k| &*k.kind).collect();
    assert_eq!(folders, ["combined", "crack"]);

    let text = text(&figures, "native");
    let table: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with("Kind"))
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        table[1..],
        [
            ["crack", "2", "1", "4", "1", "0.250"],
            ["dent", "1", "1", "1", "1", "1.000"],
        ]
    );
    let json = serde_json::to_value(&figures).unwrap();
    assert_eq!(json["regions_by_kind"][0]["defects"], 4);
}

#[test]
fn what_cannot_be_measured_is_null_in_json() {
    let thresholds = Rule {
        pixel_threshold: 10,
        min_area: 1,
        image_threshold: 20,
    };
    let empty = Evaluator::new(rule(&thresholds)).finish().figures;
    let json = serde_json::to_value(&empty).unwrap();
    for path in [
        "/image/auroc",
        "/image/f1",
        "/image/f1_best",
        "/region/precision",
        "/region/recall",
        "/region/f1",
        "/pixel/auroc",
        "/pixel/ap",
        "/pixel/f1",
        "/pixel/f1_best",
        "/pixel/iou",
        "/pixel/aupro",
        "/plateau/image",
        "/plateau/pixel",
        "/ms_per_image",
    ] {
        let value = json.pointer(path);
        assert!(
            value.is_some_and(serde_json::Value::is_null),
            "{path}: {value:?}"
        );
    }
    assert_eq!(json["threshold"]["image"]["grey"], 1.25);
}

#[test]
fn a_mask_of_another_size_is_refused_by_name() {
    let thresholds = Rule {
        pixel_threshold: 10,
        min_area: 1,
        image_threshold: 20,
    };
    let size = Size::new(4, 2).unwrap();
    let truth = Grey {
        size: Size::new(2, 4).unwrap(),
        pixels: vec![0; 8],
    };
    let good = Grey {
        size,
        ..truth.clone()
    };
    let own = [("crack".to_owned(), truth.clone())];
    for (truth, truth_by_kind) in [(&truth, &[][..]), (&good, &own)] {
        let error = Evaluator::new(rule(&thresholds))
            .add(&Observation {
                name: "part_7.png",
                label: &defect("crack"),
                truth: Some(truth),
                truth_by_kind,
                size,
                map: &[0; 8],
                mask: &[0; 8],
                verdict: Verdict {
                    outcome: Outcome::Good,
                    score: 0,
                    regions: 0,
                    overflow: false,
                },
                milliseconds: 0.0,
            })
            .unwrap_err();
        let line = error.to_string();
        assert!(
            line.contains("part_7.png") && line.contains("2x4"),
            "{line}"
        );
    }
}
