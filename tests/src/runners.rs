//! One small runner per runtime. Each must reconstruct what the judge does: tolerance zero.

use residua_edge::engine::{Engine, EngineError, reference::Reference, tract::Tract};
use residua_shared::{
    frame::{Frame, Size},
    onnx,
};

/// A runtime: an ONNX file's reconstruction of some images of one size.
pub trait Runner {
    /// The runtime's name.
    fn name(&self) -> &'static str;

    /// The reconstruction of each image, or the runtime's complaint.
    fn run(
        &self,
        onnx: &[u8],
        input: Size,
        fraction_bits: u8,
        images: &[Vec<u8>],
    ) -> Result<Vec<Vec<i32>>, String>;
}

/// The judge: the scalar reference.
pub struct Judge;

impl Runner for Judge {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn run(
        &self,
        onnx: &[u8],
        input: Size,
        fraction_bits: u8,
        images: &[Vec<u8>],
    ) -> Result<Vec<Vec<i32>>, String> {
        let net = onnx::read(onnx, fraction_bits).map_err(|error| error.to_string())?;
        let mut scratch = vec![0; net.scratch_len()];
        all(Reference::new(net, input, &mut scratch), images)
    }
}

/// tract, with the file as it is.
pub struct TractRunner;

impl Runner for TractRunner {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn run(
        &self,
        onnx: &[u8],
        input: Size,
        fraction_bits: u8,
        images: &[Vec<u8>],
    ) -> Result<Vec<Vec<i32>>, String> {
        all(Tract::new(onnx, input, fraction_bits), images)
    }
}

fn all(
    engine: Result<impl Engine, EngineError>,
    images: &[Vec<u8>],
) -> Result<Vec<Vec<i32>>, String> {
    let mut engine = engine.map_err(|error| error.to_string())?;
    let reconstruct = |pixels: &Vec<u8>| {
        let mut reconstruction = vec![0; engine.input().area()];
        let frame = Frame::new(engine.input(), pixels).map_err(|error| error.to_string())?;
        engine
            .reconstruct(frame, &mut reconstruction)
            .map_err(|error| error.to_string())?;
        Ok(reconstruction)
    };
    images.iter().map(reconstruct).collect()
}
