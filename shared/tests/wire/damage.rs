//! Frames that are damaged, foreign or no frames at all.

use proptest::{collection::vec, prelude::*};
use residua_shared::wire::{
    Command, MAX_FRAME, Message, Refusal, Request, Wire, WireError, decode, encode,
};

use crate::samples;

fn frame_of<M: Wire>(message: &M) -> Vec<u8> {
    encode(message, &mut [0; MAX_FRAME]).unwrap().to_vec()
}

fn report() -> Message {
    Message::Report(samples::report(300))
}

/// A frame around `plain`: checksum and COBS are right, whatever it says.
fn sealed(plain: &[u8]) -> Vec<u8> {
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(plain);
    let mut plain = plain.to_vec();
    plain.extend(checksum.to_le_bytes());
    let mut frame = vec![0; cobs::max_encoding_length(plain.len())];
    let length = cobs::encode(&plain, &mut frame);
    frame.truncate(length);
    frame
}

#[test]
fn every_message_returns_as_it_was() {
    for message in samples::messages() {
        assert_eq!(decode::<Message>(&frame_of(&message)), Ok(message));
    }
    for request in samples::requests() {
        assert_eq!(decode::<Request>(&frame_of(&request)), Ok(request));
    }
}

#[test]
fn the_longest_frame_is_exactly_as_long_as_stated() {
    let lengths = samples::longest();
    let lengths = lengths.iter().map(|message| frame_of(message).len());
    assert_eq!(lengths.max(), Some(MAX_FRAME));
}

#[test]
fn a_buffer_that_is_too_short_is_an_error() {
    for message in samples::longest() {
        let length = frame_of(&message).len();
        let mut buffer = [0; MAX_FRAME];
        for short in 0..length {
            let result = encode(&message, &mut buffer[..short]);
            assert_eq!(result, Err(WireError::Buffer));
        }
        assert!(encode(&message, &mut buffer[..length]).is_ok());
    }
}

#[test]
fn another_version_is_refused_by_name() {
    let frame = [0x09, 0x03, 0x44, 0x09, 0x09, 0x03, 0x56, 0x7c, 0xec, 0x00];
    let error = decode::<Message>(&frame).unwrap_err();
    assert_eq!(error, WireError::Version(3));
    assert_eq!(decode::<Request>(&frame), Err(WireError::Version(3)));
    assert!(error.to_string().contains("version 3 is unknown"));
}

#[test]
fn an_echo_is_refused() {
    let ping = Request {
        id: 0,
        command: Command::Ping,
    };
    let error = decode::<Message>(&frame_of(&ping)).unwrap_err();
    assert_eq!(error, WireError::Sender(b'H'));
    assert!(error.to_string().contains("0x48"));
    let error = decode::<Request>(&frame_of(&report())).unwrap_err();
    assert_eq!(error, WireError::Sender(b'D'));
}

#[test]
fn bytes_that_are_no_frame_are_refused() {
    let refused = |bytes: &[u8], error| {
        assert_eq!(decode::<Message>(bytes), Err(error));
        assert_eq!(decode::<Request>(bytes), Err(error));
    };
    refused(&[], WireError::Frame);
    refused(&[0], WireError::Frame);
    refused(&[1, 0, 0], WireError::Frame);
    refused(&[5, 1], WireError::Frame);
    refused(&[1; MAX_FRAME + 1], WireError::Long);
    refused(&[1; 9], WireError::Checksum);
    refused(&sealed(&[]), WireError::Frame);
    refused(&sealed(&[2]), WireError::Frame);
    refused(&sealed(&[3]), WireError::Version(3));
}

#[test]
fn messages_that_end_early_or_late_are_refused() {
    let ping = [2, b'H', 0, 0];
    assert!(decode::<Request>(&sealed(&ping)).is_ok());
    let refused = |plain: &[u8]| {
        assert_eq!(decode::<Request>(&sealed(plain)), Err(WireError::Message));
    };
    refused(&ping[..3]);
    refused(&ping[..2]);
    refused(&[2, b'H', 0, 0, 0]);
    // There is no tenth command.
    refused(&[2, b'H', 0, 10]);
}

#[test]
fn values_that_no_type_allows_are_refused() {
    let refused = |body: &[u8]| {
        let plain = [&[2, b'H', 0], body].concat();
        assert_eq!(decode::<Request>(&sealed(&plain)), Err(WireError::Message));
    };
    // Thresholds with 3 fraction bits, and of a box of 2.
    refused(&[3, 1, 3, 1]);
    refused(&[3, 1, 4, 2]);
    // A chunk of 513 bytes, and one of 3 that has 2.
    refused(&[&[6, 0, 0x81, 0x04][..], &[1; 513]].concat());
    refused(&[6, 0, 3, 1, 1]);
}

#[test]
fn every_refusal_says_what_to_do_in_one_line() {
    let mut texts: Vec<_> = samples::refusals(77).map(|r| r.to_string()).into();
    assert!(
        texts
            .iter()
            .all(|text| text.len() > 20 && !text.contains('\n'))
    );
    assert!(Refusal::Offset { expected: 77 }.to_string().contains("77"));
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 14);
}

proptest! {
    #[test]
    fn every_damaged_bit_is_noticed(byte: usize, bit in 0..8) {
        let mut frame = frame_of(&report());
        let at = byte % frame.len();
        frame[at] ^= 1_u8 << bit;
        prop_assert!(decode::<Message>(&frame).is_err());
    }

    #[test]
    fn every_truncation_is_noticed(which: usize, length: usize) {
        let longest = samples::longest();
        let frame = frame_of(&longest[which % longest.len()]);
        // Without its closing zero alone it is whole.
        let length = length % (frame.len() - 1);
        prop_assert!(decode::<Message>(&frame[..length]).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..MAX_FRAME + 9)) {
        prop_assert!(decode::<Message>(&bytes).is_err());
        prop_assert!(decode::<Request>(&bytes).is_err());
    }
}
