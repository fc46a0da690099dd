//! The program on a 64-bit ARM board, which QEMU stands in for.

use std::{env, process::Command};

use serde_json::Value;

use crate::{
    board::{Board, Link, built},
    fixtures::{IMAGES, assert_recorded, pixels},
    host::{status, watch},
};

const VARIABLE: &str = "RESIDUA_EDGE_AARCH64";

fn emulated() -> Command {
    let program = env::var_os(VARIABLE).unwrap_or_else(|| {
        panic!(
            "{VARIABLE} is not set: run the tests by `cargo xtask test`, which builds what it names"
        )
    });
    let mut command = Command::new("qemu-aarch64");
    command.args(["-L", "/usr/aarch64-linux-gnu"]).arg(program);
    command
}

/// The parts of all images but their times.
fn parts(program: Command, model: &str) -> Vec<Value> {
    let mut board = Board::start(program, model, &Link::Tcp, None);
    for name in IMAGES {
        board.see(&pixels(model, name));
    }
    let out = board.folder.path().join("parts.jsonl");
    let mut parts = watch(&board.address, &out, IMAGES.len());
    for part in &mut parts {
        let fields = part.as_object_mut().unwrap();
        fields.retain(|key, _| key != "unix" && key != "uptime");
    }
    let counted = status(&board.address);
    assert_eq!(counted["faults"], 0);
    parts
}

#[test]
fn verdicts_and_masks_are_those_of_this_machine() {
    for model in ["edge", "edge-small", "edge-tiny"] {
        let here = parts(Command::new(built("residua-edge")), model);
        let there = parts(emulated(), model);
        assert_eq!(here, there, "{model}");
        for (part, name) in there.iter().zip(IMAGES) {
            assert_recorded(part, model, name);
        }
    }
}
