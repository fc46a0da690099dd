//! Parts as they come over the line → each part once, in order, with its mask.
//!
//! A device forgets everything up to an acknowledged part, so what is acknowledged must have come.
//! Over TCP nothing gets lost on the way: a number that is skipped was dropped by the device, and
//! is reported as missing. On a serial line it may be the line's fault; then nothing behind it is
//! taken until the device, which sends everything unacknowledged anew, has skipped it
//! [`SIGHTINGS`] times.

use residua_shared::{
    verdict::Outcome,
    wire::{Fault, MaskChunk, Message, Report},
};

/// After so many times what is missing on a serial line is taken to be lost.
pub const SIGHTINGS: u32 = 3;

/// Puts parts in order.
#[derive(Debug)]
pub struct Collector {
    lossy: bool,
    /// Whether defects are followed by masks.
    masks: bool,
    /// The last part taken.
    last: Option<u64>,
    /// The part behind a gap, and how often it came.
    jump: Option<(u64, u32)>,
    /// A defect whose mask has not come yet.
    pending: Option<Pending>,
    /// The last part whose mask stayed incomplete, and how often.
    maskless: Option<(u64, u32)>,
}

#[derive(Debug)]
struct Pending {
    part: Part,
    spans: Vec<(u32, u32)>,
    next: u32,
}

/// A part as the device has reported it.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// Its number.
    pub number: u64,
    /// Its verdict, or why there is none.
    pub found: Result<Report, Fault>,
    /// The pixels of its mask as (first, count), where one came.
    pub mask: Option<Vec<(u32, u32)>>,
    /// Parts directly before it that the device has given up.
    pub missing: u64,
}

impl Collector {
    /// A collector of what comes after part `last`.
    pub fn new(lossy: bool, masks: bool, last: Option<u64>) -> Self {
        Self {
            lossy,
            masks,
            last,
            jump: None,
            pending: None,
            maskless: None,
        }
    }

    /// Whether a part waits for its mask.
    pub fn waits(&self) -> bool {
        self.pending.is_some()
    }

