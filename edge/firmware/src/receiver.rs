//! Frames from the serial port, gathered by its interrupt while the program inspects, each with the
//! time at which it was complete.

use heapless::Deque;
use residua_edge::rows::max_frame;
use residua_shared::wire::MAX_FRAME;

use crate::{clock, model, uart::Inlet};

/// Bytes of the longest frame that means anything.
const LONGEST: usize = {
    let row = max_frame(model::WIDTH);
    if row > MAX_FRAME { row } else { MAX_FRAME }
};

/// Frames that may wait while one is worked on; then the port must.
const WAITING: usize = 16;

/// A frame, without its closing zero.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// When it was complete, in microseconds since the start.
    pub at: u64,
    /// Its bytes, of which those that fit are there.
    length: usize,
    bytes: [u8; LONGEST],
}

impl Arrived {
    const EMPTY: Self = Self {
        at: 0,
        length: 0,
        bytes: [0; LONGEST],
    };

    /// What came; nothing where it was longer than any frame.
    pub fn bytes(&mut self) -> Option<&mut [u8]> {
        self.bytes.get_mut(..self.length)
    }
}

/// The port and the frames that came.
#[derive(Debug)]
pub struct Receiver {
    inlet: Inlet,
    frames: Deque<Arrived, WAITING>,
    current: Arrived,
    overrun: bool,
}

impl Receiver {
    /// Nothing came yet.
    pub const fn new(inlet: Inlet) -> Self {
        Self {
            inlet,
            frames: Deque::new(),
            current: Arrived::EMPTY,
            overrun: false,
        }
    }

    /// Takes what the port has, as long as there is room.
    pub fn drain(&mut self) {
        self.inlet.acknowledge();
        self.overrun |= self.inlet.overrun();
        while !self.frames.is_full()
            && let Some(byte) = self.inlet.take()
        {
            self.push(byte);
        }
    }

    fn push(&mut self, byte: u8) {
        let frame = &mut self.current;
        if byte != 0 {
            if let Some(place) = frame.bytes.get_mut(frame.length) {
                *place = byte;
            }
            frame.length = frame.length.saturating_add(1);
        } else if frame.length > 0 {
            frame.at = clock::now();
            // There was room for it.
            let _ = self.frames.push_back(frame.clone());
            frame.length = 0;
        }
    }

    /// The frame that came first.
    pub fn next(&mut self) -> Option<Arrived> {
        let frame = self.frames.pop_front();
        // The port may have waited for room, with no interrupt to come.
        self.drain();
        frame
    }

    /// Whether bytes were lost since this was last asked.
    pub fn overrun(&mut self) -> bool {
        core::mem::take(&mut self.overrun)
    }
}
