//! Every size rule at its border, on every target, from a given reconstruction on: regions at each
//! border and corner, frames full and empty, rows and columns alone, boxes wider than the image,
//! tables that are just large enough and one entry too small, residuals and reconstructions at
//! their limits.

use std::num::NonZeroU8;

use residua_edge::regions::{max_regions, max_runs};
use residua_runner::case::Engine;
use residua_shared::{
    frame::Size,
    rule::{ColumnWeights, Comparison, DecisionRule, MapScale, ZONES},
    verdict::Outcome,
};
use residua_tests::{
    suite::{Subject, check_on_targets},
    targets::{Answer, Case},
};

const COMPARISONS: [Comparison; 3] = [Comparison::Absolute, Comparison::Dark, Comparison::Bright];

fn size(width: usize, height: usize) -> Size {
    Size::new(width, height).unwrap()
}

/// The answers of all targets, which are the judge's, one list for each case.
fn check(test: &str, cases: Vec<(String, Case)>) -> Vec<Vec<Answer>> {
    let subject = |(name, case)| Subject {
        name,
        rerun: format!("cargo xtask test -p residua-tests --test borders {test}"),
        case,
    };
    check_on_targets(&cases.into_iter().map(subject).collect::<Vec<_>>())
}

/// Images and their reconstructions, with ample tables and a box of one pixel.
fn case(input: Size, images: &[Vec<u8>], reconstructions: &[Vec<i32>]) -> Case {
    let values = reconstructions.concat();
    let scale = MapScale::new(4, 1).unwrap();
    Case {
        engine: Engine::Given(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        input,
        rule: DecisionRule::new(Comparison::Absolute, scale, 0, 1, 0).unwrap(),
        runs: max_runs(input) as u32,
        regions: max_regions(input) as u32,
        images: images.concat(),
        first: 0,
        repetitions: 1,
    }
}

/// Images that are suspect exactly where `suspects` are, each pixel with a peak of its own.
fn shapes(input: Size, suspects: &[Vec<bool>]) -> Case {
    let image = |suspect: &Vec<bool>| {
        let pixels = suspect.iter().enumerate();
        pixels
            .map(|(n, &is)| if is { 1 + (n % 200) as u8 } else { 0 })
            .collect()
    };
    let images: Vec<Vec<u8>> = suspects.iter().map(image).collect();
    case(input, &images, &vec![vec![0; input.area()]; images.len()])
}

#[test]
fn one_pixel_everywhere() {
    let mut cases = Vec::new();
    for (width, height) in [(1, 1), (1, 9), (9, 1), (9, 7), (2, 2)] {
        let input = size(width, height);
        let suspects: Vec<Vec<bool>> = (0..input.area())
            .map(|at| (0..input.area()).map(|n| n == at).collect())
            .collect();
        cases.push((format!("one pixel of {input}"), shapes(input, &suspects)));
    }
    let expected: Vec<usize> = cases.iter().map(|(_, case)| case.input.area()).collect();
    for (answers, area) in check("one_pixel_everywhere", cases).iter().zip(expected) {
        assert_eq!(answers.len(), area);
        for answer in answers {
            let [region] = answer.suspects[..] else {
                panic!("{} regions", answer.suspects.len())
            };
            assert_eq!(
                (region.area, region.left, region.top),
                (1, region.right, region.bottom)
            );
            assert_eq!(answer.verdict.outcome, Outcome::Defect);
        }
    }
}

/// Bars along each border and blocks in each corner, through the box filter of every side.
#[test]
fn regions_at_borders_and_corners_in_every_box() {
    let input = size(13, 11);
    let inside = |test: fn(usize, usize) -> bool| {
        (0..input.area())
            .map(|n| test(n % 13, n / 13))
            .collect::<Vec<bool>>()
    };
    let suspects = [
        inside(|x, _| x == 0),
        inside(|x, _| x == 12),
        inside(|_, y| y == 0),
        inside(|_, y| y == 10),
        inside(|x, y| x < 2 && y < 2),
        inside(|x, y| x > 10 && y < 2),
        inside(|x, y| x < 2 && y > 8),
        inside(|x, y| x > 10 && y > 8),
        inside(|x, y| x == 0 || y == 0 || x == 12 || y == 10),
        inside(|x, y| (x == 0 || x == 12) && (y == 0 || y == 10)),
    ];
    let cases = boxes(&shapes(input, &suspects), &[0, 300, 4000]);
    for answers in check("regions_at_borders_and_corners_in_every_box", cases) {
        assert_eq!(answers.len(), suspects.len());
    }
}

/// The case under every box from 1 to 11 and the largest, every comparison and these thresholds.
fn boxes(case: &Case, thresholds: &[u32]) -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    for side in [1, 3, 5, 7, 9, 11, 31] {
        for comparison in COMPARISONS {
            for &threshold in thresholds {
                let scale = MapScale::new(4, side).unwrap();
                let rule = DecisionRule::new(comparison, scale, threshold, 2, threshold + 200);
                cases.push((
                    format!(
                        "{}, box {side}, {comparison:?} above {threshold}",
                        case.input
                    ),
                    Case {
                        rule: rule.unwrap(),
                        ..case.clone()
                    },
                ));
            }
        }
    }
    cases
}

