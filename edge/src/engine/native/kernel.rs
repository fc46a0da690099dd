//! One row of one convolution: what a kernel computes, and how its weights lie.
//!
//! Lines hold pixel after pixel, the channels of each together. The taps of a kernel's row are
//! then one stretch of bytes, whose start moves by a fixed step from output pixel to output pixel,
//! and a convolution is a sum of dot products over as many stretches as the kernel has rows (twice
//! as many behind a concatenation). Strides, channels and kernel widths are gone: only lengths and
//! steps are left.

#[cfg(all(feature = "std", target_arch = "arm", target_os = "linux"))]
pub mod armv7;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub mod avx2;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub mod avx512;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub mod avx_vnni;
#[cfg(cortex_m)]
pub mod cortex_m;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod eight_lanes;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod scalar;
#[cfg(any(
    target_arch = "aarch64",
    all(feature = "std", target_arch = "arm", target_os = "linux")
))]
mod tiles;

use core::fmt;

use heapless::Vec;

/// How many output channels a kernel computes side by side, and how many input bytes of each at
/// a time: weights lie as `[block of lanes][stretch][length / depth][lanes][depth]`.
///
/// Where an instruction set multiplies signed bytes only, lines hold a - 128, padding included, and
/// biases are packed as bias + 128 Σw: a · w = (a - 128) · w + 128 · w. No sum leaves the bound of
/// the network's reader by it, since |bias| + 128 Σ|w| stays within.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// Output channels in a block.
    pub lanes: usize,
    /// Input bytes multiplied together; stretches are filled up to it by weights of 0.
    pub depth: usize,
    /// What is taken from every activation before it is stored, as a signed byte: 0 or 128. The
    /// same in all formats of a kernel.
    pub centre: u8,
    /// Whether weights are i16, each four of a lane in the order 0, 2, 1, 3: as pairs for the even
    /// and the odd ones of four bytes.
    pub paired: bool,
    /// Whether a lane's weights for twice the depth lie together, as far as a stretch has so many
    /// bytes left.
    pub doubled: bool,
}

impl Format {
    /// Of the last layer's weights: one channel, byte after byte.
    pub const fn output(centre: u8) -> Self {
        Self::new(1, 1, centre)
    }

    /// A format.
    pub const fn new(lanes: usize, depth: usize, centre: u8) -> Self {
        Self {
            lanes,
            depth,
            centre,
            paired: false,
            doubled: false,
        }
    }

    /// A format of twice the depth as far as there are so many bytes.
    pub const fn doubled(lanes: usize, depth: usize, centre: u8) -> Self {
        Self {
            doubled: true,
            ..Self::new(lanes, depth, centre)
        }
    }

    /// A format of pairs; the depth is 4.
    pub const fn paired(lanes: usize) -> Self {
        Self {
            paired: true,
            ..Self::new(lanes, 4, 0)
        }
    }

    /// Bytes of a weight.
    pub const fn weight(self) -> usize {
        if self.paired { 2 } else { 1 }
    }

    /// Where, among the weights of a stretch of so many bytes, a lane's weight for one of them lies.
    pub(super) fn place(self, lane: usize, byte: usize, length: usize) -> usize {
        let twice = 2 * self.depth;
        if self.doubled && byte < length / twice * twice {
            return (byte / twice * self.lanes + lane) * twice + byte % twice;
        }
        let (group, place) = (byte / self.depth, byte % self.depth);
        let place = if self.paired {
            [0, 2, 1, 3][place]
        } else {
            place
        };
        ((group * self.lanes + lane) * self.depth + place) * self.weight()
    }

    /// Bytes of a block's head: i32 biases, then shifts as i32, one each a lane.
    pub const fn head(self) -> usize {
        self.lanes * 8
    }
}

/// What `cortex_m::Dsp` takes, known everywhere so that a workstation can pack for it.
pub const DSP: &[Format] = &[Format::paired(8)];

/// What `cortex_m::Helium` takes, known everywhere so that a workstation can pack for it.
pub const HELIUM: &[Format] = &[Format::new(4, 16, 128)];

/// What a kernel's formats take from activations, all of them the same.
pub(super) fn centre(formats: &[Format]) -> u8 {
    formats.first().map_or(0, |format| format.centre)
}

/// The largest [`Format::depth`]: lines have so many bytes more than their pixels.
pub const MAX_DEPTH: usize = 16;

/// What one row of the kernel reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stretch<'a> {
    /// From the first tap of output pixel 0 on.
    pub bytes: &'a [u8],
    /// Bytes from an output pixel's first tap to the next one's.
    pub step: usize,
    /// Bytes that each output pixel reads, a multiple of [`Format::depth`].
    pub length: usize,
}

/// One output row of one layer, or some channels of it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// In the order of the weights.
    pub stretches: &'a [Stretch<'a>],
    /// Pixels that the convolution computes.
    pub width: usize,
    /// The packed weights.
    pub weights: &'a [u8],
    /// Their format.
    pub format: Format,
    /// Channels computed of each output pixel, in blocks of [`Format::lanes`].
    pub outputs: usize,
    /// Bytes from an output pixel to the next.
    pub step: usize,
}

/// Output channels that are computed together.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// One i32 a lane.
    pub biases: &'a [u8],
    /// One i32 a lane, 0 to 31.
    pub shifts: &'a [u8],
    /// `[stretch][length / depth][lanes][depth]`.
    pub weights: &'a [u8],
    /// Where in the output its first pixel goes; the next goes [`Row::step`] further.
    pub start: usize,
    /// Lanes that are channels, `1..=lanes`.
    pub used: usize,
}

