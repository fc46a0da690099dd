//! The edge's path equals the scalar reference's bit for bit, whatever the residual, the size, the
//! rule or the shape of the defects.

mod common;

use std::num::NonZeroU8;

use common::{ample, by_edge, by_reference};
use proptest::{collection::vec, option::of, prelude::*};
use residua_shared::{
    frame::{Frame, Size},
    rule::{ColumnWeights, Comparison, DecisionRule, MAX_ROUGHNESS, MapScale, ZONES},
    verdict::Outcome,
};

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(Comparison::Absolute),
        Just(Comparison::Dark),
        Just(Comparison::Bright)
    ]
}

/// Reconstructions from exact to absurd: what an engine yields is not trusted to be in range.
fn reconstructed(pixel: u8, fraction_bits: u8, kind: u8, noise: i32) -> i32 {
    let x = i32::from(pixel) << fraction_bits;
    match kind {
        0 => noise,
        1 => i32::MIN,
        2 => i32::MAX,
        3 => x + (noise >> 16),
        4 => x + (noise >> 24),
        _ => x,
    }
}

prop_compose! {
    /// A size, an image, its reconstruction, and a rule whose thresholds lie where the map does.
    fn case()(
        width in prop_oneof![1_usize..=3, 1..=LARGEST],
        height in prop_oneof![1_usize..=3, 1..=LARGEST],
        fraction_bits in 4_u8..=12,
        radius in prop_oneof![0_u8..=2, 0_u8..=15],
        // The share of exact pixels decides whether regions are dust, islands or one continent.
        exact in prop_oneof![0_u8..=30, Just(200_u8)],
    )(
        pixels in vec(any::<u8>(), width * height),
        kinds in vec(0..=5 + exact, width * height),
        noise in vec(any::<i32>(), width * height),
        comparison in comparison(),
        pixel_threshold in (0_u32..=30, any::<u16>()),
        image_threshold in any::<u32>().prop_map(|n| n >> (n % 32)),
        min_area in prop_oneof![1_u32..=3, 1_u32..=5000],
        size in Just(Size::new(width, height).unwrap()),
        fraction_bits in Just(fraction_bits),
        radius in Just(radius),
        ground in prop_oneof![Just(0_u8), any::<u8>()],
        roughness in prop_oneof![Just(0_u8), 0..=MAX_ROUGHNESS],
        columns in of(vec(1_u8.., ZONES)),
    ) -> (Size, Vec<u8>, Vec<i32>, DecisionRule) {
        let scale = MapScale::new(fraction_bits, 2 * radius + 1).unwrap().on(NonZeroU8::new(ground))
            .weighed_by(NonZeroU8::new(roughness)).unwrap();
        let threshold = u32::from(pixel_threshold.1) << pixel_threshold.0 >> 16;
        let rule = DecisionRule::new(
            comparison, scale, threshold, min_area, threshold.saturating_add(image_threshold),
        ).unwrap().weighing(columns.map(column_weights));
        let reconstruction = pixels.iter().zip(&kinds).zip(&noise)
            .map(|((&x, &kind), &noise)| reconstructed(x, fraction_bits, kind, noise))
            .collect();
        (size, pixels, reconstruction, rule)
    }
}

