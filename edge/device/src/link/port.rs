//! Where hosts come from: a TCP address or a serial line.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::{
    fs::OFlags,
    net::sockopt,
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

use crate::{
    config,
    events::{Level, listening, log},
};

/// A serial line that failed is opened again so much later.
const RETRY: Duration = Duration::from_secs(1);

/// A host over TCP that is silent so long is asked by the system whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Where hosts come from.
#[derive(Debug)]
pub enum Port {
    /// A TCP address.
    Tcp(TcpListener),
    /// A serial line.
    Serial {
        /// Its configuration.
        config: config::Serial,
        /// When it was tried last.
        tried: Option<Instant>,
    },
}

/// A host's connection, which never blocks.
#[derive(Debug)]
pub struct Stream {
    /// Who it is, for the log.
    pub name: String,
    /// Bytes may get lost on it.
    pub lossy: bool,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Serial(File),
}

impl Port {
    /// Opens the port. Errors where the address is taken or the line cannot be used.
    pub fn open(config: &config::Link) -> Result<Self> {
        match config {
            config::Link::Tcp(config::Tcp { listen }) => {
                let listener = TcpListener::bind(listen)
                    .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
                let listener = listener
                    .with_context(|| format!("link.tcp.listen: {listen} cannot be used"))?;
                listening("link", &listener);
                Ok(Self::Tcp(listener))
            }
            config::Link::Serial(config) => {
                open(config).with_context(|| {
                    format!(
                        "{}: link.serial cannot be used at {} baud; check path, speed and rights",
                        config.path.display(),
                        config.baud
                    )
                })?;
                Ok(Self::Serial {
                    config: config.clone(),
                    tried: None,
                })
            }
        }
    }

    /// What becomes readable when a host comes.
    pub fn awaited(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(listener) => Some(listener.as_fd()),
            Self::Serial { .. } => None,
        }
    }

    /// A host that is new; on a serial line where it is not `occupied`.
    pub fn accept(&mut self, occupied: bool) -> Option<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                stream.set_nodelay(true).ok()?;
                keep_alive(&stream).ok()?;
                Some(Stream {
                    name: address.to_string(),
                    lossy: false,
                    inner: Inner::Tcp(stream),
                })
            }
            Self::Serial { .. } if occupied => None,
            Self::Serial { config, tried } => {
                if tried.is_some_and(|tried| tried.elapsed() < RETRY) {
                    return None;
                }
                *tried = Some(Instant::now());
                match open(config) {
                    Ok(file) => Some(Stream {
                        name: config.path.display().to_string(),
                        lossy: true,
                        inner: Inner::Serial(file),
                    }),
                    Err(error) => {
                        log(
                            Level::Warn,
                            "serial_line_unusable",
                            &[("path", &config.path.display()), ("why", &error)],
                        );
                        None
                    }
                }
            }
        }
    }
}

fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE / 2)?;
    sockopt::set_tcp_keepcnt(stream, 3)
}

/// Opens a serial line raw: no byte on it means anything to the system.
fn open(config: &config::Serial) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags as i32)
        .open(&config.path)?;
    let mut line = tcgetattr(&file)?;
    line.make_raw();
    line.set_speed(config.baud)?;
    tcsetattr(&file, OptionalActions::Now, &line)?;
    Ok(file)
}

impl Stream {
    /// What becomes readable when the host says something.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.inner {
            Inner::Tcp(stream) => stream.as_fd(),
            Inner::Serial(file) => file.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Tcp(stream) => stream.read(buffer),
            Inner::Serial(file) => file.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Tcp(stream) => stream.write(buffer),
            Inner::Serial(file) => file.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
