//! The native engine by rows: images of every height, strips without end, and the verdicts on
//! their windows, each against the scalar reference on whole images.

use std::num::{NonZeroU8, NonZeroU32};

use proptest::prelude::*;
use residua_edge::{
    engine::native::{Native, Plan, kernel},
    strip::{MaskRegion, MaskRun, OpenRegion, OpenRun, Strip, StripBuffers, StripRegion},
};
use residua_shared::{
    frame::{Frame, Size},
    onnx,
    reference::reconstruction::reconstruct,
    rule::{ColumnWeights, Comparison, DecisionRule, MapScale},
    verdict::Outcome,
};
use residua_tests::{
    onnx_writer,
    random_net::RandomNet,
    strips::{self, Found},
};

/// The network for images of another height, padded as its strides ask.
fn with_height(net: &RandomNet, height: usize) -> RandomNet {
    let halvings = net.layers.iter().filter(|layer| layer.stride == 2).count();
    let padded = height.next_multiple_of(1 << halvings);
    RandomNet {
        input: Size::new(net.input.width(), height).unwrap(),
        graph: Size::new(net.graph.width(), padded).unwrap(),
        ..net.clone()
    }
}

/// What the reference makes of an image of any height.
fn judged(net: &RandomNet, image: &[u8]) -> Vec<i32> {
    let net = with_height(net, image.len() / net.input.width());
    let file = onnx_writer::onnx(&net);
    let read = onnx::read(&file, net.fraction_bits).unwrap();
    let frame = Frame::new(net.input, image).unwrap();
    let mut output = vec![0; image.len()];
    reconstruct(&read, frame, &mut vec![0; read.scratch_len()], &mut output).unwrap();
    output
}

/// The engine's memory.
struct Memory {
    file: Vec<u8>,
    weights: Vec<u8>,
    arena: Vec<u8>,
}

impl Memory {
    fn new(net: &RandomNet) -> Self {
        let file = onnx_writer::onnx(net);
        let plan = Plan::new(&onnx::read(&file, net.fraction_bits).unwrap()).unwrap();
        Self {
            weights: vec![0x5a; plan.weights_len(kernel::best())],
            arena: vec![0xa5; plan.arena_len()],
            file,
        }
    }

    fn engine(&mut self, net: &RandomNet) -> Native<&mut [u8]> {
        let read = onnx::read(&self.file, net.fraction_bits).unwrap();
        let (weights, arena) = (&mut self.weights[..], &mut self.arena[..]);
        Native::new(&read, net.input, kernel::best(), weights, arena).unwrap()
    }
}

/// Grey levels that only a row's number determines.
fn row(number: u64, width: usize) -> Vec<u8> {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state >> 29;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (state >> 56) as u8
    };
    (0..width).map(|_| next()).collect()
}

fn rows(numbers: std::ops::Range<u64>, width: usize) -> Vec<u8> {
    numbers.flat_map(|number| row(number, width)).collect()
}

/// The reconstruction of an image by rows, each of which must come with the row that completes it.
fn by_rows(engine: &mut Native<&mut [u8]>, image: &[u8], width: usize) -> Vec<i32> {
    let latency = engine.plan().latency_rows();
    let (mut all, mut output) = (Vec::new(), vec![0; width]);
    for (y, row) in image.chunks_exact(width).enumerate() {
        let written = engine.push_row(row, &mut output).unwrap();
        assert_eq!(written, y >= latency, "row {y}, latency {latency}");
        if written {
            all.extend(&output);
        }
    }
    while engine.finish(&mut output).unwrap() {
        all.extend(&output);
    }
    all
}

#[test]
fn images_of_every_height_equal_the_reference() {
    for seed in 0..60 {
        let net = RandomNet::new(seed);
        let (mut memory, width) = (Memory::new(&net), net.input.width());
        let mut engine = memory.engine(&net);
        let heights = [1, 2, 3, 7, 8, 16, 29, 64];
        for height in heights {
            let image = rows(0..height, width);
            let (found, expected) = (by_rows(&mut engine, &image, width), judged(&net, &image));
            assert!(found == expected, "seed {seed}, {height} rows");
        }
    }
}

