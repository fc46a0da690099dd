//! Runs `residua-edge` as it runs on a board, and speaks to it as a host.

#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use residua_edge::update::SigningKey;
use residua_shared::wire::{self, Hello, MAX_FRAME, Message, Reader, Report, Request};
use tempfile::TempDir;

/// Longer than anything takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A model of 77x69 images.
pub const WIDTH: usize = 77;
pub const HEIGHT: usize = 69;
pub const AREA: usize = WIDTH * HEIGHT;

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/golden/edge-tiny")
}

/// The pixels of an image of the fixtures.
pub fn pixels(name: &str) -> Vec<u8> {
    let file = fixtures().join("images").join(name).with_extension("png");
    image::open(file).unwrap().to_luma8().into_raw()
}

/// A board: a folder with a configuration, and the program where it runs.
pub struct Board {
    pub folder: TempDir,
    /// What the configuration says beside model and journal.
    pub config: String,
    /// Kilobytes that a file can have, where the disk is to be full.
    pub file_limit: Option<u32>,
}

impl Board {
    /// A board with this source and a link over TCP.
    pub fn new(source: &str) -> Self {
        Self::linked(source, "[link.tcp]\nlisten = \"127.0.0.1:0\"\n")
    }

    pub fn linked(source: &str, link: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("images")).unwrap();
        fs::copy(
            fixtures().join("model.onnx"),
            folder.path().join("model.onnx"),
        )
        .unwrap();
        Self {
            folder,
            config: format!(
                "{source}\n{link}\n[metrics]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"debug\"\n"
            ),
            file_limit: None,
        }
    }

    /// Lets models come over the link that [`signer`] signed, of at most a megabyte.
    pub fn takes_models(mut self) -> Self {
        let key = signer().trusted().to_bytes();
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(self.path("models.pub"), digits + "\n").unwrap();
        self.config += "[update]\nfolder = \"models\"\nkey = \"models.pub\"\nmegabytes = 1\n";
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write_config(&self) -> PathBuf {
        let head =
            "[model]\nfile = \"model.onnx\"\n[journal]\nfolder = \"journal\"\nmegabytes = 1\n";
        let file = self.path("residua-edge.toml");
        fs::write(&file, format!("{head}{}", self.config)).unwrap();
        file
    }

    pub fn start(&self) -> Device {
        let mut command = match self.file_limit {
            None => Command::new(env!("CARGO_BIN_EXE_residua-edge")),
            Some(kilobytes) => {
                let mut command = Command::new("bash");
                // With the signal ignored a write past the limit is an ordinary error.
                let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
                command.args(["-c", &script, env!("CARGO_BIN_EXE_residua-edge")]);
                command
            }
        };
        command.arg("run").arg(self.write_config());
        Device::start(command)
    }

    /// Puts an image into the folder, as whoever takes images should.
    pub fn put(&self, name: &str, content: &[u8]) {
        let (partial, file) = (
            self.path(&format!("images/.{name}")),
            self.path("images").join(name),
        );
        fs::write(&partial, content).unwrap();
        fs::rename(partial, file).unwrap();
    }

    /// Puts an image of the fixtures into the folder.
    pub fn put_fixture(&self, name: &str, fixture: &str) {
        let file = fixtures()
            .join("images")
            .join(fixture)
            .with_extension("png");
        self.put(name, &fs::read(file).unwrap());
    }
}

/// Whom the device trusts.
pub fn signer() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

/// The source of most tests.
pub const STDIN: &str = "[source.stdin]\nsize = \"77x69\"\n";
pub const FOLDER: &str = "[source.folder]\npath = \"images\"\n";

/// The program as it runs; killed at the end if it still does.
pub struct Device {
    pub child: Child,
    pub input: Option<ChildStdin>,
    log: Receiver<String>,
    /// What it has logged so far.
    pub lines: Vec<String>,
}

