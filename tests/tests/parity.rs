//! Every runtime reconstructs what the scalar reference does, bit for bit, on random networks
//! within the numeric contract.
//!
//! `PARITY_SEED=N cargo test --release -p residua-tests --test parity` runs one case alone;
//! `PARITY_CASES=N` changes their number.

use std::{env, thread};

use residua_edge::engine::native::kernel;
use residua_shared::{
    frame::{Frame, Size},
    net::{MAX_ACCUMULATOR, MAX_SATURATING_SHIFT, MAX_SHIFT, Pads, Source},
    onnx,
    reference::reconstruction::{reconstruct, requantize},
};
use residua_tests::{
    onnx_writer::{onnx, onnx_up_to},
    random_net::{LayerSpec, RandomNet},
    runners::{Judge, NativeRunner, OnnxRuntime, Runner, TractRunner},
};
use tract_onnx::prelude::*;

const CASES: u64 = 200;

/// Starting Python is slow, so onnxruntime runs one case in this many.
const ONNXRUNTIME_EVERY: u64 = 5;

fn runners(seed: u64) -> Vec<Box<dyn Runner>> {
    let mut runners: Vec<Box<dyn Runner>> = vec![Box::new(TractRunner)];
    for kernel in kernel::all() {
        runners.push(Box::new(NativeRunner(kernel)));
    }
    if seed.is_multiple_of(ONNXRUNTIME_EVERY) {
        runners.push(Box::new(OnnxRuntime));
    }
    runners
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .expect("PARITY_SEED and PARITY_CASES are whole numbers"),
    )
}

#[test]
fn every_runtime_equals_the_reference() {
    if let Some(seed) = number("PARITY_SEED") {
        return check(seed);
    }
    let cases = number("PARITY_CASES").unwrap_or(CASES);
    let workers = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    thread::scope(|scope| {
        for worker in 0..workers {
            scope.spawn(move || {
                (worker..cases).step_by(workers as usize).for_each(check);
            });
        }
    });
}

/// The seeds reach every kind of layer that the contract allows; without that the suite is blind.
#[test]
fn the_cases_cover_the_contract() {
    let nets: Vec<RandomNet> = (0..CASES).map(RandomNet::new).collect();
    let layers = || nets.iter().flat_map(|net| &net.layers);
    for kernel in 1..=11 {
        for stride in 1..=2 {
            assert!(layers().any(|l| l.kernel == kernel && l.stride == stride));
        }
        assert!(layers().any(|l| l.kernel == kernel && l.depth_to_space));
    }
    assert!(layers().any(|l| l.shifts.len() > 1 && equal(&l.shifts)));
    assert!(layers().any(|l| !equal(&l.shifts)));
    assert!(layers().any(|l| l.shifts.contains(&0)));
    assert!(layers().any(|l| l.shifts.iter().any(|&shift| shift > 24)));
    assert!(layers().any(|l| l.input_channels > 64));
    assert!(layers().any(|l| l.output_channels > 60 && !l.depth_to_space));
    assert!(nets.iter().any(|net| net.input != net.graph));
    assert!(nets.iter().any(|net| net.input.width() == 1));
    assert!(nets.iter().any(|net| net.input.height() == 1));
}

fn equal(shifts: &[u32]) -> bool {
    shifts.windows(2).all(|pair| pair[0] == pair[1])
}

/// Activations are neither all dead nor all saturated: otherwise nets would agree by accident.
#[test]
fn the_cases_are_alive() {
    let (mut inner, mut all) = (0, 0);
    for seed in 0..40 {
        let net = RandomNet::new(seed);
        for values in activations(&net, &net.images()[2]) {
            inner += values.iter().filter(|&&v| v != 0 && v != 255).count();
            all += values.len();
        }
    }
    assert!(
        inner * 4 > all,
        "only {inner} of {all} activations lie inside 1..=254"
    );
}

/// As near to the contract's limits as it allows: sums just below 2^30 that saturate, and just
/// below 2^24 with the largest shifts, whether the shifts of a layer are equal (tract then rounds
/// in i32) or not (it then multiplies in f32).
#[test]
fn tract_equals_the_reference_at_the_limits() {
    let mut layers = Vec::new();
    for shift in 0..=MAX_SHIFT {
        let limit = if shift > MAX_SATURATING_SHIFT {
            1 << 24
        } else {
            MAX_ACCUMULATOR
        };
        let most = limit - 1 - 255;
        let halves = (0..8).map(|n| (n << shift) + (1_i64 << shift >> 1) - 128);
        let biases: Vec<i32> = halves
            .filter(|bias| bias.abs() <= most)
            .chain([-most, -most / 2, most / 2, most])
            .map(|bias| bias as i32)
            .collect();
        let equal = vec![shift; biases.len()];
        let mut unequal = equal.clone();
        unequal[0] = if shift == 0 { 1 } else { shift - 1 };
        layers.extend([(biases.clone(), equal), (biases, unequal)]);
    }
    for (biases, shifts) in layers {
        let net = one_layer(biases, shifts);
        let layer = &net.layers[0];
        let file = onnx_up_to(&net, 0, layer.output_channels, net.graph);
        let pixels: Vec<u8> = (0..=255).collect();
        let found = tract_activations(&file, &net, &pixels);
        for (at, found) in found.into_iter().enumerate() {
            let (channel, pixel) = (at / 256, at % 256);
            let sum = layer.biases[channel] + pixel as i32;
            let expected = requantize(sum, layer.shifts[channel]);
            assert_eq!(found, expected, "sum {sum}, shifts {:?}", layer.shifts);
        }
    }
}

