//! Sizes and borrowed grey frames, checked once where they enter.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The widest and highest image that any implementation accepts, in pixels.
pub const MAX_SIDE: u16 = 8192;

/// Width and height of an image in pixels, each in `1..=`[`MAX_SIDE`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawSize", into = "RawSize")]
pub struct Size {
    width: u16,
    height: u16,
}

#[derive(Serialize, Deserialize)]
struct RawSize {
    width: u16,
    height: u16,
}

impl Size {
    /// A size, or [`FrameError::Side`] if a side is 0 or above [`MAX_SIDE`].
    pub fn new(width: usize, height: usize) -> Result<Self, FrameError> {
        let side = |n: usize| u16::try_from(n).ok().filter(|n| (1..=MAX_SIDE).contains(n));
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(Self { width, height }),
            _ => Err(FrameError::Side { width, height }),
        }
    }

    /// Pixels in a row.
    pub fn width(self) -> usize {
        self.width.into()
    }

    /// Rows.
    pub fn height(self) -> usize {
        self.height.into()
    }

    /// Pixels in all.
    pub fn area(self) -> usize {
        self.width() * self.height()
    }

    /// The smallest size at least this large whose sides are multiples of `stride`: the shape of
    /// the network's graph for images of this size.
    ///
    /// Errors with [`FrameError::Side`] where that passes [`MAX_SIDE`].
    pub fn padded_to(self, stride: usize) -> Result<Self, FrameError> {
        Self::new(
            self.width().next_multiple_of(stride),
            self.height().next_multiple_of(stride),
        )
    }
}

impl TryFrom<RawSize> for Size {
    type Error = FrameError;

    fn try_from(raw: RawSize) -> Result<Self, FrameError> {
        Self::new(raw.width.into(), raw.height.into())
    }
}

impl From<Size> for RawSize {
    fn from(size: Size) -> Self {
        Self {
            width: size.width,
            height: size.height,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A borrowed grey image: rows from the top, one byte a pixel, 0 black to 255 white.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    size: Size,
    pixels: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame over `pixels`, or [`FrameError::Length`] where their number is not `size.area()`.
    pub fn new(size: Size, pixels: &'a [u8]) -> Result<Self, FrameError> {
        if pixels.len() != size.area() {
            return Err(FrameError::Length {
                size,
                pixels: pixels.len(),
            });
        }
        Ok(Self { size, pixels })
    }

    /// The frame's size.
    pub fn size(self) -> Size {
        self.size
    }

    /// All pixels, row by row.
    pub fn pixels(self) -> &'a [u8] {
        self.pixels
    }

    /// Row `y`, with the last row repeated below the frame: the padding rule for images whose
    /// height is not a multiple of the network's stride.
    pub fn row_replicated(self, y: usize) -> &'a [u8] {
        let width = self.size.width();
        let start = y.min(self.size.height() - 1) * width;
        &self.pixels[start..start + width]
    }
}

/// Why a size or a frame was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// A side is 0 or above [`MAX_SIDE`].
    Side {
        /// The width given.
        width: usize,
        /// The height given.
        height: usize,
    },
    /// The number of pixels does not fit the size.
    Length {
        /// The size stated.
        size: Size,
        /// The number of pixels given.
        pixels: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side { width, height } => write!(
                f,
                "image size {width}x{height}: each side must be 1 to {MAX_SIDE} pixels"
            ),
            Self::Length { size, pixels } => write!(
                f,
                "a {size} image has {} pixels, but {pixels} were given",
                size.area()
            ),
        }
    }
}

impl core::error::Error for FrameError {}
