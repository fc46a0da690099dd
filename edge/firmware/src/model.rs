//! The model in flash, as the build script has laid it out.

use crc::{CRC_32_ISO_HDLC, Crc};
use heapless::String;
use residua_edge::strip::StripLengths;
use residua_shared::{frame::Size, manifest::Digest, rule::DecisionRule};

use crate::settings::Settings;

/// Bytes at an address that suits every kernel.
#[repr(C, align(64))]
pub struct Aligned<T>(pub T);

include!(concat!(env!("OUT_DIR"), "/model.rs"));

/// What the settings and the manifest say: settings, digest, images, name and rule.
pub type About = (Settings, Digest, Size, String<64>, DecisionRule);

/// What lies in flash beside the model's bytes, if it is what was written there.
pub fn about() -> Option<About> {
    // Not to be known when this is compiled: what counts is what flash holds now.
    let about = core::hint::black_box(&ABOUT[..]);
    let (about, checksum) = about.split_last_chunk()?;
    let found = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(about);
    let whole = found == u32::from_le_bytes(*checksum);
    whole.then(|| postcard::from_bytes(about).ok()).flatten()
}