/// A 1x1 layer of weight 1 on the image 0, 1, … 255.
fn one_layer(biases: Vec<i32>, shifts: Vec<u32>) -> RandomNet {
    let size = Size::new(16, 16).unwrap();
    RandomNet {
        seed: 0,
        input: size,
        graph: size,
        fraction_bits: 4,
        layers: vec![LayerSpec {
            source: Source::Image,
            input_channels: 1,
            output_channels: biases.len(),
            kernel: 1,
            stride: 1,
            pads: Pads::default(),
            weights: vec![1; biases.len()],
            biases,
            shifts,
            exponent: -8,
            depth_to_space: false,
        }],
    }
}

fn check(seed: u64) {
    let net = RandomNet::new(seed);
    let (file, images) = (onnx(&net), net.images());
    let run = |runner: &dyn Runner| {
        runner
            .run(&file, net.input, net.fraction_bits, &images)
            .unwrap_or_else(|error| panic!("{} on seed {seed}: {error}", runner.name()))
    };
    let expected = run(&Judge);
    for runner in runners(seed) {
        let found = run(&*runner);
        for (image, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let differs = found.iter().zip(expected).position(|(a, b)| a != b);
            if let Some(at) = differs {
                let (x, y) = (at % net.input.width(), at / net.input.width());
                panic!(
                    "seed {seed}, image {image}, {} at x {x}, y {y}: {} instead of {}; {}\n\
                     rerun: PARITY_SEED={seed} cargo test --release -p residua-tests --test parity",
                    runner.name(),
                    found[at],
                    expected[at],
                    first_layer_apart(&net, &images[image]),
                );
            }
        }
    }
}

/// The activations of every layer but the last by the reference.
fn activations(net: &RandomNet, image: &[u8]) -> Vec<Vec<u8>> {
    let file = onnx(net);
    let read = onnx::read(&file, net.fraction_bits).unwrap();
    let mut scratch = vec![0; read.scratch_len()];
    let frame = Frame::new(net.input, image).unwrap();
    let mut output = vec![0; net.input.area()];
    reconstruct(&read, frame, &mut scratch, &mut output).unwrap();
    let inner = 0..net.layers.len() - 1;
    inner
        .map(|index| scratch[read.activations(index)].to_vec())
        .collect()
}

/// Where tract first leaves the reference, for the message.
fn first_layer_apart(net: &RandomNet, image: &[u8]) -> String {
    let file = onnx(net);
    let read = onnx::read(&file, net.fraction_bits).unwrap();
    for (index, expected) in activations(net, image).iter().enumerate() {
        let (spec, size) = (&net.layers[index], read.output_size(index));
        let part = onnx_up_to(net, index, spec.channels(), size);
        let found = tract_activations(&part, net, image);
        if let Some(at) = found.iter().zip(expected).position(|(a, b)| a != b) {
            let (channel, at_pixel) = (at / size.area(), at % size.area());
            let (x, y) = (at_pixel % size.width(), at_pixel / size.width());
            let row = if spec.depth_to_space {
                4 * channel + y % 2 * 2 + x % 2
            } else {
                channel
            };
            return format!(
                "tract leaves first in layer {index} ({:?}, kernel {}, stride {}, {} to {} \
                 channels, depth to space: {}): channel {channel}, x {x}, y {y} is {} instead of \
                 {}; its shift is {}, all shifts equal: {}",
                spec.source,
                spec.kernel,
                spec.stride,
                spec.input_channels,
                spec.output_channels,
                spec.depth_to_space,
                found[at],
                expected[at],
                spec.shifts[row],
                equal(&spec.shifts),
            );
        }
    }
    "every layer but the last is equal".into()
}

fn tract_activations(file: &[u8], net: &RandomNet, image: &[u8]) -> Vec<u8> {
    let frame = Frame::new(net.input, image).unwrap();
    let pixels = padded(frame, net.graph);
    let shape = [1, 1, net.graph.height(), net.graph.width()];
    let model = tract_onnx::onnx().model_for_read(&mut &*file).unwrap();
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let input = Tensor::from_shape(&shape, &pixels).unwrap();
    let output = model.run(tvec!(input.into_tvalue())).unwrap().remove(0);
    let output = output.cast_to::<u8>().unwrap();
    let output = output.to_plain_array_view::<u8>().unwrap();
    output.iter().copied().collect()
}

fn padded(frame: Frame<'_>, graph: Size) -> Vec<u8> {
    let row = |y| {
        let row = frame.row_replicated(y);
        (0..graph.width()).map(move |x| row[x.min(row.len() - 1)])
    };
    (0..graph.height()).flat_map(row).collect()
}
