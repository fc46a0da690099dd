//! The clock is set back, and forward: what depends on it, and what does not.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use residua_device::clock::Clock;

/// Seconds since 1970, as the time of day says.
static NOW: AtomicU64 = AtomicU64::new(1_800_000_000);

fn time_of_day() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed))
}

#[test]
fn the_device_s_own_time_rises_however_the_time_of_day_is_set() {
    const HOUR: u64 = 3600;
    let clock = Clock::start(time_of_day);
    let mut last = clock.now();
    for set in [1_800_000_000 - HOUR, 1_800_000_000 + HOUR, 0] {
        let seen = Instant::now();
        NOW.store(set, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
        let now = clock.now();
        assert!(now.uptime_us >= last.uptime_us + 5_000);
        // A board that lost the time of day says none.
        let known = (set > 0).then_some(set * 1_000_000);
        assert_eq!(now.unix_us, known);
        // A part seen before the change: its own time is right, and its time of day follows the
        // clock as it is now.
        let at = clock.at(seen);
        assert!((last.uptime_us..now.uptime_us).contains(&at.uptime_us));
        assert!(at.unix_us.is_none_or(|unix| unix <= set * 1_000_000));
        last = now;
    }
}
