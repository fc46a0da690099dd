//! The device's end of the line: handshake, answers, a full queue, noise and torn frames.

use std::{cell::RefCell, collections::VecDeque, convert::Infallible, rc::Rc};

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use residua_edge::link::{Device, Full, Link};
use residua_shared::wire::{
    Capabilities, Command, Fault, FaultKind, Hello, MAX_FRAME, MaskChunk, Message, ProgramVersion,
    Reader, Refusal, Request, Span, Stats, Time, encode,
};

/// Both directions of a line, as the test sees them.
#[derive(Clone, Default)]
struct Wires(Rc<RefCell<Ends>>);

#[derive(Default)]
struct Ends {
    to_device: VecDeque<u8>,
    to_host: Vec<u8>,
    /// Bytes that the line still takes.
    credit: usize,
}

impl ErrorType for Wires {
    type Error = Infallible;
}

impl ReadReady for Wires {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.borrow().to_device.is_empty())
    }
}

impl Read for Wires {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let mut ends = self.0.borrow_mut();
        let length = buffer.len().min(ends.to_device.len());
        for (place, byte) in buffer.iter_mut().zip(ends.to_device.drain(..length)) {
            *place = byte;
        }
        Ok(length)
    }
}

impl WriteReady for Wires {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.borrow().credit > 0)
    }
}

