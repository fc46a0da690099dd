//! Memory that one step frees is what the next one asks for.

use std::hint::black_box;

/// The largest block that glibc learns from is one of 32 MiB, its header and the rest of a page
/// included, for which there is room here whatever a page is.
const BLOCK: usize = (32 << 20) - (64 << 10);

/// Has glibc keep freed memory, which else goes back to the system at each step only to be asked
/// for again, page by page.
///
/// glibc learns from each mapped block that is freed: smaller ones are no longer mapped, and up to
/// twice its size is kept at the heap's end (mallopt(3), M_MMAP_THRESHOLD). So this frees one as
/// large as may be. It is never written to and so costs nothing. Other allocators do not care.
pub fn keep_freed() {
    drop(black_box(Vec::<u8>::with_capacity(BLOCK)));
}
