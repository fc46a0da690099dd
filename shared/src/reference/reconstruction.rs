//! Image → reconstruction: the integer network, one direct nested loop a layer.

use core::{fmt, ops::Range};

use crate::{
    buffer::BufferError,
    frame::{Frame, Size},
    net::{Layer, Net, Source},
};

/// Why a frame could not be reconstructed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReconstructionError {
    /// The frame is larger than the network's graph.
    Frame {
        /// The graph's size.
        graph: Size,
        /// The frame's size.
        frame: Size,
    },
    /// A buffer has the wrong length.
    Buffer(BufferError),
}

impl fmt::Display for ReconstructionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { graph, frame } => write!(
                f,
                "a {frame} image does not fit the network's {graph} graph; \
                 export the model for images of this size"
            ),
            Self::Buffer(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReconstructionError {}

impl From<BufferError> for ReconstructionError {
    fn from(error: BufferError) -> Self {
        Self::Buffer(error)
    }
}

/// Runs the network on `frame`, padded to the graph's size by repeating its last column and row,
/// and writes the part of the output that lies over the frame: `frame.size().area()` values with
/// `net.fraction_bits()` binary fraction bits.
///
/// `scratch` has at least `net.scratch_len()` bytes; afterwards every layer's activations lie in it
/// at `net.activations(index)`.
pub fn reconstruct(
    net: &Net<'_>,
    frame: Frame<'_>,
    scratch: &mut [u8],
    reconstruction: &mut [i32],
) -> Result<(), ReconstructionError> {
    let (graph, size) = (net.graph(), frame.size());
    if size.width() > graph.width() || size.height() > graph.height() {
        return Err(ReconstructionError::Frame { graph, frame: size });
    }
    BufferError::at_least("scratch", scratch.len(), net.scratch_len())?;
    BufferError::exact("reconstruction", reconstruction.len(), size.area())?;

    pad(frame, graph, scratch);
    for (index, layer) in net.layers().iter().enumerate() {
        let range = net.activations(index);
        let (before, after) = scratch.split_at_mut(range.start);
        let input = Input::of(net, index, before);
        let output = net.output_size(index);
        convolve(layer, &input, |channel, y, x, accumulator| {
            if layer.requantization.is_none() {
                if y < size.height() && x < size.width() {
                    reconstruction[y * size.width() + x] = accumulator;
                }
                return;
            }
            let activation = requantize(accumulator, layer.shift(channel));
            let (channel, y, x) = if layer.depth_to_space {
                (channel / 4, 2 * y + channel % 4 / 2, 2 * x + channel % 2)
            } else {
                (channel, y, x)
            };
            after[(channel * output.height() + y) * output.width() + x] = activation;
        });
    }
    Ok(())
}

/// The accumulator as an activation: clamp(round_half_even(acc · 2^-shift), 0, 255).
pub fn requantize(accumulator: i32, shift: u32) -> u8 {
    let (accumulator, step) = (i64::from(accumulator), 1_i64 << shift);
    let floor = accumulator >> shift;
    let twice_rest = 2 * (accumulator - (floor << shift));
    let up = twice_rest > step || (twice_rest == step && floor % 2 != 0);
    (floor + i64::from(up)).clamp(0, 255) as u8
}

/// Writes the frame to the start of `scratch`, its last column and row repeated up to `graph`.
fn pad(frame: Frame<'_>, graph: Size, scratch: &mut [u8]) {
    let rows = scratch.chunks_exact_mut(graph.width());
    for (y, padded) in rows.take(graph.height()).enumerate() {
        let row = frame.row_replicated(y);
        for (x, pixel) in padded.iter_mut().enumerate() {
            *pixel = row[x.min(row.len() - 1)];
        }
    }
}

/// What a layer reads: its channels are those of `first`, then those of `second`.
struct Input<'a> {
    size: Size,
    first: &'a [u8],
    second: &'a [u8],
}

impl<'a> Input<'a> {
    /// The input of layer `index`, where `before` holds the image and all earlier activations.
    fn of(net: &Net<'_>, index: usize, before: &'a [u8]) -> Self {
        let size = net.input_size(index);
        let of = |layer| &before[net.activations(layer)];
        let (first, second): (_, &[u8]) = match net.layers()[index].source {
            Source::Image => (&before[..size.area()], &[]),
            Source::Layer(layer) => (of(layer), &[]),
            Source::Concat(first, second) => (of(first), of(second)),
        };
        Self {
            size,
            first,
            second,
        }
    }

    /// One channel, row by row.
    fn plane(&self, channel: usize) -> &'a [u8] {
        let start = channel * self.size.area();
        match start.checked_sub(self.first.len()) {
            None => &self.first[start..][..self.size.area()],
            Some(start) => &self.second[start..][..self.size.area()],
        }
    }
}

/// Calls `emit(channel, y, x, accumulator)` for every output of a layer's convolution.
fn convolve(layer: &Layer<'_>, input: &Input<'_>, mut emit: impl FnMut(usize, usize, usize, i32)) {
    let (width, height) = (input.size.width(), input.size.height());
    let (kernel, stride, pads) = (layer.kernel, layer.stride, layer.pads);
    let columns = (width + pads.left + pads.right - kernel) / stride + 1;
    let rows = (height + pads.top + pads.bottom - kernel) / stride + 1;
    for channel in 0..layer.output_channels {
        let weights = layer.weights_of(channel);
        let bias = layer.bias(channel);
        for y in 0..rows {
            let vertical = taps(y * stride, pads.top, kernel, height);
            for x in 0..columns {
                let horizontal = taps(x * stride, pads.left, kernel, width);
                let mut accumulator = bias;
                for c in 0..layer.input_channels {
                    let plane = input.plane(c);
                    for v in vertical.clone() {
                        let row = (y * stride + v - pads.top) * width;
                        let column = x * stride + horizontal.start - pads.left;
                        let pixels = &plane[row + column..][..horizontal.len()];
                        let weights = &weights[(c * kernel + v) * kernel..][horizontal.clone()];
                        for (&pixel, &weight) in pixels.iter().zip(weights) {
                            accumulator += i32::from(pixel) * i32::from(weight as i8);
                        }
                    }
                }
                emit(channel, y, x, accumulator);
            }
        }
    }
}

