//! Parts as lines: for people, and as JSON.

use residua_shared::{
    verdict::Outcome,
    wire::{Fault, Report, Time},
};
use serde::Serialize;

use super::collect::Part;
use crate::inspect::{RegionRecord, VerdictWords};

/// A part as a line of JSON. Scores, thresholds and peaks are in grey levels, and exact in map
/// steps under the names that end so.
#[derive(Serialize)]
pub struct PartRecord<'a> {
    part: u64,
    #[serde(flatten)]
    when: When,
    #[serde(flatten)]
    found: Found<'a>,
    /// First pixel, counted row by row, and length of each run.
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<&'a [(u32, u32)]>,
    /// Parts directly before this one that the device has given up.
    #[serde(skip_serializing_if = "is_zero")]
    missing: u64,
}

/// A fault that concerns no part, as a line of JSON.
#[derive(Serialize)]
pub struct FaultRecord<'a> {
    #[serde(flatten)]
    when: When,
    fault: String,
    detail: &'a str,
}

#[derive(Serialize)]
struct When {
    /// Seconds since 1970, where the device knows the time of day.
    unix: Option<f64>,
    /// Seconds since the device's program started.
    uptime: f64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Found<'a> {
    Verdict {
        outcome: Outcome,
        score: f32,
        threshold: f32,
        score_steps: u32,
        threshold_steps: u32,
        regions: Vec<RegionRecord>,
        /// More regions than are listed.
        #[serde(skip_serializing_if = "is_zero")]
        more_regions: u64,
        overflow: bool,
    },
    Fault {
        fault: String,
        detail: &'a str,
    },
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<'a> PartRecord<'a> {
    pub fn new(part: &'a Part) -> Self {
        let (time, found) = match &part.found {
            Ok(report) => (report.time, verdict(report)),
            Err(fault) => (
                fault.time,
                Found::Fault {
                    fault: kind(fault),
                    detail: &fault.detail,
                },
            ),
        };
        Self {
            part: part.number,
            when: When::new(time),
            found,
            mask: part.mask.as_deref(),
            missing: part.missing,
        }
    }
}

impl<'a> FaultRecord<'a> {
    pub fn new(fault: &'a Fault) -> Self {
        Self {
            when: When::new(fault.time),
            fault: kind(fault),
            detail: &fault.detail,
        }
    }
}

impl When {
    fn new(time: Time) -> Self {
        Self {
            unix: time.unix_us.map(|us| us as f64 / 1e6),
            uptime: time.uptime_us as f64 / 1e6,
        }
    }
}

fn verdict<'a>(report: &Report) -> Found<'a> {
    let (verdict, scale) = (report.verdict, report.threshold.scale);
    Found::Verdict {
        outcome: verdict.outcome,
        score: scale.grey(verdict.score),
        threshold: report.threshold.grey(),
        score_steps: verdict.score,
        threshold_steps: report.threshold.raw,
        regions: report
            .regions
            .iter()
            .map(|&region| RegionRecord::new(region, scale))
            .collect(),
        more_regions: u64::from(verdict.regions).saturating_sub(report.regions.len() as u64),
        overflow: verdict.overflow,
    }
}

fn kind(fault: &Fault) -> String {
    format!("{:?}", fault.kind).to_lowercase()
}

/// The line for people.
pub fn part_line(part: &Part) -> String {
    let (time, found) = match &part.found {
        Ok(report) => (report.time, verdict_text(report)),
        Err(fault) => (
            fault.time,
            format!("NONE    {}: {}", kind(fault), fault.detail),
        ),
    };
    format!("part {:<8} {}  {found}", part.number, clock(time))
}

/// The line for people of a fault that concerns no part.
pub fn fault_line(fault: &Fault) -> String {
    format!(
        "FAULT         {}  {}: {}",
        clock(fault.time),
        kind(fault),
        fault.detail
    )
}

fn verdict_text(report: &Report) -> String {
    let (verdict, scale) = (report.verdict, report.threshold.scale);
    let largest = report.regions.iter().max_by_key(|region| region.area);
    let words = VerdictWords {
        outcome: verdict.outcome,
        score: scale.grey(verdict.score),
        threshold: report.threshold.grey(),
        regions: verdict.regions as usize,
        largest: largest.map(|&region| RegionRecord::new(region, scale)),
        overflow: verdict.overflow,
    };
    words.to_string()
}

/// The time of day in UTC, or the device's own time where it has none.
fn clock(time: Time) -> String {
    let Some(unix) = time.unix_us else {
        return format!("{:>10.1} s", time.uptime_us as f64 / 1e6);
    };
    let seconds = unix / 1_000_000 % 86_400;
    let milliseconds = unix / 1000 % 1000;
    format!(
        "{:02}:{:02}:{:02}.{milliseconds:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use residua_shared::{
        rule::{MapScale, Threshold},
        verdict::{Region, Verdict},
    };

    use super::*;

    #[test]
    fn a_box_with_its_corners_the_wrong_way_round_is_told_all_the_same() {
        let scale = MapScale::new(4, 1).unwrap();
        let region = Region {
            left: u16::MAX,
            top: 0,
            right: 0,
            bottom: u16::MAX,
            area: 9,
            peak: 32,
        };
        let report = Report {
            part: 1,
            time: Time::default(),
            verdict: Verdict {
                outcome: Outcome::Defect,
                score: 32,
                regions: 1,
                overflow: false,
            },
            threshold: Threshold { raw: 16, scale },
            regions: [region].into_iter().collect(),
        };
        assert_eq!(
            verdict_text(&report),
            "DEFECT  score 2.00 (threshold 1.00 grey levels)  1 region, the largest 1x65536 at (65535, 0)"
        );
    }

    #[test]
    fn the_time_of_day_has_no_latest_day() {
        let time = |unix| Time {
            uptime_us: 0,
            unix_us: Some(unix),
        };
        assert_eq!(clock(time(86_400_000_000 + 3_661_002_000)), "01:01:01.002");
        assert_eq!(clock(time(u64::MAX)).len(), 12);
    }
}
