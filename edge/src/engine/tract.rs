//! tract as an engine: runs the exported ONNX file as it is. It allocates inside every run.

use std::{format, sync::Arc, vec, vec::Vec};

use residua_shared::{
    buffer::BufferError,
    frame::{Frame, Size},
};
use tract_onnx::prelude::*;

use super::{Engine, EngineError, check_frame, check_graph};

/// Runs an ONNX file by tract.
#[derive(Debug)]
pub struct Tract {
    model: Arc<TypedRunnableModel>,
    input: Size,
    graph: Size,
    fraction_bits: u8,
}

impl Tract {
    /// An engine of the ONNX file's bytes for images of size `input`, whose reconstruction has
    /// `fraction_bits` binary fraction bits; both are in the manifest.
    ///
    /// Errors where the file breaks the numeric contract (what the reader refuses never reaches
    /// tract, which panics on some damaged files), where tract cannot read it, or where the graph
    /// is too small for the images.
    pub fn new(onnx: &[u8], input: Size, fraction_bits: u8) -> Result<Self, EngineError> {
        let stated = residua_shared::onnx::read(onnx, fraction_bits)?.graph();
        // With AMX tract reads behind its packed matrices where the depth is no multiple of 64, and a
        // program may die of it (tract 0.23.9). It is told before it chooses kernels; a TRACT_CPU_ISA
        // in the environment goes before.
        #[cfg(target_arch = "x86_64")]
        tract_onnx::tract_hir::tract_core::tract_data::knobs::set_config_global(
            "TRACT_CPU_ISA",
            "-amx-int8",
        )
        .map_err(runtime)?;
        let mut file = onnx;
        let model = tract_onnx::onnx()
            .model_for_read(&mut file)
            .and_then(|model| model.into_optimized())
            .map_err(runtime)?;
        let graph = graph(&model)?;
        if graph != stated {
            return Err(runtime(format_args!(
                "tract sees a {graph} graph, the file states {stated}"
            )));
        }
        check_graph(input, graph)?;
        let model = model.into_runnable().map_err(runtime)?;
        Ok(Self {
            model,
            input,
            graph,
            fraction_bits,
        })
    }
}

impl Engine for Tract {
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
        check_frame(self.input, frame)?;
        BufferError::exact("reconstruction", reconstruction.len(), self.input.area())?;
        let image = Tensor::from_shape(
            &[1, 1, self.graph.height(), self.graph.width()],
            &padded(frame, self.graph),
        );
        let image = tvec!(image.map_err(runtime)?.into_tvalue());
        let outputs = self.model.run(image).map_err(runtime)?;
        let output = outputs[0].to_plain_array_view::<i32>().map_err(runtime)?;
        let output = output
            .as_slice()
            .ok_or_else(|| runtime("the output is not contiguous"))?;
        let rows = output.chunks_exact(self.graph.width());
        for (out, row) in reconstruction
            .chunks_exact_mut(self.input.width())
            .zip(rows)
        {
            out.copy_from_slice(&row[..out.len()]);
        }
        Ok(())
    }
}

/// The graph's size, once types and shapes are checked.
fn graph(model: &TypedModel) -> Result<Size, EngineError> {
    let fact = |fact: TractResult<&TypedFact>, kind: DatumType| {
        let fact = fact.map_err(runtime)?;
        let shape = fact.shape.as_concrete();
        match shape {
            Some(&[1, 1, height, width]) if fact.datum_type.unquantized() == kind => {
                Size::new(width, height).map_err(runtime)
            }
            _ => Err(runtime(
                "the graph must take u8 [1, 1, H, W] and yield i32 of the same shape",
            )),
        }
    };
    let input = fact(model.input_fact(0), u8::datum_type())?;
    let output = fact(model.output_fact(0), i32::datum_type())?;
    if input != output {
        return Err(runtime("the graph's input and output have different sizes"));
    }
    Ok(input)
}

/// The frame with its last column and row repeated up to the graph's size.
fn padded(frame: Frame<'_>, graph: Size) -> Vec<u8> {
    let mut pixels = vec![0; graph.area()];
    for (y, padded) in pixels.chunks_exact_mut(graph.width()).enumerate() {
        let row = frame.row_replicated(y);
        let (over, beside) = padded.split_at_mut(row.len());
        over.copy_from_slice(row);
        beside.fill(row[row.len() - 1]);
    }
    pixels
}

/// tract's chain of causes on one line.
fn runtime(error: impl std::fmt::Display) -> EngineError {
    let message = format!("{error:#}");
    EngineError::Runtime(message.replace(char::is_control, " "))
}
