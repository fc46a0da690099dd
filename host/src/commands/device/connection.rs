//! A device at the other end of a TCP connection or a serial line: questions and answers.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::fs::OpenOptionsExt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use residua_shared::wire::{Command, Hello, MAX_FRAME, Message, Reader, Request, encode};
use rustix::{
    fs::OFlags,
    termios::{OptionalActions, QueueSelector, SpecialCodeIndex, tcflush, tcgetattr, tcsetattr},
};

/// How long a device may take to answer. A model is checked before its commit is answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// On a lossy line a question without an answer is asked again so soon.
const REPEAT: Duration = Duration::from_secs(2);

/// A read waits no longer.
const TICK: Duration = Duration::from_millis(100);

/// The speed of a serial line where none is given.
const BAUD: u32 = 115_200;

/// A device.
pub struct Connection {
    address: String,
    stream: Stream,
    reader: Reader,
    /// Messages that came while another one was waited for.
    waiting: VecDeque<Message>,
    next_id: u16,
}

enum Stream {
    Tcp(TcpStream),
    Serial(File),
}

impl Connection {
    /// Connects. Errors say what to check.
    pub fn open(address: &str) -> Result<Self> {
        let stream = if address.starts_with('/') {
            serial(address).with_context(|| {
                format!("{address}: cannot be opened; check cable, path, speed and rights")
            })?
        } else {
            tcp(address).with_context(|| {
                format!(
                    "{address}: nothing answers; give HOST:PORT of link.tcp.listen in the \
                     device's configuration, and check that residua-edge runs"
                )
            })?
        };
        Ok(Self {
            address: address.to_owned(),
            stream,
            reader: Reader::new(),
            waiting: VecDeque::new(),
            // An answer that was on the line for another host is not taken for one's own.
            next_id: rand::random(),
        })
    }

    /// The address it was opened by.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Bytes may get lost on the way.
    pub fn lossy(&self) -> bool {
        matches!(self.stream, Stream::Serial(_))
    }

    /// The next message, waited for up to about `patience`. Damaged frames are skipped: over a
    /// serial line the device repeats what matters. Errors where the device has hung up, or speaks
    /// another version.
    pub fn receive(&mut self, patience: Duration) -> Result<Option<Message>> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(Some(message));
        }
        let until = Instant::now() + patience;
        loop {
            self.read()?;
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Some(message));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// A message that is there already.
    pub fn buffered(&mut self) -> Option<Message> {
        self.waiting.pop_front()
    }

    /// Sends a command that is not answered.
    pub fn tell(&mut self, command: Command) -> Result<()> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.send(&Request { id, command })
    }

    /// Sends a command and waits for the message that `take` makes something of; over a lossy line
    /// the command is repeated, so it must do no harm twice. Reports and the like that come
    /// meanwhile are passed over: unacknowledged, they come again.
    pub fn ask<T>(
        &mut self,
        command: Command,
        mut take: impl FnMut(u16, Message) -> Option<T>,
    ) -> Result<T> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let request = Request { id, command };
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            self.send(&request)?;
            let patience = if self.lossy() { REPEAT } else { PATIENCE };
            let again = Instant::now() + patience;
            while Instant::now() < again {
                if let Some(message) = self.receive(TICK)?
                    && let Some(answer) = take(id, message)
                {
                    return Ok(answer);
                }
            }
        }
        bail!(
            "{}: the device does not answer; check that residua-edge runs",
            self.address
        )
    }

    /// Has a command obeyed. Errors with the device's refusal.
    pub fn obey(&mut self, command: Command) -> Result<()> {
        self.try_obey(command)?
            .map_err(|refusal| anyhow!("{}: {refusal}", self.address))
    }

    /// Has a command obeyed, or learns why it was not.
    pub fn try_obey(
        &mut self,
        command: Command,
    ) -> Result<Result<(), residua_shared::wire::Refusal>> {
        self.ask(command, |id, message| match message {
            Message::Answer(answer) if answer.request == id => Some(answer.result),
            _ => None,
        })
    }

    /// Who is there.
    pub fn hello(&mut self) -> Result<Hello> {
        self.ask(Command::Identify, |_, message| match message {
            Message::Hello(hello) => Some(hello),
            _ => None,
        })
    }

    fn send(&mut self, request: &Request) -> Result<()> {
        let mut frame = [0; MAX_FRAME];
        let frame = encode(request, &mut frame)?;
        let sent = match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(frame),
            // A zero closes what noise made on the line since.
            Stream::Serial(line) => line.write_all(&[0]).and_then(|()| line.write_all(frame)),
        };
        sent.with_context(|| format!("{}: the device has hung up", self.address))
    }

    /// Takes what is there, or waits a tick for something.
    fn read(&mut self) -> Result<()> {
        let mut buffer = [0; 4096];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer),
            Stream::Serial(line) => line.read(&mut buffer),
        };
        let read = match read {
            Ok(0) if !self.lossy() => bail!("{}: the device has hung up", self.address),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) => {
                return Err(error).with_context(|| format!("{}: the device is gone", self.address));
            }
        };
        let (waiting, mut refused) = (&mut self.waiting, None);
        self.reader
            .extend(&buffer[..read], |message| match message {
                Ok(message) => waiting.push_back(message),
                Err(error @ residua_shared::wire::WireError::Version(_)) => refused = Some(error),
                Err(_) => {}
            });
        match refused {
            Some(error) => Err(error).with_context(|| self.address.clone()),
            None => Ok(()),
        }
    }
}

fn tcp(address: &str) -> Result<Stream> {
    let mut last = None;
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TICK))?;
                return Ok(Stream::Tcp(stream));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow!("no such host"), Into::into))
}

/// A serial line, raw, whose reads wait up to a tick.
fn serial(address: &str) -> Result<Stream> {
    let (path, baud) = match address.split_once('@') {
        Some((path, baud)) => (path, baud.parse().context("no speed after the @")?),
        None => (address, BAUD),
    };
    let line = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits() as i32)
        .open(path)?;
    let mut settings = tcgetattr(&line)?;
    settings.make_raw();
    settings.set_speed(baud)?;
    settings.special_codes[SpecialCodeIndex::VMIN] = 0;
    // In tenths of a second.
    settings.special_codes[SpecialCodeIndex::VTIME] = 1;
    tcsetattr(&line, OptionalActions::Now, &settings)?;
    // What came while nobody listened is out of date.
    tcflush(&line, QueueSelector::IFlush)?;
    Ok(Stream::Serial(line))
}