/// The kernel's offsets that lie on the input when it starts `pad` before `position`; the others
/// meet the zero padding.
fn taps(position: usize, pad: usize, kernel: usize, side: usize) -> Range<usize> {
    let start = pad.saturating_sub(position);
    let end = (side + pad).saturating_sub(position).min(kernel);
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::net::{Pads, Requantization};

    #[test]
    fn requantization_rounds_half_to_even_and_saturates() {
        let halves = [
            (1, 0),
            (3, 2),
            (5, 2),
            (7, 4),
            (2, 1),
            (-1, 0),
            (509, 254),
            (511, 255),
        ];
        for (accumulator, expected) in halves {
            assert_eq!(requantize(accumulator, 1), expected, "{accumulator} / 2");
        }
        assert_eq!(requantize(17, 0), 17);
        assert_eq!(requantize(256, 0), 255);
        assert_eq!(requantize(i32::MAX, 31), 1);
        assert_eq!(requantize(1 << 30, 31), 0);
        assert_eq!(requantize((1 << 30) + 1, 31), 1);
        assert_eq!(requantize(i32::MIN, 31), 0);
        assert_eq!(requantize(i32::MAX, 0), 255);
    }

    /// Every figure by hand: a 2x2 image, a layer of two 3x3 kernels, a sum of both.
    #[test]
    fn a_small_network_by_hand() {
        let scales = [0.5_f32.to_le_bytes(), 1_f32.to_le_bytes()].concat();
        let layer = Layer {
            name: "layer",
            source: Source::Image,
            input_channels: 1,
            output_channels: 2,
            kernel: 3,
            stride: 1,
            pads: Pads {
                top: 1,
                left: 1,
                bottom: 1,
                right: 1,
            },
            // The pixel itself; the pixel above minus the pixel to the right.
            weights: &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 255, 0, 0, 0],
            biases: &[1, 0, 0, 0, 10, 0, 0, 0],
            requantization: Some(Requantization {
                weight_scales: &scales,
                exponent: 0,
            }),
            depth_to_space: false,
        };
        let output = Layer {
            source: Source::Layer(0),
            input_channels: 2,
            output_channels: 1,
            kernel: 1,
            pads: Pads::default(),
            weights: &[16, 1],
            biases: &[0; 4],
            requantization: None,
            ..layer
        };
        let size = Size::new(2, 2).unwrap();
        let net = Net::new([layer, output].into_iter().collect(), size, 4).unwrap();
        let frame = Frame::new(size, &[1, 3, 200, 6]).unwrap();
        let mut scratch = vec![7; net.scratch_len()];
        let mut reconstruction = [0; 4];
        reconstruct(&net, frame, &mut scratch, &mut reconstruction).unwrap();
        // (x + 1) / 2, half to even; and 10 + above - right, at least 0.
        assert_eq!(scratch[net.activations(0)], [1, 2, 100, 4, 7, 10, 5, 13]);
        assert_eq!(reconstruction, [23, 42, 1605, 77]);
    }

    #[test]
    fn frames_are_padded_by_repetition_and_the_output_is_cropped() {
        let scale = 1_f32.to_le_bytes();
        let right = Layer {
            name: "right",
            source: Source::Image,
            input_channels: 1,
            output_channels: 1,
            kernel: 2,
            stride: 1,
            pads: Pads {
                top: 0,
                left: 0,
                bottom: 1,
                right: 1,
            },
            // The pixel one row below and one column to the right.
            weights: &[0, 0, 0, 1],
            biases: &[0; 4],
            requantization: Some(Requantization {
                weight_scales: &scale,
                exponent: 0,
            }),
            depth_to_space: false,
        };
        let output = Layer {
            source: Source::Layer(0),
            kernel: 1,
            pads: Pads::default(),
            weights: &[1],
            requantization: None,
            ..right
        };
        let net = |graph| Net::new([right, output].into_iter().collect(), graph, 4).unwrap();
        let size = Size::new(2, 1).unwrap();
        let frame = Frame::new(size, &[5, 9]).unwrap();
        let mut out = [0; 2];
        let padded = net(Size::new(4, 4).unwrap());
        reconstruct(&padded, frame, &mut vec![0; padded.scratch_len()], &mut out).unwrap();
        assert_eq!(out, [9, 9]);
        // Where the graph ends with the frame, zeros follow.
        let exact = net(size);
        reconstruct(&exact, frame, &mut vec![0; exact.scratch_len()], &mut out).unwrap();
        assert_eq!(out, [0, 0]);

        let small = net(Size::new(1, 1).unwrap());
        let error = reconstruct(&small, frame, &mut vec![0; small.scratch_len()], &mut out);
        assert!(matches!(error, Err(ReconstructionError::Frame { .. })));
        let error = reconstruct(&exact, frame, &mut [], &mut out);
        assert!(matches!(error, Err(ReconstructionError::Buffer(_))));
        let error = reconstruct(&exact, frame, &mut vec![0; exact.scratch_len()], &mut [0]);
        assert!(matches!(error, Err(ReconstructionError::Buffer(_))));
    }
}
