//! The reader of ONNX files: reads what was written, refuses what is not of the contract by name,
//! and no bytes make it, or the network that it yields, panic.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*};
use prost::Message;
use residua_shared::{
    net::Source,
    onnx::{OnnxError, digest, manifest, metadata, read},
};
use residua_tests::{
    onnx_writer::{model, onnx},
    random_net::RandomNet,
    runners::{Judge, Runner, TractRunner},
};
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto};

#[test]
fn reads_what_was_written() {
    for seed in 0..100 {
        let net = RandomNet::new(seed);
        let file = onnx(&net);
        let read = read(&file, net.fraction_bits).unwrap();
        assert_eq!(read.graph(), net.graph);
        assert_eq!(read.fraction_bits(), net.fraction_bits);
        assert_eq!(read.layers().len(), net.layers.len());
        for (read, written) in read.layers().iter().zip(&net.layers) {
            let weights: Vec<u8> = written.weights.iter().map(|&w| w as u8).collect();
            assert_eq!(read.source, written.source);
            assert_eq!(read.input_channels, written.input_channels);
            assert_eq!(read.output_channels, written.output_channels);
            assert_eq!(read.kernel, written.kernel);
            assert_eq!(read.stride, written.stride);
            assert_eq!(read.pads, written.pads);
            assert_eq!(read.weights, weights);
            assert_eq!(read.depth_to_space, written.depth_to_space);
            assert_eq!(read.requantization.is_none(), written.shifts.is_empty());
            for (channel, &bias) in written.biases.iter().enumerate() {
                assert_eq!(read.bias(channel), bias);
            }
            for (channel, &shift) in written.shifts.iter().enumerate() {
                assert_eq!(read.shift(channel), shift);
            }
        }
    }
}

#[test]
fn metadata_is_found_and_does_not_change_the_digest() {
    let mut model = model(&RandomNet::new(1));
    let with = model.encode_to_vec();
    assert_eq!(manifest(&with).unwrap(), Some(br#"{"seed":1}"#.as_slice()));
    assert_eq!(metadata(&with, "residua.manifes").unwrap(), None);

    let entry = StringStringEntryProto {
        key: "other".into(),
        value: "x".repeat(300),
    };
    model.metadata_props.insert(0, entry);
    let more = model.encode_to_vec();
    model.metadata_props.clear();
    let without = model.encode_to_vec();
    assert_eq!(manifest(&without).unwrap(), None);
    // Records may stand anywhere in the file.
    let moved = [&more[without.len()..], &without].concat();
    assert_eq!(manifest(&moved).unwrap(), Some(br#"{"seed":1}"#.as_slice()));
    let stated = digest(&without).unwrap();
    for file in [&with, &more, &moved] {
        assert_eq!(digest(file).unwrap(), stated);
    }

    model.producer_name.push('x');
    assert_ne!(digest(&model.encode_to_vec()).unwrap(), stated);
}

/// SHA-256 of the bytes by the common command-line tool.
#[test]
fn the_digest_is_sha256() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(digest(&[]).unwrap().to_string(), empty);
}

/// A small network with every operator: halved, doubled and concatenated.
fn rich() -> &'static RandomNet {
    static RICH: LazyLock<RandomNet> = LazyLock::new(|| {
        let rich = |net: &RandomNet| {
            let layers = &net.layers;
            layers.iter().any(|l| l.depth_to_space)
                && layers
                    .iter()
                    .any(|l| matches!(l.source, Source::Concat(..)))
                && layers.iter().map(|l| l.weights.len()).sum::<usize>() < 3_000
                && net.graph.area() < 100
        };
        (0..).map(RandomNet::new).find(rich).unwrap()
    });
    &RICH
}

fn node<'m>(model: &'m mut ModelProto, operator: &str) -> &'m mut NodeProto {
    let nodes = &mut model.graph.as_mut().unwrap().node;
    nodes.iter_mut().find(|n| n.op_type == operator).unwrap()
}

fn attribute<'m>(model: &'m mut ModelProto, operator: &str, name: &str) -> &'m mut AttributeProto {
    let attributes = &mut node(model, operator).attribute;
    attributes.iter_mut().find(|a| a.name == name).unwrap()
}

fn constant<'m>(model: &'m mut ModelProto, name: &str) -> &'m mut TensorProto {
    let tensors = &mut model.graph.as_mut().unwrap().initializer;
    tensors.iter_mut().find(|t| t.name == name).unwrap()
}

