//! The emulated machine, from outside: its serial console, its GPIO controller, its network card.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::archive::Archive;

const VARIABLE: &str = "RESIDUA_BOARD";

/// Longer than anything takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Where the machine has its GPIO controller, a PL061: a read at 4 << n gives the lines whose bits
/// are set in n.
const GPIO: u32 = 0x0903_0000;

/// The running machine; killed at the end.
pub struct Machine {
    /// HOST:PORT, where hosts reach the program.
    pub address: String,
    child: Child,
    keyboard: ChildStdin,
    console: Receiver<String>,
    /// What came over the console so far.
    seen: Vec<String>,
    monitor: Monitor,
    _folder: TempDir,
}

/// QEMU's own control connection.
struct Monitor {
    stream: BufReader<UnixStream>,
}

/// Lines as they come, without the carriage returns of a serial line.
pub fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            // The rest is nobody's concern, but must be taken.
            let _ = sender.send(text);
            line.clear();
        }
    });
    lines
}

fn board() -> PathBuf {
    let folder = env::var_os(VARIABLE).unwrap_or_else(|| {
        panic!(
            "{VARIABLE} is not set: run the tests by `cargo xtask test`, which builds what it names"
        )
    });
    folder.into()
}

/// A port of this machine that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Machine {
    /// Boots the board with this model, what `configure` makes of the packaged configuration, and a
    /// camera that shows `pattern`; until hosts can come.
    pub fn boot(configure: impl Fn(&str) -> String, model: &[u8], pattern: u8) -> Self {
        const CONFIG: &str = "etc/residua/residua-edge.toml";
        let board = board();
        let root = board.join("root");
        let config = configure(&fs::read_to_string(root.join(CONFIG)).unwrap());
        let mut files = Archive::default();
        files.add_folder(&root);
        files.add_file(CONFIG, 0o644, config.as_bytes());
        files.add_file("var/lib/residua/model.onnx", 0o644, model);
        files.add_file("init", 0o755, include_bytes!("../../board/init"));
        let folder = TempDir::new().unwrap();
        let archive = folder.path().join("files.cpio");
        fs::write(&archive, files.finish()).unwrap();

        let address = format!("127.0.0.1:{}", free_port());
        let socket = folder.path().join("monitor");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let network = format!("user,id=net,restrict=on,hostfwd=tcp:{address}-:7300");
        let mut child = Command::new("qemu-system-aarch64")
            .args(["-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "512"])
            .args([
                "-accel",
                "tcg,thread=multi",
                "-display",
                "none",
                "-no-reboot",
            ])
            .args(["-monitor", "none", "-serial", "stdio"])
            .arg("-qmp")
            .arg(format!("unix:{}", socket.display()))
            .args([
                "-netdev",
                &network,
                "-device",
                "virtio-net-device,netdev=net",
            ])
            .arg("-kernel")
            .arg(board.join("vmlinuz"))
            .arg("-initrd")
            .arg(&archive)
            .arg("-append")
            .arg(format!(
                "console=ttyAMA0 quiet panic=-1 rdinit=/init PATTERN={pattern}"
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let console = lines(child.stdout.take().unwrap());
        let mut machine = Self {
            address,
            keyboard: child.stdin.take().unwrap(),
            console,
            seen: Vec::new(),
            monitor: Monitor::new(listener.accept().unwrap().0),
            child,
            _folder: folder,
        };
        machine.logged(&["event=listening what=link"]);
        machine
    }

    /// Waits for a line on the console that holds all these words, and was not waited for before.
    #[track_caller]
    pub fn logged(&mut self, words: &[&str]) {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.console.recv_timeout(left) else {
                panic!("{words:?} did not come:\n{}", self.seen.join("\n"));
            };
            let found = words.iter().all(|word| line.contains(word));
            self.seen.push(line);
            if found {
                return;
            }
        }
    }

    /// Types a command on the console.
    pub fn type_line(&mut self, line: &str) {
        writeln!(self.keyboard, "{line}").unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Sets a control of the simulated camera.
    #[track_caller]
    pub fn control(&mut self, name: &str, value: u8) {
        self.type_line(&format!("camera '{name}' {value}"));
        self.logged(&[&format!("board: {name} is {value}")]);
    }

    /// Has the camera see a test pattern.
    #[track_caller]
    pub fn show(&mut self, pattern: u8) {
        self.control("Test Pattern", pattern);
    }

    /// Whether a GPIO line is high, as the controller has it.
    pub fn line(&mut self, line: u8) -> bool {
        let register = GPIO + (4 << line);
        let text = self.monitor.ask(&format!("xp /1xw {register:#x}"));
        let value = text
            .trim()
            .rsplit_once("0x")
            .and_then(|(_, digits)| u32::from_str_radix(digits, 16).ok());
        match value {
            Some(0) => false,
            Some(value) if value == 1 << line => true,
            _ => panic!("{text}"),
        }
    }

    #[track_caller]
    pub fn line_becomes(&mut self, line: u8, high: bool) {
        let until = Instant::now() + PATIENCE;
        while self.line(line) != high {
            if Instant::now() >= until {
                self.seen.extend(self.console.try_iter());
                panic!("line {line} stays {}:\n{}", !high, self.seen.join("\n"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Monitor {
    fn new(stream: UnixStream) -> Self {
        let mut monitor = Self {
            stream: BufReader::new(stream),
        };
        monitor.say(&json!({"execute": "qmp_capabilities"}));
        monitor
    }

    /// The answer to a command of QEMU's monitor.
    fn ask(&mut self, command: &str) -> String {
        let answer = self.say(&json!({
            "execute": "human-monitor-command",
            "arguments": {"command-line": command},
        }));
        answer.as_str().unwrap().to_owned()
    }

    fn say(&mut self, request: &Value) -> Value {
        writeln!(self.stream.get_mut(), "{request}").unwrap();
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).unwrap();
            assert!(read > 0, "QEMU has ended");
            let mut answer: Value = serde_json::from_str(&line).unwrap();
            assert!(answer["error"].is_null(), "{answer}");
            // Greetings and events are passed over.
            if !answer["return"].is_null() {
                return answer["return"].take();
            }
        }
    }
}
