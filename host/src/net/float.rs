//! The float network as an engine: what quantization is measured against.

use anyhow::Result;
use candle_core::{Device, Tensor};
use residua_edge::engine::{Engine, EngineError};
use residua_shared::frame::{Frame, Size};

use super::autoencoder::Autoencoder;

/// Runs the float network on the CPU; its reconstruction is rounded to `fraction_bits` only at the
/// end.
#[derive(Debug)]
pub struct Float {
    net: Autoencoder,
    input: Size,
    fraction_bits: u8,
}

impl Float {
    /// An engine for images of size `input`.
    pub fn new(net: Autoencoder, input: Size, fraction_bits: u8) -> Self {
        Self {
            net,
            input,
            fraction_bits,
        }
    }

    fn run(&self, frame: Frame<'_>) -> Result<Vec<f32>> {
        let images = tensor(frame, self.net.config().stride())?;
        let reconstruction = self.net.forward(&images, false)?;
        Ok(reconstruction.flatten_all()?.to_vec1()?)
    }
}

impl Engine for Float {
    fn input(&self) -> Size {
        self.input
    }

    fn fraction_bits(&self) -> u8 {
        self.fraction_bits
    }

    fn reconstruct(
        &mut self,
        frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError> {
        if frame.size() != self.input {
            return Err(EngineError::Frame {
                input: self.input,
                frame: frame.size(),
            });
        }
        let values = self
            .run(frame)
            .map_err(|error| EngineError::Runtime(format!("{error:#}")))?;
        let white = 255.0 * f32::from(1_u16 << self.fraction_bits);
        let width = self.input.width();
        let graph_width = width.next_multiple_of(self.net.config().stride());
        let rows = values.chunks_exact(graph_width);
        for (out, row) in reconstruction.chunks_exact_mut(width).zip(rows) {
            for (out, &value) in out.iter_mut().zip(row) {
                *out = (value * white).round_ties_even() as i32;
            }
        }
        Ok(())
    }
}

/// A frame as the network sees it: `[1, 1, height, width]` in `0..=1`, its last column and row
/// repeated up to multiples of `stride`.
pub fn tensor(frame: Frame<'_>, stride: usize) -> Result<Tensor> {
    let graph = frame.size().padded_to(stride)?;
    let mut values = Vec::with_capacity(graph.area());
    for y in 0..graph.height() {
        let row = frame.row_replicated(y);
        let grey = |x: usize| f32::from(row[x.min(row.len() - 1)]) / 255.0;
        values.extend((0..graph.width()).map(grey));
    }
    let shape = (1, 1, graph.height(), graph.width());
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}
