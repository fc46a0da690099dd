use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use residua_shared::wire::{Capabilities, Command, Hello, Message};
use serde::Deserialize;

use super::{
    Connection,
    collect::{Collector, Part},
    records::{FaultRecord, PartRecord, fault_line, part_line},
};
use crate::console;

/// A device that is gone is looked for again so much later.
const RETRY: Duration = Duration::from_secs(1);

/// A mask that has not come so long after its part does not come any more.
const MASK: Duration = Duration::from_secs(1);

/// Says something to a device that has nothing to say, so that one that is gone is noticed.
const PING: Duration = Duration::from_secs(5);

/// What is shown is acknowledged, and then forgotten by the device, unless another host was there
/// first; with --out, only once it is safe in the file.
#[derive(clap::Args)]
pub struct Args {
    /// Append each part to this file as a line of JSON, as --json prints them; goes on after the
    /// last one in it.
    #[arg(long, value_name = "FILE.jsonl")]
    out: Option<PathBuf>,
    /// Print one JSON object a line: part, unix, uptime, outcome, score, threshold, regions, mask,
    /// missing; or fault and detail. Scores are in grey levels, and in exact map steps as
    /// score_steps, threshold_steps, peak_steps.
    #[arg(long)]
    json: bool,
    /// End after so many parts.
    #[arg(long, value_name = "N")]
    parts: Option<u64>,
}

impl Args {
    /// Watches until it is stopped or has seen enough; looks for a device that has gone.
    pub fn run(self, address: &str) -> Result<()> {
        let store = self.out.as_deref().map(Store::open).transpose()?;
        let mut watch = Watch {
            last: store.as_ref().and_then(|store| store.last),
            store,
            json: self.json,
            left: self.parts.unwrap_or(u64::MAX),
        };
        let mut device = Connection::open(address)?;
        loop {
            match watch.follow(&mut device) {
                Ok(()) => return Ok(()),
                Err(Stopped::Device(error)) => console::note(format_args!(
                    "{}; trying to reach it again",
                    console::one_line(&error)
                )),
                Err(Stopped::Here(error)) => return Err(error),
            }
            device = loop {
                thread::sleep(RETRY);
                if let Ok(device) = Connection::open(address) {
                    break device;
                }
            };
        }
    }
}

/// Why the following of a device has stopped.
enum Stopped {
    /// The device, or the way to it, is gone.
    Device(anyhow::Error),
    /// Nothing can be printed or stored here.
    Here(anyhow::Error),
}

struct Watch {
    store: Option<Store>,
    json: bool,
    /// The last part that was shown and stored.
    last: Option<u64>,
    /// Parts to be shown before the end.
    left: u64,
}

impl Watch {
    fn follow(&mut self, device: &mut Connection) -> Result<(), Stopped> {
        let hello = device.hello().map_err(Stopped::Device)?;
        self.check(&hello).map_err(Stopped::Here)?;
        let masks = hello.capabilities.contains(Capabilities::MASKS);
        let mut collector = Collector::new(device.lossy(), masks, self.last);
        let mut heard = Instant::now();
        let mut pinged = heard;
        while self.left > 0 {
            let message = device.receive(RETRY / 5).map_err(Stopped::Device)?;
            let mut parts = Vec::new();
            match message {
                Some(message) => {
                    heard = Instant::now();
                    self.fault(&message).map_err(Stopped::Here)?;
                    parts.extend(collector.take(message));
                    while let Some(message) = device.buffered() {
                        self.fault(&message).map_err(Stopped::Here)?;
                        parts.extend(collector.take(message));
                    }
                }
                None if collector.waits() && heard.elapsed() >= MASK => {
                    parts.extend(collector.silence());
                }
                None if pinged.elapsed() >= PING => {
                    pinged = Instant::now();
                    device.tell(Command::Ping).map_err(Stopped::Device)?;
                    continue;
                }
                None => continue,
            }
            self.keep(&parts).map_err(Stopped::Here)?;
            // Again for parts that came again: the acknowledgement may have been lost.
            if let Some(part) = self.last {
                device
                    .tell(Command::Acknowledge { part })
                    .map_err(Stopped::Device)?;
            }
        }
        Ok(())
    }

    /// Errors where the file is of another device, or of this one before it lost its journal: its
    /// parts would be taken for known ones.
    fn check(&self, hello: &Hello) -> Result<()> {
        let (Some(store), Some(last)) = (&self.store, self.last) else {
            return Ok(());
        };
        ensure!(
            last < hello.next_part,
            "{}: its last part is {last} but the device's next one is {}; it is another device's, \
             or the device has lost its journal: give another --out file",
            store.path.display(),
            hello.next_part
        );
        Ok(())
    }

    /// Shows and stores parts; returns when they are safe.
    fn keep(&mut self, parts: &[Part]) -> Result<()> {
        let mut kept = false;
        for part in parts {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            self.last = Some(part.number);
            kept = true;
            if part.missing > 0 {
                console::note(format_args!(
                    "{} parts before part {} are missing: the device had no room for them",
                    part.missing, part.number
                ));
            }
            let record = serde_json::to_string(&PartRecord::new(part))?;
            if let Some(store) = &mut self.store {
                store.add(&record)?;
            }
            console::print(&if self.json { record } else { part_line(part) })?;
        }
        match &mut self.store {
            Some(store) if kept => store.sync(),
            _ => Ok(()),
        }
    }

    /// Shows and stores a fault that concerns no part.
    fn fault(&mut self, message: &Message) -> Result<()> {
        let Message::Fault(fault) = message else {
            return Ok(());
        };
        if fault.part.is_some() {
            return Ok(());
        }
        let record = serde_json::to_string(&FaultRecord::new(fault))?;
        if let Some(store) = &mut self.store {
            store.add(&record)?;
        }
        console::print(&if self.json { record } else { fault_line(fault) })
    }
}

/// A file with a part a line.
struct Store {
    path: PathBuf,
    file: File,
    /// The last part in it.
    last: Option<u64>,
}

#[derive(Deserialize)]
struct Numbered {
    part: Option<u64>,
}

impl Store {
    /// Opens the file, or makes it. A last line without an end, which a crash left, is cut off: its
    /// part was not acknowledged and comes again.
    fn open(path: &Path) -> Result<Self> {
        let problem = || format!("{}: cannot be used as --out", path.display());
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(problem)?;
        let (mut last, mut whole) = (None, 0);
        let mut reader = BufReader::new(&file);
        let mut line = String::new();
        while reader.read_line(&mut line).with_context(problem)? > 0 {
            if !line.ends_with('\n') {
                break;
            }
            let numbered: Numbered = serde_json::from_str(&line).with_context(|| {
                format!(
                    "{}: not what `watch --out` wrote; give another file",
                    path.display()
                )
            })?;
            last = numbered.part.max(last);
            whole += line.len() as u64;
            line.clear();
        }
        if !line.is_empty() {
            file.set_len(whole).with_context(problem)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            last,
        })
    }

    fn add(&mut self, record: &str) -> Result<()> {
        self.file
            .write_all(format!("{record}\n").as_bytes())
            .with_context(|| format!("{}: cannot be written; make room", self.path.display()))
    }

    fn sync(&mut self) -> Result<()> {
        self.file
            .sync_data()
            .with_context(|| format!("{}: cannot be written; check the disk", self.path.display()))
    }
}
