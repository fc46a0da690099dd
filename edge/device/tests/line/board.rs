//! A board: a folder with configuration and model, and the program that runs there.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use residua_shared::manifest::Manifest;
use tempfile::TempDir;

use crate::fixtures;

/// Longer than the program takes to start on a slow machine, emulated or not.
const PATIENCE: Duration = Duration::from_secs(120);

/// How hosts reach the board.
pub enum Link<'a> {
    Tcp,
    /// Over this device file.
    Serial(&'a Path),
}

/// The running program; killed at the end.
pub struct Board {
    pub folder: TempDir,
    /// HOST:PORT, where hosts come over TCP.
    pub address: String,
    child: Child,
    input: ChildStdin,
}

/// A program of this workspace that runs on this machine.
pub fn built(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join(name);
    assert!(
        program.is_file(),
        "{} is missing: run the tests by `cargo xtask test`, which builds it",
        program.display()
    );
    program
}

impl Board {
    /// A board with a recorded model that takes new ones by the public key at `key`.
    pub fn start(mut program: Command, model: &str, link: &Link<'_>, key: Option<&Path>) -> Self {
        let folder = TempDir::new().unwrap();
        let file = fixtures::folder(model).join("model.onnx");
        fs::copy(file, folder.path().join("model.onnx")).unwrap();
        let config = folder.path().join("residua-edge.toml");
        fs::write(&config, configuration(model, link, key)).unwrap();
        let mut child = program
            .arg("run")
            .arg(config)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                // The rest is nobody's concern, but must be taken.
                let _ = sender.send(line);
            }
        });
        let event = match link {
            Link::Tcp => "event=listening what=link ",
            Link::Serial(_) => "event=host_connected",
        };
        let mut logged = Vec::new();
        let line = loop {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                panic!("{event} was not logged:\n{}", logged.join("\n"));
            };
            if line.contains(event) {
                break line;
            }
            logged.push(line);
        };
        Self {
            folder,
            address: line.rsplit_once('=').unwrap().1.to_owned(),
            input: child.stdin.take().unwrap(),
            child,
        }
    }

    /// The camera takes an image.
    pub fn see(&mut self, pixels: &[u8]) {
        self.input.write_all(pixels).unwrap();
        self.input.flush().unwrap();
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(model: &str, link: &Link<'_>, key: Option<&Path>) -> String {
    let manifest = fs::read(fixtures::folder(model).join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
    let link = match link {
        Link::Tcp => "tcp]\nlisten = \"127.0.0.1:0\"".to_owned(),
        Link::Serial(path) => format!("serial]\nbaud = 115200\npath = {path:?}"),
    };
    let update = key.map_or(String::new(), |key| {
        format!("[update]\nfolder = \"models\"\nkey = {key:?}\n")
    });
    format!(
        "[device]\nname = \"line 3\"\n[model]\nfile = \"model.onnx\"\n\
         [journal]\nfolder = \"journal\"\nmegabytes = 1\n\
         [source.stdin]\nsize = \"{}\"\n[link.{link}\n{update}",
        manifest.input
    )
}
