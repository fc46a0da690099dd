//! A board under QEMU: what is sent to it, what it says, and what its pins do.

use std::{
    env, fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use residua_edge::rows::{self, Piece};
use residua_shared::wire::{
    self, Command as Ask, Fault, Hello, MAX_FRAME, Message, Pong, Reader, Request,
};

/// A board and the variable with the program's path.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// QEMU's name of the machine.
    pub machine: &'static str,
    variable: &'static str,
}

/// Both boards.
pub const BOARDS: [Kind; 2] = [
    Kind {
        machine: "mps2-an500",
        variable: "RESIDUA_FIRMWARE_CORTEX_M7",
    },
    Kind {
        machine: "mps3-an547",
        variable: "RESIDUA_FIRMWARE_CORTEX_M55",
    },
];

impl Kind {
    /// The program for it.
    pub fn program(self) -> PathBuf {
        let Self { variable, .. } = self;
        let program = env::var_os(variable).unwrap_or_else(|| {
            panic!("{variable} is not set: run the tests by `cargo xtask test`")
        });
        program.into()
    }
}

/// No answer takes longer, even on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Pin 0 of the first port.
pub const REJECT: usize = 0;
/// Pin 1.
pub const RUN: usize = 1;

/// When a pin was driven high or low, in microseconds since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switch {
    /// The microsecond by the board's counter.
    pub at: u64,
    /// Driven high.
    pub high: bool,
}

/// A running board.
#[derive(Debug)]
pub struct Board {
    qemu: Child,
    line: Sender<Vec<u8>>,
    messages: Receiver<Message>,
    folder: tempfile::TempDir,
    machine: &'static str,
    asked: u16,
}