/// Each is one departure from the contract, with what the error must name.
#[test]
fn departures_from_the_contract_are_refused_by_name() {
    type Change = fn(&mut ModelProto);
    let cases: &[(&str, Change)] = &[
        ("ir_version", |m| m.ir_version = 9),
        ("opset_import", |m| m.opset_import[0].version = 14),
        ("opset_import", |m| {
            m.opset_import[0].domain = "com.microsoft".into()
        }),
        ("opset_import", |m| m.opset_import.clear()),
        ("graph", |m| m.graph = None),
        ("input, output", |m| m.graph.as_mut().unwrap().input.clear()),
        ("input, output", |m| {
            m.graph.as_mut().unwrap().input[0].name = "x".into()
        }),
        ("input, output", |m| {
            let graph = m.graph.as_mut().unwrap();
            graph.output.push(graph.output[0].clone());
        }),
        ("elem_type", |m| {
            let graph = m.graph.as_mut().unwrap();
            graph.output[0].r#type = graph.input[0].r#type.clone();
        }),
        ("node", |m| m.graph.as_mut().unwrap().node.clear()),
        ("node", |m| {
            m.graph.as_mut().unwrap().node.pop();
        }),
        ("op_type", |m| {
            node(m, "QLinearConv").op_type = "Conv".into()
        }),
        ("domain", |m| {
            node(m, "QLinearConv").domain = "com.microsoft".into()
        }),
        ("layer0: input", |m| {
            node(m, "QLinearConv").input.pop();
        }),
        ("layer0: input", |m| {
            node(m, "QLinearConv").input[0] = "nowhere".into()
        }),
        ("layer0.w: initializer", |m| {
            let graph = m.graph.as_mut().unwrap();
            graph.initializer.retain(|t| t.name != "layer0.w");
        }),
        ("layer0.w: initializer", |m| {
            let twice = constant(m, "layer0.w").clone();
            m.graph.as_mut().unwrap().initializer.push(twice);
        }),
        ("attribute", |m| {
            let twice = attribute(m, "QLinearConv", "pads").clone();
            node(m, "QLinearConv").attribute.push(twice);
        }),
        ("layer0.w: data_type", |m| {
            constant(m, "layer0.w").data_type = 2
        }),
        ("layer0.w: raw_data", |m| {
            constant(m, "layer0.w").raw_data.clear()
        }),
        ("layer0.w: raw_data", |m| {
            constant(m, "layer0.w").dims[0] += 1
        }),
        ("layer0: kernel_shape", |m| {
            let dims = &mut constant(m, "layer0.w").dims;
            let side = dims[2];
            dims[2] = 1;
            dims[3] = side * side;
        }),
        ("layer0: a weight is -128", |m| {
            constant(m, "layer0.w").raw_data[0] = 0x80
        }),
        ("layer0.w_scale: dims", |m| {
            let scale = constant(m, "layer0.w_scale");
            scale.dims.clear();
            scale.raw_data.truncate(4);
        }),
        ("power of two", |m| {
            let scale = 0.3_f32.to_le_bytes();
            constant(m, "layer0.w_scale").raw_data[..4].copy_from_slice(&scale);
        }),
        ("layer0.y_scale: scale", |m| {
            constant(m, "layer0.y_scale").raw_data = 0.3_f32.to_le_bytes().to_vec();
        }),
        ("x_scale", |m| {
            constant(m, "layer0.x_scale").raw_data = 0.5_f32.to_le_bytes().to_vec();
        }),
        ("layer0.x_zero: zero point", |m| {
            constant(m, "layer0.x_zero").raw_data[0] = 1
        }),
        ("layer0.w_zero: zero point", |m| {
            constant(m, "layer0.w_zero").raw_data[0] = 1
        }),
        ("layer0.y_zero: zero point", |m| {
            constant(m, "layer0.y_zero").raw_data[0] = 1
        }),
        ("layer0.bias: dims", |m| {
            let bias = constant(m, "layer0.bias");
            bias.dims.insert(0, 1);
        }),
        ("strides", |m| {
            attribute(m, "QLinearConv", "strides").ints = vec![1, 2]
        }),
        ("dilations", |m| {
            attribute(m, "QLinearConv", "dilations").ints = vec![2, 2]
        }),
        ("pads", |m| attribute(m, "QLinearConv", "pads").ints[0] = -1),
        ("pads", |m| {
            attribute(m, "QLinearConv", "pads").ints[0] = 100
        }),
        ("pads", |m| {
            attribute(m, "QLinearConv", "pads").ints.truncate(3)
        }),
        ("pads", |m| attribute(m, "QLinearConv", "pads").ints.push(0)),
        ("kernel_shape", |m| {
            attribute(m, "QLinearConv", "kernel_shape").ints[0] += 1
        }),
        ("attribute", |m| {
            attribute(m, "QLinearConv", "pads").name = "auto_pad".into()
        }),
        ("blocksize", |m| {
            attribute(m, "DepthToSpace", "blocksize").i = 4
        }),
        ("mode", |m| {
            attribute(m, "DepthToSpace", "mode").s = b"DCR".to_vec()
        }),
        ("axis", |m| attribute(m, "Concat", "axis").i = 2),
        ("input", |m| {
            node(m, "Concat").input.pop();
        }),
        ("input", |m| node(m, "Concat").input[0] = "image".into()),
        ("input", |m| {
            let name = node(m, "ConvInteger").input[0].clone();
            node(m, "Add").input[0] = name;
        }),
        ("output", |m| node(m, "Add").output[0] = "other".into()),
        ("output", |m| {
            let node = node(m, "DepthToSpace");
            node.output[0] = "image".into();
            node.input[0] = "image".into();
        }),
    ];
    let net = rich();
    assert!(read(&onnx(net), net.fraction_bits).is_ok());
    for (index, (expected, change)) in cases.iter().enumerate() {
        let mut model = model(net);
        change(&mut model);
        let file = model.encode_to_vec();
        let error = read(&file, net.fraction_bits).map(|_| ());
        let text = error.expect_err(&format!("case {index}")).to_string();
        assert!(text.contains(expected), "case {index}: {text}");
        assert!(
            text.contains("export"),
            "case {index} names no remedy: {text}"
        );
        assert!(!text.contains('\n'));
    }
}

