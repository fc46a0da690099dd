//! The losses of training against a recorded PyTorch (see `fixtures/loss/record.py`), against finite
//! differences, and as what a training minimizes.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use residua_host::train::loss::Loss;
use serde::Deserialize;

const ALL: [&str; 7] = [
    "mse",
    "l1",
    "ssim",
    "ms-ssim",
    "gms",
    "ms-gms",
    "mse:0.5,ms-ssim:0.3,gms:2",
];

#[derive(Deserialize)]
struct Recorded {
    width: usize,
    height: usize,
    losses: BTreeMap<String, Values>,
}

#[derive(Deserialize)]
struct Values {
    value: f64,
    gradient_length: f64,
    gradient: Vec<f64>,
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("fixtures/loss/losses.json")).unwrap()
}

/// The script's images: target and reconstruction.
fn images(width: usize, height: usize) -> (Tensor, Tensor) {
    let (mut target, mut reconstruction) = (Vec::new(), Vec::new());
    for n in 0..2 {
        for y in 0..height {
            for x in 0..width {
                let fine = ((3 * x * x + 7 * y + x * y + 31 * n) % 256) as f64 / 255.0;
                let other = ((5 * x + y * y + 11 * n) % 256) as f64 / 255.0;
                let coarse = ((x / 16 + y / 8 + n) % 5) as f64 / 5.0;
                let value = 0.4 * fine + 0.6 * coarse;
                target.push(value);
                reconstruction.push(0.7 * value + 0.2 * other + 0.05);
            }
        }
    }
    let tensor = |values| Tensor::from_vec(values, (2, 1, height, width), &Device::Cpu).unwrap();
    (tensor(target), tensor(reconstruction))
}

fn loss(text: &str) -> Loss {
    text.parse().unwrap()
}

fn value(loss: &Loss, x: &Tensor, y: &Tensor) -> f64 {
    loss.of(x, y).unwrap().to_scalar().unwrap()
}

fn gradient(loss: &Loss, x: &Var, y: &Tensor) -> Tensor {
    let gradients = loss.of(x, y).unwrap().backward().unwrap();
    gradients.get(x).unwrap().clone()
}

fn noise(seed: u64, shape: (usize, usize, usize, usize)) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.0 * shape.1 * shape.2 * shape.3;
    let values: Vec<f64> = (0..count).map(|_| rng.random_range(0.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

#[test]
fn values_and_gradients_are_pytorchs() {
    for recorded in recorded() {
        let (target, reconstruction) = images(recorded.width, recorded.height);
        let x = Var::from_tensor(&reconstruction).unwrap();
        assert_eq!(recorded.losses.len(), 6);
        for (name, expected) in &recorded.losses {
            let loss = loss(name);
            let ours = value(&loss, &x, &target);
            let difference = (ours - expected.value).abs();
            assert!(difference < 1e-12, "{name}: {ours}, {}", expected.value);

            let gradient = gradient(&loss, &x, &target).flatten_all().unwrap();
            let gradient: Vec<f64> = gradient.to_vec1().unwrap();
            let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let scale = expected.gradient_length;
            assert!((length / scale - 1.0).abs() < 1e-9, "{name}: {length}");
            let step = gradient.len().div_ceil(8);
            let samples: Vec<f64> = gradient.into_iter().step_by(step).collect();
            assert_eq!(samples.len(), expected.gradient.len());
            for (ours, theirs) in samples.iter().zip(&expected.gradient) {
                assert!(
                    (ours - theirs).abs() < 1e-9 * scale,
                    "{name}: {ours}, {theirs}"
                );
            }
        }
    }
}

#[test]
fn gradients_are_the_slopes() {
    // Unrelated images too, whose structures are not similar at all.
    let shape = (2, 1, 46, 37);
    let y = noise(1, shape);
    let near = (&y * 0.7).unwrap() + (noise(2, shape) * 0.2).unwrap();
    for x in [near.unwrap(), noise(3, shape), (1.0 - &y).unwrap()] {
        let x = Var::from_tensor(&x).unwrap();
        let direction = (noise(4, shape) - 0.5).unwrap();
        for text in ALL {
            let loss = loss(text);
            let along = (gradient(&loss, &x, &y) * &direction).unwrap();
            let computed: f64 = along.sum_all().unwrap().to_scalar().unwrap();
            let at = |step: f64| {
                let moved = (x.as_tensor().detach() + (&direction * step).unwrap()).unwrap();
                value(&loss, &moved, &y)
            };
            let step = 1e-6;
            let measured = (at(step) - at(-step)) / (2.0 * step);
            // Steps over the kink of an absolute value among 3404 show in the sixth digit.
            let difference = (measured - computed).abs();
            assert!(
                difference < 1e-8 + 1e-5 * computed.abs(),
                "{text}: {measured} measured, {computed} computed"
            );
        }
    }
}

#[test]
fn equal_images_have_no_loss_and_others_have() {
    let y = noise(1, (2, 1, 24, 24));
    let even = y.zeros_like().unwrap();
    for text in ALL {
        let loss = loss(text);
        assert!(value(&loss, &y, &y).abs() < 1e-12, "{text}");
        assert!(value(&loss, &even, &y) > 0.01, "{text}");
        let x = Var::from_tensor(&even).unwrap();
        let gradient = gradient(&loss, &x, &even).flatten_all().unwrap();
        let gradient: Vec<f64> = gradient.to_vec1().unwrap();
        assert!(
            gradient.iter().all(|g| g.is_finite()),
            "{text}: even images"
        );
    }
}

#[test]
fn single_precision_is_precise_enough() {
    let (target, reconstruction) = images(128, 128);
    let f32 = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    for text in ALL {
        let loss = loss(text);
        let exact = value(&loss, &reconstruction, &target);
        let single = loss.of(&f32(&reconstruction), &f32(&target)).unwrap();
        let single = f64::from(single.to_scalar::<f32>().unwrap());
        assert!((single - exact).abs() < 1e-5, "{text}: {single}, {exact}");
    }
}

/// As a training starts: from an image that resembles the target in nothing.
#[test]
fn descending_leads_to_the_target_from_anywhere() {
    let y = images(32, 32).0;
    for text in ALL {
        let loss = loss(text);
        let x = Var::from_tensor(&noise(9, (2, 1, 32, 32))).unwrap();
        let start = value(&loss, &x, &y);
        for _ in 0..400 {
            let gradient = gradient(&loss, &x, &y);
            // A step of fixed length, as Adam's nearly are.
            let length = gradient.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
            let step = gradient.broadcast_div(&length).unwrap();
            let step = step.affine(0.05, 0.0).unwrap();
            x.set(&(x.as_tensor().detach() - step).unwrap()).unwrap();
        }
        let end = value(&loss, &x, &y);
        assert!(end < 0.5 * start, "{text}: {start} → {end}");
    }
}

#[test]
fn images_that_do_not_fit_are_errors() {
    let (a, b) = (noise(1, (1, 1, 16, 16)), noise(1, (1, 1, 16, 17)));
    let small = noise(1, (1, 1, 2, 10));
    for text in ALL {
        assert!(loss(text).of(&a, &b).is_err(), "{text}");
    }
    for text in &ALL[2..] {
        let error = loss(text).of(&small, &small).unwrap_err().to_string();
        assert!(error.contains("does not fit"), "{text}: {error}");
    }
}
