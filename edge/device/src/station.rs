//! What the program's threads share: the journal, the counts, the model in use, and what is asked
//! of the inspection.

use std::{
    collections::VecDeque,
    fmt::Display,
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use residua_shared::{
    frame::Size,
    rule::{DecisionRule, Threshold},
    wire::{
        Capabilities, Fault, FaultKind, Hello, Memory, Model, ProgramVersion, Refusal, Stats,
        VERSION,
    },
};
use rustix::event::{EventfdFlags, eventfd};

use crate::{
    clock::Clock,
    events::{Level, log},
    journal::Journal,
    model::Model as LoadedModel,
};

/// Faults that wait for a host at most; older ones are in the log.
const MAX_FAULTS: usize = 32;

/// What the threads share.
#[derive(Debug)]
pub struct Station {
    /// The clocks.
    pub clock: Clock,
    name: heapless::String<32>,
    capabilities: Capabilities,
    journal: Mutex<Journal>,
    stats: Mutex<Stats>,
    in_use: Mutex<Option<InUse>>,
    faults: Mutex<Faults>,
    /// The image that a host asked for.
    pub capture: Mutex<Capture>,
    /// Readable where the link has something to do.
    wake: OwnedFd,
    stop: Arc<AtomicBool>,
    /// The model to inspect with from the next part on.
    next_model: Mutex<Option<Box<LoadedModel>>>,
}

/// The model in use, and how it decides.
#[derive(Clone, Debug)]
pub struct InUse {
    model: Model,
    rule: DecisionRule,
}

/// Faults that concern no part.
#[derive(Debug, Default)]
struct Faults {
    /// The last ones.
    last: VecDeque<Fault>,
    /// How many there were in all.
    count: u64,
    /// How many of them a host has been sent.
    sent: u64,
}

/// The image that a host asked for.
#[derive(Debug, Default)]
pub enum Capture {
    /// None was asked for.
    #[default]
    Idle,
    /// The next one.
    Wanted,
    /// Here it is.
    Taken {
        /// The part that it shows.
        part: u64,
        /// Its size.
        size: Size,
        /// Its pixels.
        pixels: Vec<u8>,
    },
}

/// A lock, whatever a thread that panicked left behind it: each is consistent at every moment.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Station {
    /// A station without a model; `stop` is also set from outside.
    pub fn new(
        name: heapless::String<32>,
        capabilities: Capabilities,
        clock: Clock,
        journal: Journal,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        Ok(Self {
            clock,
            name,
            capabilities,
            journal: Mutex::new(journal),
            stats: Mutex::default(),
            in_use: Mutex::default(),
            faults: Mutex::default(),
            capture: Mutex::default(),
            wake: eventfd(0, EventfdFlags::NONBLOCK).context("the system's event files")?,
            stop,
            next_model: Mutex::default(),
        })
    }

    /// The journal.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    /// Changes the counts.
    pub fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut lock(&self.stats));
    }

    /// The counts.
    pub fn stats(&self) -> Stats {
        let mut stats = lock(&self.stats).clone();
        let dropped = self.journal().dropped();
        stats.time = self.clock.now();
        stats.dropped.reports = dropped.verdicts;
        stats.dropped.masks = dropped.masks;
        stats.memory.peak = peak_memory().unwrap_or(0);
        stats
    }

    /// Who this is.
    pub fn hello(&self) -> Hello {
        let model = lock(&self.in_use)
            .as_ref()
            .map(|in_use| in_use.model.clone());
        let next_part = self.journal().next_part();
        Hello {
            protocol: VERSION,
            program: ProgramVersion {
                major: number(env!("CARGO_PKG_VERSION_MAJOR")),
                minor: number(env!("CARGO_PKG_VERSION_MINOR")),
                patch: number(env!("CARGO_PKG_VERSION_PATCH")),
            },
            device: self.name.clone(),
            capabilities: self.capabilities,
            next_part,
            model,
        }
    }

    /// What it can do.
    pub fn can(&self, ability: Capabilities) -> bool {
        self.capabilities.contains(ability)
    }

    /// From now on parts are inspected by this model, in `buffers` bytes.
    pub fn set_model(&self, model: &LoadedModel, buffers: u64) {
        let manifest = &model.manifest;
        let model = Model {
            digest: manifest.digest,
            version: model.version,
            input: manifest.input,
            threshold: manifest.rule.image_threshold(),
            name: manifest.name.clone(),
        };
        *lock(&self.in_use) = Some(InUse {
            model,
            rule: manifest.rule,
        });
        self.count(|stats| {
            stats.memory = Memory { buffers, peak: 0 };
        });
        self.wake();
    }

    /// The rule in use, if there is a model.
    pub fn rule(&self) -> Option<DecisionRule> {
        lock(&self.in_use).as_ref().map(|in_use| in_use.rule)
    }

    /// Decides by another image threshold from the next part on.
    pub fn set_threshold(&self, threshold: Threshold) -> Result<(), Refusal> {
        let mut in_use = lock(&self.in_use);
        let in_use = in_use.as_mut().ok_or(Refusal::NoModel)?;
        let rule = in_use.rule;
        if threshold.scale != rule.scale() {
            return Err(Refusal::Scale);
        }
        let pixel = rule.pixel_threshold().raw;
        in_use.rule = DecisionRule::new(
            rule.comparison(),
            rule.scale(),
            pixel,
            rule.min_area(),
            threshold.raw,
        )
        .map_err(|_| Refusal::Threshold { pixel })?
        .weighing(rule.columns().copied());
        in_use.model.threshold = threshold;
        Ok(())
    }

    /// Something failed that concerns no part: logged, and told to the hosts.
    pub fn fault(&self, kind: FaultKind, detail: impl Display) {
        let detail = detail.to_string();
        log(
            Level::Error,
            "fault",
            &[("kind", &format_args!("{kind:?}")), ("detail", &detail)],
        );
        let mut faults = lock(&self.faults);
        faults.last.push_back(Fault {
            part: None,
            time: self.clock.now(),
            kind,
            detail: cut(&detail),
        });
        faults.count += 1;
        if faults.last.len() > MAX_FAULTS {
            faults.last.pop_front();
        }
        drop(faults);
        self.wake();
    }

    /// The number of the first fault that no host was sent.
    pub fn first_unsent_fault(&self) -> u64 {
        lock(&self.faults).sent
    }

    /// The first fault from number `next` on, which moves behind it.
    pub fn next_fault(&self, next: &mut u64) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let first = faults.count - faults.last.len() as u64;
        let index = (*next).max(first) - first;
        let fault = faults.last.get(index as usize)?.clone();
        *next = first + index + 1;
        faults.sent = faults.sent.max(*next);
        Some(fault)
    }

    /// The link has something to do.
    pub fn wake(&self) {
        // It fails only where the counter is full, and then the link is awake.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// What [`Self::wake`] makes readable.
    pub fn awakener(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Takes the awakening, once it was heard.
    pub fn awake(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
    }

    /// Ends the program.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the program ends.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Has the next parts inspected by another model, for images of the same size.
    pub fn change_model(&self, model: LoadedModel) {
        *lock(&self.next_model) = Some(Box::new(model));
    }

    /// Whether another model is to inspect the next parts.
    pub fn model_changed(&self) -> bool {
        lock(&self.next_model).is_some()
    }

    /// The model of [`Self::change_model`], once.
    pub fn take_model(&self) -> Option<LoadedModel> {
        lock(&self.next_model).take().map(|model| *model)
    }
}

fn number(digits: &str) -> u16 {
    digits.parse().unwrap_or(u16::MAX)
}

/// As much of a text as fits.
pub fn cut<const N: usize>(text: &str) -> heapless::String<N> {
    let mut cut = heapless::String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if cut.push(c).is_err() {
            break;
        }
    }
    cut
}

/// The most memory that this process ever had, in bytes.
fn peak_memory() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kibibytes.unwrap_or(0) * 1024)
}
