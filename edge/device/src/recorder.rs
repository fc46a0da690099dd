//! Verdict → gate and journal: what becomes of a part once it is known, in buffers that are used
//! again.

use std::{fmt::Display, sync::Arc, time::Instant};

use residua_shared::{
    rule::Threshold,
    verdict::{Outcome, Region, Verdict},
    wire::{
        Fault, FaultKind, MAX_FRAME, MAX_REGIONS, MaskChunks, Message, Report, Wire, encode, spans,
    },
};

use crate::{
    events::{Level, log},
    gate::Gate,
    station::{Station, cut},
};

/// A mask of more bytes is dropped: noise, which shows nothing.
const MAX_MASK: usize = 256 * 1024;

/// Numbers parts and hands on what was found.
#[derive(Debug)]
pub struct Recorder {
    station: Arc<Station>,
    gate: Option<Arc<Gate>>,
    frame: Box<[u8; MAX_FRAME]>,
    verdict: Vec<u8>,
    mask: Vec<u8>,
    /// The journal took nothing, which was reported.
    full: bool,
}

/// What was found in a part.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Good or defect.
    pub verdict: Verdict,
    /// The image threshold that decided.
    pub threshold: Threshold,
    /// The first regions that count.
    pub regions: &'a heapless::Vec<Region, MAX_REGIONS>,
    /// The mask, where there is one.
    pub mask: Option<&'a [u8]>,
}

impl Recorder {
    /// A recorder for the station's parts, which rejects at `gate`.
    pub fn new(station: Arc<Station>, gate: Option<Arc<Gate>>) -> Self {
        Self {
            station,
            gate,
            frame: Box::new([0; MAX_FRAME]),
            verdict: Vec::with_capacity(MAX_FRAME),
            mask: Vec::with_capacity(MAX_MASK + MAX_FRAME),
            full: false,
        }
    }

    /// A part passed the camera at `seen`, `ahead` others before it having no verdict yet.
    pub fn passed(&self, seen: Instant, ahead: u64) {
        if let Some(gate) = &self.gate {
            gate.passed(self.station.journal().next_part() + ahead, seen);
        }
    }

    /// The next part, whose image was complete at `seen`, was inspected.
    pub fn report(&mut self, seen: Instant, found: Found<'_>) {
        let part = self.station.journal().next_part();
        self.decide(part, found.verdict.outcome);
        let defect = found.verdict.outcome == Outcome::Defect;
        let report = Report {
            part,
            time: self.station.clock.at(seen),
            verdict: found.verdict,
            threshold: found.threshold,
            regions: found.regions.clone(),
        };
        self.begin(&Message::Report(report));
        let mut lost = false;
        if let Some(mask) = found.mask.filter(|_| defect) {
            for chunk in MaskChunks::new(part, spans(mask)) {
                push(&Message::Mask(chunk), &mut self.frame, &mut self.mask);
                lost = self.mask.len() > MAX_MASK;
                if lost {
                    self.mask.clear();
                    break;
                }
            }
        }
        let us = u32::try_from(seen.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.station.count(|stats| {
            *if defect {
                &mut stats.defects
            } else {
                &mut stats.good
            } += 1;
            stats.latency.record(us);
        });
        log(
            Level::Debug,
            "part",
            &[
                ("part", &part),
                ("defect", &defect),
                ("score", &found.verdict.score),
                ("us", &us),
            ],
        );
        self.append(lost);
    }

    /// The next part, seen at `seen`, has no verdict.
    pub fn fault(&mut self, seen: Instant, kind: FaultKind, detail: impl Display) {
        let part = self.station.journal().next_part();
        // What could not be inspected is never called good.
        self.decide(part, Outcome::Defect);
        let detail = detail.to_string();
        log(
            Level::Warn,
            "part_without_verdict",
            &[
                ("part", &part),
                ("kind", &format_args!("{kind:?}")),
                ("detail", &detail),
            ],
        );
        self.begin(&Message::Fault(Fault {
            part: Some(part),
            time: self.station.clock.at(seen),
            kind,
            detail: cut(&detail),
        }));
        self.station.count(|stats| stats.faults += 1);
        self.append(false);
    }

    fn decide(&self, part: u64, outcome: Outcome) {
        if let Some(gate) = &self.gate {
            gate.decide(part, outcome);
            let late = gate.counts().late;
            self.station.count(|stats| stats.dropped.late = late);
        }
    }

    fn begin(&mut self, message: &Message) {
        self.verdict.clear();
        self.mask.clear();
        push(message, &mut self.frame, &mut self.verdict);
    }

    fn append(&mut self, mask_lost: bool) {
        let appended = {
            let mut journal = self.station.journal();
            if mask_lost {
                journal.count_dropped_mask();
            }
            journal.append(&self.verdict, &self.mask)
        };
        match appended {
            Ok(()) => {
                self.full = false;
                self.station.wake();
            }
            // Once, not for every part of a full disk.
            Err(_) if self.full => {}
            Err(error) => {
                self.full = true;
                self.station.fault(
                    FaultKind::Storage,
                    format_args!("journal: {error}; verdicts are lost until there is room"),
                );
            }
        }
    }
}

/// Adds a message's frame to `frames`.
fn push(message: &impl Wire, frame: &mut [u8; MAX_FRAME], frames: &mut Vec<u8>) {
    if let Ok(frame) = encode(message, frame) {
        frames.extend_from_slice(frame);
    }
}
