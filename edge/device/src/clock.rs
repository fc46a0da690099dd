//! Time, twice: one clock that nobody sets, by which everything is decided, and the time of day, by
//! which people find things again.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use residua_shared::wire::Time;

/// The device's two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    time_of_day: fn() -> SystemTime,
}

/// 2020-01-01: a time of day before it comes from a board that never learnt it.
const EARLIEST: Duration = Duration::from_secs(1_577_836_800);

impl Clock {
    /// Starts the device's own clock; the other one is read by `time_of_day`.
    pub fn start(time_of_day: fn() -> SystemTime) -> Self {
        Self {
            start: Instant::now(),
            time_of_day,
        }
    }

    /// Now, by both.
    pub fn now(&self) -> Time {
        let unix = (self.time_of_day)().duration_since(UNIX_EPOCH).ok();
        Time {
            uptime_us: micros(self.start.elapsed()),
            unix_us: unix.filter(|&unix| unix >= EARLIEST).map(micros),
        }
    }

    /// What both showed at `instant`, were the time of day not set since.
    pub fn at(&self, instant: Instant) -> Time {
        let (now, age) = (self.now(), micros(instant.elapsed()));
        Time {
            uptime_us: now.uptime_us.saturating_sub(age),
            unix_us: now.unix_us.map(|unix| unix.saturating_sub(age)),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
