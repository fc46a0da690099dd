//! The first layers of a network by tract, to find the layer where it leaves the reference.

use std::{vec, vec::Vec};

use residua_shared::frame::Size;
use tract_onnx::prelude::*;

/// The u8 activations, `[channels, height, width]`, that an ONNX file of this graph yields for an
/// image of the graph's size.
pub fn activations(file: &[u8], graph: Size, image: &[u8]) -> TractResult<Vec<u8>> {
    let shape = [1, 1, graph.height(), graph.width()];
    let model = tract_onnx::onnx().model_for_read(&mut &*file)?;
    let model = model.into_optimized()?.into_runnable()?;
    let input = Tensor::from_shape(&shape, image)?;
    let output = model.run(tvec!(input.into_tvalue()))?.remove(0);
    let output = output.cast_to::<u8>()?;
    let output = output.to_plain_array_view::<u8>()?;
    Ok(output.iter().copied().collect())
}
