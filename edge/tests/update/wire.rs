//! An update over a line that loses frames of both sides.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use residua_edge::update::{Flash, Updater};
use residua_shared::wire::{
    Answer, Command, MAX_FRAME, Message, Reader, Refusal, Request, decode, encode,
};

use crate::{
    flash::Chip,
    models::{Model, in_use, install, model, open},
};

/// What the device does with a request.
fn obey(updater: &mut Updater<Flash<Chip>>, request: &Request) -> Answer {
    let result = match &request.command {
        Command::BeginModel { header, signature } => updater.begin(*header, *signature),
        Command::ModelChunk { offset, bytes } => updater.chunk(*offset, bytes),
        Command::CommitModel => updater.commit(|_, _, _| Ok(())).map(|_| ()),
        _ => Err(Refusal::Unsupported),
    };
    Answer {
        request: request.id,
        result,
    }
}

/// A line on which one frame of three arrives damaged.
struct Line {
    rng: ChaCha8Rng,
    reader: Reader,
    updater: Updater<Flash<Chip>>,
    id: u16,
}

impl Line {
    /// One exchange; none where either frame was lost.
    fn exchange(&mut self, command: Command) -> Option<Result<(), Refusal>> {
        self.id += 1;
        let request = Request {
            id: self.id,
            command,
        };
        let mut buffer = [0; MAX_FRAME];
        let mut frame = encode(&request, &mut buffer).unwrap().to_vec();
        self.damage(&mut frame);
        let mut answer = None;
        let updater = &mut self.updater;
        self.reader.extend::<Request>(&frame, |request| {
            answer = request.ok().map(|request| obey(updater, &request));
        });
        let mut frame = encode(&Message::Answer(answer?), &mut buffer)
            .unwrap()
            .to_vec();
        self.damage(&mut frame);
        match decode::<Message>(&frame) {
            Ok(Message::Answer(answer)) if answer.request == self.id => Some(answer.result),
            _ => None,
        }
    }

    fn damage(&mut self, frame: &mut [u8]) {
        if self.rng.random_ratio(1, 3) {
            let at = self.rng.random_range(0..frame.len() - 1);
            frame[at] = frame[at].wrapping_add(1).max(1);
        }
    }
}

/// The host's side, which repeats what was not answered.
fn send(line: &mut Line, model: &Model) {
    let begin = Command::BeginModel {
        header: model.header,
        signature: model.signature,
    };
    while line.exchange(begin.clone()) != Some(Ok(())) {}
    let mut offset = 0_u32;
    while (offset as usize) < model.bytes.len() {
        let rest = &model.bytes[offset as usize..];
        let bytes = rest.iter().copied().take(512).collect();
        match line.exchange(Command::ModelChunk { offset, bytes }) {
            Some(Ok(())) => offset += rest.len().min(512) as u32,
            // The answer before was lost.
            Some(Err(Refusal::Offset { expected })) => offset = expected,
            Some(refused) => panic!("{refused:?}"),
            None => {}
        }
    }
    loop {
        match line.exchange(Command::CommitModel) {
            // Not begun any more: the answer before was lost.
            Some(Ok(()) | Err(Refusal::NotBegun)) => break,
            Some(refused) => panic!("{refused:?}"),
            None => {}
        }
    }
}

#[test]
fn a_bad_line_delays_an_update_and_no_more() {
    let mut exchanges = 0;
    for seed in 0..200 {
        let mut updater = open(Flash::new(Chip::new()));
        install(&mut updater, &model(1)).unwrap();
        let mut line = Line {
            rng: ChaCha8Rng::seed_from_u64(seed),
            reader: Reader::new(),
            updater,
            id: 0,
        };
        let new = model(2);
        send(&mut line, &new);
        assert_eq!(in_use(&mut line.updater), Some((2, new.bytes)));
        exchanges += u32::from(line.id);
    }
    // Five each, had nothing been lost.
    assert!(exchanges > 2 * 5 * 200, "{exchanges}");
}
