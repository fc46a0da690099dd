//! The `residua` program.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use serde_json::Value;

use crate::board::built;

/// Longer than any command takes on a slow machine with a bad line: none may hang the tests.
const TIMEOUT_SECONDS: &str = "240";

/// The program with these arguments, not yet started.
pub fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new("timeout");
    command
        .arg(TIMEOUT_SECONDS)
        .arg(built("residua"))
        .args(arguments);
    command
}

/// What the program prints where it succeeds, or its error.
pub fn residua<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<String, String> {
    let output = command(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.code() {
        Some(0) => Ok(text(output.stdout)),
        Some(2) => Err(text(output.stderr)),
        other => panic!("{other:?}: {}", text(output.stderr)),
    }
}

/// `residua device ADDRESS` with these words.
pub fn device(address: &str, words: &[&str]) -> Result<String, String> {
    residua([&["device", address][..], words].concat())
}

/// What `status --json` says.
#[track_caller]
pub fn status(address: &str) -> Value {
    serde_json::from_str(&device(address, &["status", "--json"]).unwrap()).unwrap()
}

/// The parts in the file up to which `watch --out` was let run.
#[track_caller]
pub fn watch(address: &str, out: &Path, parts: usize) -> Vec<Value> {
    let (file, parts) = (out.to_str().unwrap(), parts.to_string());
    device(address, &["watch", "--out", file, "--parts", &parts]).unwrap();
    let text = fs::read_to_string(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Makes a key pair; gives the secret key's file, beside which the public one lies.
#[track_caller]
pub fn make_key(folder: &Path, name: &str) -> String {
    let file = folder.join(name).to_str().unwrap().to_owned();
    residua(["device-key", &file]).unwrap();
    file
}