impl<'a> Row<'a> {
    /// Bytes that each output pixel reads.
    pub fn taps(&self) -> usize {
        self.stretches.iter().map(|stretch| stretch.length).sum()
    }

    /// The blocks, in the order of the weights.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = Block<'a>> + 'a {
        let (format, outputs) = (self.format, self.outputs);
        let size = format.head() + self.taps() * format.lanes * format.weight();
        let starts = (0..outputs).step_by(format.lanes);
        let blocks = self.weights.chunks_exact(size).zip(starts);
        blocks.map(move |(block, start)| {
            let (head, weights) = block.split_at(format.head());
            let (biases, shifts) = head.split_at(format.lanes * 4);
            Block {
                biases,
                shifts,
                weights,
                start,
                used: format.lanes.min(outputs - start),
            }
        })
    }

    /// Panics unless every byte that a kernel may touch is there: `output` bytes to write, and all
    /// that is read. Kernels that compute with pointers rely on it.
    pub fn check(&self, output: usize) {
        let Format { lanes, depth, .. } = self.format;
        assert!(lanes > 0 && depth > 0 && self.outputs > 0 && self.width > 0);
        // In release builds products would wrap, and then prove nothing.
        let end = |count: usize, step: usize, length: Option<usize>| {
            count.checked_mul(step)?.checked_add(length?)
        };
        let within = |end: Option<usize>, given| end.is_some_and(|end| end <= given);
        for &Stretch {
            bytes,
            step,
            length,
        } in self.stretches
        {
            assert!(length.is_multiple_of(depth));
            assert!(within(end(self.width - 1, step, Some(length)), bytes.len()));
        }
        let group = lanes * self.format.weight();
        let block = end(self.taps(), group, Some(self.format.head()));
        let weights = block.and_then(|block| block.checked_mul(self.outputs.div_ceil(lanes)));
        assert!(within(weights, self.weights.len()));
        assert!(within(
            end(self.width - 1, self.step, Some(self.outputs)),
            output
        ));
    }
}

/// Tiles of the first of these sizes that is not wider than the row (the last size is 1), each with
/// its first pixel; the last tile may cover pixels of the one before again.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
fn spans<const SIZES: usize>(
    sizes: [usize; SIZES],
    width: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let size = sizes.into_iter().find(|&size| size <= width).unwrap_or(1);
    let starts = (0..width).step_by(size);
    starts.map(move |x| (x.min(width - size), size))
}

/// The next blocks of a row that has so many more.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
fn next<'a, const BLOCKS: usize>(
    blocks: &mut impl Iterator<Item = Block<'a>>,
) -> [Block<'a>; BLOCKS] {
    core::array::from_fn(|_| blocks.next().expect("no more are asked for than there are"))
}

/// Computes rows, with the instructions of one kind of processor.
pub trait Kernel: fmt::Debug + Sync {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// The formats of weights that it takes, of about the same speed a weight; better ones first.
    fn formats(&self) -> &'static [Format];

    /// What its formats take from activations.
    fn centre(&self) -> u8 {
        centre(self.formats())
    }

    /// Computes one row of activations into `output`, which starts with pixel 0: y =
    /// clamp(round_half_even((bias + Σ taps · weights) · 2^-shift), 0, 255), less the centre. Bytes
    /// that are not [`Row::outputs`] of a pixel stay as they are.
    ///
    /// # Panics
    /// Where a buffer of the row is too short, or its format is none of this kernel's.
    fn activations(&self, row: &Row<'_>, output: &mut [u8]);

    /// Computes one row of the last layer, whose weights have [`Format::output`]: bias + Σ taps ·
    /// weights.
    ///
    /// # Panics
    /// Where a buffer of the row is too short.
    fn sums(&self, row: &Row<'_>, output: &mut [i32]) {
        scalar::sums(row, output);
    }
}

/// The kernels that this processor can run, the fastest last.
pub fn all() -> Vec<&'static dyn Kernel, 4> {
    let mut kernels: Vec<&'static dyn Kernel, 4> = Vec::new();
    kernels.extend([&scalar::Scalar as &dyn Kernel]);
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    kernels.extend(avx2::Avx2::detect().map(|kernel| kernel as &dyn Kernel));
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    kernels.extend(avx_vnni::AvxVnni::detect().map(|kernel| kernel as &dyn Kernel));
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    kernels.extend(avx512::Avx512::detect().map(|kernel| kernel as &dyn Kernel));
    #[cfg(cortex_m)]
    kernels.extend(cortex_m::Dsp::detect().map(|kernel| kernel as &dyn Kernel));
    #[cfg(cortex_m)]
    kernels.extend(cortex_m::Helium::detect().map(|kernel| kernel as &dyn Kernel));
    #[cfg(all(feature = "std", target_arch = "arm", target_os = "linux"))]
    kernels.extend(armv7::Neon32::detect().map(|kernel| kernel as &dyn Kernel));
    #[cfg(target_arch = "aarch64")]
    kernels.extend([&neon::Neon as &dyn Kernel]);
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    kernels.extend(neon::NeonDot::detect().map(|kernel| kernel as &dyn Kernel));
    kernels
}

/// The fastest kernel that this processor can run.
pub fn best() -> &'static dyn Kernel {
    all().pop().unwrap_or(&scalar::Scalar)
}
