//! From a training run to integers.

use anyhow::{Context, Result};
use candle_core::Device;
use residua_shared::frame::{Frame, Size};

use super::{Activations, Quantized, quantize};
use crate::{
    data,
    net::{float, folded::Folded},
    train::run::RunFolder,
};

/// Good images on which activation ranges are measured: the first of the training part.
const SAMPLE: usize = 16;

/// Quantizes the kept weights of a run for images of `input`, on the first 16 images of its
/// training part.
///
/// Errors where the run or its images cannot be used, and as [`quantize`].
pub fn post_training(run: &RunFolder, input: Size) -> Result<Quantized> {
    let (folded, activations) = measured(run, input)?;
    quantize(&folded, &activations).with_context(|| run.path().display().to_string())
}

/// The kept weights of a run, folded, and what the sample does in them.
pub fn measured(run: &RunFolder, input: Size) -> Result<(Folded, Activations)> {
    let split = run
        .dataset(Some(input))?
        .split(run.config().data.split_seed)?;
    let sample = data::load_all(&split.train[..split.train.len().min(SAMPLE)])?;
    let net = run.best(&Device::Cpu)?;
    let folded = net.fold()?;
    let mut activations = Activations::new(&folded);
    for image in &sample {
        let frame = Frame::new(image.size, &image.pixels)?;
        let image = float::tensor(frame, run.config().network.stride())?;
        let outputs = net.activations(&image)?;
        let hidden = outputs.iter().take(activations.hidden());
        let hidden: Vec<Vec<f32>> = hidden
            .map(|output| output.flatten_all()?.to_vec1())
            .collect::<candle_core::Result<_>>()?;
        activations.add(&hidden)?;
    }
    Ok((folded, activations))
}
