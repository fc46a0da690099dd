//! Named steps, one after the other, timed, until one fails.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What a step is called, and what it does.
pub type Step<C> = (&'static str, fn(&C) -> Result<()>);

/// Runs the steps in order. The first that fails ends it, with the step's name in the error.
pub fn run_all<C>(steps: &[Step<C>], context: &C) -> Result<()> {
    let count = steps.len();
    let mut durations = Vec::with_capacity(count);
    for (number, (name, action)) in (1..).zip(steps) {
        println!("\n=== [{number}/{count}] {name}");
        let start = Instant::now();
        let result = action(context);
        let duration = start.elapsed();
        result.with_context(|| {
            format!(
                "step {number} of {count}, {name}, failed after {}",
                minutes(duration)
            )
        })?;
        println!("=== [{number}/{count}] {name}: {}", minutes(duration));
        durations.push((*name, duration));
    }
    println!("\nall {count} steps passed:");
    let total = durations.iter().map(|(_, duration)| *duration).sum();
    for (name, duration) in durations.into_iter().chain([("total", total)]) {
        println!("  {:>8}  {name}", minutes(duration));
    }
    Ok(())
}

fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let seconds = duration.as_secs();
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::bail;

    use super::*;

    fn count(calls: &Cell<u32>) -> Result<()> {
        calls.set(calls.get() + 1);
        Ok(())
    }

    fn fail(_: &Cell<u32>) -> Result<()> {
        bail!("the reason")
    }

    #[test]
    fn the_first_failure_ends_it_and_is_named() {
        let calls = Cell::new(0);
        let steps: [Step<Cell<u32>>; 3] = [("one", count), ("two", fail), ("three", count)];
        let error = run_all(&steps, &calls).unwrap_err();
        assert_eq!(calls.get(), 1);
        let text = format!("{error:#}");
        assert!(text.starts_with("step 2 of 3, two, failed after"), "{text}");
        assert!(text.ends_with(": the reason"), "{text}");
    }

    #[test]
    fn all_steps_run_where_none_fails() {
        let calls = Cell::new(0);
        run_all(&[("one", count as fn(&_) -> _), ("two", count)], &calls).unwrap();
        assert_eq!(calls.get(), 2);
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(minutes(Duration::from_millis(1_234)), "1.2 s");
        assert_eq!(minutes(Duration::from_secs(61)), "1:01 min");
        assert_eq!(minutes(Duration::from_secs(3_600)), "60:00 min");
    }
}
