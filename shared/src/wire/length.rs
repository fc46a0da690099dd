//! The longest encodings of postcard's parts, in bytes.

/// A `u64` as a varint.
pub const U64: usize = 10;
/// A `u32` as a varint.
pub const U32: usize = 5;
/// A `u16` as a varint.
pub const U16: usize = 3;
/// A `u8`, a `bool`, the number of an enum's variant or whether an optional value follows.
pub const BYTE: usize = 1;
/// A SHA-256 digest.
pub const DIGEST: usize = 32;
/// A [`crate::frame::Size`]: [`crate::frame::MAX_SIDE`] takes two bytes.
pub const SIZE: usize = 2 * 2;
/// A [`crate::rule::Threshold`].
pub const THRESHOLD: usize = U32 + 2 * BYTE;

/// At most `items` things of at most `each` bytes, after their number.
pub const fn list(items: usize, each: usize) -> usize {
    let number = if items < 1 << 7 { 1 } else { 2 };
    number + items * each
}

/// The largest.
pub const fn largest(lengths: &[usize]) -> usize {
    let (mut largest, mut i) = (0, 0);
    while i < lengths.len() {
        if lengths[i] > largest {
            largest = lengths[i];
        }
        i += 1;
    }
    largest
}
