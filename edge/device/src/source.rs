//! Where images come from.
//!
//! A source is asked again and again, never waits longer than [`TICK`] so that the program hears
//! what else is asked of it, and goes on where it was.

pub mod camera;
pub mod folder;
pub mod line_scan;
pub mod pipe;

use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The longest that a source waits for anything.
pub const TICK: Duration = Duration::from_millis(100);

/// What a source of whole images says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An image is in the buffer.
    Image,
    /// There was an image, but none that can be inspected; why, for people.
    Unusable(String),
    /// An image was taken, but lost on its way here for lack of room.
    Missed,
    /// Nothing yet.
    Idle,
    /// There will be no more.
    End,
}

/// Whole images of one size, into a buffer of the caller's.
pub trait Source {
    /// Waits up to [`TICK`] for the next image and puts it into `pixels`, as many as an image has.
    /// After anything but [`Event::Image`] what lies there is of no use. Errors where the source
    /// itself is gone.
    fn next(&mut self, pixels: &mut [u8]) -> Result<Event>;

    /// When the image of the last [`Event::Image`], [`Event::Unusable`] or [`Event::Missed`] was
    /// taken; asked for at once. Later ones are not earlier.
    fn taken(&self) -> Instant {
        Instant::now()
    }

    /// The image last given has its verdict and will not be asked for again.
    fn done(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Waits up to [`TICK`] until there is something to read, or the other side has hung up.
pub fn readable(file: impl AsFd) -> io::Result<bool> {
    let mut files = [PollFd::new(&file, PollFlags::IN)];
    let timeout = Timespec::try_from(TICK).map_err(io::Error::other)?;
    match poll(&mut files, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
