//! How much of the stack was ever used: start-up code paints it.
#![allow(unsafe_code)]

use core::ptr;

/// What cortex-m-rt paints with.
const PAINT: u32 = 0xcccc_cccc;

unsafe extern "C" {
    static mut _stack_start: u32;
    static mut _stack_end: u32;
}

/// Bytes used at the most.
pub fn used() -> usize {
    let (top, bottom) = (&raw const _stack_start, &raw const _stack_end);
    let words = (top.addr() - bottom.addr()) / 4;
    // SAFETY: words between the linker's two addresses, aligned and readable; volatile, as the
    // stack lies there.
    let painted = |&word: &usize| unsafe { ptr::read_volatile(bottom.add(word)) } == PAINT;
    let unused = (0..words).take_while(painted).count();
    4 * (words - unused)
}
