//! A whole board: QEMU's 64-bit ARM machine with Debian's kernel, on which the Debian package is
//! installed, with a simulated camera of the kernel's and the machine's own GPIO lines.

mod archive;
mod emulator;

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    board::{Board, Link, built},
    fixtures,
    host::{device, status, watch},
};
use emulator::{Machine, PATIENCE};

const MODEL: &str = "edge-tiny";

/// The line of the reject actuator.
const LINE: u8 = 5;

/// The gate's times, long enough for an emulated processor on a busy machine: a reject may begin
/// almost as late as it ends.
const DISTANCE: Duration = Duration::from_millis(2500);
const PULSE: Duration = Duration::from_millis(2000);
const SLACK: Duration = Duration::from_millis(1900);

/// An image threshold between the model's score of the even pattern and that of noise.
const THRESHOLD: &str = "60000";

/// Test patterns of the kernel's simulated camera: one that is the same everywhere, noise, and none.
const EVEN: u8 = 8;
const NOISE: u8 = 21;
const BLACK: u8 = 5;

/// The packaged configuration, with the camera for the folder, a gate, and a link to be reached from
/// outside.
fn configuration(packaged: &str) -> String {
    let [distance, pulse, slack] = [DISTANCE, PULSE, SLACK].map(|time| time.as_millis());
    let mut config = packaged.to_owned();
    for (from, to) in [
        (
            "[source.folder]\npath = \"/var/lib/residua/images\"",
            "[source.camera]\npath = \"/dev/video0\"\nsize = \"320x180\"\nframe-rate = 4.0",
        ),
        ("listen = \"127.0.0.1:7300\"", "listen = \"0.0.0.0:7300\""),
        ("#[gate]\n#chip =", "[gate]\nchip ="),
        ("#line = 17", &format!("line = {LINE}")),
        ("#distance-ms = 800", &format!("distance-ms = {distance}")),
        ("#pulse-ms = 120", &format!("pulse-ms = {pulse}")),
        ("#slack-ms = 15", &format!("slack-ms = {slack}")),
    ] {
        assert!(config.contains(from), "no «{from}» in the packaged file");
        config = config.replacen(from, to, 1);
    }
    config
}

/// `residua device ADDRESS watch --json`, as it runs beside the line; killed at the end.
struct Watch {
    child: Child,
    lines: Receiver<Value>,
}

