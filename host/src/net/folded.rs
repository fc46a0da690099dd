//! A trained network with its batch norms folded away: what quantization starts from.

/// Where a layer reads from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The image, grey levels / 255.
    Image,
    /// The output of one earlier layer, by index.
    Layer(usize),
    /// Channels of two earlier layers, the first one's before the second's.
    Concat(usize, usize),
}

/// How a layer moves over its input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Convolution, `stride` 1 or 2, zero padding `kernel / 2` on all sides.
    Conv { stride: usize },
    /// Transposed convolution of stride 2, padding `kernel / 2`, output padding 1.
    ConvTranspose,
}

/// One layer: convolution, bias, and a ReLU on all but the last.
#[derive(Clone, Debug)]
pub struct Layer {
    pub name: String,
    pub source: Source,
    pub kind: Kind,
    pub kernel: usize,
    pub input_channels: usize,
    pub output_channels: usize,
    /// `[out, in, kernel, kernel]` row-major for a convolution, `[in, out, kernel, kernel]` for a
    /// transposed one, as PyTorch and candle have them.
    pub weight: Vec<f32>,
    /// One value an output channel.
    pub bias: Vec<f32>,
}

/// The whole network, in the order of evaluation; the last layer yields the reconstruction in
/// grey levels / 255, one channel, without activation.
#[derive(Clone, Debug)]
pub struct Folded {
    pub layers: Vec<Layer>,
}
