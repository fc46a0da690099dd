//! The published network against a recorded PyTorch run: see `fixtures/torch/record.py`.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use residua_host::net::autoencoder::Autoencoder;
use residua_host::net::config::{Config, Preset};
use residua_host::train::adam::Adam;

struct Recorded(HashMap<String, Tensor>);

impl Recorded {
    fn open(file: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch");
        Self(candle_core::safetensors::load(path.join(file), &Device::Cpu).unwrap())
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("{name} was not recorded"))
    }

    /// The network as it was `before/` or `after/` the recorded step.
    fn network(&self, preset: Preset, when: &str) -> Autoencoder {
        let tensors: HashMap<String, Tensor> = self
            .0
            .iter()
            .filter_map(|(name, t)| Some((name.strip_prefix(when)?.to_owned(), t.clone())))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("net.safetensors");
        candle_core::safetensors::save(&tensors, &file).unwrap();
        Autoencoder::load(&narrow(preset), &file, &Device::Cpu).unwrap()
    }
}

/// The preset with 4 channels instead of 48.
fn narrow(preset: Preset) -> Config {
    let mut config = preset.config();
    config
        .encoder
        .iter_mut()
        .for_each(|stage| stage.channels = 4);
    config
        .decoder
        .iter_mut()
        .for_each(|stage| stage.channels = 4);
    config
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference, in units of the largest recorded magnitude.
fn difference(ours: &Tensor, recorded: &Tensor) -> f32 {
    assert_eq!(ours.dims(), recorded.dims());
    let (ours, recorded) = (values(ours), values(recorded));
    let scale = recorded.iter().fold(0f32, |m, x| m.max(x.abs()));
    let largest = ours.iter().zip(&recorded);
    largest.fold(0f32, |m, (a, b)| m.max((a - b).abs())) / scale
}

fn loss(net: &Autoencoder, images: &Tensor) -> Tensor {
    let reconstruction = net.forward(images, true).unwrap();
    let error = (reconstruction - images).unwrap();
    error.sqr().unwrap().mean_all().unwrap()
}

fn check(preset: Preset, file: &str) {
    let recorded = Recorded::open(file);
    let net = recorded.network(preset, "before/");
    let images = recorded.get("images");

    let loss = loss(&net, images);
    assert!(difference(&loss.reshape(1).unwrap(), recorded.get("loss")) < 1e-5);
    let gradients = loss.backward().unwrap();
    let parameters = net.parameters();
    let count = recorded.0.keys().filter(|k| k.starts_with("gradient/"));
    assert_eq!(parameters.len(), count.count());
    for (name, var) in &parameters {
        let gradient = gradients.get(var).unwrap();
        let difference = difference(gradient, recorded.get(&format!("gradient/{name}")));
        assert!(difference < 1e-4, "gradient of {name}: {difference}");
    }

    let mut adam = Adam::new(parameters).unwrap();
    adam.step(&gradients, 1e-3).unwrap();
    for (name, ours) in net.tensors() {
        let after = values(recorded.get(&format!("after/{name}")));
        let gradient = recorded.0.get(&format!("gradient/{name}")).map(values);
        for (i, (ours, after)) in values(&ours).iter().zip(after).enumerate() {
            // Adam's first step is the gradient's sign: that of one near zero is rounding noise.
            let noise = gradient.as_ref().is_some_and(|g| g[i].abs() < 1e-6);
            let allowed = if noise { 2e-3 } else { 1e-5 };
            assert!(
                (ours - after).abs() <= allowed,
                "{name}[{i}]: {ours}, {after}"
            );
        }
    }
}

#[test]
fn paper_computes_what_pytorch_does() {
    check(Preset::Paper, "paper.safetensors");
}

#[test]
fn paper_leaky_computes_what_pytorch_does() {
    check(Preset::PaperLeaky, "paper-leaky.safetensors");
}

#[test]
fn forward_passes_of_both_modes_are_pytorchs() {
    let recorded = Recorded::open("paper.safetensors");
    let images = recorded.get("images");
    let net = recorded.network(Preset::Paper, "before/");
    let reconstruction = net.forward(images, true).unwrap();
    assert!(difference(&reconstruction, recorded.get("reconstruction")) < 1e-5);

    let net = recorded.network(Preset::Paper, "after/");
    let evaluation = net.forward(images, false).unwrap();
    assert!(difference(&evaluation, recorded.get("evaluation")) < 1e-5);
}
