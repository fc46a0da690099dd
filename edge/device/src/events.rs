//! Structured logs: one line an event on standard error, `event=… key=value …`.
//!
//! Under systemd each line begins with its priority, which journald takes off again; elsewhere with
//! the time of day.

use std::{
    env,
    fmt::{Display, Write as _},
    io::{self, Write as _},
    net::TcpListener,
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;

/// How important an event is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Something is lost or does not work.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// Every part.
    Debug,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Sets the least important level that is logged; [`Level::Info`] before.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Logs an event with its fields. Where nobody can hear it, the work goes on all the same.
pub fn log(level: Level, event: &str, fields: &[(&str, &dyn Display)]) {
    if level as u8 > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let mut line = prefix(level);
    // Writing to a string cannot fail.
    let _ = write!(line, "event={event}");
    for (key, value) in fields {
        let _ = write!(line, " {key}=");
        quote(&value.to_string(), &mut line);
    }
    line.push('\n');
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Logs where something listens: the system may have chosen the port.
pub fn listening(what: &str, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        log(
            Level::Info,
            "listening",
            &[("what", &what), ("address", &address)],
        );
    }
}

fn prefix(level: Level) -> String {
    static JOURNALD: OnceLock<bool> = OnceLock::new();
    if *JOURNALD.get_or_init(|| env::var_os("JOURNAL_STREAM").is_some()) {
        let priority = match level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug => 7,
        };
        return format!("<{priority}>");
    }
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = time.unwrap_or_default().as_secs_f64();
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    format!("time={time:.3} level={level} ")
}

/// Adds a value to a line, in quotes where it is not one plain word.
fn quote(value: &str, line: &mut String) {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(plain) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            c if c.is_control() => line.push(' '),
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_on_one_line_and_can_be_read_back() {
        for (value, quoted) in [
            ("plain", "plain"),
            ("192.168.0.1:80", "192.168.0.1:80"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a\nb", "\"a b\""),
            ("say \"no\"\\", "\"say \\\"no\\\"\\\\\""),
            ("a=b", "\"a=b\""),
        ] {
            let mut line = String::new();
            quote(value, &mut line);
            assert_eq!(line, quoted);
        }
    }
}
