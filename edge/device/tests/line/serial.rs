//! The same over a serial line on which bytes are damaged and lost.

use std::{fs, process::Command, sync::atomic::Ordering};

use crate::{
    board::{Board, Link, built},
    cable::Cable,
    fixtures::{IMAGES, NEW, OLD, assert_recorded, pixels, raised},
    host::{device, make_key, status, watch},
};

const MODEL: &str = "edge-tiny";

#[test]
fn noise_loses_no_part_and_no_update() {
    let keys = tempfile::tempdir().unwrap();
    let key = make_key(keys.path(), "line");
    let cable = Cable::new(3);
    let program = Command::new(built("residua-edge"));
    let link = Link::Serial(&cable.device);
    let public = keys.path().join("line.pub");
    let mut board = Board::start(program, MODEL, &link, Some(&public));
    let address = cable.host.to_str().unwrap();
    assert_eq!(status(address)["model"]["threshold_steps"], OLD);

    let out = board.folder.path().join("parts.jsonl");
    let names: Vec<&str> = IMAGES.iter().cycle().take(60).copied().collect();
    for name in &names {
        board.see(&pixels(MODEL, name));
    }
    let parts = watch(address, &out, names.len());
    assert_eq!(parts.len(), names.len());
    for (i, (part, name)) in parts.iter().zip(names).enumerate() {
        assert_eq!(part["part"], i + 1);
        assert_recorded(part, MODEL, name);
    }

    let file = board.folder.path().join("raised.onnx");
    fs::write(&file, raised()).unwrap();
    let words = ["update", file.to_str().unwrap(), "--key", &key];
    let done = device(address, &words).unwrap();
    assert!(done.contains("version 1"), "{done}");
    let now = &status(address)["model"];
    assert_eq!(
        (&now["version"], &now["threshold_steps"]),
        (&1.into(), &NEW.into())
    );
    assert!(cable.hits.load(Ordering::Relaxed) > 0, "no noise came");
}
