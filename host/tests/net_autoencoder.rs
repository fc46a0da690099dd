//! The autoencoder: folding, storing, and what it refuses.

use candle_core::{Device, Tensor};
use residua_host::net::autoencoder::Autoencoder;
use residua_host::net::config::Preset;
use residua_host::net::folded::{Folded, Kind, Source};
use residua_host::net::ops;

const SIDE: usize = 48;

/// Smooth images with some structure, all different.
fn images(count: usize) -> Tensor {
    let value = |i: usize| {
        let (n, y, x) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        let wave = (0.3 * x as f32 + 0.2 * n as f32).sin() * (0.17 * y as f32).cos();
        0.5 + 0.4 * wave
    };
    let values: Vec<f32> = (0..count * SIDE * SIDE).map(value).collect();
    Tensor::from_vec(values, (count, 1, SIDE, SIDE), &Device::Cpu).unwrap()
}

/// A network whose running moments are not those it started with.
fn used(preset: Preset) -> Autoencoder {
    let net = Autoencoder::new(&preset.config(), 3, &Device::Cpu).unwrap();
    for _ in 0..3 {
        net.forward(&images(2), true).unwrap();
    }
    net
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
    difference.max(0).unwrap().to_scalar().unwrap()
}

/// What a folded network computes in each layer.
fn evaluate(folded: &Folded, images: &Tensor) -> Vec<Tensor> {
    let mut outputs: Vec<Tensor> = Vec::new();
    for (index, layer) in folded.layers.iter().enumerate() {
        let input = match layer.source {
            Source::Image => images.clone(),
            Source::Layer(i) => outputs[i].clone(),
            Source::Concat(i, j) => Tensor::cat(&[&outputs[i], &outputs[j]], 1).unwrap(),
        };
        let (k, i, o) = (layer.kernel, layer.input_channels, layer.output_channels);
        let weight = |shape: [usize; 4]| {
            Tensor::from_vec(layer.weight.clone(), &shape, &Device::Cpu).unwrap()
        };
        let sums = match layer.kind {
            Kind::Conv { stride } => ops::conv2d(&input, &weight([o, i, k, k]), stride),
            Kind::ConvTranspose => ops::conv_transpose2d(&input, &weight([i, o, k, k])),
        };
        let bias = Tensor::from_vec(layer.bias.clone(), (1, o, 1, 1), &Device::Cpu).unwrap();
        let sums = sums.unwrap().broadcast_add(&bias).unwrap();
        let last = index + 1 == folded.layers.len();
        outputs.push(if last { sums } else { sums.relu().unwrap() });
    }
    outputs
}

#[test]
fn a_folded_network_computes_the_same() {
    for preset in [
        Preset::Paper,
        Preset::Edge,
        Preset::EdgeSmall,
        Preset::EdgeTiny,
    ] {
        let net = used(preset);
        let activations = net.activations(&images(1)).unwrap();
        let mut folded = evaluate(&net.fold().unwrap(), &images(1));
        if preset == Preset::Paper {
            // Its last ReLU is what folding leaves out.
            let last = folded.pop().unwrap();
            folded.push(last.relu().unwrap());
        }
        assert_eq!(activations.len(), folded.len());
        for (i, (ours, folded)) in activations.iter().zip(&folded).enumerate() {
            let difference = largest_difference(ours, folded);
            assert!(difference < 2e-5, "{preset:?} x{}: {difference}", i + 1);
        }
        let forward = net.forward(&images(1), false).unwrap();
        assert_eq!(
            largest_difference(&forward, &activations[activations.len() - 1]),
            0.0
        );
    }
}

#[test]
fn leaky_relu_cannot_be_folded() {
    let error = used(Preset::PaperLeaky).fold().unwrap_err().to_string();
    assert!(error.contains("LeakyReLU"), "{error}");
}

#[test]
fn a_stored_network_is_the_same() {
    let net = used(Preset::Edge);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");
    candle_core::safetensors::save(&net.tensors(), &file).unwrap();
    let again = Autoencoder::load(net.config(), &file, &Device::Cpu).unwrap();
    let outputs = [&net, &again].map(|net| net.forward(&images(1), false).unwrap());
    assert_eq!(largest_difference(&outputs[0], &outputs[1]), 0.0);

    let other = Autoencoder::load(&Preset::EdgeTiny.config(), &file, &Device::Cpu);
    let error = format!("{:#}", other.unwrap_err());
    assert!(
        error.contains("x1.weight") && error.contains("net.safetensors"),
        "{error}"
    );
    let missing = Autoencoder::load(&Preset::Paper.config(), &file, &Device::Cpu);
    assert!(format!("{:#}", missing.unwrap_err()).contains("x1.weight"));
    std::fs::write(&file, b"cut off").unwrap();
    let damaged = Autoencoder::load(net.config(), &file, &Device::Cpu);
    assert!(format!("{:#}", damaged.unwrap_err()).contains("net.safetensors"));
}

#[test]
fn the_seed_determines_the_weights() {
    let weights = |seed: u64| {
        let net = Autoencoder::new(&Preset::Edge.config(), seed, &Device::Cpu).unwrap();
        net.tensors()["x6.weight"]
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    assert_eq!(weights(5), weights(5));
    assert_ne!(weights(5), weights(6));
    // Uniform within 1/√fan-in, which PyTorch takes for 8·5·5 here.
    let bound = 1.0 / 200f32.sqrt();
    let largest = weights(5).into_iter().fold(0f32, |m, w| m.max(w.abs()));
    assert!((0.95 * bound..=bound).contains(&largest), "{largest}");
}

#[test]
fn a_new_network_starts_where_images_are() {
    for preset in [Preset::Paper, Preset::Edge, Preset::EdgeSmall] {
        for seed in 0..8 {
            let net = Autoencoder::new(&preset.config(), seed, &Device::Cpu).unwrap();
            let output = net.forward(&images(2), true).unwrap();
            let mean: f32 = output.mean_all().unwrap().to_scalar().unwrap();
            assert!((0.2..0.8).contains(&mean), "{preset:?}, {seed}: {mean}");
        }
    }
}

#[test]
fn every_parameter_is_trained() {
    for preset in [Preset::Paper, Preset::Edge] {
        let net = Autoencoder::new(&preset.config(), 0, &Device::Cpu).unwrap();
        let loss = net.forward(&images(2), true).unwrap().sqr().unwrap();
        let gradients = loss.sum_all().unwrap().backward().unwrap();
        let mut count = 0;
        for (name, var) in net.parameters() {
            assert!(gradients.get(&var).is_some(), "{name}");
            count += var.elem_count();
        }
        // The biases that a batch norm cancels are counted, but have no gradient.
        let cancelled = if preset == Preset::Paper { 433 } else { 0 };
        assert_eq!(count + cancelled, preset.config().parameters().unwrap());
    }
}

#[test]
fn sides_must_be_multiples_of_the_stride() {
    let net = used(Preset::Edge);
    let odd = Tensor::zeros((1, 1, 40, 48), candle_core::DType::F32, &Device::Cpu).unwrap();
    let error = net.forward(&odd, false).unwrap_err().to_string();
    assert!(error.contains("48x40") && error.contains("16"), "{error}");
}
