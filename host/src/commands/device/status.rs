use anyhow::Result;
use residua_shared::wire::{BUCKETS, Capabilities, Command, Hello, Histogram, Message, Stats};
use serde::Serialize;

use super::Connection;
use crate::console;

#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// All of it, as JSON. Thresholds are in grey levels, times in milliseconds, memory in bytes.
#[derive(Serialize)]
struct Status {
    address: String,
    device: String,
    program: String,
    protocol: u8,
    capabilities: Vec<&'static str>,
    next_part: u64,
    model: Option<ModelStatus>,
    uptime_s: f64,
    good: u64,
    defects: u64,
    faults: u64,
    dropped: Dropped,
    latency_ms: Latency,
    buffers: u64,
    peak_memory: u64,
}

#[derive(Serialize)]
struct ModelStatus {
    name: String,
    version: u64,
    digest: String,
    width: usize,
    height: usize,
    threshold: f32,
    threshold_steps: u32,
}

#[derive(Serialize)]
struct Dropped {
    images: u64,
    reports: u64,
    masks: u64,
    frames: u64,
    late: u64,
}

/// Bounds from the histogram: so many parts took at most this.
#[derive(Serialize)]
struct Latency {
    mean: f64,
    half: f64,
    most: f64,
    max: f64,
}

impl Args {
    pub fn run(self, device: &mut Connection) -> Result<()> {
        let hello = device.hello()?;
        let stats = device.ask(Command::Stats, |_, message| match message {
            Message::Stats(stats) => Some(stats),
            _ => None,
        })?;
        let status = Status::new(device.address(), hello, &stats);
        if self.json {
            return console::print(&serde_json::to_string(&status)?);
        }
        status
            .lines()
            .iter()
            .try_for_each(|(name, value)| console::print(&format!("{name:<14} {value}")))
    }
}

impl Status {
    fn new(address: &str, hello: Hello, stats: &Stats) -> Self {
        let dropped = stats.dropped;
        Self {
            address: address.to_owned(),
            device: hello.device.as_str().to_owned(),
            program: hello.program.to_string(),
            protocol: hello.protocol,
            capabilities: names(hello.capabilities),
            next_part: hello.next_part,
            model: hello.model.map(|model| ModelStatus {
                name: model.name.as_str().to_owned(),
                version: model.version,
                digest: model.digest.to_string(),
                width: model.input.width(),
                height: model.input.height(),
                threshold: model.threshold.grey(),
                threshold_steps: model.threshold.raw,
            }),
            uptime_s: stats.time.uptime_us as f64 / 1e6,
            good: stats.good,
            defects: stats.defects,
            faults: stats.faults,
            dropped: Dropped {
                images: dropped.images,
                reports: dropped.reports,
                masks: dropped.masks,
                frames: dropped.frames,
                late: dropped.late,
            },
            latency_ms: latency(&stats.latency),
            buffers: stats.memory.buffers,
            peak_memory: stats.memory.peak,
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let model = self.model.as_ref();
        let threshold = model.map(|m| {
            format!(
                "{:.2} grey levels ({} steps)",
                m.threshold, m.threshold_steps
            )
        });
        let named = model.map(|m| {
            format!(
                "{}, version {}, {}x{}, {}",
                m.name,
                m.version,
                m.width,
                m.height,
                &m.digest[..16]
            )
        });
        let (dropped, latency) = (&self.dropped, &self.latency_ms);
        let none = || "none: every part is rejected".to_owned();
        vec![
            ("device", format!("{} at {}", self.device, self.address)),
            (
                "program",
                format!("residua-edge {}, protocol {}", self.program, self.protocol),
            ),
            ("can", self.capabilities.join(", ")),
            ("model", named.unwrap_or_else(none)),
            ("threshold", threshold.unwrap_or_else(none)),
            ("running for", format!("{:.0} s", self.uptime_s)),
            (
                "parts",
                format!(
                    "{} good, {} defects, {} without verdict; the next one is {}",
                    self.good, self.defects, self.faults, self.next_part
                ),
            ),
            (
                "dropped",
                format!(
                    "{} images, {} reports, {} masks, {} damaged frames, {} late verdicts",
                    dropped.images, dropped.reports, dropped.masks, dropped.frames, dropped.late
                ),
            ),
            (
                "latency",
                format!(
                    "{:.1} ms on average, half below {:.1}, 99 % below {:.1}, at most {:.1}",
                    latency.mean, latency.half, latency.most, latency.max
                ),
            ),
            (
                "memory",
                format!(
                    "{:.1} MiB of buffers, at most {:.1} MiB in all",
                    self.buffers as f64 / f64::from(1 << 20),
                    self.peak_memory as f64 / f64::from(1 << 20)
                ),
            ),
        ]
    }
}

fn names(capabilities: Capabilities) -> Vec<&'static str> {
    [
        (Capabilities::MASKS, "masks"),
        (Capabilities::CAPTURE, "capture"),
        (Capabilities::THRESHOLD, "threshold"),
        (Capabilities::UPDATE, "update"),
        (Capabilities::JOURNAL, "journal"),
        (Capabilities::GATE, "gate"),
        (Capabilities::CLOCK, "clock"),
        (Capabilities::REBOOT, "restart"),
    ]
    .into_iter()
    .filter_map(|(ability, name)| capabilities.contains(ability).then_some(name))
    .collect()
}

fn latency(histogram: &Histogram) -> Latency {
    let count = histogram.count();
    let max = f64::from(histogram.max_us) / 1e3;
    // The bound of the bucket in which the part at this rank is.
    let below = |share: f64| {
        let mut left = (share * count as f64).ceil() as u64;
        let bucket = (0..BUCKETS).find(|&i| {
            left = left.saturating_sub(histogram.counts[i]);
            left == 0
        });
        let bound = bucket
            .and_then(Histogram::bound)
            .map(|us| f64::from(us) / 1e3);
        if count == 0 {
            0.0
        } else {
            bound.map_or(max, |bound| bound.min(max))
        }
    };
    Latency {
        mean: histogram.total_us as f64 / 1e3 / count.max(1) as f64,
        half: below(0.5),
        most: below(0.99),
        max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_bounded_by_their_buckets() {
        let mut histogram = Histogram::default();
        (0..99).for_each(|_| histogram.record(900));
        histogram.record(50_000);
        let latency = latency(&histogram);
        assert_eq!(
            (latency.half, latency.most, latency.max),
            (1.024, 1.024, 50.0)
        );
        assert!((latency.mean - 1.391).abs() < 1e-9, "{}", latency.mean);
    }

    #[test]
    fn without_parts_all_is_zero() {
        let latency = latency(&Histogram::default());
        assert_eq!((latency.mean, latency.half, latency.max), (0.0, 0.0, 0.0));
    }
}
