//! Raw images, one after the other without anything between them, from a pipe.

use std::{io::Read, os::fd::AsFd};

use anyhow::{Context, Result};

use super::{Event, Source, readable};
use crate::events::{Level, log};

/// Raw images from a pipe.
#[derive(Debug)]
pub struct Pipe<R> {
    input: R,
    /// The next image, as far as it is there.
    image: Vec<u8>,
    filled: usize,
}

impl<R: Read + AsFd> Pipe<R> {
    /// Images of so many pixels from `input`, which is not read from elsewhere.
    pub fn new(input: R, pixels: usize) -> Self {
        Self {
            input,
            image: vec![0; pixels],
            filled: 0,
        }
    }
}

impl<R: Read + AsFd> Source for Pipe<R> {
    fn next(&mut self, pixels: &mut [u8]) -> Result<Event> {
        while readable(&self.input)? {
            let read = self.input.read(&mut self.image[self.filled..]);
            let read = read.context("standard input: cannot be read")?;
            if read == 0 {
                if self.filled > 0 {
                    let fields: [(&str, &dyn std::fmt::Display); 2] =
                        [("bytes", &self.filled), ("needed", &self.image.len())];
                    log(Level::Warn, "image_cut_short", &fields);
                }
                return Ok(Event::End);
            }
            self.filled += read;
            if self.filled == self.image.len() {
                pixels.copy_from_slice(&self.image);
                self.filled = 0;
                return Ok(Event::Image);
            }
        }
        Ok(Event::Idle)
    }
}
