//! Post-training quantization against float networks and the integer contract.

mod model_support;

use model_support::{
    Planes, convolution, depth_to_space, float_forward, integer_forward, random_image,
    random_network, rng, sample, to_float, transposed,
};
use proptest::prelude::*;
use rand::RngExt;
use residua_host::{
    net::folded::{Folded, Kind, Layer, Source},
    quantize::{Activations, IMAGE_EXPONENT, Quantized, quantize, subpixel_kernel},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn transposed_convolution_rewritten_is_exact(
        kernel in prop::sample::select(vec![3usize, 5, 7, 9, 11]),
        inputs in 1usize..4,
        outputs in 1usize..4,
        height in 1usize..9,
        width in 1usize..9,
        seed in any::<u64>(),
    ) {
        let mut rng = rng(seed);
        let mut input = Planes::<i64>::new(inputs, height, width);
        input.values.iter_mut().for_each(|v| *v = rng.random_range(0..256));
        let weight: Vec<i64> =
            (0..inputs * outputs * kernel * kernel).map(|_| rng.random_range(-127..128)).collect();
        let bias: Vec<i64> = (0..outputs).map(|_| rng.random_range(-5000..5000)).collect();

        let direct = transposed(&input, &weight, &bias, kernel);
        let (weight, side, pads) = subpixel_kernel(&weight, inputs, outputs, kernel);
        let bias: Vec<i64> = bias.iter().flat_map(|&b| [b; 4]).collect();
        let pads = (pads.begin, pads.end);
        let rewritten =
            depth_to_space(&convolution(&input, &weight, &bias, side, 1, pads));
        prop_assert_eq!(direct.values, rewritten.values);
    }
}

/// The pads that the format fixes.
#[test]
fn rewritten_kernels_have_the_stated_pads() {
    for (kernel, begin, end) in [(3, 0, 1), (5, 1, 1), (7, 1, 2), (9, 2, 2), (11, 2, 3)] {
        let (_, side, pads) = subpixel_kernel(&vec![1i64; kernel * kernel], 1, 1, kernel);
        assert_eq!(
            (side, pads.begin, pads.end),
            (kernel.div_ceil(2), begin, end)
        );
    }
}

/// Peak signal to noise of the integer reconstruction against the float one, in dB.
fn reconstruction_psnr(folded: &Folded, network: &Quantized, seed: u64) -> f64 {
    let mut rng = rng(seed);
    let mut squares = 0.0;
    let mut count = 0;
    for _ in 0..2 {
        let image = random_image(&mut rng, 32, 48);
        let float = float_forward(folded, &to_float(&image)).pop().unwrap();
        let integer = integer_forward(network, &image);
        let steps = f64::from(network.fraction_bits).exp2();
        for (f, i) in float.values.iter().zip(&integer.values) {
            squares += (f * 255.0 - *i as f64 / steps).powi(2);
            count += 1;
        }
    }
    10.0 * (255.0 * 255.0 / (squares / f64::from(count))).log10()
}

#[test]
fn integer_reconstruction_is_close_to_the_float_one() {
    for (seed, full_skip) in [(1, true), (2, true), (3, false), (4, false)] {
        let mut rng = rng(seed);
        let folded = random_network(&mut rng, 6, full_skip);
        let activations = sample(&folded, &mut rng, 4);
        let network = quantize(&folded, &activations).unwrap();
        let psnr = reconstruction_psnr(&folded, &network, seed + 100);
        println!(
            "seed {seed}: {psnr:.1} dB at {} fraction bits",
            network.fraction_bits
        );
        assert!(psnr > 30.0, "seed {seed}: {psnr:.1} dB");
    }
}

