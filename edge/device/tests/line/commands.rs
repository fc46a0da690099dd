//! Every command over TCP.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use crate::{
    board::{Board, Link, built},
    fixtures::{IMAGES, NEW, OLD, assert_recorded, folder, pixels, raised},
    host::{command, device, make_key, status, watch},
};

const MODEL: &str = "edge-tiny";

fn start(key: Option<&Path>) -> Board {
    let program = Command::new(built("residua-edge"));
    Board::start(program, MODEL, &Link::Tcp, key)
}

#[test]
fn status_counts_parts() {
    let mut board = start(None);
    let before = status(&board.address);
    assert_eq!(
        (&before["device"], &before["next_part"]),
        (&"line 3".into(), &1.into())
    );
    let model = &before["model"];
    assert_eq!(
        (&model["name"], &model["version"], &model["width"]),
        (&MODEL.into(), &0.into(), &77.into())
    );
    for name in IMAGES {
        board.see(&pixels(MODEL, name));
    }
    let out = board.folder.path().join("parts.jsonl");
    watch(&board.address, &out, IMAGES.len());
    let after = status(&board.address);
    let counts = ["good", "defects", "faults", "next_part"].map(|key| after[key].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 0, 6]);
    let text = device(&board.address, &["status"]).unwrap();
    assert!(
        text.contains("3 good, 2 defects, 0 without verdict"),
        "{text}"
    );
}

#[test]
fn watch_keeps_each_part_once() {
    let mut board = start(None);
    let out = board.folder.path().join("parts.jsonl");
    for round in 1..=2 {
        for name in IMAGES {
            board.see(&pixels(MODEL, name));
        }
        let parts = watch(&board.address, &out, IMAGES.len());
        assert_eq!(parts.len(), round * IMAGES.len());
        for (i, part) in parts.iter().enumerate() {
            assert_eq!(part["part"], i + 1);
            assert_recorded(part, MODEL, IMAGES[i % IMAGES.len()]);
        }
    }
}

#[test]
fn threshold_decides_from_then_on() {
    let mut board = start(None);
    let (address, out) = (
        board.address.clone(),
        board.folder.path().join("parts.jsonl"),
    );
    let told = |steps: u64| format!("({steps} steps)");
    let asked = device(&address, &["threshold"]).unwrap();
    assert!(asked.contains(&told(OLD)), "{asked}");
    board.see(&pixels(MODEL, "blob"));
    assert_eq!(watch(&address, &out, 1)[0]["outcome"], "defect");

    let steps = NEW.to_string();
    let set = device(&address, &["threshold", "--steps", &steps]).unwrap();
    assert!(
        set.contains(&told(NEW)) && set.contains(&told(OLD)),
        "{set}"
    );
    board.see(&pixels(MODEL, "blob"));
    let part = &watch(&address, &out, 1)[1];
    assert_eq!(
        (&part["outcome"], &part["threshold_steps"]),
        (&"good".into(), &NEW.into())
    );

    let refused = device(&address, &["threshold", "--steps", "3"]).unwrap_err();
    assert!(refused.contains("threshold"), "{refused}");
    assert_eq!(status(&address)["model"]["threshold_steps"], NEW);
}

#[test]
fn capture_gets_the_very_image() {
    let mut board = start(None);
    let file = board.folder.path().join("image.png");
    let words = ["device", &board.address, "capture", file.to_str().unwrap()];
    let mut capture = command(words).spawn().unwrap();
    // The camera goes on; which image is the next one after the question does not matter.
    let ended = loop {
        board.see(&pixels(MODEL, "stain"));
        thread::sleep(Duration::from_millis(50));
        if let Some(ended) = capture.try_wait().unwrap() {
            break ended;
        }
    };
    assert!(ended.success());
    let image = image::open(file).unwrap();
    assert_eq!(image.color(), image::ColorType::L8);
    assert!(image.to_luma8().into_raw() == pixels(MODEL, "stain"));
}

#[test]
fn update_puts_a_signed_model_into_use() {
    let keys = tempfile::tempdir().unwrap();
    let (key, stranger) = (
        make_key(keys.path(), "line"),
        make_key(keys.path(), "stranger"),
    );
    let mut board = start(Some(&keys.path().join("line.pub")));
    let (address, out) = (
        board.address.clone(),
        board.folder.path().join("parts.jsonl"),
    );
    let file = board.folder.path().join("raised.onnx");
    fs::write(&file, raised()).unwrap();
    let model = file.to_str().unwrap();
    let other = folder("edge-small");
    let update = |model: &str, key: &str, more: &[&str]| {
        device(&address, &[&["update", model, "--key", key], more].concat())
    };
    let refused = |result: Result<String, String>, word: &str| {
        let error = result.unwrap_err();
        assert!(error.contains(word), "no «{word}» in: {error}");
    };

    refused(update(model, &stranger, &[]), "signature");
    refused(update(other.to_str().unwrap(), &key, &[]), "77x69");
    assert_eq!(status(&address)["model"]["threshold_steps"], OLD);

    let done = update(model, &key, &[]).unwrap();
    assert!(done.contains("version 1 of edge-tiny is in use"), "{done}");
    let model_now = &status(&address)["model"];
    assert_eq!(
        (&model_now["version"], &model_now["threshold_steps"]),
        (&1.into(), &NEW.into())
    );
    board.see(&pixels(MODEL, "blob"));
    assert_eq!(watch(&address, &out, 1)[0]["outcome"], "good");

    refused(update(model, &key, &["--model-version", "1"]), "version");
    let done = update(model, &key, &["--model-version", "7"]).unwrap();
    assert!(done.contains("version 7"), "{done}");
}

#[test]
fn a_device_without_a_key_takes_no_model() {
    let keys = tempfile::tempdir().unwrap();
    let key = make_key(keys.path(), "line");
    let board = start(None);
    let model = folder(MODEL);
    let words = ["update", model.to_str().unwrap(), "--key", &key];
    let error = device(&board.address, &words).unwrap_err();
    assert!(error.contains("takes no models over the link"), "{error}");
}
