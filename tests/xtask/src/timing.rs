//! What every benchmark does with its measurements.

use std::{fs, thread::available_parallelism};

/// The middle value; of an even number of values the upper of the two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The processor's name, how many threads it offers, and how many others want them.
pub fn machine() -> String {
    let name = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let threads = available_parallelism().map_or(0, usize::from);
    let name = name.unwrap_or_else(|| "unknown processor".into());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!("{name}, {threads} hardware threads; load average at the start {load}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_does_not_move_the_median() {
        assert_eq!(median([1.0, 900.0, 2.0, 3.0, 2.5].into_iter()), 2.5);
        assert_eq!(median([7.0].into_iter()), 7.0);
    }
}