impl Device {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            log,
            lines: Vec::new(),
        }
    }

    /// Waits for a line of the log that holds all these words, read ones included.
    #[track_caller]
    pub fn logged(&mut self, words: &[&str]) -> String {
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        if let Some(line) = self.lines.iter().find(fits) {
            return line.clone();
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(left) else {
                panic!("{words:?} was not logged:\n{}", self.lines.join("\n"));
            };
            self.lines.push(line);
            if let Some(line) = self.lines.last().filter(fits) {
                return line.clone();
            }
        }
    }

    /// How often a line with these words was logged so far.
    pub fn count_logged(&mut self, words: &[&str]) -> usize {
        self.lines.extend(self.log.try_iter());
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        self.lines.iter().filter(fits).count()
    }

    /// Where `what` listens.
    #[track_caller]
    pub fn address(&mut self, what: &str) -> SocketAddr {
        let line = self.logged(&["event=listening", &format!("what={what} ")]);
        line.rsplit_once('=').unwrap().1.parse().unwrap()
    }

    #[track_caller]
    pub fn host(&mut self) -> Host<TcpStream> {
        let stream = TcpStream::connect(self.address("link")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Host::new(stream)
    }

    /// Sends raw images.
    pub fn send(&mut self, images: &[&[u8]]) {
        let input = self.input.as_mut().unwrap();
        for image in images {
            input.write_all(image).unwrap();
        }
        input.flush().unwrap();
    }

    pub fn terminate(&self) {
        let status = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(status.unwrap().success());
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("it did not end:\n{}", self.lines.join("\n"));
    }

    #[track_caller]
    pub fn metrics(&mut self) -> String {
        let mut stream = TcpStream::connect(self.address("metrics")).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// The value of one sample.
    #[track_caller]
    pub fn metric(&mut self, name: &str) -> f64 {
        let text = self.metrics();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        let value = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        value.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// Waits until a sample has a value.
    #[track_caller]
    pub fn metric_becomes(&mut self, name: &str, value: f64) {
        let until = Instant::now() + PATIENCE;
        while self.metric(name) != value {
            assert!(Instant::now() < until, "{name} stays {}", self.metric(name));
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A host over any stream.
pub struct Host<S> {
    pub stream: S,
    reader: Reader,
    waiting: Vec<Message>,
    /// Frames that were damaged.
    pub damaged: usize,
}

impl<S: Read + Write> Host<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            reader: Reader::new(),
            waiting: Vec::new(),
            damaged: 0,
        }
    }

    /// The next message; none where the device has hung up.
    pub fn next(&mut self) -> Option<Message> {
        let mut buffer = [0; 512];
        while self.waiting.is_empty() {
            let read = self.stream.read(&mut buffer).expect("an answer in time");
            if read == 0 {
                return None;
            }
            let (waiting, damaged) = (&mut self.waiting, &mut self.damaged);
            self.reader
                .extend(&buffer[..read], |message| match message {
                    Ok(message) => waiting.push(message),
                    Err(_) => *damaged += 1,
                });
        }
        Some(self.waiting.remove(0))
    }

    /// The next message that `take` takes; others are dropped.
    #[track_caller]
    pub fn find<T>(&mut self, mut take: impl FnMut(Message) -> Option<T>) -> T {
        loop {
            let message = self.next().expect("the device is there");
            if let Some(found) = take(message) {
                return found;
            }
        }
    }

    #[track_caller]
    pub fn hello(&mut self) -> Hello {
        self.find(|message| match message {
            Message::Hello(hello) => Some(hello),
            _ => None,
        })
    }

    #[track_caller]
    pub fn report(&mut self) -> Report {
        self.find(|message| match message {
            Message::Report(report) => Some(report),
            _ => None,
        })
    }

    #[track_caller]
    pub fn fault(&mut self) -> wire::Fault {
        self.find(|message| match message {
            Message::Fault(fault) => Some(fault),
            _ => None,
        })
    }

    pub fn send(&mut self, command: wire::Command) {
        let mut frame = [0; MAX_FRAME];
        let frame = wire::encode(&Request { id: 7, command }, &mut frame).unwrap();
        self.stream.write_all(frame).unwrap();
    }

    pub fn acknowledge(&mut self, part: u64) {
        self.send(wire::Command::Acknowledge { part });
    }

    /// Sends a command and waits for its answer.
    #[track_caller]
    pub fn ask(&mut self, command: wire::Command) -> Result<(), wire::Refusal> {
        self.send(command);
        self.find(|message| match message {
            Message::Answer(answer) => Some(answer.result),
            _ => None,
        })
    }
}
