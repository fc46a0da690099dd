//! Quantization-aware fine-tuning: it trains the integers that are exported, and nothing else.

mod model_support;

use candle_core::{Device, Tensor};
use model_support::{integer_forward, random_image, random_network, rng, sample};
use residua_host::{
    net::ops,
    quantize::{Aware, quantize},
    train::adam::Adam,
};

fn images(images: &[model_support::Planes<i64>]) -> Tensor {
    let (height, width) = (images[0].height, images[0].width);
    let values: Vec<f32> = images
        .iter()
        .flat_map(|image| image.values.iter().map(|&v| v as f32))
        .collect();
    Tensor::from_vec(values, (images.len(), 1, height, width), &Device::Cpu).unwrap()
}

/// The sums of these networks are exact in f32, so that training and device agree on every value.
#[test]
fn training_runs_the_very_integers_that_are_exported() {
    for (seed, full_skip) in [(1, true), (2, false)] {
        let mut rng = rng(seed);
        let folded = random_network(&mut rng, 4, full_skip);
        let activations = sample(&folded, &mut rng, 4);
        let aware = Aware::new(&folded, &activations, &Device::Cpu).unwrap();
        let network = aware.quantized().unwrap();
        assert_eq!(network, quantize(&folded, &activations).unwrap());

        let image = random_image(&mut rng, 32, 48);
        let expected = integer_forward(&network, &image);
        let rounded = aware.rounded(&network).unwrap();
        let found = aware.reconstruct(&rounded, &images(&[image])).unwrap();
        let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
        let steps = f32::from(1_u16 << network.fraction_bits);
        for (at, (found, expected)) in found.iter().zip(&expected.values).enumerate() {
            assert_eq!((found * steps) as i64, *expected, "seed {seed}, value {at}");
        }
    }
}

#[test]
fn activations_round_halves_to_even_and_pass_gradients_where_nothing_saturates() {
    let values = [-3.0_f32, -0.4, 0.5, 1.5, 2.5, 254.6, 255.0, 400.0];
    let x = candle_core::Var::new(&values, &Device::Cpu).unwrap();
    let y = ops::saturate(&x).unwrap();
    assert_eq!(
        y.to_vec1::<f32>().unwrap(),
        [0.0, 0.0, 0.0, 2.0, 2.0, 255.0, 255.0, 255.0]
    );
    let gradients = (y * 3.0).unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&x).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(gradient, [0.0, 0.0, 3.0, 3.0, 3.0, 3.0, 0.0, 0.0]);
}

/// A network whose weights all shrank finds its way back towards what it was.
#[test]
fn fine_tuning_lowers_the_loss_of_the_integers() {
    let mut rng = rng(3);
    let mut folded = random_network(&mut rng, 4, false);
    let activations = sample(&folded, &mut rng, 4);
    let image = random_image(&mut rng, 32, 32);
    let target = integer_forward(&quantize(&folded, &activations).unwrap(), &image);
    let bits = quantize(&folded, &activations).unwrap().fraction_bits;
    let target: Vec<f32> = target
        .values
        .iter()
        .map(|&v| v as f32 / f32::from(1_u16 << bits))
        .collect();
    let target = Tensor::from_vec(target, (1, 1, 32, 32), &Device::Cpu).unwrap();
    for layer in &mut folded.layers {
        layer.weight.iter_mut().for_each(|weight| *weight *= 0.9);
    }

    let aware = Aware::new(&folded, &activations, &Device::Cpu).unwrap();
    let mut adam = Adam::new(aware.parameters()).unwrap();
    let input = images(&[image]);
    let mut losses = Vec::new();
    for _ in 0..60 {
        let rounded = aware.rounded(&aware.quantized().unwrap()).unwrap();
        let error = (aware.reconstruct(&rounded, &input).unwrap() - &target).unwrap();
        let loss = (error / 255.0).unwrap().sqr().unwrap().mean_all().unwrap();
        losses.push(loss.to_scalar::<f32>().unwrap());
        let mut gradients = loss.backward().unwrap();
        aware.straight_through(&mut gradients, &rounded).unwrap();
        adam.step(&gradients, 2e-3).unwrap();
    }
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < first * 0.5, "{first:.2e} became {last:.2e}");
}
