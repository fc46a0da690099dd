//! After set-up the inspection path allocates nothing; counted by the allocator itself.

mod counting;

use residua_edge::{
    engine::reference::Reference,
    inspector::{Buffers, Inspector},
    regions::{RegionEntry, RunEntry},
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

#[test]
fn the_inspection_path_does_not_allocate() {
    let size = Size::new(45, 37).unwrap();
    let net = net(size.padded_to(16).unwrap());
    let scale = MapScale::new(4, 5).unwrap();
    let rule = DecisionRule::new(Comparison::Absolute, scale, 5000, 3, 6000).unwrap();
    let lengths = Buffers::len_for(size, rule);

    let mut scratch = vec![0; net.scratch_len()];
    let engine = Reference::new(net, size, &mut scratch).unwrap();
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
    let mut noise = vec![128_u8; size.area()];
    for (n, pixel) in noise.iter_mut().enumerate() {
        *pixel = pixel.wrapping_add((n * n / 7) as u8);
    }
    let smooth = vec![128; size.area()];

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
fn the_counter_counts() {
    let before = counting::allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert!(counting::allocations() > before);
}
