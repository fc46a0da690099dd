//! Running other programs, with their command lines in every message.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Runs to the end with its output passed through; anything but success is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("$ {line}");
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

/// Whether it can be started and succeeds; its output is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Its standard output; anything but success is an error that quotes its standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` ended with {}: {}", output.status, reason.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed no UTF-8"))
}

/// The command as one would type it, with the environment variables that were set for it.
fn line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            quoted(&value?.to_string_lossy())
        ))
    });
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_names_command_and_status() {
        let error = run(shell("exit 7").env("FLAGS", "-D warnings")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("FLAGS='-D warnings' sh -c 'exit 7'"),
            "{text}"
        );
        assert!(text.contains("exit status: 7"), "{text}");
        assert!(run(&mut shell("exit 0")).is_ok());
    }

    #[test]
    fn a_missing_program_is_an_error_not_a_success() {
        let mut missing = Command::new("no-such-program-of-residua");
        assert!(run(&mut missing).is_err());
        assert!(!succeeds(&mut missing));
        assert!(output(&mut missing).is_err());
    }

    #[test]
    fn output_is_given_and_a_failure_quotes_standard_error() {
        assert_eq!(output(&mut shell("echo yes")).unwrap(), "yes\n");
        let error = output(&mut shell("echo because >&2; exit 1")).unwrap_err();
        assert!(error.to_string().contains("because"), "{error}");
    }
}
