//! The one way in which a buffer handed in by a caller can be wrong.

use core::fmt;

/// A caller's buffer has the wrong length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferError {
    /// The buffer, by its parameter's name.
    pub buffer: &'static str,
    /// Elements that it must have (at least, where only a part is used).
    pub needed: usize,
    /// Elements that it has.
    pub given: usize,
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            buffer,
            needed,
            given,
        } = self;
        write!(
            f,
            "buffer {buffer}: {needed} elements are needed, but it has {given}"
        )
    }
}

impl core::error::Error for BufferError {}

impl BufferError {
    /// Errors unless `given` is exactly `needed`.
    pub fn exact(buffer: &'static str, given: usize, needed: usize) -> Result<(), Self> {
        if given == needed {
            return Ok(());
        }
        Err(Self {
            buffer,
            needed,
            given,
        })
    }

    /// Errors where `given` is below `needed`.
    pub fn at_least(buffer: &'static str, given: usize, needed: usize) -> Result<(), Self> {
        Self::exact(buffer, given.min(needed), needed).map_err(|error| Self { given, ..error })
    }
}
