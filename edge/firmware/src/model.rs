//! The model in flash, as the build script has laid it out.

use heapless::String;
use residua_edge::strip::StripLengths;
use residua_shared::{frame::Size, manifest::Digest, rule::DecisionRule};

/// Bytes at an address that suits every kernel.
#[repr(C, align(64))]
pub struct Aligned<T>(pub T);

include!(concat!(env!("OUT_DIR"), "/model.rs"));

/// What the manifest says: digest, images, name and rule.
pub type About = (Digest, Size, String<64>, DecisionRule);