impl Watch {
    fn start(address: &str) -> Self {
        // Not under `timeout`, which would be killed in place of what it runs.
        let mut child = Command::new(built("residua"))
            .args(["device", address, "watch", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = emulator::lines(child.stdout.take().unwrap());
        let (sender, values) = channel();
        thread::spawn(move || {
            for line in lines {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self {
            child,
            lines: values,
        }
    }

    /// The next part or fault of which this is true.
    #[track_caller]
    fn find(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let (until, mut seen) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {what} was told of; the last: {:#?}", seen.last());
            };
            if fits(&line) {
                return line;
            }
            seen.push(line);
        }
    }

    #[track_caller]
    fn outcome(&self, outcome: &str) -> Value {
        self.find(outcome, |line| line["outcome"] == outcome)
    }

    /// A part without a verdict whose detail has these words.
    #[track_caller]
    fn unseen(&self, words: &str) -> Value {
        self.find(words, |line| {
            line["part"].is_u64() && line["detail"].as_str().is_some_and(|d| d.contains(words))
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A part without what another board cannot share: its number and its times.
fn found(part: &Value) -> Value {
    let mut part = part.clone();
    let fields = part.as_object_mut().unwrap();
    fields.retain(|key, _| !["part", "unix", "uptime"].contains(&key.as_str()));
    part
}

/// What this machine finds in an image.
fn found_here(pixels: &[u8]) -> Value {
    let program = Command::new(built("residua-edge"));
    let mut board = Board::start(program, MODEL, &Link::Tcp, None);
    device(&board.address, &["threshold", "--steps", THRESHOLD]).unwrap();
    board.see(pixels);
    let out = board.folder.path().join("parts.jsonl");
    found(&watch(&board.address, &out, 1)[0])
}

#[test]
fn the_package_inspects_what_the_camera_sees_and_switches_the_gate() {
    let folder = tempfile::tempdir().unwrap();
    let model = fs::read(fixtures::folder(MODEL).join("model.onnx")).unwrap();
    let mut machine = Machine::boot(configuration, &model, EVEN);
    machine.logged(&["event=camera_connected", "320x180", "GREY"]);
    let address = machine.address.clone();
    assert_eq!(status(&address)["model"]["name"], MODEL);
    device(&address, &["threshold", "--steps", THRESHOLD]).unwrap();
    let watch = Watch::start(&address);

    // Good parts pass once those from before the start are through.
    watch.outcome("good");
    machine.line_becomes(LINE, false);
    // The same image here: the same verdict, score, regions and mask.
    for (pattern, outcome) in [(EVEN, "good"), (NOISE, "defect")] {
        machine.show(pattern);
        watch.outcome(outcome);
        let file = folder.path().join(format!("{pattern}.png"));
        let said = device(&address, &["capture", file.to_str().unwrap()]).unwrap();
        let part: u64 = said
            .split_once("part ")
            .and_then(|(_, rest)| rest.split_once(',')?.0.parse().ok())
            .unwrap_or_else(|| panic!("{said}"));
        let there = watch.find("captured part", |line| line["part"] == part);
        assert_eq!(there["outcome"], outcome);
        let image = image::open(file).unwrap().to_luma8();
        assert_eq!(found(&there), found_here(image.as_raw()));
        machine.line_becomes(LINE, outcome == "defect");
    }

    // The clock is set back: the time of day follows, numbers and the device's own time go on, and
    // so does the gate.
    let before = watch.outcome("defect");
    machine.type_line("date -s '2021-01-01 00:00:00' && echo board: set back");
    machine.logged(&["board: set back"]);
    let after = watch.find("part of the new time", |line| {
        line["unix"].as_f64() < before["unix"].as_f64()
    });
    let number = |part: &Value| part["part"].as_u64().unwrap();
    assert!(number(&after) > number(&before), "{before} {after}");
    let uptime = |part: &Value| part["uptime"].as_f64().unwrap();
    assert!(
        uptime(&after) > uptime(&before) && uptime(&after) < uptime(&before) + 60.0,
        "{before} {after}"
    );

    // What cannot be inspected is rejected.
    machine.show(EVEN);
    machine.line_becomes(LINE, false);
    machine.show(BLACK);
    watch.unseen("black");
    machine.line_becomes(LINE, true);
    machine.show(EVEN);
    machine.control("Percentage of Dropped Buffers", 60);
    watch.unseen("lost between camera and inspection");
    machine.control("Percentage of Dropped Buffers", 0);
    machine.control("Inject V4L2_BUF_FLAG_ERROR", 1);
    watch.unseen("damaged");
    let counts = status(&address);
    assert!(counts["dropped"]["images"].as_u64() > Some(0), "{counts}");
    machine.line_becomes(LINE, false);

    // The camera's stream breaks down: it is opened again by itself.
    machine.control("Inject Fatal Streaming Error", 1);
    watch.find("fault", |line| line["fault"] == "camera");
    watch.outcome("good");
    machine.line_becomes(LINE, false);

    // Unplugged: told once, and everything is rejected until it is back.
    machine.type_line("echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind");
    let fault = watch.find("fault", |line| line["fault"] == "camera");
    assert!(fault["part"].is_null(), "{fault}");
    machine.line_becomes(LINE, true);
    let until = Instant::now() + DISTANCE + PULSE + Duration::from_secs(1);
    while Instant::now() < until {
        assert!(machine.line(LINE), "the gate let something pass unseen");
    }
    machine.type_line("echo vivid.0 >/sys/bus/platform/drivers/vivid/bind");
    machine.type_line(&format!(
        "camera 'OSD Text Mode' 2; camera 'Test Pattern' {EVEN}"
    ));
    watch.outcome("good");
    machine.line_becomes(LINE, false);

    // The end is a clean one, and leaves everything rejected.
    machine.type_line("kill $(pidof residua-edge)");
    machine.logged(&["event=ended"]);
    machine.line_becomes(LINE, true);
}
