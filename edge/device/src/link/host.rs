//! One host: what it was sent, what it said.

use std::{
    io::{ErrorKind, Read, Write},
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use residua_shared::{
    frame::Size,
    wire::{CHUNK, Fault, ImageChunk, MAX_FRAME, Message, Reader, Request, WireError, encode},
};

use super::{WINDOW, port::Stream};
use crate::{
    events::{Level, log},
    journal::{Cursor, Entry},
    station::Station,
};

/// Bytes that wait to be sent to a host before no more is added.
const ENOUGH: usize = 16 * 1024;

/// On a lossy line what is not acknowledged so long is sent anew.
const RESEND: Duration = Duration::from_secs(2);

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Never given twice.
    pub id: u64,
    /// Who it is, for the log.
    pub name: String,
    stream: Stream,
    reader: Reader,
    /// Frames not yet sent, from `sent` on.
    frames: Vec<u8>,
    sent: usize,
    cursor: Cursor,
    entry: Entry,
    /// The host has everything up to this part.
    acknowledged: u64,
    next_fault: u64,
    /// Pixels of the captured image that were sent.
    image_sent: usize,
    heard: Instant,
    /// When it last acknowledged, or was last sent everything anew.
    progress: Instant,
    gone: bool,
}

impl Host {
    /// A host that has just come.
    pub fn new(id: u64, stream: Stream, station: &Station) -> Self {
        Self {
            id,
            name: stream.name.clone(),
            stream,
            reader: Reader::new(),
            // A zero closes what noise made on the line before.
            frames: vec![0],
            sent: 0,
            cursor: Cursor::default(),
            entry: Entry::default(),
            acknowledged: station.journal().acknowledged(),
            next_fault: station.first_unsent_fault(),
            image_sent: 0,
            heard: Instant::now(),
            progress: Instant::now(),
            gone: false,
        }
    }

    /// Its connection, to wait on.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Whether there is something to send.
    pub fn pending(&self) -> bool {
        self.sent < self.frames.len()
    }

    /// How long it has said nothing.
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// What it has said since.
    pub fn hear(&mut self) -> Vec<Result<Request, WireError>> {
        let (mut requests, mut buffer) = (Vec::new(), [0; 4096]);
        // Not for ever: one host must not keep the others waiting.
        for _ in 0..16 {
            match self.stream.read(&mut buffer) {
                // A serial line from which nothing comes.
                Ok(0) if self.stream.lossy => break,
                Ok(0) => {
                    self.leave("closed");
                    break;
                }
                Ok(read) => {
                    self.heard = Instant::now();
                    self.reader
                        .extend(&buffer[..read], |request| requests.push(request));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.leave(&error.to_string());
                    break;
                }
            }
        }
        requests
    }

    /// Has a message sent.
    pub fn send(&mut self, message: &Message) {
        let mut frame = [0; MAX_FRAME];
        if let Ok(frame) = encode(message, &mut frame) {
            self.frames.extend_from_slice(frame);
        }
    }

    /// It has everything up to this part.
    pub fn acknowledge(&mut self, part: u64) {
        self.acknowledged = self.acknowledged.max(part);
        self.progress = Instant::now();
    }

    /// Has sent what it may be sent of the faults, and of the parts before `synced`.
    pub fn tell(&mut self, station: &Station, synced: u64) {
        while self.room()
            && let Some(fault) = station.next_fault(&mut self.next_fault)
        {
            self.send(&Message::Fault(Fault {
                part: None,
                ..fault
            }));
        }
        let journal = station.journal();
        let safe = self.acknowledged.max(journal.acknowledged());
        if self.stream.lossy && self.cursor.through() > safe && self.progress.elapsed() >= RESEND {
            self.cursor = Cursor::default();
            self.progress = Instant::now();
        }
        while self.room() && self.cursor.through().saturating_sub(safe) < WINDOW {
            let before = self.cursor;
            match journal.read(&mut self.cursor, &mut self.entry) {
                // Numbers of what is not yet on the disk could come twice.
                Ok(true) if self.entry.part >= synced => {
                    self.cursor = before;
                    break;
                }
                Ok(true) if self.entry.part <= safe => {}
                Ok(true) => {
                    if before.through() <= safe {
                        self.progress = Instant::now();
                    }
                    self.frames.extend_from_slice(&self.entry.verdict);
                    self.frames.extend_from_slice(&self.entry.mask);
                }
                Ok(false) => break,
                Err(error) => {
                    log(Level::Error, "journal_unreadable", &[("why", &error)]);
                    break;
                }
            }
        }
    }

    /// Has the next pieces of an image sent; true once it is complete.
    pub fn send_image(&mut self, part: u64, size: Size, pixels: &[u8]) -> bool {
        while self.room() {
            let rest = &pixels[self.image_sent..];
            let chunk = &rest[..rest.len().min(CHUNK)];
            self.send(&Message::Image(ImageChunk {
                part,
                size,
                start: self.image_sent as u32,
                pixels: chunk.iter().copied().collect(),
            }));
            self.image_sent += chunk.len();
            if self.image_sent == pixels.len() {
                self.image_sent = 0;
                return true;
            }
        }
        false
    }

    /// Sends as much as its connection takes; false where it is gone.
    pub fn flush(&mut self) -> bool {
        while self.pending() && !self.gone {
            match self.stream.write(&self.frames[self.sent..]) {
                Ok(0) => self.leave("takes no more"),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.leave(&error.to_string()),
            }
        }
        if !self.pending() {
            self.frames.clear();
            self.sent = 0;
        }
        !self.gone
    }

    fn room(&self) -> bool {
        self.frames.len() - self.sent < ENOUGH
    }

    /// Whether it has left, or its connection failed.
    pub fn gone(&self) -> bool {
        self.gone
    }

    fn leave(&mut self, why: &str) {
        if !self.gone {
            self.gone = true;
            log(
                Level::Info,
                "host_gone",
                &[("host", &self.name), ("why", &why)],
            );
        }
    }
}
