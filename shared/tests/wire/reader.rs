//! The reader finds every whole frame in a stream, whatever lies between.

use proptest::{collection::vec, prelude::*};
use residua_shared::wire::{MAX_FRAME, Message, Reader, WireError, encode};

use crate::samples;

fn frame_of(message: &Message) -> Vec<u8> {
    encode(message, &mut [0; MAX_FRAME]).unwrap().to_vec()
}

fn read(reader: &mut Reader, bytes: &[u8]) -> Vec<Result<Message, WireError>> {
    let mut found = Vec::new();
    reader.extend(bytes, |content| found.push(content));
    found
}

#[test]
fn frames_one_after_the_other() {
    let messages = samples::messages();
    let stream: Vec<u8> = messages.iter().flat_map(frame_of).collect();
    let found = read(&mut Reader::new(), &stream);
    assert!(found.into_iter().eq(messages.into_iter().map(Ok)));
}

#[test]
fn zeros_between_frames_are_nothing() {
    let message = Message::Report(samples::report(3));
    let stream = [&[0, 0][..], &frame_of(&message), &[0, 0]].concat();
    assert_eq!(read(&mut Reader::new(), &stream), [Ok(message)]);
}

#[test]
fn a_start_in_the_middle_costs_one_frame() {
    let message = Message::Report(samples::report(3));
    let frame = frame_of(&message);
    for cut in 1..frame.len() - 1 {
        let found = read(&mut Reader::new(), &[&frame[cut..], &frame].concat());
        assert_eq!(found.len(), 2, "cut at {cut}");
        assert!(found[0].is_err());
        assert_eq!(found[1], Ok(message.clone()));
    }
}

#[test]
fn a_frame_torn_off_takes_the_next_one_with_it_unless_a_zero_is_sent_first() {
    let message = Message::Report(samples::report(3));
    let frame = frame_of(&message);
    let torn = &frame[..frame.len() / 2];
    let mut reader = Reader::new();
    let found = read(&mut reader, &[torn, &frame, &frame].concat());
    assert_eq!(found.len(), 2);
    assert!(found[0].is_err());
    assert_eq!(found[1], Ok(message.clone()));
    let found = read(&mut reader, &[torn, &[0], &frame].concat());
    assert_eq!(found.len(), 2);
    assert!(found[0].is_err());
    assert_eq!(found[1], Ok(message));
}

#[test]
fn endless_noise_without_a_zero_is_one_error() {
    let message = Message::Report(samples::report(3));
    let mut reader = Reader::default();
    for length in [MAX_FRAME - 1, MAX_FRAME, MAX_FRAME + 1, 100_000] {
        let noise = vec![0x55; length];
        assert_eq!(read(&mut reader, &noise), []);
        let found = read(&mut reader, &[&[0], &frame_of(&message)[..]].concat());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0] == Err(WireError::Long), length >= MAX_FRAME);
        assert_eq!(found[1], Ok(message.clone()));
    }
}

proptest! {
    /// Noise between frames, each closed by a zero: no frame is lost and none is made up.
    #[test]
    fn all_frames_are_found_between_noise(
        noises in vec(vec(any::<u8>(), 0..2 * MAX_FRAME), 1..5),
        which in vec(any::<usize>(), 5),
    ) {
        let messages = samples::messages();
        let (mut stream, mut sent) = (Vec::new(), Vec::new());
        for (noise, which) in noises.iter().zip(which) {
            let message = messages[which % messages.len()].clone();
            stream.extend(noise);
            stream.push(0);
            stream.extend(frame_of(&message));
            sent.push(message);
        }
        let found = read(&mut Reader::new(), &stream);
        prop_assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), sent);
    }
}
