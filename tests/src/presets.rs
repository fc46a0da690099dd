//! Every preset's network with the weights that training would start from, quantized and exported:
//! the real shapes without the hours of training.

use anyhow::Result;
use candle_core::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use residua_host::{
    export,
    net::{autoencoder::Autoencoder, config::Preset},
    quantize::{self, Activations},
};
use residua_shared::frame::Size;

/// An exported network.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The file.
    pub onnx: Vec<u8>,
    /// Binary fraction bits of its reconstruction.
    pub fraction_bits: u8,
}

/// Passes after which batch norms know the moments of what they normalize; without them, signals
/// fade from layer to layer until no 8 bits can hold the weights that restore them.
const SETTLING: usize = 20;

/// The export of an untrained network of this preset for images of `input`, its batch norms and
/// ranges measured on [`images`].
pub fn untrained(preset: Preset, input: Size) -> Result<Exported> {
    let config = preset.config();
    let net = Autoencoder::new(&config, 11, &Device::Cpu)?;
    let sample = images(Size::new(32, 32)?);
    let grey = |image: &Vec<u8>| -> Vec<f32> { image.iter().map(|&x| x.into()).collect() };
    let grey: Vec<f32> = sample.iter().flat_map(grey).map(|x| x / 255.0).collect();
    let sample = Tensor::from_vec(grey, (sample.len(), 1, 32, 32), &Device::Cpu)?;
    for _ in 0..SETTLING {
        net.forward(&sample, true)?;
    }
    let folded = net.fold()?;
    let mut activations = Activations::new(&folded);
    for image in sample.chunk(sample.dim(0)?, 0)? {
        let outputs = net.activations(&image)?;
        let hidden = outputs.iter().take(activations.hidden());
        let hidden: Vec<Vec<f32>> = hidden
            .map(|output| output.flatten_all()?.to_vec1())
            .collect::<candle_core::Result<_>>()?;
        activations.add(&hidden)?;
    }
    let network = quantize::quantize(&folded, &activations)?;
    let graph = input.padded_to(config.stride())?;
    Ok(Exported {
        onnx: export::onnx(&network, graph)?,
        fraction_bits: network.fraction_bits,
    })
}

/// A soft wave with noise on it, and the same with a dark scratch.
pub fn images(size: Size) -> Vec<Vec<u8>> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut image = |scratch: bool| {
        let grey = |n: usize| {
            let (x, y) = (n % size.width(), n / size.width());
            let wave = 128.0 + 70.0 * (x as f64 * 0.31 + y as f64 * 0.17).sin();
            let dark = scratch && x.abs_diff(y) < 2;
            let noise: f64 = rng.random_range(-12.0..12.0);
            (if dark { wave / 4.0 } else { wave } + noise) as u8
        };
        (0..size.area()).map(grey).collect()
    };
    vec![image(false), image(true)]
}