#[test]
fn integers_obey_the_contract() {
    for seed in 0..6 {
        let network = model_support::random_quantized(seed, 4, seed % 2 == 0);
        assert_eq!(network.side_multiple(), 16);
        assert!((4..=12).contains(&network.fraction_bits));
        let (last, hidden) = network.layers.split_last().unwrap();
        assert_eq!(last.output_exponent, -i32::from(network.fraction_bits));
        assert_eq!(last.weight_exponents.len(), 1);
        assert_eq!(network.exponent(network.layers[0].source), IMAGE_EXPONENT);
        for layer in &network.layers {
            assert!(layer.weight.iter().all(|w| *w != i8::MIN), "{}", layer.name);
            if let Source::Concat(a, b) = layer.source {
                let exponent = |i: usize| network.layers[i].output_exponent;
                assert_eq!(exponent(a), exponent(b), "{}", layer.name);
            }
        }
        for layer in hidden {
            let row = layer.input_channels * layer.kernel * layer.kernel;
            let rows = layer.weight.chunks_exact(row).zip(&layer.bias);
            for ((weights, bias), shift) in rows.zip(network.shifts(layer)) {
                let sum: i64 = weights.iter().map(|w| i64::from(w.unsigned_abs())).sum();
                let bound = sum * 255 + i64::from(*bias).abs();
                assert!(
                    (0..=31).contains(&shift) && bound < 1 << 31,
                    "{}",
                    layer.name
                );
                assert!(shift <= 16 || bound < 1 << 24, "{}", layer.name);
            }
        }
    }
}

/// One 1x1 convolution per weight and bias, the last to the reconstruction.
fn chain(layers: &[(f32, f32)]) -> Folded {
    let layer = |(index, &(weight, bias)): (usize, &(f32, f32))| Layer {
        name: format!("x{}", index + 1),
        source: index.checked_sub(1).map_or(Source::Image, Source::Layer),
        kind: Kind::Conv { stride: 1 },
        kernel: 1,
        input_channels: 1,
        output_channels: 1,
        weight: vec![weight],
        bias: vec![bias],
    };
    Folded {
        layers: layers.iter().enumerate().map(layer).collect(),
    }
}

fn quantize_chain(layers: &[(f32, f32)]) -> anyhow::Result<Quantized> {
    let folded = chain(layers);
    let activations = sample(&folded, &mut rng(0), 1);
    quantize(&folded, &activations)
}

fn refusal(layers: &[(f32, f32)]) -> String {
    format!("{:#}", quantize_chain(layers).unwrap_err())
}

#[test]
fn an_identity_stays_one() {
    let network = quantize_chain(&[(1.0, 0.0), (1.0, 0.0)]).unwrap();
    let mut image = Planes::new(1, 1, 256);
    image.values = (0..256).collect();
    let output = integer_forward(&network, &image);
    let step = f64::from(network.fraction_bits).exp2();
    for (x, y) in image.values.iter().zip(&output.values) {
        let error = *y as f64 / step - *x as f64;
        assert!(error.abs() < 1.5, "grey {x}: {error}");
    }
}

#[test]
fn a_dead_channel_is_harmless() {
    let network = quantize_chain(&[(0.0, 0.0), (1.0, 0.25)]).unwrap();
    let output = integer_forward(&network, &Planes::new(1, 1, 1));
    let grey = output.values[0] as f64 / f64::from(network.fraction_bits).exp2();
    assert!((grey - 63.75).abs() <= 1.0 / 16.0, "{grey}");
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_name() {
    let message = refusal(&[(f32::NAN, 0.0), (1.0, 0.0)]);
    assert!(
        message.starts_with("layer x1: a weight is not a finite number"),
        "{message}"
    );
}

#[test]
fn too_coarse_a_reconstruction_is_refused_by_name() {
    let message = refusal(&[(1.0, 0.0), (3000.0, -1500.0)]);
    assert!(
        message.starts_with("layer x2: the reconstruction would have"),
        "{message}"
    );
}

#[test]
fn a_bias_that_no_accumulator_holds_is_refused_by_name() {
    // The small positive part of a sum that is nearly cancelled everywhere.
    let message = refusal(&[(1e7, -9.5e6), (1e-7, 0.0)]);
    assert!(
        message.contains("layer x1: its weights or bias are too large"),
        "{message}"
    );
}

#[test]
fn activations_that_are_no_numbers_are_refused_by_name() {
    let mut activations = Activations::new(&chain(&[(1.0, 0.0), (1.0, 0.0)]));
    let message = activations
        .add(&[vec![0.5, f32::NAN]])
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("layer x1: an activation is not a finite number"),
        "{message}"
    );
}
