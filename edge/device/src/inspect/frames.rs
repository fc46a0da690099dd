//! Whole images → verdicts.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use residua_edge::{
    engine::Engine,
    inspector::{Storage, decide},
};
use residua_shared::{
    frame::{Frame, Size},
    rule::DecisionRule,
    wire::FaultKind,
};

use super::{Camera, Ended};
use crate::{
    model::AnyEngine,
    recorder::{Found, Recorder},
    source::{Event, Source},
    station::{Capture, Station, lock},
};

/// After a source has failed it is asked again so much later.
const RETRY: Duration = Duration::from_millis(500);

/// Why a part has no verdict whose image never came.
const MISSED: &str = "the image was lost between camera and inspection; the camera is faster than \
                      the inspection, or the cable drops images";

/// An inspection of images of one model's size, with all its memory.
#[derive(Debug)]
pub struct Frames {
    station: Arc<Station>,
    engine: AnyEngine,
    storage: Storage,
    pixels: Vec<u8>,
    mask: Vec<u8>,
}

impl Frames {
    /// An inspection by this engine. Errors where its reconstruction is on another scale than the
    /// rule of the model in use.
    pub fn new(station: Arc<Station>, engine: AnyEngine, rule: DecisionRule) -> Result<Self> {
        let (stated, found) = (rule.scale().fraction_bits(), engine.fraction_bits());
        anyhow::ensure!(
            stated == found,
            "rule: its thresholds are for {stated} fraction bits but the engine yields {found}; \
             export the model again"
        );
        let size = engine.input();
        Ok(Self {
            station,
            storage: Storage::new(size, rule),
            pixels: vec![0; size.area()],
            mask: vec![0; size.area()],
            engine,
        })
    }

    /// Inspects what comes from `source`.
    pub fn run(
        &mut self,
        source: &mut dyn Source,
        camera: &mut Camera,
        recorder: &mut Recorder,
    ) -> Result<Ended> {
        loop {
            if self.station.stopping() {
                return Ok(Ended::Stop);
            }
            if self.station.model_changed() {
                return Ok(Ended::ModelChanged);
            }
            match source.next(&mut self.pixels) {
                Ok(Event::Idle) => camera.silent(&self.station),
                Ok(Event::End) => return Ok(Ended::SourceEnd),
                Ok(Event::Image) => {
                    camera.seen();
                    self.inspect(source.taken(), camera, recorder)?;
                    source.done()?;
                }
                Ok(Event::Unusable(why)) => {
                    camera.seen();
                    let seen = source.taken();
                    recorder.passed(seen, 0);
                    recorder.fault(seen, FaultKind::Image, why);
                    source.done()?;
                }
                Ok(Event::Missed) => {
                    camera.seen();
                    let seen = source.taken();
                    recorder.passed(seen, 0);
                    self.station.count(|stats| stats.dropped.images += 1);
                    recorder.fault(seen, FaultKind::Image, MISSED);
                }
                Err(error) => {
                    camera.gone(&self.station, format_args!("{error:#}"));
                    thread::sleep(RETRY);
                }
            }
        }
    }

    /// Inspects the image in the buffer, which was taken at `seen`.
    fn inspect(&mut self, seen: Instant, camera: &Camera, recorder: &mut Recorder) -> Result<()> {
        recorder.passed(seen, 0);
        let size = self.engine.input();
        let part = self.station.journal().next_part();
        take_capture(
            &mut lock(&self.station.capture),
            part,
            size,
            &self.pixels,
            &self.station,
        );
        if let Some(why) = camera.unusable(camera.light(&self.pixels)) {
            recorder.fault(seen, FaultKind::Image, why);
            return Ok(());
        }
        let rule = self.station.rule().context("there is a model")?;
        let frame = Frame::new(size, &self.pixels)?;
        let buffers = &mut self.storage.buffers();
        if let Err(error) = self.engine.reconstruct(frame, buffers.reconstruction) {
            recorder.fault(seen, FaultKind::Engine, error);
            return Ok(());
        }
        let inspection = decide(rule, frame, buffers)?;
        inspection.write_mask(&mut self.mask)?;
        recorder.report(
            seen,
            Found {
                verdict: inspection.verdict(),
                threshold: rule.image_threshold(),
                regions: &inspection
                    .regions()
                    .take(residua_shared::wire::MAX_REGIONS)
                    .collect(),
                mask: Some(&self.mask),
            },
        );
        Ok(())
    }
}

/// Keeps the image where a host asked for it.
fn take_capture(capture: &mut Capture, part: u64, size: Size, pixels: &[u8], station: &Station) {
    if matches!(capture, Capture::Wanted) {
        *capture = Capture::Taken {
            part,
            size,
            pixels: pixels.to_vec(),
        };
        station.wake();
    }
}
