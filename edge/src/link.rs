//! The device's end of the line, for programs without an operating system: hears requests and
//! answers them, and sends what there is to say, in fixed memory and without ever waiting.
//!
//! Everything sent goes through one queue of bytes, whole frames in order. Masks and images leave
//! room in it for what matters more, and requests are only heard while their answers have room, so
//! that a host which asks faster than the line carries slows itself down and nothing else.

use embedded_io::{Read, ReadReady, Write, WriteReady};
use heapless::Deque;
use residua_shared::wire::{
    Answer, Command, Hello, MAX_FRAME, Message, Pong, Reader, Refusal, Request, Stats, Time, encode,
};

/// Bytes that masks and images leave free for reports, faults and answers.
const RESERVE: usize = 4 * MAX_FRAME;

/// Bytes that the answer to one request takes at most: an answer and a hello.
const ANSWER: usize = 2 * MAX_FRAME;

/// What the link says about the device, and has it do.
pub trait Device {
    /// Who this is.
    fn hello(&mut self) -> Hello;

    /// What it counted.
    fn stats(&mut self) -> Stats;

    /// The time now.
    fn time(&mut self) -> Time;

    /// Obeys a command that wants an answer of yes or no. On [`Command::Reboot`] it only agrees;
    /// see [`Link::restart_due`].
    fn obey(&mut self, command: &Command) -> Result<(), Refusal>;

    /// Reports of all parts up to this one are safe at the host.
    fn acknowledged(&mut self, part: u64);
}

/// A link over `io` whose queue holds `N` bytes.
#[derive(Debug)]
pub struct Link<IO, const N: usize> {
    io: IO,
    reader: Reader,
    queue: Deque<u8, N>,
    damaged: u64,
    restart: bool,
}

/// The queue has no room for a message; nothing of it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl<IO: Read + ReadReady + Write + WriteReady, const N: usize> Link<IO, N> {
    /// Checked when [`Self::new`] is compiled: beside the reserve a mask's chunk has room.
    const FITS: () = assert!(N >= RESERVE + MAX_FRAME);

    /// A link that has said nothing yet.
    pub fn new(io: IO) -> Self {
        let () = Self::FITS;
        Self {
            io,
            reader: Reader::new(),
            queue: Deque::new(),
            damaged: 0,
            restart: false,
        }
    }

    /// Begins a conversation: forgets what was not sent to the host before, ends whatever noise
    /// stands on the line, and says hello.
    pub fn greet(&mut self, device: &mut impl Device) {
        self.queue.clear();
        self.reader = Reader::new();
        self.enqueue(&[0]);
        self.reply(&Message::Hello(device.hello()));
    }

    /// Frames from the host that were damaged or unknown.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Whether the device agreed to restart and the host has been sent the answer.
    pub fn restart_due(&self) -> bool {
        self.restart && self.queue.is_empty()
    }

    /// Queues a message, whole or not at all.
    pub fn send(&mut self, message: &Message) -> Result<(), Full> {
        let kept_free = match message {
            Message::Mask(_) | Message::Image(_) => RESERVE,
            // What answers need is kept free of all else.
            _ => ANSWER,
        };
        self.push(message, kept_free)
    }

    /// Sends what the line takes without waiting, hears requests as long as their answers have room
    /// in the queue, and sends again.
    ///
    /// Errors are those of the line; the link may be polled again after any.
    pub fn poll(&mut self, device: &mut impl Device) -> Result<(), IO::Error> {
        self.flush()?;
        while self.room() >= ANSWER && self.io.read_ready()? {
            let mut byte = [0];
            if self.io.read(&mut byte)? == 0 {
                break;
            }
            match self.reader.push::<Request>(byte[0]) {
                Some(Ok(request)) => self.hear(&request, device),
                Some(Err(_)) => self.damaged = self.damaged.saturating_add(1),
                None => {}
            }
        }
        self.flush()
    }

    fn hear(&mut self, request: &Request, device: &mut impl Device) {
        match &request.command {
            Command::Ping => self.reply(&Message::Pong(Pong {
                request: request.id,
                time: device.time(),
            })),
            Command::Identify => self.reply(&Message::Hello(device.hello())),
            Command::Stats => self.reply(&Message::Stats(device.stats())),
            Command::Acknowledge { part } => device.acknowledged(*part),
            command => {
                let result = device.obey(command);
                self.reply(&Message::Answer(Answer {
                    request: request.id,
                    result,
                }));
                match (command, result) {
                    (Command::CommitModel, Ok(())) => self.reply(&Message::Hello(device.hello())),
                    (Command::Reboot, Ok(())) => self.restart = true,
                    _ => {}
                }
            }
        }
    }

    /// Queues what a request brings about, for which there is room.
    fn reply(&mut self, message: &Message) {
        let queued = self.push(message, 0);
        debug_assert_eq!(queued, Ok(()));
    }

    fn push(&mut self, message: &Message, kept_free: usize) -> Result<(), Full> {
        let mut buffer = [0; MAX_FRAME];
        let frame = encode(message, &mut buffer).map_err(|_| Full)?;
        if self.room() < frame.len() + kept_free {
            return Err(Full);
        }
        self.enqueue(frame);
        Ok(())
    }

    fn room(&self) -> usize {
        N - self.queue.len()
    }

    /// Queues bytes, for which there is room.
    fn enqueue(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let queued = self.queue.push_back(byte);
            debug_assert_eq!(queued, Ok(()));
        }
    }

    fn flush(&mut self) -> Result<(), IO::Error> {
        while !self.queue.is_empty() && self.io.write_ready()? {
            let (front, _) = self.queue.as_slices();
            let written = self.io.write(front)?;
            for _ in 0..written {
                self.queue.pop_front();
            }
            if written == 0 {
                break;
            }
        }
        Ok(())
    }
}