/// A tensor before DepthToSpace that something else reads too would have two meanings.
#[test]
fn a_convolution_before_depth_to_space_feeds_it_alone() {
    let net = rich();
    let mut changed = model(net);
    let raw = node(&mut changed, "DepthToSpace").input[0].clone();
    let up = node(&mut changed, "DepthToSpace").output[0].clone();
    for node in &mut changed.graph.as_mut().unwrap().node {
        for input in &mut node.input {
            if *input == up {
                *input = raw.clone();
            }
        }
    }
    let file = changed.encode_to_vec();
    let error = read(&file, net.fraction_bits).unwrap_err();
    assert!(matches!(error, OnnxError::Field { field: "input", .. }));
}

#[test]
fn concatenated_scales_must_be_tied() {
    let mut net = rich().clone();
    let tied = net.layers.iter().find_map(|l| match l.source {
        Source::Concat(_, second) => Some(second),
        _ => None,
    });
    net.layers[tied.unwrap()].exponent += 1;
    let file = onnx(&net);
    let error = read(&file, net.fraction_bits).unwrap_err().to_string();
    assert!(
        error.contains("one scale") || error.contains("x_scale"),
        "{error}"
    );
}

/// Reads the bytes in every way there is. A network that comes out of them is run, and tract, if it
/// takes the same bytes, must yield the same.
fn survive(file: &[u8], fraction_bits: u8) {
    let _ = digest(file);
    let _ = manifest(file);
    let Ok(net) = read(file, fraction_bits) else {
        return;
    };
    if net.macs() > 1_000_000 {
        return;
    }
    let pixels = (0..net.graph().area()).map(|n| (n * 37) as u8).collect();
    let run = |runner: &dyn Runner, images: &Vec<u8>| {
        runner.run(
            file,
            net.graph(),
            fraction_bits,
            std::slice::from_ref(images),
        )
    };
    let expected = run(&Judge, &pixels).unwrap();
    if let Ok(found) = run(&TractRunner, &pixels) {
        assert_eq!(found, expected);
    }
}

#[test]
fn no_truncation_makes_it_panic() {
    let net = rich();
    let file = onnx(net);
    for length in 0..file.len() {
        survive(&file[..length], net.fraction_bits);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        survive(&bytes, 8);
    }

    #[test]
    fn no_flipped_bits_make_it_panic(flips in vec((any::<prop::sample::Index>(), 0..8), 1..4)) {
        let net = rich();
        let mut file = onnx(net);
        for (index, bit) in flips {
            let length = file.len();
            file[index.index(length)] ^= 1_u8 << bit;
        }
        survive(&file, net.fraction_bits);
    }

    /// Among names, dims and lengths, where a flip changes the structure, not a weight.
    #[test]
    fn no_flipped_structure_makes_it_panic(
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let net = rich();
        let mut model = model(net);
        for tensor in &mut model.graph.as_mut().unwrap().initializer {
            if tensor.name.ends_with(".w") {
                tensor.raw_data.fill(1);
            }
        }
        let mut file = model.encode_to_vec();
        let structure: Vec<usize> = (1..file.len()).filter(|&n| file[n - 1] != 1).collect();
        for (index, value) in flips {
            file[*index.get(&structure)] = value;
        }
        survive(&file, net.fraction_bits);
    }
}
