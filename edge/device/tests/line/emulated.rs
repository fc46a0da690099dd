//! The programs of the Debian packages on ARM processors, which QEMU stands in for.

use std::{env, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    board::{Board, Link, built},
    fixtures::{IMAGES, assert_recorded, pixels},
    host::{status, watch},
};

const VARIABLE: &str = "RESIDUA_PACKAGES";

/// A processor: Debian's name of it, QEMU's, and where the cross compiler has its libraries.
struct Processor {
    debian: &'static str,
    qemu: &'static str,
    libraries: &'static str,
}

const PROCESSORS: [Processor; 2] = [
    Processor {
        debian: "arm64",
        qemu: "qemu-aarch64",
        libraries: "/usr/aarch64-linux-gnu",
    },
    Processor {
        debian: "armhf",
        qemu: "qemu-arm",
        libraries: "/usr/arm-linux-gnueabihf",
    },
];

/// Unpacks the package for a processor into a folder.
fn unpack(processor: &Processor, folder: &Path) {
    let packages = env::var_os(VARIABLE).unwrap_or_else(|| {
        panic!(
            "{VARIABLE} is not set: run the tests by `cargo xtask test`, which builds what it names"
        )
    });
    let end = format!("_{}.deb", processor.debian);
    let package = fs::read_dir(packages)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().is_some_and(|path| path.ends_with(&end)));
    let unpacked = Command::new("dpkg-deb")
        .arg("--extract")
        .arg(package.unwrap_or_else(|| panic!("there is no package {end}")))
        .arg(folder)
        .status();
    assert!(unpacked.unwrap().success());
}

fn emulated(processor: &Processor, folder: &Path) -> Command {
    let mut command = Command::new(processor.qemu);
    command
        .args(["-L", processor.libraries])
        .arg(folder.join("usr/bin/residua-edge"));
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
    let folders = PROCESSORS.map(|processor| {
        let folder = tempfile::tempdir().unwrap();
        unpack(&processor, folder.path());
        (processor, folder)
    });
    for model in ["edge", "edge-small", "edge-tiny"] {
        let here = parts(Command::new(built("residua-edge")), model);
        for (processor, folder) in &folders {
            let there = parts(emulated(processor, folder.path()), model);
            assert_eq!(here, there, "{model} on {}", processor.debian);
        }
        for (part, name) in here.iter().zip(IMAGES) {
            assert_recorded(part, model, name);
        }
    }
}
