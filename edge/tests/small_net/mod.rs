//! A network that is small enough to be interpreted, and has every kind of layer.

use residua_shared::{
    frame::Size,
    net::{Layer, Net, Pads, Requantization, Source},
};

const SCALE: [u8; 4] = 0.0078125_f32.to_le_bytes();
const SCALES: [u8; 16] = {
    let [a, b, c, d] = SCALE;
    [a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]
};

/// A 3x3 layer, a transposed convolution down to its output's size again, and an output layer. With
/// pads of 0 and 1 the transposed convolution's even rows and columns have zeros where its odd ones
/// have none.
pub fn net(graph: Size) -> Net<'static> {
    let blur = Layer {
        name: "blur",
        source: Source::Image,
        input_channels: 1,
        output_channels: 1,
        kernel: 3,
        stride: 2,
        pads: Pads {
            top: 1,
            left: 1,
            bottom: 0,
            right: 0,
        },
        weights: &[3, 12, 5, 12, 80, 12, 7, 12, 9],
        biases: &[0; 4],
        requantization: Some(Requantization {
            weight_scales: &SCALE,
            exponent: 0,
        }),
        depth_to_space: false,
    };
    let widen = Layer {
        name: "widen",
        source: Source::Layer(0),
        output_channels: 4,
        kernel: 2,
        stride: 1,
        pads: Pads {
            top: 0,
            left: 0,
            bottom: 1,
            right: 1,
        },
        // One 3x3 kernel: its middle, its middle row, its middle column, its corners.
        weights: &[
            100, 0, 0, 0, //
            60, 50, 0, 0, //
            70, 0, 40, 0, //
            30, 35, 20, 25,
        ],
        biases: &[9, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0],
        requantization: Some(Requantization {
            weight_scales: &SCALES,
            exponent: 0,
        }),
        depth_to_space: true,
        ..blur
    };
    let output = Layer {
        name: "output",
        source: Source::Layer(1),
        output_channels: 1,
        kernel: 1,
        pads: Pads::default(),
        weights: &[16],
        biases: &[0; 4],
        requantization: None,
        depth_to_space: false,
        ..widen
    };
    Net::new([blur, widen, output].into_iter().collect(), graph, 4).unwrap()
}
