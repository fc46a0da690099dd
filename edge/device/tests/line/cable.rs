//! A serial cable between two pseudo-terminals, with noise on it.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

/// Of so many bytes one is damaged, lost, or joined by another.
const NOISE: u32 = 6000;

/// A line that takes nothing for so long loses what is sent to it.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// The cable; unplugged at the end.
pub struct Cable {
    /// The device's end.
    pub device: PathBuf,
    /// The host's end.
    pub host: PathBuf,
    /// Bytes that the noise has met.
    pub hits: Arc<AtomicU64>,
    unplugged: Arc<AtomicBool>,
}

impl Cable {
    /// A cable whose noise follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let (device, device_path) = open();
        let (host, host_path) = open();
        let cable = Self {
            device: device_path,
            host: host_path,
            hits: Arc::default(),
            unplugged: Arc::default(),
        };
        let ends = [
            (device.try_clone().unwrap(), host.try_clone().unwrap()),
            (host, device),
        ];
        for (seed, (from, to)) in (2 * seed..).zip(ends) {
            let noise = Noise {
                rng: ChaCha8Rng::seed_from_u64(seed),
                hits: Arc::clone(&cable.hits),
            };
            let unplugged = Arc::clone(&cable.unplugged);
            thread::spawn(move || carry(from, to, noise, &unplugged));
        }
        cable
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.unplugged.store(true, Ordering::Relaxed);
    }
}

/// The inner side of a pseudo-terminal, and the path of its outer side.
fn open() -> (File, PathBuf) {
    let inner: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&inner).unwrap();
    unlockpt(&inner).unwrap();
    fcntl_setfl(&inner, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
    let path = ptsname(&inner, Vec::new()).unwrap();
    (inner.into(), path.into_string().unwrap().into())
}

/// Carries bytes until the cable is unplugged.
fn carry(mut from: File, mut to: File, mut noise: Noise, unplugged: &AtomicBool) {
    let mut bytes = [0; 128];
    while !unplugged.load(Ordering::Relaxed) {
        match from.read(&mut bytes) {
            Ok(read) => send(&mut to, &noise.spoil(&bytes[..read])),
            // Nothing there, or nobody.
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// As a line does: where nobody listens, bytes are lost.
fn send(to: &mut File, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let state = {
            let mut end = [PollFd::new(to, PollFlags::OUT)];
            poll(&mut end, Some(&PATIENCE)).unwrap();
            end[0].revents()
        };
        if state.contains(PollFlags::HUP) || !state.contains(PollFlags::OUT) {
            return;
        }
        match to.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

struct Noise {
    rng: ChaCha8Rng,
    hits: Arc<AtomicU64>,
}

impl Noise {
    fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut spoilt = Vec::with_capacity(2 * bytes.len());
        for &byte in bytes {
            if !self.rng.random_ratio(1, NOISE) {
                spoilt.push(byte);
                continue;
            }
            self.hits.fetch_add(1, Ordering::Relaxed);
            match self.rng.random_range(0..3) {
                0 => spoilt.push(byte ^ (1 << self.rng.random_range(0..8))),
                1 => spoilt.extend([byte, self.rng.random()]),
                _ => {}
            }
        }
        spoilt
    }
}
