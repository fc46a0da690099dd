//! Watching over the source: images that show nothing, and images that do not come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use residua_shared::wire::FaultKind;

use crate::{config, gate::Gate, station::Station};

/// Watches over the source.
#[derive(Debug)]
pub struct Camera {
    config: config::Image,
    gate: Option<Arc<Gate>>,
    timeout: Option<Duration>,
    last: Instant,
    lost: bool,
}

/// How many of some pixels show nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Light {
    black: usize,
    white: usize,
    all: usize,
}

impl Camera {
    /// A watch that begins now. While the camera is lost everything is rejected at `gate`.
    pub fn new(config: &config::Image, gate: Option<Arc<Gate>>) -> Self {
        Self {
            config: config.clone(),
            gate,
            timeout: config.timeout(),
            last: Instant::now(),
            lost: false,
        }
    }

    /// Counts pixels that show nothing.
    pub fn light(&self, pixels: &[u8]) -> Light {
        let (black, white) = (self.config.black_level, self.config.white_level);
        Light {
            black: pixels.iter().filter(|&&pixel| pixel <= black).count(),
            white: pixels.iter().filter(|&&pixel| pixel >= white).count(),
            all: pixels.len(),
        }
    }

    /// Why an image with this light cannot be inspected.
    pub fn unusable(&self, light: Light) -> Option<String> {
        let most = self.config.unusable_share * light.all as f64;
        let percent = |count: usize| 100.0 * count as f64 / light.all as f64;
        if light.black as f64 >= most {
            return Some(format!(
                "{:.0} % of the image is black; check lamp, cable and lens cap",
                percent(light.black)
            ));
        }
        (light.white as f64 >= most).then(|| {
            format!(
                "{:.0} % of the image is saturated; check lamp and exposure",
                percent(light.white)
            )
        })
    }

    /// Something came.
    pub fn seen(&mut self) {
        self.last = Instant::now();
        if std::mem::take(&mut self.lost)
            && let Some(gate) = &self.gate
        {
            gate.recover(FaultKind::Camera);
        }
    }

    /// Nothing came; says so once when that lasts too long.
    pub fn silent(&mut self, station: &Station) {
        let silence = self.last.elapsed();
        if self.timeout.is_some_and(|timeout| silence >= timeout) {
            self.gone(
                station,
                format_args!("no image for {:.1} s", silence.as_secs_f64()),
            );
        }
    }

    /// The source has failed; says so once until something comes again.
    pub fn gone(&mut self, station: &Station, why: impl std::fmt::Display) {
        if !self.lost {
            self.lost = true;
            if let Some(gate) = &self.gate {
                gate.fail(FaultKind::Camera);
            }
            station.fault(
                FaultKind::Camera,
                format_args!("{why}; check camera, cable and trigger"),
            );
        }
    }
}

impl std::ops::AddAssign for Light {
    fn add_assign(&mut self, other: Self) {
        self.black += other.black;
        self.white += other.white;
        self.all += other.all;
    }
}
