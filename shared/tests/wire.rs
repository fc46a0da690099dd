//! Frames byte by byte in both directions, at their largest, and damaged. The literal frames were
//! computed apart from this code (COBS by its definition, the checksum by zlib's crc32).

use std::num::NonZeroU8;

use heapless::{String, Vec};
use proptest::{collection::vec, prelude::*};
use residua_shared::{
    frame::Size,
    manifest::Digest,
    rule::{MAX_ROUGHNESS, MapScale, Threshold},
    verdict::{Outcome, Region, Verdict},
    wire::{
        Fault, FaultKind, Hello, MAX_FRAME, MAX_REGIONS, Message, Report, WireError, decode, encode,
    },
};

fn text<const N: usize>(text: &str) -> String<N> {
    text.try_into().unwrap()
}

fn report() -> Message {
    Message::Report(Report {
        part: 7,
        verdict: Verdict {
            outcome: Outcome::Defect,
            score: 300,
            regions: 1,
            overflow: false,
        },
        threshold: Threshold {
            raw: 128,
            scale: MapScale::new(8, 5).unwrap(),
        },
        regions: [Region {
            left: 0,
            top: 127,
            right: 128,
            bottom: 8191,
            area: 1,
            peak: u32::MAX,
        }]
        .into_iter()
        .collect(),
    })
}

/// Checks a message against the literal bytes of its frame, in both directions.
fn check(message: Message, frame: &[u8]) {
    let mut buffer = [0xaa; MAX_FRAME];
    assert_eq!(encode(&message, &mut buffer).unwrap(), frame);
    assert_eq!(decode(frame).unwrap(), message);
    assert_eq!(decode(&frame[..frame.len() - 1]).unwrap(), message);
}

#[test]
fn hello_byte_by_byte() {
    let hello = Hello {
        model: Digest([0xd1; 32]),
        input: Size::new(512, 300).unwrap(),
        name: text("rail"),
    };
    let mut frame = std::vec![0x02, 0x01, 0x2e];
    frame.extend([0xd1; 32]);
    frame.extend([
        0x80, 0x04, 0xac, 0x02, 0x04, 0x72, 0x61, 0x69, 0x6c, 0x58, 0x5d, 0x05, 0x10, 0x00,
    ]);
    check(Message::Hello(hello), &frame);
}

#[test]
fn report_byte_by_byte() {
    check(
        report(),
        &[
            0x08, 0x01, 0x01, 0x07, 0x01, 0xac, 0x02, 0x01, 0x05, 0x80, 0x01, 0x08, 0x05, 0x01,
            0x02, 0x01, 0x10, 0x7f, 0x80, 0x01, 0xff, 0x3f, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f,
            0xf9, 0x6b, 0xe6, 0xd6, 0x00,
        ],
    );
}

#[test]
fn fault_byte_by_byte() {
    let fault = Fault {
        part: Some(u64::MAX),
        kind: FaultKind::Image,
        detail: text("camera: dark"),
    };
    check(
        Message::Fault(fault),
        &[
            0x20, 0x01, 0x02, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            0x01, 0x0c, 0x63, 0x61, 0x6d, 0x65, 0x72, 0x61, 0x3a, 0x20, 0x64, 0x61, 0x72, 0x6b,
            0x33, 0x7d, 0xcb, 0xba, 0x00,
        ],
    );
}

/// Every integer in its longest encoding.
fn longest() -> Message {
    let region = Region {
        left: u16::MAX,
        top: u16::MAX,
        right: u16::MAX,
        bottom: u16::MAX,
        area: u32::MAX,
        peak: u32::MAX,
    };
    Message::Report(Report {
        part: u64::MAX,
        verdict: Verdict {
            outcome: Outcome::Defect,
            score: u32::MAX,
            regions: u32::MAX,
            overflow: true,
        },
        threshold: Threshold {
            raw: u32::MAX,
            scale: MapScale::new(12, 31)
                .unwrap()
                .on(NonZeroU8::new(255))
                .weighed_by(NonZeroU8::new(MAX_ROUGHNESS))
                .unwrap(),
        },
        regions: Vec::from_iter([region; MAX_REGIONS]),
    })
}

#[test]
fn the_longest_frame_is_exactly_as_long_as_stated() {
    let mut buffer = [0; MAX_FRAME];
    let length = encode(&longest(), &mut buffer).unwrap().len();
    assert_eq!(length, MAX_FRAME);
    assert_eq!(decode(&buffer).unwrap(), longest());
}

#[test]
fn a_buffer_that_is_too_short_is_an_error() {
    for message in [report(), longest()] {
        let mut buffer = [0; MAX_FRAME];
        let length = encode(&message, &mut buffer).unwrap().len();
        for short in 0..length {
            assert_eq!(
                encode(&message, &mut buffer[..short]),
                Err(WireError::Buffer)
            );
        }
        assert!(encode(&message, &mut buffer[..length]).is_ok());
    }
}

#[test]
fn another_version_is_refused_by_name() {
    let frame = [0x08, 0x02, 0x09, 0x09, 0x91, 0x0e, 0xdb, 0x54, 0x00];
    let error = decode(&frame).unwrap_err();
    assert_eq!(error, WireError::Version(2));
    assert!(error.to_string().contains("version 2"));
}

#[test]
fn bytes_that_are_no_frame_are_refused() {
    assert_eq!(decode(&[]), Err(WireError::Frame));
    assert_eq!(decode(&[0]), Err(WireError::Frame));
    assert_eq!(decode(&[1, 0, 0]), Err(WireError::Frame));
    assert_eq!(decode(&[5, 1]), Err(WireError::Frame));
    assert_eq!(decode(&[1; MAX_FRAME + 1]), Err(WireError::Long));
    assert_eq!(decode(&[1; 9]), Err(WireError::Checksum));
}

proptest! {
    #[test]
    fn every_damaged_bit_is_noticed(byte in 0_usize..30, bit in 0..8) {
        let mut buffer = [0; MAX_FRAME];
        let length = encode(&report(), &mut buffer).unwrap().len();
        buffer[byte % length] ^= 1_u8 << bit;
        prop_assert!(decode(&buffer[..length]).is_err());
    }

    #[test]
    fn every_truncation_is_noticed(length in 0_usize..MAX_FRAME - 1) {
        let mut buffer = [0; MAX_FRAME];
        encode(&longest(), &mut buffer).unwrap();
        prop_assert!(decode(&buffer[..length]).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..500)) {
        let _ = decode(&bytes);
    }

    /// Behind an intact checksum: the message's own decoding gets the bytes.
    #[test]
    fn no_message_makes_it_panic(message in vec(any::<u8>(), 0..80)) {
        let mut plain = std::vec![1];
        plain.extend(message);
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&plain);
        plain.extend(checksum.to_le_bytes());
        let mut frame = [0; 200];
        let length = cobs::encode(&plain, &mut frame);
        match decode(&frame[..length]) {
            Ok(message) => {
                let mut buffer = [0; MAX_FRAME];
                prop_assert!(encode(&message, &mut buffer).is_ok());
            }
            Err(error) => prop_assert_eq!(error, WireError::Message),
        }
    }
}