/// An image cut off, or whose last rows were not fetched, leaves nothing behind.
#[test]
fn an_image_begun_leaves_nothing_behind() {
    let net = narrow_net();
    let (mut memory, width) = (Memory::new(&net), net.input.width());
    let mut engine = memory.engine(&net);
    assert!(engine.plan().latency_rows() > 1);
    let (image, mut output) = (rows(0..40, width), vec![0; width]);
    let expected = judged(&net, &image);
    for begun in [1, 9, 33] {
        for y in 0..begun {
            engine.push_row(&row(y, width), &mut output).unwrap();
        }
        engine.restart();
        assert!(by_rows(&mut engine, &image, width) == expected);
        for y in 0..begun {
            engine.push_row(&row(y, width), &mut output).unwrap();
        }
        assert!(engine.finish(&mut output).unwrap());
        assert!(by_rows(&mut engine, &image, width) == expected);
    }
}

/// A narrow network with strides, depth-to-space and a concatenation, cheap enough for a million
/// rows.
fn narrow_net() -> RandomNet {
    let work = |net: &RandomNet| {
        let macs = net.layers.iter().map(|layer| layer.weights.len());
        macs.sum::<usize>() * net.input.width()
    };
    let concatenates = |net: &RandomNet| {
        use residua_shared::net::Source::Concat;
        let sources = net.layers.iter().map(|layer| layer.source);
        sources
            .into_iter()
            .any(|source| matches!(source, Concat(..)))
    };
    (0..2000)
        .map(RandomNet::new)
        .filter(|net| concatenates(net) && net.input.width() > 2)
        .min_by_key(work)
        .unwrap()
}

#[test]
fn a_million_rows_equal_the_reference_wherever_it_looks() {
    const ROWS: u64 = 1_000_000;
    /// More rows than any output row of the network depends on, to either side.
    const AROUND: u64 = 128;
    let net = narrow_net();
    let (mut memory, width) = (Memory::new(&net), net.input.width());
    let before = memory.arena.len();
    let mut engine = memory.engine(&net);
    let latency = engine.plan().latency_rows() as u64;
    assert!(latency < AROUND);
    let mut output = vec![0; width];
    let mut found = Vec::new();
    for y in 0..ROWS {
        let written = engine.push_row(&row(y, width), &mut output).unwrap();
        // 8 rows of every 49,999, and the last ones.
        if written && ((y - latency) % 49_999 < 8 || y + 8 >= ROWS) {
            found.push((y - latency, output.clone()));
        }
    }
    for (y, found) in found {
        let first = y.saturating_sub(AROUND).next_multiple_of(8);
        let image = rows(first..(y + AROUND).next_multiple_of(8), width);
        let expected = judged(&net, &image);
        let at = (y - first) as usize * width;
        assert_eq!(found, expected[at..][..width], "row {y}");
    }
    assert_eq!(memory.arena.len(), before);
}

/// The windows of a strip by the edge, with room for `ended` regions in each.
fn inspected(
    net: &RandomNet,
    rule: DecisionRule,
    window: u32,
    ended: usize,
    image: &[u8],
) -> Vec<Found> {
    let (mut memory, width) = (Memory::new(net), net.input.width());
    let engine = memory.engine(net);
    let lengths = StripBuffers::len_for(width, rule, engine.plan());
    let buffers = StripBuffers {
        image: &mut vec![9; lengths.image],
        reconstruction: &mut vec![9; lengths.reconstruction],
        residual: &mut vec![9; lengths.residual],
        filter: &mut vec![9; lengths.filter],
        runs: &mut vec![OpenRun::default(); lengths.runs],
        regions: &mut vec![OpenRegion::default(); lengths.regions],
        ended: &mut vec![StripRegion::default(); ended],
        mask_runs: &mut vec![MaskRun::EMPTY; image.len() + width],
        mask_regions: &mut vec![MaskRegion::default(); image.len() + width],
    };
    let window = NonZeroU32::new(window).unwrap();
    let mut strip = Strip::new(engine, rule, window, buffers).unwrap();
    // Twice, the first time cut off while it ends: nothing of it may be left.
    let mut windows = Vec::new();
    for fetched in [1, usize::MAX] {
        windows.clear();
        for (y, row) in image.chunks_exact(width).enumerate() {
            if let Some(found) = strip.push_row(row).unwrap() {
                let rows = found.first_row + u64::from(found.rows);
                windows.push(Found::from(found));
                assert_eq!(y + 1, rows as usize + strip.latency_rows());
            }
        }
        for _ in 0..fetched {
            match strip.finish().unwrap() {
                Some(found) => windows.push(found.into()),
                None => break,
            }
        }
    }
    windows
}

