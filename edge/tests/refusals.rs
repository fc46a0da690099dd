//! What does not fit is refused with an error that names both sides; nothing panics.

use residua_edge::{
    engine::{Engine, EngineError, reference::Reference},
    inspector::{Buffers, InspectError, Inspector, decide},
    map::AnomalyMap,
    regions::{RegionEntry, RunEntry},
};
use residua_shared::{
    buffer::BufferError,
    frame::{Frame, Size},
    net::{Layer, Net, Pads, Source},
    rule::{Comparison, DecisionRule, MapScale},
};

/// Only an output layer: 16 x with 4 fraction bits, the image itself.
fn net(graph: Size) -> Net<'static> {
    let output = Layer {
        name: "output",
        source: Source::Image,
        input_channels: 1,
        output_channels: 1,
        kernel: 1,
        stride: 1,
        pads: Pads::default(),
        weights: &[16],
        biases: &[0; 4],
        requantization: None,
        depth_to_space: false,
    };
    Net::new([output].into_iter().collect(), graph, 4).unwrap()
}

fn size(width: usize, height: usize) -> Size {
    Size::new(width, height).unwrap()
}

fn rule(fraction_bits: u8) -> DecisionRule {
    let scale = MapScale::new(fraction_bits, 3).unwrap();
    DecisionRule::new(Comparison::Absolute, scale, 10, 1, 10).unwrap()
}

#[test]
fn an_image_of_another_size_is_refused_with_both_sizes() {
    let mut scratch = [0; 64];
    let mut engine = Reference::new(net(size(8, 8)), size(7, 5), &mut scratch).unwrap();
    for wrong in [size(5, 7), size(8, 8), size(1, 1)] {
        let pixels = vec![0; wrong.area()];
        let frame = Frame::new(wrong, &pixels).unwrap();
        let error = engine.reconstruct(frame, &mut [0; 35]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("7x5") && text.contains(&wrong.to_string()),
            "{text}"
        );
    }
}

#[test]
fn an_engine_whose_network_is_too_small_is_refused() {
    let error = Reference::new(net(size(8, 8)), size(9, 5), &mut [0; 64]).unwrap_err();
    assert!(matches!(error, EngineError::Graph { .. }));
    let error = Reference::new(net(size(8, 8)), size(8, 8), &mut [0; 63]).unwrap_err();
    let expected = BufferError {
        buffer: "scratch",
        needed: 64,
        given: 63,
    };
    assert_eq!(error, EngineError::Buffer(expected));
}

#[test]
fn a_rule_for_another_scale_is_refused() {
    let mut scratch = [0; 64];
    let engine = Reference::new(net(size(8, 8)), size(8, 8), &mut scratch).unwrap();
    let error = Inspector::new(engine, rule(5)).unwrap_err();
    let expected = InspectError::FractionBits {
        stated: 5,
        found: 4,
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("calibrate"));
}

#[test]
fn buffers_of_a_wrong_length_are_refused_by_name() {
    let size = size(8, 8);
    let lengths = Buffers::len_for(size, rule(4));
    let pixels = [9; 64];
    let frame = Frame::new(size, &pixels).unwrap();
    let wrong: [(&str, [isize; 4]); 6] = [
        ("reconstruction", [-1, 0, 0, 0]),
        ("reconstruction", [1, 0, 0, 0]),
        ("residual", [0, -1, 0, 0]),
        ("residual", [0, 1, 0, 0]),
        ("filter", [0, 0, -1, 0]),
        ("map", [0, 0, 0, -1]),
    ];
    let long = |length: usize, change: isize| length.checked_add_signed(change).unwrap();
    for (name, change) in wrong {
        let mut buffers = Buffers {
            reconstruction: &mut vec![0; long(lengths.reconstruction, change[0])],
            residual: &mut vec![0; long(lengths.residual, change[1])],
            filter: &mut vec![0; long(lengths.filter, change[2])],
            map: &mut vec![0; long(lengths.map, change[3])],
            runs: &mut [RunEntry::default(); 4],
            regions: &mut [RegionEntry::default(); 4],
        };
        assert_eq!(
            decide(rule(4), frame, &mut buffers).unwrap_err().buffer,
            name
        );
    }
}

#[test]
fn a_row_of_another_width_is_refused() {
    let scale = MapScale::new(4, 3).unwrap();
    let mut buffer = vec![0; AnomalyMap::len_for(5, scale)];
    let mut map = AnomalyMap::new(5, Comparison::Dark, scale, &mut buffer).unwrap();
    for wrong in [4, 6] {
        let row = vec![0; wrong];
        assert_eq!(map.push(&row, &[0; 5]).unwrap_err().buffer, "residual");
        let refused = map.push(&[0; 5], &row).unwrap_err();
        assert_eq!(refused.buffer, "reconstruction");
    }
    assert_eq!(map.push(&[0; 5], &[0; 5]), Ok(None));
}
