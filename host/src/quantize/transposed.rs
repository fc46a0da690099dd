//! A stride-2 transposed convolution as an ordinary one over four times the channels, whose 2x2
//! blocks are then laid out in space: ONNX has no integer operator for the former.

/// Zero padding before and after an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pads {
    pub begin: usize,
    pub end: usize,
}

/// The kernel of the convolution that, followed by `DepthToSpace` (block 2, mode CRD), equals the
/// transposed convolution of stride 2, padding `kernel / 2` and output padding 1 with `weight`
/// `[input, output, kernel, kernel]`, `kernel` odd.
///
/// Output row 2m + b sees input row m + j through tap b + p - 2j (p the padding): all j with that
/// tap inside the kernel make the rows of phase b. Returns `[4·output, input, k, k]`, channel
/// 4·o + 2·b_y + b_x, and k = p + 1 and its pads.
pub fn subpixel_kernel<T: Copy + Default>(
    weight: &[T],
    input: usize,
    output: usize,
    kernel: usize,
) -> (Vec<T>, usize, Pads) {
    let padding = kernel / 2;
    let pads = Pads {
        begin: padding / 2,
        end: padding.div_ceil(2),
    };
    let side = padding + 1;
    let tap = |phase: usize, position: usize| {
        (phase + padding + 2 * pads.begin)
            .checked_sub(2 * position)
            .filter(|tap| *tap < kernel)
    };
    let mut result = vec![T::default(); 4 * output * input * side * side];
    for (index, value) in result.iter_mut().enumerate() {
        let (x, y) = (index % side, index / side % side);
        let plane = index / (side * side);
        let (i, channel) = (plane % input, plane / input);
        let (o, phase) = (channel / 4, channel % 4);
        if let (Some(tap_y), Some(tap_x)) = (tap(phase / 2, y), tap(phase % 2, x)) {
            *value = weight[((i * output + o) * kernel + tap_y) * kernel + tap_x];
        }
    }
    (result, side, pads)
}
