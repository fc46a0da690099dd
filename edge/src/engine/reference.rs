//! The scalar reference as an engine: slow, for checks and for the smallest networks.

use residua_shared::{
    buffer::BufferError,
    frame::{Frame, Size},
    net::Net,
    reference::reconstruction::reconstruct,
};

use super::{Engine, EngineError, check_frame, check_graph};

/// Runs a network by [`residua_shared::reference::reconstruction`].
#[derive(Debug)]
pub struct Reference<'a> {
    net: Net<'a>,
    input: Size,
    scratch: &'a mut [u8],
}

impl<'a> Reference<'a> {
    /// An engine for images of size `input`, with at least `net.scratch_len()` bytes to work in.
    pub fn new(net: Net<'a>, input: Size, scratch: &'a mut [u8]) -> Result<Self, EngineError> {
        check_graph(input, net.graph())?;
        BufferError::at_least("scratch", scratch.len(), net.scratch_len())?;
        Ok(Self {
            net,
            input,
            scratch,
        })
    }
}

impl Engine for Reference<'_> {
    fn input(&self) -> Size {
        self.input
    }

    fn fraction_bits(&self) -> u8 {
        self.net.fraction_bits()
    }

    fn reconstruct(
        &mut self,
        frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError> {
        check_frame(self.input, frame)?;
        reconstruct(&self.net, frame, self.scratch, reconstruction)?;
        Ok(())
    }
}
