//! Weights packed beforehand run as those packed at load do, and no others are taken.

use residua_edge::engine::{
    Engine, EngineError,
    native::{Native, Plan, kernel},
};
use residua_shared::{
    frame::{Frame, Size},
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
fn net(graph: Size) -> Net<'static> {
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

fn reconstruction(engine: Result<impl Engine, EngineError>) -> Result<Vec<i32>, EngineError> {
    let mut engine = engine?;
    let size = engine.input();
    let pixels: Vec<u8> = (0..size.area()).map(|n| (n * n / 7) as u8).collect();
    let mut output = vec![0; size.area()];
    engine.reconstruct(Frame::new(size, &pixels).unwrap(), &mut output)?;
    Ok(output)
}

#[test]
fn packed_weights_run_and_others_are_refused() {
    let size = Size::new(24, 10).unwrap();
    let net = net(size);
    let plan = Plan::new(&net).unwrap();
    for kernel in kernel::all() {
        let arena = || vec![0xa5; plan.arena_len()];
        let at_load = vec![0; plan.weights_len(kernel)];
        let expected = reconstruction(Native::new(&net, size, kernel, at_load, arena())).unwrap();
        let mut weights = vec![0; plan.packed_len(kernel.formats())];
        plan.pack(&net, kernel.formats(), &mut weights).unwrap();
        let run =
            |weights: &[u8]| reconstruction(Native::packed(&net, size, kernel, weights, arena()));
        assert_eq!(run(&weights).unwrap(), expected, "{}", kernel.name());
        let short = run(&weights[1..]).unwrap_err();
        assert!(matches!(short, EngineError::Buffer(_)), "{short}");
        let mut unused = 0;
        for at in 0..weights.len() {
            weights[at] ^= 1;
            match run(&weights) {
                Err(error) => {
                    assert_eq!(error, EngineError::Weights);
                    unused = 0;
                }
                Ok(found) => {
                    assert_eq!(found, expected, "{}, byte {at}", kernel.name());
                    unused += 1;
                }
            }
            // Only what lies between a part of a layer and the next, which begins aligned.
            assert!(
                unused < 64,
                "{}: the {unused} bytes up to {at}",
                kernel.name()
            );
            weights[at] ^= 1;
        }
    }
}
