//! Every runtime reconstructs what the scalar reference does, bit for bit, on random networks
//! within the numeric contract.
//!
//! `PARITY_SEED=N cargo xtask test -p residua-tests --test parity` runs one case alone;
//! `PARITY_CASES=N` changes their number.

use std::{env, num::NonZeroU8, thread};

use residua_edge::{
    engine::native::kernel,
    regions::{max_regions, max_runs},
};
use residua_runner::{case::Engine, layers::activations as activations_by_tract};
use residua_shared::{
    frame::{Frame, Size},
    net::{MAX_ACCUMULATOR, MAX_SATURATING_SHIFT, MAX_SHIFT, Pads, Source},
    onnx,
    reference::reconstruction::{reconstruct, requantize},
    rule::{ColumnWeights, Comparison, DecisionRule, MapScale},
};
use residua_tests::{
    judge,
    layers::{first_apart, onnx_up_to},
    onnx_writer::onnx,
    random_net::{LayerSpec, RandomNet},
    runners::{Judge, NativeRunner, OnnxRuntime, Runner, TractRunner},
    suite::{Subject, check_on_targets, rule_for},
    targets::Case,
};

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
            .unwrap_or_else(|_| panic!("{variable} is \"{text}\"; it must be a whole number")),
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
        let file = onnx(&net);
        let file = onnx_up_to(&file, &onnx::read(&file, net.fraction_bits).unwrap(), 0).unwrap();
        let pixels: Vec<u8> = (0..=255).collect();
        let found = tract_activations(&file, net.graph, &pixels).unwrap();
        for (at, found) in found.into_iter().enumerate() {
            let (channel, pixel) = (at / 256, at % 256);
            let sum = layer.biases[channel] + pixel as i32;
            let expected = requantize(sum, layer.shifts[channel]);
            assert_eq!(found, expected, "sum {sum}, shifts {:?}", layer.shifts);
        }
    }
}

/// A 1x1 layer of weight 1, for the image 0, 1, … 255, and the last one that a network needs.
fn one_layer(biases: Vec<i32>, shifts: Vec<u32>) -> RandomNet {
    let size = Size::new(16, 16).unwrap();
    let layer = LayerSpec {
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
    };
    let last = LayerSpec {
        source: Source::Layer(0),
        input_channels: layer.output_channels,
        output_channels: 1,
        biases: vec![0],
        shifts: vec![],
        ..layer.clone()
    };
    RandomNet {
        seed: 0,
        input: size,
        graph: size,
        fraction_bits: 4,
        layers: vec![layer, last],
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
                let layer = first_apart(
                    &file,
                    net.fraction_bits,
                    net.input,
                    &images[image],
                    &tract_activations,
                );
                panic!(
                    "seed {seed}, image {image}, {} at x {x}, y {y}: {} instead of {}; {}\n\
                     rerun: {}",
                    runner.name(),
                    found[at],
                    expected[at],
                    layer.unwrap_or_else(|error| error),
                    rerun(seed),
                );
            }
        }
    }
}

fn rerun(seed: u64) -> String {
    format!("PARITY_SEED={seed} cargo xtask test -p residua-tests --test parity")
}

/// The random networks on this machine and every target, all the way to verdict and wire frame.
#[test]
fn every_target_equals_the_reference() {
    let seeds = match number("PARITY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PARITY_CASES").unwrap_or(CASES),
    };
    check_on_targets(&seeds.map(subject).collect::<Vec<_>>());
}

/// A random network with a rule of its own: every comparison, box, ground, roughness, minimum area and
/// weights of columns in turn, and thresholds that make regions of its noisy image.
fn subject(seed: u64) -> Subject {
    const COMPARISONS: [Comparison; 3] =
        [Comparison::Absolute, Comparison::Dark, Comparison::Bright];
    let net = RandomNet::new(seed);
    let box_size = 1 + 2 * (seed / 3 % 6) as u8;
    let ground = NonZeroU8::new((seed / 2 % 2 * (1 + seed)) as u8);
    let roughness = NonZeroU8::new((seed / 4 % 2 * (1 + seed % 64)) as u8);
    let scale = MapScale::new(net.fraction_bits, box_size)
        .and_then(|scale| scale.on(ground).weighed_by(roughness))
        .unwrap();
    let comparison = COMPARISONS[seed as usize % 3];
    let weight = |zone: usize| NonZeroU8::new(1 + ((7 + seed) * (zone as u64 + 3) % 255) as u8);
    let columns = ColumnWeights::new(std::array::from_fn(|zone| weight(zone).unwrap()));
    let columns = (seed / 8).is_multiple_of(2).then_some(columns);
    // QEMU is slow: the flat images are for this machine alone.
    let images = &net.images()[2..];
    let mut case = Case {
        engine: Engine::Tract(onnx(&net)),
        input: net.input,
        rule: DecisionRule::new(comparison, scale, 0, 1, 0)
            .unwrap()
            .weighing(columns),
        runs: max_runs(net.input) as u32,
        regions: max_regions(net.input) as u32,
        images: images[0].clone(),
        first: 0,
        repetitions: 1,
    };
    let noise = judge::reconstructions(&case).unwrap();
    let map = judge::anomaly_map(case.rule, net.input, &images[0], &noise[0]);
    let rule = rule_for(comparison, scale, 1 + (seed % 4) as u32, map, (0.4, 0.1));
    case.rule = rule.weighing(columns);
    case.images = images.concat();
    Subject {
        name: format!("seed {seed}"),
        rerun: rerun(seed),
        case,
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

fn tract_activations(file: &[u8], graph: Size, image: &[u8]) -> Result<Vec<u8>, String> {
    activations_by_tract(file, graph, image).map_err(|error| format!("{error:#}"))
}