/// What [`Strip`] promises, from whole images alone.
fn expected(net: &RandomNet, rule: DecisionRule, window: usize, image: &[u8]) -> Vec<Found> {
    strips::windows(rule, net.input.width(), window, image, &judged(net, image))
}

/// A rule under which some of the map's values are suspect and some regions count.
fn rule(scale: MapScale, pixel: f32, min_area: u32, image: f32) -> DecisionRule {
    let raw = |grey: f32| (grey * scale.steps_per_grey() as f32) as u32;
    DecisionRule::new(
        Comparison::Absolute,
        scale,
        raw(pixel),
        min_area,
        raw(pixel + image),
    )
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn windows_equal_what_the_whole_image_tells(
        seed in 0_u64..400,
        height in 1_u64..70,
        window in 1_u32..80,
        box_size in (0_u8..4).prop_map(|n| 2 * n + 1),
        pixel in 20_f32..180.0,
        min_area in 1_u32..12,
        image in 0_f32..40.0,
        ground in prop_oneof![Just(0_u8), 60_u8..],
        roughness in prop_oneof![Just(0_u8), 10_u8..=64],
        columns in prop_oneof![Just(None), (1_u8..=255).prop_map(Some)],
    ) {
        let net = RandomNet::new(seed);
        let scale = MapScale::new(net.fraction_bits, box_size).unwrap();
        let rule = rule(scale.on(NonZeroU8::new(ground)).weighed_by(NonZeroU8::new(roughness)).unwrap(), pixel, min_area, image);
        let weight = |first: u8, zone: usize| NonZeroU8::new(first.wrapping_mul(zone as u8 * 2 + 1)).unwrap_or(ColumnWeights::ONE);
        let rule = rule.weighing(columns.map(|first| ColumnWeights::new(std::array::from_fn(|zone| weight(first, zone)))));
        let strip = rows(0..height, net.input.width());
        let expected = expected(&net, rule, window as usize, &strip);
        let room = net.input.area().max(64) * 2;
        prop_assert_eq!(inspected(&net, rule, window, room, &strip), expected);
    }
}

/// The property must have seen strips with regions that cross windows, and good windows.
#[test]
fn the_cases_have_regions_across_windows() {
    let (mut crossing, mut good) = (0, 0);
    for seed in 0..40 {
        let net = RandomNet::new(seed);
        let scale = MapScale::new(net.fraction_bits, 3).unwrap();
        let rule = rule(scale, 60.0, 3, 10.0);
        let strip = rows(0..60, net.input.width());
        for window in expected(&net, rule, 7, &strip) {
            crossing += window
                .regions
                .iter()
                .filter(|region| region.top < window.first_row)
                .count();
            good += usize::from(window.verdict.outcome == Outcome::Good);
        }
    }
    assert!(
        crossing > 20 && good > 20,
        "{crossing} crossing, {good} good"
    );
}

/// A table too small for the regions of a window: the verdict says so and is a defect.
#[test]
fn too_many_regions_are_a_defect_that_says_so() {
    let net = (0..)
        .map(RandomNet::new)
        .find(|net| net.input.width() > 20)
        .unwrap();
    let scale = MapScale::new(net.fraction_bits, 1).unwrap();
    let rule = rule(scale, 120.0, 1, 0.0);
    let strip = rows(0..60, net.input.width());
    let ample = inspected(&net, rule, 20, 1000, &strip);
    let most = ample
        .iter()
        .map(|window| window.regions.len())
        .max()
        .unwrap();
    assert!(most >= 2, "the strip has no region to leave out");
    for (window, short) in ample
        .iter()
        .zip(inspected(&net, rule, 20, most - 1, &strip))
    {
        assert_eq!(short.verdict.overflow, window.regions.len() == most);
        assert_eq!(short.verdict.outcome, window.verdict.outcome);
        assert_eq!(short.verdict.regions, window.verdict.regions);
        assert_eq!(short.regions, window.regions[..short.regions.len()]);
    }
}
