//! A reader in another language, written from the specification alone, reads the same.

use std::{env, fs, process::Command};

use crate::recorded::fixture;

/// Runs `wire_reader.py` on a recorded stream and returns what it prints.
fn by_python(stream: &str) -> String {
    let python = env::var_os("RESIDUA_PYTHON").unwrap_or_else(|| "python3".into());
    let reader = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/python/wire_reader.py"
    );
    let output = Command::new(&python)
        .arg(reader)
        .arg(fixture(stream))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; install Python 3", python.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn python_reads_what_rust_reads() {
    for side in ["device", "host"] {
        let printed = by_python(&format!("{side}-v2.bin"));
        let expected = fs::read_to_string(fixture(&format!("{side}-v2.jsonl"))).unwrap();
        for (printed, expected) in printed.lines().zip(expected.lines()) {
            assert_eq!(printed, expected);
        }
        assert_eq!(printed.lines().count(), expected.lines().count());
    }
}

#[test]
fn python_refuses_another_version_by_name() {
    let printed = by_python("device-v1.bin");
    assert_eq!(
        printed,
        "{\"error\":\"protocol version 1 is unknown\"}\n".repeat(3)
    );
}
