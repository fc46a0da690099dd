//! Raw images, one after the other without anything between them, from a pipe.

use std::{io::Read, os::fd::AsFd};

use anyhow::{Context, Result};

use super::{Event, Source, readable};
use crate::events::{Level, log};

/// Raw images from a pipe.
#[derive(Debug)]
pub struct Pipe<R> {
    input: R,
    /// Bytes of the next image that are there.
    filled: usize,
}

impl<R: Read + AsFd> Pipe<R> {
    /// Images from `input`, which is not read from elsewhere.
    pub fn new(input: R) -> Self {
        Self { input, filled: 0 }
    }
}

impl<R: Read + AsFd> Source for Pipe<R> {
    fn next(&mut self, pixels: &mut [u8]) -> Result<Event> {
        while readable(&self.input)? {
            let read = self.input.read(&mut pixels[self.filled..]);
            let read = read.context("standard input: cannot be read")?;
            if read == 0 {
                if self.filled > 0 {
                    let fields: [(&str, &dyn std::fmt::Display); 2] =
                        [("bytes", &self.filled), ("needed", &pixels.len())];
                    log(Level::Warn, "image_cut_short", &fields);
                }
                return Ok(Event::End);
            }
            self.filled += read;
            if self.filled == pixels.len() {
                self.filled = 0;
                return Ok(Event::Image);
            }
        }
        Ok(Event::Idle)
    }
}