/// Widths odd and even, narrower than the box, single rows and columns, and the widest image there
/// is.
#[test]
fn sizes_around_the_box() {
    let mut cases = Vec::new();
    let sides = [1, 2, 3, 4, 5, 6, 7, 10, 11, 12];
    let squares = sides.map(|side| (side, 13 - side));
    for (width, height) in [(1, 40), (40, 1), (37, 3), (3, 37), (8192, 1), (1, 8192)]
        .into_iter()
        .chain(squares)
    {
        let input = size(width, height);
        let noise = |n: usize, factor: usize| n.wrapping_mul(factor) >> 7;
        let image = (0..input.area()).map(|n| noise(n, 40503) as u8).collect();
        let values = (0..input.area()).map(|n| (noise(n, 60493) & 4095) as i32);
        let case = case(input, &[image], &[values.collect()]);
        cases.extend(boxes(&case, &[1000]));
    }
    check("sizes_around_the_box", cases);
}

#[test]
fn full_and_empty_frames() {
    let mut cases = Vec::new();
    for (width, height) in [(1, 1), (1, 33), (33, 1), (31, 17), (64, 64)] {
        let input = size(width, height);
        let frames = [vec![true; input.area()], vec![false; input.area()]];
        cases.push((format!("full and empty {input}"), shapes(input, &frames)));
    }
    let areas: Vec<u32> = cases.iter().map(|(_, c)| c.input.area() as u32).collect();
    for (answers, area) in check("full_and_empty_frames", cases).iter().zip(areas) {
        let [full, empty] = &answers[..] else {
            panic!("two frames")
        };
        assert_eq!(full.suspects.len(), 1);
        assert_eq!(full.suspects[0].area, area);
        assert!(full.mask.iter().all(|&value| value == 255));
        assert!(empty.suspects.is_empty());
        assert_eq!(
            (empty.verdict.outcome, empty.verdict.score),
            (Outcome::Good, 0)
        );
    }
}

/// Black and white images with reconstructions at, beyond and absurdly beyond the image's range.
#[test]
fn extreme_values() {
    let input = size(6, 5);
    let mut cases = Vec::new();
    for bits in [4, 12] {
        let white = 255 << bits;
        let levels = [0, 1, -1, white, white + 1, white - 1, i32::MIN, i32::MAX];
        for grey in [0, 255] {
            let images = vec![vec![grey; input.area()]; levels.len()];
            let values = levels.map(|level| vec![level; input.area()]);
            let parts = [
                (1, 0, 0, None),
                (31, 0, 0, Some(ColumnWeights::new([NonZeroU8::MAX; ZONES]))),
                (1, 1, 1, Some(ColumnWeights::new([NonZeroU8::MIN; ZONES]))),
                (31, 255, 64, None),
            ];
            for (side, ground, roughness, columns) in parts {
                let scale = MapScale::new(bits, side).unwrap();
                let scale = scale.on(NonZeroU8::new(ground));
                let scale = scale.weighed_by(NonZeroU8::new(roughness)).unwrap();
                for comparison in COMPARISONS {
                    let rule = DecisionRule::new(comparison, scale, 1, 30, u32::MAX / 4);
                    let case = Case {
                        rule: rule.unwrap().weighing(columns),
                        ..case(input, &images, &values)
                    };
                    let name = format!(
                        "grey {grey}, {bits} bits, box {side}, ground {ground}, roughness {roughness}, \
                         columns {}, {comparison:?}",
                        columns.is_some()
                    );
                    cases.push((name, case));
                }
            }
        }
    }
    check("extreme_values", cases);
}

/// Columns need the most runs, dots the most regions. With one entry less, or none, it must be a
/// defect that says so.
#[test]
fn tables_that_are_just_large_enough_and_too_small() {
    let input = size(7, 5);
    let columns: Vec<bool> = (0..35).map(|n| n % 7 % 2 == 0).collect();
    let dots: Vec<bool> = (0..35).map(|n| n % 7 % 2 == 0 && n / 7 % 2 == 0).collect();
    let ample = shapes(input, &[columns, dots, vec![false; 35]]);
    let (runs, regions) = (ample.runs, ample.regions);
    let tables = [
        ((runs, regions), [false, false]),
        ((runs - 1, regions), [true, false]),
        ((runs, regions - 1), [false, true]),
        ((1, 1), [true, true]),
        ((0, 0), [true, true]),
    ];
    let with = |((runs, regions), _)| {
        let case = Case {
            runs,
            regions,
            ..ample.clone()
        };
        (format!("{runs} runs, {regions} regions"), case)
    };
    let cases = tables.map(with).into();
    let answers = check("tables_that_are_just_large_enough_and_too_small", cases);
    for (answers, (tables, [columns, dots])) in answers.iter().zip(tables) {
        let overflows: Vec<bool> = answers.iter().map(|a| a.verdict.overflow).collect();
        assert_eq!(overflows, [columns, dots, false], "{tables:?}");
        for answer in answers {
            assert!(!answer.verdict.overflow || answer.verdict.outcome == Outcome::Defect);
        }
    }
}

/// More regions that count than a report carries.
#[test]
fn reports_of_more_regions_than_a_frame_holds() {
    let input = size(40, 9);
    let dots = (0..360).map(|n| n % 40 % 2 == 0 && n / 40 % 2 == 0);
    let cases = vec![("100 dots".into(), shapes(input, &[dots.collect()]))];
    let answers = check("reports_of_more_regions_than_a_frame_holds", cases);
    assert_eq!(answers[0][0].verdict.regions, 100);
}
