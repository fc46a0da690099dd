//! The configuration file: the shipped example, and what is refused.

use residua_device::config::{Config, Engine, Source};

const EXAMPLE: &str = include_str!("../residua-edge.toml");

#[test]
fn the_shipped_example_is_read() {
    let config = Config::parse(EXAMPLE).unwrap();
    assert_eq!(config.device.name, "residua-edge");
    assert_eq!(config.model.engine, Engine::Native);
    assert!(matches!(config.source, Source::Folder(folder) if folder.watch));
    assert!(config.link.is_some() && config.metrics.is_some());
}

/// Every key that is shown commented out is one, with the default that is shown.
#[test]
fn keys_that_are_commented_out_are_read_and_show_their_defaults() {
    let is_key = |line: &str| {
        line.strip_prefix('#').is_some_and(|key| {
            key.starts_with(|c: char| c.is_ascii_lowercase()) && key.contains(" = ")
        })
    };
    // Alternatives begin with a commented table and end with an empty line.
    let (mut alternative, mut text, mut alternatives) = (false, String::new(), Vec::new());
    for line in EXAMPLE.lines() {
        if line.starts_with("#[") {
            alternative = true;
            alternatives.push(String::new());
        }
        alternative &= !line.is_empty();
        let bare = if is_key(line) || line.starts_with("#[") {
            &line[1..]
        } else {
            line
        };
        let target = if alternative {
            alternatives.last_mut().unwrap()
        } else {
            &mut text
        };
        target.push_str(bare);
        target.push('\n');
    }
    let (shown, example) = (
        Config::parse(&text).unwrap(),
        Config::parse(EXAMPLE).unwrap(),
    );
    assert_eq!(shown.image, example.image);
    assert_eq!(shown.log, example.log);
    assert_eq!(shown.model, example.model);
    assert_eq!(shown.journal, example.journal);

    assert_eq!(alternatives.len(), 6);
    for alternative in alternatives {
        let table = if alternative.starts_with("[gate") {
            "gate"
        } else if alternative.starts_with("[source") {
            "source.folder"
        } else if alternative.starts_with("[update") {
            let default = alternative.replace("megabytes = 16", "");
            let [shown, default] = [&alternative, &default]
                .map(|update| Config::parse(&format!("{EXAMPLE}{update}")).unwrap().update);
            assert_eq!(shown, default);
            "update"
        } else {
            "link.tcp"
        };
        let config = without_table(EXAMPLE, table) + &alternative;
        assert_ne!(Config::parse(&config).unwrap(), example, "{alternative}");
    }
}

fn without_table(text: &str, table: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        if line.starts_with('[') {
            inside = *line == format!("[{table}]");
        }
        !inside
    };
    text.lines()
        .filter(keep)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[track_caller]
fn refused(from: &str, to: &str, words: &[&str]) {
    assert!(EXAMPLE.contains(from), "{from}");
    let error = format!(
        "{:#}",
        Config::parse(&EXAMPLE.replace(from, to)).unwrap_err()
    );
    assert!(!error.contains('\n'), "{error}");
    for word in words {
        assert!(error.contains(word), "no «{word}» in: {error}");
    }
}

#[test]
fn errors_name_key_and_remedy_on_one_line() {
    refused(
        "[log]",
        "[log]\nlevl = \"info\"",
        &["levl", "level", "line "],
    );
    refused("[log]", "[logs]", &["logs", "log"]);
    refused("#level = \"info\"", "level = \"loud\"", &["loud", "debug"]);
    refused(
        "[metrics]\nlisten = \"127.0.0.1:9100\"",
        "[metrics]\nlisten = \"nine\"",
        &["listen", "nine"],
    );
    refused(
        "#megabytes = 64",
        "megabytes = 0",
        &["journal.megabytes", "at least 1"],
    );
    refused(
        "#[update]",
        "[update]\nfolder = \"a\"\nkey = \"b\"\nmegabytes = 1025",
        &["update.megabytes", "1 to 1024"],
    );
    refused("#megabytes = 64", "megabytes = -1", &["megabytes"]);
    refused(
        "#black-level = 2",
        "black-level = 254",
        &["image.black-level", "white-level"],
    );
    refused(
        "#unusable-share = 0.98",
        "unusable-share = 0.1",
        &["image.unusable-share", "0.5 to 1"],
    );
    refused(
        "#timeout-seconds = 0.0",
        "timeout-seconds = -1.0",
        &["image.timeout-seconds"],
    );
    refused(
        "#engine = \"native\"",
        "engine = \"tpu\"",
        &["tpu", "native"],
    );
    refused(
        "[source.folder]",
        "[source.webcam]",
        &["webcam", "camera", "folder", "line-scan"],
    );
    refused(
        "[link.tcp]",
        "[link.serial]\npath = \"/dev/x\"\nbaud = 5\n[link.tcp]",
        &["link"],
    );
    refused("file = ", "#file = ", &["file"]);
    refused(
        "name = \"residua-edge\"",
        "name = \"a name that is far too long for a device\"",
        &["name"],
    );
}

#[test]
fn one_source_and_one_only() {
    refused(
        "[source.folder]",
        "[source.stdin]\nsize = \"1x1\"\n[source.folder]",
        &["source"],
    );
    refused(
        "[source.folder]\npath = \"/var/lib/residua/images\"",
        "[source.stdin]\nsize = \"9000x1\"",
        &["9000x1", "8192"],
    );
    refused(
        "[source.folder]\npath = \"/var/lib/residua/images\"",
        "[source.stdin]\nsize = \"9\"",
        &["WIDTHxHEIGHT"],
    );
}

#[test]
fn a_camera_is_checked_before_it_is_there() {
    const FOLDER: &str = "[source.folder]\npath = \"/var/lib/residua/images\"";
    for (keys, words) in [
        ("format = \"mjpeg\"", &["mjpeg", "grey", "yuyv"][..]),
        ("size = \"640\"", &["WIDTHxHEIGHT"]),
        ("left = -1", &["left"]),
        ("frame-rate = 0.0", &["source.camera.frame-rate", "0.01"]),
        ("frame-rate = nan", &["source.camera.frame-rate"]),
        ("buffers = 1", &["source.camera.buffers", "2 to 32"]),
        ("device = 3", &["device"]),
    ] {
        let camera = format!("[source.camera]\npath = \"/dev/video0\"\n{keys}");
        refused(FOLDER, &camera, words);
    }
    let nul = "[source.camera]\npath = \"/dev/\\u0000\"";
    refused(FOLDER, nul, &["source.camera.path"]);
}
