//! The device crate linked to nothing: no std, no allocator. rustc refuses to build this as a
//! `staticlib` for a bare-metal target as soon as a crate that it pulls in needs a heap.
#![cfg_attr(target_os = "none", no_std)]

// Named, because rustc links only the crates that are.
use residua_edge as _;

#[cfg(target_os = "none")]
#[panic_handler]
fn halt(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
