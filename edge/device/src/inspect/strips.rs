//! Rows of a line-scan camera → a verdict for every window of rows.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use anyhow::{Context, Result};
use residua_edge::{
    engine::native::Native,
    strip::{OpenRegion, OpenRun, Strip, StripBuffers, StripRegion, Window},
};
use residua_shared::{
    rule::DecisionRule,
    verdict::Region,
    wire::{FaultKind, MAX_REGIONS},
};

use super::{Camera, Ended, camera::Light};
use crate::{
    config,
    recorder::{Found, Recorder},
    source::line_scan::{Event, LineScan},
    station::Station,
};

/// Regions that can end in one window.
const MAX_ENDED: usize = 1024;

/// An inspection of strips of one model's width.
#[derive(Debug)]
pub struct Strips<'a> {
    /// What the threads share.
    pub station: &'a Arc<Station>,
    /// Where rows come from.
    pub config: &'a config::LineScan,
}

/// What is known of a window's rows before its verdict.
#[derive(Clone, Copy, Debug)]
struct Rows {
    /// When the last one came.
    seen: Instant,
    light: Light,
}

impl Strips<'_> {
    /// Inspects what comes from `source` by this engine and the rule in use.
    pub fn run(
        &self,
        engine: Native<Vec<u8>>,
        source: &mut LineScan,
        camera: &mut Camera,
        recorder: &mut Recorder,
    ) -> Result<Ended> {
        let rule = self.station.rule().context("there is a model")?;
        let width = residua_edge::engine::Engine::input(&engine).width();
        let lengths = StripBuffers::len_for(width, rule, engine.plan());
        let buffers = StripBuffers {
            image: &mut vec![0; lengths.image],
            reconstruction: &mut vec![0; lengths.reconstruction],
            residual: &mut vec![0; lengths.residual],
            filter: &mut vec![0; lengths.filter],
            runs: &mut vec![OpenRun::default(); lengths.runs],
            regions: &mut vec![OpenRegion::default(); lengths.regions],
            ended: &mut vec![StripRegion::default(); MAX_ENDED],
            mask_runs: &mut [],
            mask_regions: &mut [],
        };
        let window = self.config.window_rows;
        let mut strip = Strip::new(engine, rule, window, buffers)?;
        // The windows whose verdict is due; the network delays it by some rows.
        let due = strip.latency_rows() / window.get() as usize + 2;
        let mut windows = VecDeque::with_capacity(due);
        let (mut row, mut rows, mut light) = (vec![0; width], 0, Light::default());
        loop {
            let ended = self.ended(rule);
            let event = match ended {
                // What was begun is decided by the rule that it began with.
                Some(_) => Event::StripEnd,
                None => match source.next(&mut row) {
                    Ok(event) => event,
                    Err(error) => {
                        camera.gone(self.station, format_args!("{error:#}"));
                        Event::Idle
                    }
                },
            };
            match event {
                Event::Idle => camera.silent(self.station),
                Event::Row => {
                    camera.seen();
                    light += camera.light(&row);
                    rows += 1;
                    if rows == window.get() {
                        pass(&mut windows, light, recorder);
                        (rows, light) = (0, Light::default());
                    }
                    if let Some(window) = strip.push_row(&row)? {
                        report(window, windows.pop_front(), rule, camera, recorder);
                    }
                }
                Event::StripEnd => {
                    if rows > 0 {
                        pass(&mut windows, light, recorder);
                        (rows, light) = (0, Light::default());
                    }
                    while let Some(window) = strip.finish()? {
                        report(window, windows.pop_front(), rule, camera, recorder);
                    }
                    if ended.is_none() {
                        camera.gone(self.station, "the line-scan camera has hung up");
                    }
                }
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    fn ended(&self, rule: DecisionRule) -> Option<Ended> {
        if self.station.stopping() {
            return Some(Ended::Stop);
        }
        if self.station.model_changed() {
            return Some(Ended::ModelChanged);
        }
        (self.station.rule() != Some(rule)).then_some(Ended::RuleChanged)
    }
}

/// A window's last row has come.
fn pass(windows: &mut VecDeque<Rows>, light: Light, recorder: &Recorder) {
    let seen = Instant::now();
    recorder.passed(seen, windows.len() as u64);
    windows.push_back(Rows { seen, light });
}

fn report(
    window: Window<'_>,
    rows: Option<Rows>,
    rule: DecisionRule,
    camera: &Camera,
    recorder: &mut Recorder,
) {
    let seen = rows.map_or_else(Instant::now, |rows| rows.seen);
    if let Some(why) = rows.and_then(|rows| camera.unusable(rows.light)) {
        recorder.fault(seen, FaultKind::Image, why);
        return;
    }
    let regions = window.regions.iter().take(MAX_REGIONS);
    let found = Found {
        verdict: window.verdict,
        threshold: rule.image_threshold(),
        regions: &regions
            .map(|region| in_window(region, window.first_row))
            .collect(),
        mask: None,
    };
    recorder.report(seen, found);
}

/// A region with rows counted from the window's first; one that began above it is cut there.
fn in_window(region: &StripRegion, first_row: u64) -> Region {
    let row = |row: u64| u16::try_from(row.saturating_sub(first_row)).unwrap_or(u16::MAX);
    Region {
        left: region.left,
        top: row(region.top),
        right: region.right,
        bottom: row(region.bottom),
        area: u32::try_from(region.area).unwrap_or(u32::MAX),
        peak: region.peak,
    }
}
