//! The counts as Prometheus reads them, in its text format 0.0.4.

use std::{
    fmt::{Display, Write as _},
    io::{Read, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};
use residua_shared::wire::{BUCKETS, Histogram};

use crate::{config, events::listening, source::readable, station::Station};

/// A reader that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens the address. Errors where it is taken.
pub fn listen(config: &config::Metrics) -> Result<TcpListener> {
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("metrics.listen: {} cannot be used", config.listen))?;
    listening("metrics", &listener);
    Ok(listener)
}

/// Serves the counts until the program ends.
pub fn serve(listener: &TcpListener, station: &Station) {
    while !station.stopping() {
        if readable(listener).unwrap_or(false)
            && let Ok((stream, _)) = listener.accept()
        {
            // A reader that goes away is not this program's trouble.
            let _ = answer(stream, station);
        }
    }
}

fn answer(mut stream: TcpStream, station: &Station) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = [0; 1024];
    let read = stream.read(&mut request)?;
    let (status, body) = if request[..read].starts_with(b"GET /metrics") {
        ("200 OK", text(station))
    } else {
        ("404 Not Found", "the metrics are at /metrics\n".into())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// All metrics.
pub fn text(station: &Station) -> String {
    let stats = station.stats();
    let (bytes, waiting) = {
        let journal = station.journal();
        (journal.bytes(), journal.waiting())
    };
    let mut text = String::new();
    family(
        &mut text,
        "parts_total",
        "counter",
        "Parts by what was found.",
    );
    for (outcome, count) in [
        ("good", stats.good),
        ("defect", stats.defects),
        ("fault", stats.faults),
    ] {
        sample(
            &mut text,
            "parts_total",
            &format!("{{outcome=\"{outcome}\"}}"),
            count,
        );
    }
    family(
        &mut text,
        "dropped_total",
        "counter",
        "What was lost for lack of room or time.",
    );
    let dropped = stats.dropped;
    for (what, count) in [
        ("images", dropped.images),
        ("reports", dropped.reports),
        ("masks", dropped.masks),
        ("frames", dropped.frames),
        ("late", dropped.late),
    ] {
        sample(
            &mut text,
            "dropped_total",
            &format!("{{what=\"{what}\"}}"),
            count,
        );
    }
    histogram(&mut text, &stats.latency);
    for (name, help, value) in [
        ("journal_bytes", "Bytes of the journal on disk.", bytes),
        (
            "journal_waiting",
            "Verdicts that no host has acknowledged.",
            waiting,
        ),
        (
            "memory_buffers_bytes",
            "The inspection's own buffers.",
            stats.memory.buffers,
        ),
        (
            "memory_peak_bytes",
            "The most memory the process ever had.",
            stats.memory.peak,
        ),
        (
            "model_loaded",
            "1 where there is a model.",
            u64::from(station.rule().is_some()),
        ),
    ] {
        family(&mut text, name, "gauge", help);
        sample(&mut text, name, "", value);
    }
    text
}

/// Latencies in seconds, each bucket with all below it.
fn histogram(text: &mut String, latency: &Histogram) {
    const NAME: &str = "latency_seconds";
    family(
        text,
        NAME,
        "histogram",
        "From a complete image to its verdict.",
    );
    let mut below = 0;
    for (index, count) in latency.counts.iter().enumerate().take(BUCKETS) {
        below += count;
        let bound = Histogram::bound(index)
            .map_or("+Inf".into(), |bound| format!("{}", f64::from(bound) / 1e6));
        sample(
            text,
            "latency_seconds_bucket",
            &format!("{{le=\"{bound}\"}}"),
            below,
        );
    }
    sample(
        text,
        "latency_seconds_sum",
        "",
        latency.total_us as f64 / 1e6,
    );
    sample(text, "latency_seconds_count", "", below);
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        text,
        "# HELP residua_{name} {help}\n# TYPE residua_{name} {kind}"
    );
}

fn sample(text: &mut String, name: &str, labels: &str, value: impl Display) {
    let _ = writeln!(text, "residua_{name}{labels} {value}");
}