impl Board {
    /// Starts `program`. The board's time is that of its instructions, 4 ns each, so that it does
    /// not depend on how busy this machine is; while it sleeps, time passes as it does here.
    pub fn start(kind: Kind, program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let debugger = folder.path().join("gdb");
        let mut qemu = Command::new("qemu-system-arm")
            .args(["-M", kind.machine])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-icount", "shift=2", "-d", "unimp"])
            .args(["-trace", "mps2_fpgaio_read", "-D"])
            .arg(folder.path().join("log"))
            .arg("-gdb")
            .arg(format!("unix:{},server=on,wait=off", debugger.display()))
            .arg("-kernel")
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (qemu.stdin.take().unwrap(), qemu.stdout.take().unwrap());
        let (line, to_send) = channel::<Vec<u8>>();
        thread::spawn(move || {
            // A board that was stopped hears nothing; the test notices by what it does not say.
            to_send.iter().try_for_each(|bytes| stdin.write_all(&bytes))
        });
        let (heard, messages) = channel();
        thread::spawn(move || {
            let (mut reader, mut bytes) = (Reader::new(), [0; 4096]);
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                reader.extend::<Message>(&bytes[..count], |message| {
                    let _ = heard.send(message.unwrap());
                });
            }
        });
        Self {
            qemu,
            line,
            messages,
            folder,
            machine: kind.machine,
            asked: 0,
        }
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: &[u8]) {
        self.line.send(bytes.to_vec()).unwrap();
    }

    /// Sends a row's frame.
    pub fn row(&self, number: u32, pixels: &[u8]) {
        self.send(&row_frame(Piece::Row { number, pixels }));
    }

    /// Sends the frame of a strip's end.
    pub fn end(&self, rows: u32) {
        self.send(&row_frame(Piece::End { rows }));
    }

    /// Sends a whole strip.
    pub fn strip(&self, width: usize, image: &[u8]) {
        let rows = image.chunks_exact(width);
        for (number, row) in (0..).zip(rows.clone()) {
            self.row(number, row);
        }
        self.end(rows.len() as u32);
    }

    /// Asks something; its number.
    pub fn ask(&mut self, command: Ask) -> u16 {
        self.asked += 1;
        let request = Request {
            id: self.asked,
            command,
        };
        self.send(wire::encode(&request, &mut [0; MAX_FRAME]).unwrap());
        self.asked
    }

    /// What it says next.
    pub fn hear(&self) -> Message {
        let machine = self.machine;
        self.messages
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("{machine} says nothing more: {error}"))
    }

    /// The greeting, which must come next.
    pub fn hello(&self) -> Hello {
        match self.hear() {
            Message::Hello(hello) => hello,
            other => panic!("{}: {other:?} instead of a hello", self.machine),
        }
    }

    /// The fault, which must come next.
    pub fn fault(&self) -> Fault {
        match self.hear() {
            Message::Fault(fault) => fault,
            other => panic!("{}: {other:?} instead of a fault", self.machine),
        }
    }

    /// The pixels of a part's mask, whose chunks must come next.
    pub fn mask(&self, part: u64, area: usize) -> Vec<u32> {
        let mut mask = vec![0; area];
        for index in 0.. {
            match self.hear() {
                Message::Mask(chunk) if (chunk.part, chunk.index) == (part, index) => {
                    chunk.draw(&mut mask).unwrap();
                    if chunk.last {
                        break;
                    }
                }
                other => panic!("{}: {other:?} instead of a mask", self.machine),
            }
        }
        let pixels = (0..).zip(&mask);
        pixels
            .filter(|&(_, &set)| set != 0)
            .map(|(n, _)| n)
            .collect()
    }

    /// The time by the board, which says nothing else meanwhile.
    pub fn time(&mut self) -> u64 {
        let id = self.ask(Ask::Ping);
        match self.hear() {
            Message::Pong(Pong { request, time }) if request == id => time.uptime_us,
            other => panic!("{}: {other:?} instead of a pong", self.machine),
        }
    }

    /// Lets the board's time pass until `us`.
    pub fn wait_until(&mut self, us: u64) {
        while self.time() < us {
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Every change of a pin so far. The log shows each write to the port, and before it the counter
    /// that the gate read.
    pub fn switches(&self, pin: usize) -> Vec<Switch> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        let masked = format!("offset {:#05x}", 0x400 + (4 << pin));
        let (mut at, mut switches) = (0, Vec::<Switch>::new());
        for line in log.lines() {
            if line.contains("FPGAIO read: offset 0x18 ") {
                at = number(line, "data 0x");
            } else if line.contains("unimplemented device write") && line.contains(&masked) {
                let high = number(line, "value 0x") != 0;
                if switches.last().is_none_or(|last| last.high != high) {
                    switches.push(Switch { at, high });
                }
            }
        }
        switches
    }

    /// Whether a pin is high.
    pub fn is_high(&self, pin: usize) -> bool {
        self.switches(pin).last().is_some_and(|last| last.high)
    }

    /// Has the processor go on at `address`, as after a fault of its own.
    pub fn derail(&self, address: u32) {
        let mut debugger = UnixStream::connect(self.folder.path().join("gdb")).unwrap();
        debugger.set_read_timeout(Some(PATIENCE)).unwrap();
        // Register 15, the program counter.
        let digits: String = address
            .to_le_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // Registers can be written by whoever knows what registers there are.
        command(&mut debugger, "qXfer:features:read:target.xml:0,8");
        assert_eq!(command(&mut debugger, &format!("Pf={digits}")), "OK");
        // Goes on without the debugger.
        assert_eq!(command(&mut debugger, "D"), "OK");
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A frame of rows.
pub fn row_frame(piece: Piece<'_>) -> Vec<u8> {
    let mut buffer = [0; 4096];
    rows::encode(piece, &mut buffer).unwrap().to_vec()
}

fn number(line: &str, after: &str) -> u64 {
    let (_, rest) = line.split_once(after).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    u64::from_str_radix(&digits, 16).unwrap()
}

/// A command of GDB's serial protocol, and the answer to it.
fn command(debugger: &mut UnixStream, text: &str) -> String {
    let sum = text.bytes().fold(0_u8, u8::wrapping_add);
    write!(debugger, "+${text}#{sum:02x}").unwrap();
    loop {
        let answer = packet(debugger);
        // That the processor was stopped is said at any time.
        if !answer.starts_with('T') {
            return answer;
        }
    }
}

/// What comes between `$` and `#`; two digits of a checksum follow.
fn packet(debugger: &mut UnixStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while byte != [b'#'] {
        debugger.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    debugger.read_exact(&mut [0; 2]).unwrap();
    let text = String::from_utf8(text).unwrap();
    let (_, text) = text.split_once('$').unwrap();
    text.trim_end_matches('#').to_owned()
}
