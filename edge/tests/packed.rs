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

/// A 3x3 layer and an output layer.
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
        weights: &[3, 12, 5, 12, 80, 12, 7, 12, 9],
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
    let size = Size::new(24, 9).unwrap();
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
                Err(error) => assert_eq!(error, EngineError::Weights),
                Ok(found) => {
                    assert_eq!(found, expected, "{}, byte {at}", kernel.name());
                    unused += 1;
                }
            }
            weights[at] ^= 1;
        }
        assert!(unused < 64, "between two layers lie {unused} bytes");
    }
}