    /// Takes a message, and gives the parts that are complete by it. Those without a part's number
    /// are of no interest here.
    pub fn take(&mut self, message: Message) -> Vec<Part> {
        match message {
            Message::Report(report) => {
                let mask = self.masks && report.verdict.outcome == Outcome::Defect;
                self.arrived(report.part, Ok(report), mask)
            }
            Message::Fault(fault) => match fault.part {
                Some(part) => self.arrived(part, Err(fault), false),
                None => Vec::new(),
            },
            Message::Mask(chunk) => self.mask(&chunk).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Nothing came for a while: a part that waits for its mask goes without it. On a lossy line
    /// it is sent anew first.
    pub fn silence(&mut self) -> Option<Part> {
        let pending = self.pending.take()?;
        let number = pending.part.number;
        let times = match self.maskless {
            Some((part, times)) if part == number => times + 1,
            _ => 1,
        };
        self.maskless = Some((number, times));
        if self.lossy && times < SIGHTINGS {
            return None;
        }
        self.last = Some(number);
        Some(pending.part)
    }

    fn arrived(&mut self, number: u64, found: Result<Report, Fault>, mask: bool) -> Vec<Part> {
        let mut complete: Vec<Part> = self.silence().into_iter().collect();
        let Some(missing) = self.missing(number) else {
            return complete;
        };
        let part = Part {
            number,
            found,
            mask: None,
            missing,
        };
        if mask {
            self.pending = Some(Pending {
                part,
                spans: Vec::new(),
                next: 0,
            });
        } else {
            self.last = Some(number);
            complete.push(part);
        }
        complete
    }

    /// How many parts are missing before this one; none where it is not to be taken.
    fn missing(&mut self, number: u64) -> Option<u64> {
        let missing = match self.last {
            Some(last) => number.checked_sub(last)?.checked_sub(1)?,
            // Which was the first to come is not known where bytes get lost.
            None => 0,
        };
        if !self.lossy || (missing == 0 && self.last.is_some()) {
            self.jump = None;
            return Some(missing);
        }
        let times = match self.jump {
            Some((part, times)) if part == number => times + 1,
            // Others behind the same gap are not counted.
            Some((part, _)) if part < number => return None,
            _ => 1,
        };
        self.jump = Some((number, times));
        if times < SIGHTINGS {
            return None;
        }
        self.jump = None;
        Some(missing)
    }

    fn mask(&mut self, chunk: &MaskChunk) -> Option<Part> {
        let pending = self.pending.as_mut()?;
        if pending.part.number != chunk.part || pending.next != chunk.index {
            return None;
        }
        pending.next += 1;
        let mut at = chunk.start;
        for span in &chunk.spans {
            let start = at.saturating_add(span.skip);
            pending.spans.push((start, span.length));
            at = start.saturating_add(span.length);
        }
        if !chunk.last {
            return None;
        }
        let pending = self.pending.take()?;
        self.last = Some(pending.part.number);
        Some(Part {
            mask: Some(pending.spans),
            ..pending.part
        })
    }
}

#[cfg(test)]
mod tests {
    use residua_shared::wire::{FaultKind, MaskChunks, Time};

    use super::*;

    /// A part without a verdict is a message without much to it.
    fn part(part: u64) -> Message {
        Message::Fault(Fault {
            part: Some(part),
            time: Time::default(),
            kind: FaultKind::Image,
            detail: "dark".try_into().unwrap(),
        })
    }

    fn defect(part: u64) -> Message {
        let scale = residua_shared::rule::MapScale::new(4, 5).unwrap();
        Message::Report(Report {
            part,
            time: Time::default(),
            verdict: residua_shared::verdict::Verdict {
                outcome: Outcome::Defect,
                score: 9,
                regions: 1,
                overflow: false,
            },
            threshold: residua_shared::rule::Threshold { raw: 5, scale },
            regions: Default::default(),
        })
    }

    fn mask(part: u64) -> Message {
        let chunk = MaskChunks::new(part, [(3, 2), (9, 1)].into_iter()).next();
        Message::Mask(chunk.unwrap())
    }

    fn numbers(
        collector: &mut Collector,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<(u64, u64)> {
        let parts = messages
            .into_iter()
            .flat_map(|message| collector.take(message));
        parts.map(|part| (part.number, part.missing)).collect()
    }

    #[test]
    fn each_part_once_and_gaps_are_told() {
        let mut collector = Collector::new(false, true, Some(4));
        let came = [3, 4, 5, 5, 6, 9, 8, 10].map(part);
        assert_eq!(
            numbers(&mut collector, came),
            [(5, 0), (6, 0), (9, 2), (10, 0)]
        );
        assert_eq!(collector.last, Some(10));
    }

    #[test]
    fn where_bytes_get_lost_a_gap_is_waited_for() {
        let mut collector = Collector::new(true, true, Some(4));
        // Part 6 was damaged, and comes when all is sent anew.
        assert_eq!(numbers(&mut collector, [5, 7, 8].map(part)), [(5, 0)]);
        assert_eq!(collector.last, Some(5));
        assert_eq!(
            numbers(&mut collector, [6, 7, 8].map(part)),
            [(6, 0), (7, 0), (8, 0)]
        );
        // Parts 9 and 10 never come: the device has dropped them.
        for _ in 1..SIGHTINGS {
            assert_eq!(numbers(&mut collector, [11, 12, 13].map(part)), []);
        }
        assert_eq!(
            numbers(&mut collector, [11, 12].map(part)),
            [(11, 2), (12, 0)]
        );
    }

    #[test]
    fn a_defect_comes_with_its_mask() {
        let mut collector = Collector::new(false, true, None);
        assert_eq!(collector.take(defect(1)), []);
        assert_eq!(collector.last, None, "nothing may be acknowledged yet");
        let parts = collector.take(mask(1));
        assert_eq!(parts[0].mask, Some(vec![(3, 2), (9, 1)]));
        assert_eq!(collector.last, Some(1));
        // One whose mask was dropped goes without it, at the next part or after a while.
        assert_eq!(
            numbers(&mut collector, [defect(2), part(3)]),
            [(2, 0), (3, 0)]
        );
        assert_eq!(collector.take(defect(4)), []);
        assert_eq!(collector.silence().unwrap().mask, None);
        assert_eq!((collector.last, collector.silence()), (Some(4), None));
    }

    #[test]
    fn where_bytes_get_lost_a_mask_is_waited_for() {
        let mut collector = Collector::new(true, true, Some(0));
        assert_eq!(numbers(&mut collector, [defect(1), part(2)]), []);
        assert_eq!(
            numbers(&mut collector, [defect(1), mask(1), part(2)]),
            [(1, 0), (2, 0)]
        );
        for _ in 1..SIGHTINGS {
            assert_eq!(numbers(&mut collector, [defect(3), part(4)]), []);
        }
        assert_eq!(
            numbers(&mut collector, [defect(3), part(4)]),
            [(3, 0), (4, 0)]
        );
    }
}
