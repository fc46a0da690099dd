//! The messages between devices and hosts.

mod samples;

use residua_shared::wire::{MAX_FRAME, Message, Request, Wire, decode, encode};

fn there_and_back<M: Wire + PartialEq + std::fmt::Debug>(message: &M) -> usize {
    let mut buffer = [0xaa; MAX_FRAME];
    let frame = encode(message, &mut buffer).unwrap();
    assert_eq!(
        frame.iter().position(|&byte| byte == 0),
        Some(frame.len() - 1)
    );
    assert_eq!(&decode::<M>(frame).unwrap(), message);
    assert_eq!(&decode::<M>(&frame[..frame.len() - 1]).unwrap(), message);
    frame.len()
}

#[test]
fn every_message_returns_as_it_was() {
    let messages: Vec<Message> = samples::messages();
    let requests: Vec<Request> = samples::requests();
    messages.iter().for_each(|m| {
        there_and_back(m);
    });
    requests.iter().for_each(|m| {
        there_and_back(m);
    });
}

#[test]
fn the_longest_frame_is_exactly_as_long_as_stated() {
    let longest = samples::longest();
    assert_eq!(longest.iter().map(there_and_back).max(), Some(MAX_FRAME));
}
