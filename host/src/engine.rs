//! The engine for a network that was just made.

use anyhow::Result;
use residua_edge::engine::{
    Engine,
    native::{Native, Plan, kernel},
    tract::Tract,
};
use residua_shared::{frame::Size, onnx};

/// The fastest engine that runs the network in `file` on images of `size`; all give the same bits.
///
/// Errors where the file is no network of ours, or does not fit the size.
pub fn fastest(file: &[u8], size: Size, fraction_bits: u8) -> Result<Box<dyn Engine>> {
    let net = onnx::read(file, fraction_bits)?;
    let Ok(plan) = Plan::new(&net) else {
        return Ok(Box::new(Tract::new(file, size, fraction_bits)?));
    };
    let kernel = kernel::best();
    let (weights, arena) = (vec![0; plan.weights_len(kernel)], vec![0; plan.arena_len()]);
    Ok(Box::new(Native::new(&net, size, kernel, weights, arena)?))
}