impl Write for Wires {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let mut ends = self.0.borrow_mut();
        let length = bytes.len().min(ends.credit);
        assert!(length > 0, "a write that would wait");
        ends.credit -= length;
        ends.to_host.extend(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Wires {
    fn ask(&self, id: u16, command: Command) {
        let request = Request { id, command };
        self.put(encode(&request, &mut [0; MAX_FRAME]).unwrap());
    }

    fn put(&self, bytes: &[u8]) {
        self.0.borrow_mut().to_device.extend(bytes);
    }

    /// Lets so many bytes more through to the host.
    fn credit(&self, bytes: usize) {
        self.0.borrow_mut().credit = bytes;
    }

    fn unread(&self) -> usize {
        self.0.borrow().to_device.len()
    }

    /// All that the host understood so far.
    fn heard(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let bytes = self.0.borrow().to_host.clone();
        Reader::new().extend(&bytes, |message| messages.push(message.unwrap()));
        messages
    }
}

/// A device that only capture can be asked of twice, and that notes what it was told.
#[derive(Default)]
struct Recorder {
    obeyed: Vec<Command>,
    acknowledged: Vec<u64>,
}

impl Device for Recorder {
    fn hello(&mut self) -> Hello {
        Hello {
            protocol: 2,
            program: ProgramVersion {
                major: 0,
                minor: 1,
                patch: 0,
            },
            device: "bench".try_into().unwrap(),
            capabilities: Capabilities::CAPTURE,
            next_part: self.obeyed.len() as u64,
            model: None,
        }
    }

    fn stats(&mut self) -> Stats {
        Stats {
            good: 7,
            ..Stats::default()
        }
    }

    fn time(&mut self) -> Time {
        Time {
            uptime_us: 77,
            unix_us: None,
        }
    }

    fn obey(&mut self, command: &Command) -> Result<(), Refusal> {
        if self.obeyed.contains(command) {
            return Err(Refusal::Busy);
        }
        self.obeyed.push(command.clone());
        Ok(())
    }

    fn acknowledged(&mut self, part: u64) {
        self.acknowledged.push(part);
    }
}

const QUEUE: usize = 6 * MAX_FRAME;

fn link() -> (Link<Wires, QUEUE>, Wires, Recorder) {
    let wires = Wires::default();
    (Link::new(wires.clone()), wires, Recorder::default())
}

fn mask(part: u64) -> Message {
    let span = Span {
        skip: 1 << 30,
        length: 1 << 30,
    };
    Message::Mask(MaskChunk {
        part,
        index: 0,
        last: true,
        start: 0,
        spans: std::iter::repeat_n(span, 48).collect(),
    })
}

fn fault(part: u64) -> Message {
    Message::Fault(Fault {
        part: Some(part),
        time: Time::default(),
        kind: FaultKind::Image,
        detail: "camera: dark".try_into().unwrap(),
    })
}

#[test]
fn it_says_hello_and_answers_every_command_by_its_number() {
    let (mut link, wires, mut device) = link();
    wires.credit(usize::MAX);
    let hello = Message::Hello(device.hello());
    link.greet(&mut device);
    wires.ask(1, Command::Ping);
    wires.ask(2, Command::Identify);
    wires.ask(3, Command::Stats);
    wires.ask(4, Command::Acknowledge { part: 99 });
    wires.ask(5, Command::Capture);
    wires.ask(6, Command::Capture);
    wires.ask(7, Command::CommitModel);
    link.poll(&mut device).unwrap();

    let heard = wires.heard();
    assert_eq!(wires.0.borrow().to_host[0], 0);
    assert_eq!(heard[0], hello);
    let [Message::Pong(pong), identity, Message::Stats(stats)] = &heard[1..4] else {
        panic!("{heard:?}");
    };
    assert_eq!((pong.request, pong.time), (1, device.time()));
    assert_eq!(identity, &hello);
    assert_eq!(stats.good, 7);
    let answers: Vec<_> = heard[4..7]
        .iter()
        .map(|message| match message {
            Message::Answer(answer) => (answer.request, answer.result),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers, [(5, Ok(())), (6, Err(Refusal::Busy)), (7, Ok(()))]);
    // A change of model is told.
    assert_eq!(heard[7..], [Message::Hello(device.hello())]);
    assert_eq!(device.acknowledged, [99]);
    assert_eq!(link.damaged(), 0);
}

#[test]
fn it_restarts_once_the_answer_is_out() {
    let (mut link, wires, mut device) = link();
    wires.ask(1, Command::Reboot);
    link.poll(&mut device).unwrap();
    assert!(!link.restart_due());
    wires.credit(5);
    link.poll(&mut device).unwrap();
    assert!(!link.restart_due());
    wires.credit(100);
    link.poll(&mut device).unwrap();
    assert!(link.restart_due());
    assert_eq!(wires.heard().len(), 1);
}

#[test]
fn a_refused_restart_is_none() {
    let (mut link, wires, mut device) = link();
    device.obeyed.push(Command::Reboot);
    wires.credit(100);
    wires.ask(1, Command::Reboot);
    link.poll(&mut device).unwrap();
    assert!(!link.restart_due());
}

#[test]
fn masks_leave_room_for_what_matters_more() {
    let (mut link, wires, mut device) = link();
    let mut sent = Vec::new();
    let mut fill = |message: fn(u64) -> Message| {
        let mut part = 0;
        while link.send(&message(part)).is_ok() {
            sent.push(message(part));
            part += 1;
        }
        part
    };
    let (masks, faults) = (fill(mask), fill(fault));
    assert!(masks >= 2, "{masks}");
    assert!(faults >= 20, "{faults}");
    assert_eq!(link.send(&mask(9)), Err(Full));

    // Even now a host is answered; but only so often as there is room.
    for id in 0..100 {
        wires.ask(id, Command::Stats);
    }
    link.poll(&mut device).unwrap();
    assert!(wires.unread() > 0);
    wires.credit(usize::MAX);
    while wires.unread() > 0 {
        let before = wires.unread();
        link.poll(&mut device).unwrap();
        assert!(wires.unread() < before);
    }
    let heard = wires.heard();
    assert_eq!(heard.len(), sent.len() + 100);
    assert_eq!(heard[..sent.len()], sent);
}

#[test]
fn a_new_conversation_begins_with_hello() {
    let (mut link, wires, mut device) = link();
    link.send(&fault(1)).unwrap();
    // Half a request of the host that is gone.
    wires.put(&[9, 2, b'H']);
    link.poll(&mut device).unwrap();
    link.greet(&mut device);
    wires.ask(1, Command::Ping);
    wires.credit(usize::MAX);
    link.poll(&mut device).unwrap();
    let heard = wires.heard();
    assert_eq!(heard[0], Message::Hello(device.hello()));
    assert!(matches!(heard[1], Message::Pong(_)));
    assert_eq!((heard.len(), link.damaged()), (2, 0));
}

/// Noise and torn frames between requests, bytes that trickle both ways, and messages of the
/// device's own: everything accepted arrives once, whole and in order.
#[test]
fn noise_and_a_slow_line_lose_nothing_that_was_accepted() {
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut link, wires, mut device) = link();
        let (mut told, mut asked, mut noises) = (Vec::new(), Vec::new(), 0);
        for step in 0..200 {
            match rng.random_range(0..5) {
                0 => {
                    asked.push(step);
                    wires.ask(step, Command::Ping);
                }
                1 => {
                    // Noise, or a frame torn off; a zero ends it.
                    let length = rng.random_range(1..40);
                    let noise: Vec<u8> = (0..length).map(|_| rng.random_range(1..=255)).collect();
                    wires.put(&noise);
                    wires.put(&[0]);
                    noises += 1;
                }
                2 if link.send(&fault(step.into())).is_ok() => told.push(fault(step.into())),
                3 if link.send(&mask(step.into())).is_ok() => told.push(mask(step.into())),
                _ => {}
            }
            wires.credit(rng.random_range(0..200));
            link.poll(&mut device).unwrap();
        }
        wires.credit(usize::MAX);
        link.poll(&mut device).unwrap();

        let heard = wires.heard();
        let is_pong = |message: &Message| match message {
            Message::Pong(pong) => Some(pong.request),
            _ => None,
        };
        assert!(heard.iter().filter_map(is_pong).eq(asked));
        assert!(heard.iter().filter(|m| is_pong(m).is_none()).eq(&told));
        assert!(told.len() > 10);
        assert_eq!(link.damaged(), noises);
    }
}
