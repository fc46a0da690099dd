//! The pins of a gate beside its actuator's.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

/// What happens on a fault.
#[derive(Debug)]
pub enum FailSafe<S> {
    /// Everything is rejected.
    Reject,
    /// Everything is rejected and the line stopped: the pin is high while it may run, low
    /// otherwise, so that it stops when the device loses power.
    Stop(S),
}

impl FailSafe<NoPin> {
    /// [`Self::Reject`] for gates without a pin to stop the line.
    pub const REJECT: Self = Self::Reject;
}

/// No pin: there is no value of this type.
#[derive(Clone, Copy, Debug)]
pub enum NoPin {}

impl ErrorType for NoPin {
    type Error = Infallible;
}

impl OutputPin for NoPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        match *self {}
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        match *self {}
    }
}

/// A pin whose low level is what others call high: for an actuator that rejects without power.
#[derive(Clone, Copy, Debug)]
pub struct Inverted<P>(pub P);

impl<P: ErrorType> ErrorType for Inverted<P> {
    type Error = P::Error;
}

impl<P: OutputPin> OutputPin for Inverted<P> {
    fn set_low(&mut self) -> Result<(), P::Error> {
        self.0.set_high()
    }

    fn set_high(&mut self) -> Result<(), P::Error> {
        self.0.set_low()
    }
}
