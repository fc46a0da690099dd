//! What the gate counts by.

/// A count that never goes back: microseconds since some start, or an encoder's pulses.
pub trait Clock {
    /// The count now, in ticks.
    fn now(&mut self) -> u64;
}

impl<F: FnMut() -> u64> Clock for F {
    fn now(&mut self) -> u64 {
        self()
    }
}

/// A clock from a hardware counter of 32 bits that starts again at 0 after its highest value; right
/// as long as it is read at least once a turn.
#[derive(Debug)]
pub struct Widened<F> {
    counter: F,
    last: u64,
}

impl<F: FnMut() -> u32> Widened<F> {
    /// A clock that begins at the counter's present value.
    pub fn new(mut counter: F) -> Self {
        let last = counter().into();
        Self { counter, last }
    }
}

impl<F: FnMut() -> u32> Clock for Widened<F> {
    fn now(&mut self) -> u64 {
        let advance = (self.counter)().wrapping_sub(self.last as u32);
        self.last += u64::from(advance);
        self.last
    }
}
