//! Runs the `residua` program as its users do.

use std::{
    ffi::OsStr,
    process::{Command, Output},
};

/// How a run of the program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts success and gives what was printed.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Asserts the contract of every error: exit code 2, no panic, and one last line on standard
    /// error that holds each of `words`: the file, the field, the remedy.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        assert_eq!(*code, Some(2), "{stdout}{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        let errors = stderr.lines().filter(|line| line.starts_with("error:"));
        assert_eq!(errors.count(), 1, "not exactly one error line:\n{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("error:"),
            "more follows the error line:\n{stderr}"
        );
        for word in words {
            assert!(last.contains(word), "no «{word}» in: {last}");
        }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

/// The program with these arguments, not yet started. With backtraces on, so that one that slips
/// into an error's text is seen.
pub fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residua"));
    command.args(arguments).env("RUST_BACKTRACE", "1");
    command
}

/// Runs the program to its end.
pub fn residua<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    command(arguments)
        .output()
        .expect("residua can be started")
        .into()
}

/// Runs the program to its end where no file can grow: every write fails, as on a full disk.
pub fn residua_without_space<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    // With the signal ignored a write past the limit is an ordinary error of the system.
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_residua"))
        .args(arguments)
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("sh can be started")
        .into()
}

/// The arguments of a command line, as paths and words mix in it.
macro_rules! args {
    ($($argument:expr),* $(,)?) => {
        [$(std::ffi::OsString::from(&$argument)),*]
    };
}

pub(crate) use args;
