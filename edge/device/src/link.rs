//! Journal → hosts, and what hosts ask for.
//!
//! A host is sent a hello, then all that it has not acknowledged: at most [`WINDOW`] parts ahead of
//! its acknowledgements, so that one that only asks a question is not flooded. Over a serial line,
//! where bytes get lost, what is not acknowledged in time is sent anew.
//!
//! Several hosts are served at once over TCP, and all see every part. The first that acknowledges
//! is the collector for as long as it is connected: the journal forgets what *it* has. One host
//! more than [`MAX_HOSTS`] takes the place of the one that was silent the longest.

mod commands;
mod host;
mod port;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    events::{Level, log},
    models::Models,
    station::{Capture, Station, lock},
};
use host::Host;
pub use port::Port;

/// Parts that a host is sent beyond what it has acknowledged.
pub const WINDOW: u64 = 64;

/// Hosts that are served at once.
pub const MAX_HOSTS: usize = 4;

/// Even where nothing happens the link looks around so often.
const TICK: Duration = Duration::from_millis(100);

/// With no host there, verdicts get to the disk so often.
const SYNC: Duration = Duration::from_secs(1);

/// How long hosts have to take the last verdicts when the program ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// The link's thread.
#[derive(Debug)]
pub struct Link {
    station: Arc<Station>,
    port: Option<Port>,
    hosts: Vec<Host>,
    /// The host whose acknowledgements count.
    collector: Option<u64>,
    /// The host that the captured image is for.
    capturer: Option<u64>,
    /// The journal up to before this part is on the disk.
    synced: u64,
    synced_at: Instant,
    /// The model that hosts were told of.
    told: Option<(residua_shared::manifest::Digest, u64)>,
    /// What takes new models.
    models: Option<Models>,
    next_id: u64,
}

impl Link {
    /// A link over `port`, by which new models come where there are `models`; without a port it
    /// only brings the journal to the disk.
    pub fn new(station: Arc<Station>, port: Option<Port>, models: Option<Models>) -> Self {
        Self {
            station,
            port,
            hosts: Vec::new(),
            collector: None,
            capturer: None,
            synced: 0,
            synced_at: Instant::now(),
            told: None,
            models,
            next_id: 0,
        }
    }

    /// Serves hosts until the program ends and they have taken what there is.
    pub fn run(mut self) {
        let mut leaving = None;
        loop {
            self.wait();
            self.station.awake();
            self.greet();
            self.listen();
            self.sync();
            self.tell();
            self.hosts.retain_mut(|host| host.flush());
            self.forget();
            if self.station.stopping() {
                let since = *leaving.get_or_insert_with(Instant::now);
                if since.elapsed() >= FAREWELL || self.all_told() {
                    break;
                }
            }
        }
        self.station.journal().sync();
    }

    /// Waits until a host, the inspection or the clock has something.
    fn wait(&self) {
        let mut files = vec![PollFd::from_borrowed_fd(
            self.station.awakener(),
            PollFlags::IN,
        )];
        if let Some(port) = self.port.as_ref().and_then(Port::awaited) {
            files.push(PollFd::from_borrowed_fd(port, PollFlags::IN));
        }
        for host in &self.hosts {
            let wanted = if host.pending() {
                PollFlags::IN | PollFlags::OUT
            } else {
                PollFlags::IN
            };
            files.push(PollFd::from_borrowed_fd(host.as_fd(), wanted));
        }
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: TICK.as_nanos() as _,
        };
        // Where it fails, or a signal comes, there is simply nothing to do.
        let _ = poll(&mut files, Some(&tick));
    }

    /// Takes in a host that is new.
    fn greet(&mut self) {
        let occupied = !self.hosts.is_empty();
        let Some(stream) = self.port.as_mut().and_then(|port| port.accept(occupied)) else {
            return;
        };
        if self.hosts.len() == MAX_HOSTS {
            let silent = (0..MAX_HOSTS).max_by_key(|&i| self.hosts[i].silence());
            let host = self.hosts.swap_remove(silent.unwrap_or(0));
            log(Level::Warn, "host_replaced", &[("host", &host.name)]);
        }
        log(Level::Info, "host_connected", &[("host", &stream.name)]);
        let mut host = Host::new(self.next_id, stream, &self.station);
        self.next_id += 1;
        host.send(&residua_shared::wire::Message::Hello(self.station.hello()));
        self.hosts.push(host);
    }

    /// Hears what hosts say, and does it.
    fn listen(&mut self) {
        for i in 0..self.hosts.len() {
            let heard = self.hosts[i].hear();
            // Before the next host is heard, which may take a place that has just become free.
            self.forget();
            for request in heard {
                match request {
                    Ok(request) => self.obey(i, request),
                    Err(error) => {
                        self.station.count(|stats| stats.dropped.frames += 1);
                        log(
                            Level::Warn,
                            "frame_dropped",
                            &[("host", &self.hosts[i].name), ("why", &error)],
                        );
                    }
                }
            }
        }
    }

    /// Brings new verdicts to the disk, before any is sent.
    fn sync(&mut self) {
        let next = self.station.journal().next_part();
        let due = !self.hosts.is_empty() || self.synced_at.elapsed() >= SYNC;
        if next > self.synced && due {
            // Outside of the lock: it takes its time.
            let file = self.station.journal().unsynced();
            if let Err(error) = file.sync_data() {
                self.station.fault(
                    residua_shared::wire::FaultKind::Storage,
                    format_args!("journal: {error}; check the disk"),
                );
            }
            self.synced = next;
            self.synced_at = Instant::now();
        }
    }

    /// Sends what there is, as far as each host takes it.
    fn tell(&mut self) {
        let hello = self.station.hello();
        let model = hello.model.as_ref();
        let model = model.map(|model| (model.digest, model.version));
        let changed = model != self.told;
        self.told = model;
        for host in &mut self.hosts {
            if changed {
                host.send(&residua_shared::wire::Message::Hello(hello.clone()));
            }
            host.tell(&self.station, self.synced);
        }
        self.send_capture();
    }

    /// Sends the captured image to the host that asked for it.
    fn send_capture(&mut self) {
        let Some(id) = self.capturer else { return };
        let mut capture = lock(&self.station.capture);
        let host = self.hosts.iter_mut().find(|host| host.id == id);
        let gone = host.is_none();
        if let (Some(host), Capture::Taken { part, size, pixels }) = (host, &*capture) {
            if !host.send_image(*part, *size, pixels) {
                return;
            }
        } else if !gone {
            return;
        }
        *capture = Capture::Idle;
        self.capturer = None;
    }

    /// Forgets hosts that are gone.
    fn forget(&mut self) {
        let there = |id: &u64| self.hosts.iter().any(|host| host.id == *id && !host.gone());
        self.collector = self.collector.filter(there);
    }

    /// Whether no host is there to take more.
    fn all_told(&self) -> bool {
        let acknowledged = self.station.journal().acknowledged();
        let next = self.station.journal().next_part();
        let collected = self.collector.is_none() || acknowledged + 1 >= next;
        self.hosts.iter().all(|host| !host.pending()) && collected
    }
}