fn column_weights(weights: Vec<u8>) -> ColumnWeights {
    let weight = |zone: usize| NonZeroU8::new(weights[zone]).unwrap();
    ColumnWeights::new(std::array::from_fn(weight))
}
/// Sides of random images. Interpreted, a pixel takes a thousand times as long.
const LARGEST: usize = if cfg!(miri) { 12 } else { 70 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 2000 }))]

    #[test]
    fn on_random_residuals((size, pixels, reconstruction, rule) in case()) {
        let frame = Frame::new(size, &pixels).unwrap();
        let edge = by_edge(rule, frame, &reconstruction, ample(size, rule));
        prop_assert_eq!(edge, by_reference(rule, frame, &reconstruction));
    }

    #[test]
    fn on_random_shapes(
        (width, height) in (1..=LARGEST.min(40), 1..=LARGEST.min(40)),
        density in 0_u8..=255,
        noise in vec(any::<u8>(), 1600),
        min_area in 1_u32..=20,
    ) {
        let suspect: Vec<bool> = noise[..width * height].iter().map(|&n| n <= density).collect();
        check_shape(Size::new(width, height).unwrap(), &suspect, min_area);
    }

    /// A table that is too small makes a defect, never a silently good image; one that is just
    /// large enough changes nothing.
    #[test]
    fn or_says_so(
        (size, pixels, reconstruction, rule) in case(),
        share in (0_usize..=100, 0_usize..=100),
    ) {
        let frame = Frame::new(size, &pixels).unwrap();
        let reference = by_reference(rule, frame, &reconstruction);
        let (runs, regions) = ample(size, rule);
        let tables = (runs * share.0 / 100, regions * share.1 / 100);
        let edge = by_edge(rule, frame, &reconstruction, tables);
        prop_assert_eq!(&edge.map, &reference.map);
        if edge.verdict.overflow {
            prop_assert_eq!(edge.verdict.outcome, Outcome::Defect);
            let suspect = |value: &u32| if *value > rule.pixel_threshold().raw { 255 } else { 0 };
            let suspects: Vec<u8> = edge.map.iter().map(suspect).collect();
            prop_assert_eq!(edge.mask, suspects);
        } else {
            prop_assert_eq!(edge, reference);
        }
    }
}

/// Checks the path on an image whose mask is exactly `suspect`, with different peaks.
fn check_shape(size: Size, suspect: &[bool], min_area: u32) {
    let (pixels, reconstruction, rule) = shape(suspect, min_area);
    let frame = Frame::new(size, &pixels).unwrap();
    let reference = by_reference(rule, frame, &reconstruction);
    let edge = by_edge(rule, frame, &reconstruction, ample(size, rule));
    assert_eq!(edge, reference);
}

fn shape(suspect: &[bool], min_area: u32) -> (Vec<u8>, Vec<i32>, DecisionRule) {
    let scale = MapScale::new(4, 1).unwrap();
    let rule = DecisionRule::new(Comparison::Absolute, scale, 0, min_area, 100).unwrap();
    let pixels = (0..suspect.len()).zip(suspect);
    let pixels = pixels.map(|(n, &suspect)| if suspect { 1 + (n % 13) as u8 } else { 0 });
    (pixels.collect(), vec![0; suspect.len()], rule)
}

/// `#` is suspect.
fn drawing(lines: &[&str]) -> (Size, Vec<bool>) {
    let size = Size::new(lines[0].len(), lines.len()).unwrap();
    (size, lines.concat().chars().map(|c| c == '#').collect())
}

/// Shapes that open many entries and join them late, in all four mirror images.
#[test]
fn on_shapes_that_join_late() {
    let drawings: [&[&str]; 6] = [
        // A comb: every tooth opens a region, the back joins them.
        &["#.#.#.#.#", "#.#.#.#.#", "#.#.#.#.#", "#########"],
        // A spiral: the inside is joined to the outside along its whole way.
        &[
            "#########.",
            "#.......#.",
            "#.#####.#.",
            "#.#...#.#.",
            "#.#.#.#.#.",
            "#.#.###.#.",
            "#.#.....#.",
            "#.#######.",
        ],
        // Diagonals touch by corners only.
        &[
            "#.......#",
            ".#.....#.",
            "..#...#..",
            "...#.#...",
            "....#....",
        ],
        // A chain of joins: each V meets the next one level lower.
        &[
            "#.#.#.#.#.#",
            "#.#.#.#.##.",
            "#.#.#.##...",
            "#.#.##.....",
            "#.##.......",
            "###........",
        ],
        // A chessboard is one region.
        &["#.#.#.#", ".#.#.#.", "#.#.#.#", ".#.#.#.", "#.#.#.#"],
        // Rows apart: nothing touches across an empty row.
        &[
            "###...###",
            ".........",
            "###...###",
            ".........",
            "#.#.#.#.#",
        ],
    ];
    for lines in drawings {
        let (size, suspect) = drawing(lines);
        let (width, height) = (size.width(), size.height());
        for mirror in 0..4 {
            let mirrored: Vec<bool> = (0..size.area())
                .map(|n| {
                    let (mut x, mut y) = (n % width, n / width);
                    if mirror & 1 != 0 {
                        x = width - 1 - x;
                    }
                    if mirror & 2 != 0 {
                        y = height - 1 - y;
                    }
                    suspect[y * width + x]
                })
                .collect();
            for min_area in [1, 4, 20] {
                check_shape(size, &mirrored, min_area);
            }
        }
    }
}

