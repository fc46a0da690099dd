//! A frame in bands on several threads equals the same frame in one piece, whatever the height, the
//! number of bands, and however far the network sees beyond a band.

use residua_edge::engine::{
    Engine,
    bands::Bands,
    native::{Native, Plan, kernel},
};
use residua_shared::{
    frame::{Frame, Size},
    onnx,
};
use residua_tests::{onnx_writer, random_net::RandomNet};

const NETS: u64 = 24;

/// The network on images of another height, which suits its strides as its own does.
fn with_height(net: &RandomNet, height: usize) -> RandomNet {
    let mut net = net.clone();
    let period = Plan::new(&onnx::read(&onnx_writer::onnx(&net), net.fraction_bits).unwrap())
        .unwrap()
        .period();
    let missing = (period + net.graph.height() % period - height % period) % period;
    net.input = Size::new(net.input.width(), height).unwrap();
    net.graph = Size::new(net.graph.width(), height + missing).unwrap();
    net
}

fn pixels(size: Size, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..size.area()).map(|_| next()).collect()
}

fn reconstructed(mut engine: impl Engine, image: &[u8]) -> Vec<i32> {
    let frame = Frame::new(engine.input(), image).unwrap();
    let mut output = vec![0x7777; image.len()];
    // Twice: nothing of a frame may be left for the next.
    for _ in 0..2 {
        engine.reconstruct(frame, &mut output).unwrap();
    }
    output
}

#[test]
fn bands_equal_the_whole_frame() {
    let (mut divided, mut narrow) = (0, 0);
    for seed in 0..NETS {
        let net = RandomNet::new(seed);
        for height in [1, 2, 7, 33, 64, 97] {
            let net = with_height(&net, height);
            let file = onnx_writer::onnx(&net);
            let read = onnx::read(&file, net.fraction_bits).unwrap();
            let (plan, kernel) = (Plan::new(&read).unwrap(), kernel::best());
            let image = pixels(net.input, seed + height as u64);
            let (weights, arena) = (vec![0; plan.weights_len(kernel)], vec![0; plan.arena_len()]);
            let whole = Native::new(&read, net.input, kernel, weights, arena).unwrap();
            let expected = reconstructed(whole, &image);
            for count in [1, 2, 3, 5, 1000] {
                let bands = Bands::new(&read, net.input, kernel, count).unwrap();
                assert!((1..=count).contains(&bands.count()));
                divided += usize::from(bands.count() > 1);
                narrow += usize::from(height / bands.count() < plan.overlap_rows());
                let found = reconstructed(bands, &image);
                assert_eq!(found, expected, "seed {seed}, {height} rows, {count} bands");
            }
        }
    }
    assert!(
        divided > 100 && narrow > 100,
        "{divided} frames were divided, {narrow} had bands narrower than the network sees"
    );
}
