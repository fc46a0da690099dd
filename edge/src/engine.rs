//! Image → reconstruction: what runs the network.

#[cfg(feature = "std")]
pub mod bands;
pub mod native;
pub mod reference;
#[cfg(feature = "tract")]
pub mod tract;

use core::fmt;

use native::PlanError;
use residua_shared::{
    buffer::BufferError,
    frame::{Frame, Size},
    net::NetError,
    onnx::OnnxError,
    reference::reconstruction::ReconstructionError,
};

/// Runs one network on images of one size.
pub trait Engine {
    /// The size of the images that it takes.
    fn input(&self) -> Size;

    /// Binary fraction bits of the reconstruction: a grey level is 2^`fraction_bits` steps.
    fn fraction_bits(&self) -> u8;

    /// Reconstructs a frame of size [`Self::input`] into `input().area()` values, row by row. The
    /// engine pads the frame to the network's stride (last column and row repeated) and crops the
    /// output itself.
    fn reconstruct(
        &mut self,
        frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError>;
}

impl<E: Engine + ?Sized> Engine for &mut E {
    fn input(&self) -> Size {
        (**self).input()
    }

    fn fraction_bits(&self) -> u8 {
        (**self).fraction_bits()
    }

    fn reconstruct(
        &mut self,
        frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError> {
        (**self).reconstruct(frame, reconstruction)
    }
}

/// Why an engine could not be made or run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EngineError {
    /// The image has another size than the model was exported for.
    Frame {
        /// The size that the model takes.
        input: Size,
        /// The image's size.
        frame: Size,
    },
    /// The network is smaller than the images it should take.
    Graph {
        /// The size of the images.
        input: Size,
        /// The network's own.
        graph: Size,
    },
    /// A buffer has the wrong length.
    Buffer(BufferError),
    /// The ONNX file was refused.
    Onnx(OnnxError),
    /// The network was refused.
    Net(NetError),
    /// The native engine cannot stream the network.
    Plan(PlanError),
    /// Packed weights are not those of this network for this kernel.
    Weights,
    /// The runtime behind the engine failed; its message, on one line.
    #[cfg(feature = "std")]
    Runtime(std::string::String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { input, frame } => write!(
                f,
                "the image is {frame} but the model was exported for {input}; \
                 crop the image or export the model for this size"
            ),
            Self::Graph { input, graph } => write!(
                f,
                "the network's {graph} graph cannot take {input} images; export the model again"
            ),
            Self::Buffer(error) => error.fmt(f),
            Self::Onnx(error) => error.fmt(f),
            Self::Net(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Weights => f.write_str(
                "the packed weights are not this model's for this kernel; pack them again",
            ),
            #[cfg(feature = "std")]
            Self::Runtime(message) => write!(f, "runtime: {message}; export the model again"),
        }
    }
}

impl core::error::Error for EngineError {}

impl From<BufferError> for EngineError {
    fn from(error: BufferError) -> Self {
        Self::Buffer(error)
    }
}

impl From<OnnxError> for EngineError {
    fn from(error: OnnxError) -> Self {
        Self::Onnx(error)
    }
}

impl From<NetError> for EngineError {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<PlanError> for EngineError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<ReconstructionError> for EngineError {
    fn from(error: ReconstructionError) -> Self {
        match error {
            ReconstructionError::Frame { graph, frame } => Self::Graph {
                input: frame,
                graph,
            },
            ReconstructionError::Buffer(error) => Self::Buffer(error),
        }
    }
}

/// Errors unless a frame has the size that an engine takes.
fn check_frame(input: Size, frame: Frame<'_>) -> Result<(), EngineError> {
    let frame = frame.size();
    if frame == input {
        return Ok(());
    }
    Err(EngineError::Frame { input, frame })
}

/// Errors where a network of this graph cannot take images of size `input`.
fn check_graph(input: Size, graph: Size) -> Result<(), EngineError> {
    if graph.width() >= input.width() && graph.height() >= input.height() {
        return Ok(());
    }
    Err(EngineError::Graph { input, graph })
}
