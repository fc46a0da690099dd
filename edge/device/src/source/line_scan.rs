//! Rows of a line-scan camera, raw and without anything between them, over TCP. A connection is one
//! strip.

use std::{
    io::{ErrorKind, Read},
    net::{TcpListener, TcpStream},
};

use anyhow::{Context, Result};

use super::readable;
use crate::{
    config,
    events::{Level, listening, log},
};

/// What the source says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A row is in the buffer.
    Row,
    /// Nothing yet.
    Idle,
    /// The strip has ended: the camera has hung up. The next row is of another one.
    StripEnd,
}

/// Rows over TCP.
#[derive(Debug)]
pub struct LineScan {
    listener: TcpListener,
    camera: Option<TcpStream>,
    /// What was read of the camera and not yet given.
    buffer: Vec<u8>,
    given: usize,
}

impl LineScan {
    /// Waits for cameras with rows of `width` pixels. Errors where the address is taken.
    pub fn new(config: &config::LineScan, width: usize) -> Result<Self> {
        let listener = TcpListener::bind(config.listen).with_context(|| {
            format!("source.line-scan.listen: {} cannot be used", config.listen)
        })?;
        listening("line-scan", &listener);
        Ok(Self {
            listener,
            camera: None,
            // Some rows at once, so that not each costs a call of the system.
            buffer: Vec::with_capacity(width * (1 + 65_536 / width)),
            given: 0,
        })
    }

    /// Waits a little for the next row and puts it into `row`, as long as a row is.
    pub fn next(&mut self, row: &mut [u8]) -> Result<Event> {
        let Some(camera) = &mut self.camera else {
            if readable(&self.listener)? {
                let (camera, address) =
                    self.listener.accept().context("the camera's connection")?;
                log(Level::Info, "camera_connected", &[("address", &address)]);
                self.camera = Some(camera);
                self.buffer.clear();
                self.given = 0;
            }
            return Ok(Event::Idle);
        };
        if self.buffer.len() - self.given < row.len() {
            self.buffer.drain(..self.given);
            self.given = 0;
            if !readable(&*camera)? {
                return Ok(Event::Idle);
            }
            let there = self.buffer.len();
            self.buffer.resize(self.buffer.capacity(), 0);
            let read = camera.read(&mut self.buffer[there..]);
            self.buffer
                .truncate(there + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => return Ok(self.hang_up("closed")),
                Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Event::Idle),
                Err(error) => return Ok(self.hang_up(&error.to_string())),
                Ok(_) => {}
            }
        }
        let Some(next) = self.buffer.get(self.given..self.given + row.len()) else {
            return Ok(Event::Idle);
        };
        row.copy_from_slice(next);
        self.given += row.len();
        Ok(Event::Row)
    }

    fn hang_up(&mut self, why: &str) -> Event {
        self.camera = None;
        let cut = self.buffer.len() - self.given;
        log(
            Level::Warn,
            "camera_lost",
            &[("why", &why), ("bytes_of_a_cut_row", &cut)],
        );
        Event::StripEnd
    }
}
