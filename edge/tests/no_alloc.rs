//! After set-up the inspection path allocates nothing; counted by the allocator itself.

mod counting;

use std::num::NonZeroU32;

use residua_edge::{
    engine::{
        Engine,
        native::{Native, Plan, kernel},
        reference::Reference,
    },
    inspector::{Buffers, Inspector},
    regions::{RegionEntry, RunEntry},
    strip::{MaskRegion, MaskRun, OpenRegion, OpenRun, Strip, StripBuffers, StripRegion},
};
use residua_shared::{
    frame::{Frame, Size},
    net::{Layer, Net, Pads, Requantization, Source},
    rule::{Comparison, DecisionRule, MapScale},
    verdict::Outcome,
};

const SCALE: [u8; 4] = 0.0078125_f32.to_le_bytes();

/// A 3x3 layer and an output layer: a rough copy of the image with 4 fraction bits.
fn net(graph: Size) -> Net<'static> {
    let blur = Layer {
        name: "blur",
        source: Source::Image,
        input_channels: 1,
        output_channels: 1,
        kernel: 3,
        stride: 1,
        pads: Pads {
            top: 1,
            left: 1,
            bottom: 1,
            right: 1,
        },
        weights: &[0, 12, 0, 12, 80, 12, 0, 12, 0],
        biases: &[0; 4],
        requantization: Some(Requantization {
            weight_scales: &SCALE,
            exponent: 0,
        }),
        depth_to_space: false,
    };
    let output = Layer {
        name: "output",
        source: Source::Layer(0),
        kernel: 1,
        pads: Pads::default(),
        weights: &[16],
        requantization: None,
        ..blur
    };
    Net::new([blur, output].into_iter().collect(), graph, 4).unwrap()
}

fn rule() -> DecisionRule {
    let scale = MapScale::new(4, 5).unwrap();
    DecisionRule::new(Comparison::Absolute, scale, 5000, 3, 6000).unwrap()
}

/// Noise, which is a defect, and an even surface.
fn images(size: Size) -> [Vec<u8>; 2] {
    let noise = (0..size.area()).map(|n| 128_u8.wrapping_add((n * n / 7) as u8));
    [noise.collect(), vec![128; size.area()]]
}

fn native(net: &Net<'_>, size: Size) -> Native<Vec<u8>> {
    let (plan, kernel) = (Plan::new(net).unwrap(), kernel::best());
    let (weights, arena) = (vec![0; plan.weights_len(kernel)], vec![0; plan.arena_len()]);
    Native::new(net, size, kernel, weights, arena).unwrap()
}

#[test]
fn the_inspection_of_frames_does_not_allocate() {
    let size = Size::new(45, 37).unwrap();
    let net = net(size.padded_to(16).unwrap());
    let mut scratch = vec![0; net.scratch_len()];
    frames(native(&net, size));
    frames(Reference::new(net, size, &mut scratch).unwrap());
}

fn frames(engine: impl Engine) {
    let (size, rule) = (engine.input(), rule());
    let lengths = Buffers::len_for(size, rule);
    let mut inspector = Inspector::new(engine, rule).unwrap();
    let mut buffers = Buffers {
        reconstruction: &mut vec![0; lengths.reconstruction],
        residual: &mut vec![0; lengths.residual],
        filter: &mut vec![0; lengths.filter],
        map: &mut vec![0; lengths.map],
        runs: &mut vec![RunEntry::default(); lengths.runs],
        regions: &mut vec![RegionEntry::default(); lengths.regions],
    };
    let mut mask = vec![0; size.area()];
    let [noise, smooth] = images(size);

    let mut outcomes = [Outcome::Good; 2];
    let before = counting::allocations();
    for (outcome, pixels) in outcomes.iter_mut().zip([&noise, &smooth]) {
        let frame = Frame::new(size, pixels).unwrap();
        let inspection = inspector.inspect(frame, &mut buffers).unwrap();
        inspection.write_mask(&mut mask).unwrap();
        *outcome = inspection.verdict().outcome;
        assert_eq!(
            inspection.regions().count(),
            inspection.verdict().regions as usize
        );
    }
    assert_eq!(counting::allocations() - before, 0);
    // The path was really walked to both of its ends.
    assert_eq!(outcomes, [Outcome::Defect, Outcome::Good]);
}

#[test]
fn the_inspection_of_strips_does_not_allocate() {
    let size = Size::new(45, 37).unwrap();
    let engine = native(&net(size.padded_to(16).unwrap()), size);
    let (width, rule) = (size.width(), rule());
    let lengths = StripBuffers::len_for(width, rule, engine.plan());
    let buffers = StripBuffers {
        image: &mut vec![0; lengths.image],
        reconstruction: &mut vec![0; lengths.reconstruction],
        residual: &mut vec![0; lengths.residual],
        filter: &mut vec![0; lengths.filter],
        runs: &mut vec![OpenRun::default(); lengths.runs],
        regions: &mut vec![OpenRegion::default(); lengths.regions],
        ended: &mut vec![StripRegion::default(); 100],
        mask_runs: &mut vec![MaskRun::default(); 1000],
        mask_regions: &mut vec![MaskRegion::default(); 1000],
    };
    let window = NonZeroU32::new(size.height() as u32).unwrap();
    let mut strip = Strip::new(engine, rule, window, buffers).unwrap();

    // Regions of the first window reach into the second.
    let [noise, smooth] = images(size);
    let images = [&noise, &smooth, &smooth];
    let (mut outcomes, mut windows) = ([Outcome::Good; 3], 0);
    let before = counting::allocations();
    for row in images.iter().flat_map(|image| image.chunks_exact(width)) {
        if let Some(window) = strip.push_row(row).unwrap() {
            outcomes[windows] = window.verdict.outcome;
            windows += 1;
        }
    }
    while let Some(window) = strip.finish().unwrap() {
        outcomes[windows] = window.verdict.outcome;
        windows += 1;
    }
    assert_eq!(counting::allocations() - before, 0);
    assert_eq!(windows, 3);
    assert_eq!(outcomes[0], Outcome::Defect);
    assert_eq!(outcomes[2], Outcome::Good);
}

#[test]
fn the_counter_counts() {
    let before = counting::allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert!(counting::allocations() > before);
}