#[test]
fn on_a_comb_the_regions_are_one() {
    let (size, suspect) = drawing(&["#.#.#", "#.#.#", "#####"]);
    let (pixels, reconstruction, rule) = shape(&suspect, 1);
    let frame = Frame::new(size, &pixels).unwrap();
    let edge = by_edge(rule, frame, &reconstruction, ample(size, rule));
    assert_eq!(edge.suspects.len(), 1);
    let region = edge.suspects[0];
    assert_eq!(
        (region.left, region.top, region.right, region.bottom),
        (0, 0, 4, 2)
    );
    assert_eq!(region.area, 11);
}

#[test]
fn on_full_and_empty_frames() {
    for (width, height) in [(1, 1), (1, 33), (33, 1), (31, 17.min(LARGEST))] {
        let size = Size::new(width, height).unwrap();
        check_shape(size, &vec![true; size.area()], 1);
        check_shape(size, &vec![false; size.area()], 1);
    }
}

#[test]
fn on_regions_at_every_border() {
    let size = Size::new(9, 7).unwrap();
    // Interpreted, all places take minutes.
    for n in (0..size.area()).step_by(if cfg!(miri) { 8 } else { 1 }) {
        let mut suspect = vec![false; size.area()];
        suspect[n] = true;
        check_shape(size, &suspect, 1);
        suspect[size.area() - 1 - n] = true;
        check_shape(size, &suspect, 1);
    }
}

/// The tables that `Buffers::len_for` names are just enough for their worst images.
#[test]
fn in_the_tables_stated_and_none_smaller() {
    let size = Size::new(7, 5).unwrap();
    let overflows = |suspect: &[bool], tables| {
        let (pixels, reconstruction, rule) = shape(suspect, 1);
        let frame = Frame::new(size, &pixels).unwrap();
        let verdict = by_edge(rule, frame, &reconstruction, tables).verdict;
        assert!(!verdict.overflow || verdict.outcome == Outcome::Defect);
        verdict.overflow
    };
    let (_, _, rule) = shape(&[], 1);
    let (runs, regions) = ample(size, rule);
    let columns: Vec<bool> = (0..35).map(|n| n % 7 % 2 == 0).collect();
    assert!(!overflows(&columns, (runs, regions)));
    assert!(overflows(&columns, (runs - 1, regions)));
    let dots: Vec<bool> = (0..35).map(|n| n % 7 % 2 == 0 && n / 7 % 2 == 0).collect();
    assert!(!overflows(&dots, (runs, regions)));
    assert!(overflows(&dots, (runs, regions - 1)));
    assert!(overflows(&dots, (0, 0)));
    assert!(!overflows(&[false; 35], (0, 0)));
}

/// Below the image threshold nothing counts, but a full table is a defect all the same.
#[test]
fn and_an_overflow_is_a_defect_even_where_no_region_counts() {
    let size = Size::new(3, 1).unwrap();
    let scale = MapScale::new(4, 1).unwrap();
    let rule = DecisionRule::new(Comparison::Absolute, scale, 0, 1, u32::MAX).unwrap();
    let frame = Frame::new(size, &[1, 0, 1]).unwrap();
    let good = by_edge(rule, frame, &[0; 3], (2, 2)).verdict;
    assert_eq!((good.outcome, good.overflow), (Outcome::Good, false));
    for tables in [(1, 2), (2, 1)] {
        let verdict = by_edge(rule, frame, &[0; 3], tables).verdict;
        assert_eq!((verdict.outcome, verdict.overflow), (Outcome::Defect, true));
    }
}
