//! Frames of rows: their bytes, whatever a line does to them, and the order of strips.

use proptest::prelude::*;
use residua_edge::rows::{Order, OrderError, Piece, RowError, decode, encode, max_frame};

#[test]
fn frames_have_these_bytes() {
    let row = Piece::Row {
        number: 258,
        pixels: &[7, 0, 9],
    };
    let mut buffer = [0; max_frame(3)];
    let frame = encode(row, &mut buffer).unwrap();
    assert_eq!(frame[..4], [4, b'R', 2, 1]);
    assert_eq!(frame[4..6], [1, 2]);
    assert_eq!(frame.last(), Some(&0));
    let mut frame = frame[..frame.len() - 1].to_vec();
    assert_eq!(decode(&mut frame), Ok(row));

    let end = Piece::End { rows: 80 };
    let mut buffer = [0; max_frame(0)];
    let mut frame = encode(end, &mut buffer).unwrap().to_vec();
    frame.pop();
    assert_eq!(decode(&mut frame), Ok(end));
    assert_eq!(encode(row, &mut [0; 8]), Err(RowError::Buffer));
}

proptest! {
    #[test]
    fn rows_arrive_as_they_were(number: u32, pixels in prop::collection::vec(any::<u8>(), 0..600)) {
        let row = Piece::Row { number, pixels: &pixels };
        let mut buffer = vec![1; max_frame(pixels.len())];
        let mut frame = encode(row, &mut buffer).unwrap().to_vec();
        prop_assert_eq!(frame.pop(), Some(0));
        prop_assert!(!frame.contains(&0));
        prop_assert_eq!(decode(&mut frame), Ok(row));
    }

    #[test]
    fn one_wrong_byte_is_noticed(
        pixels in prop::collection::vec(any::<u8>(), 160),
        at: prop::sample::Index,
        wrong in 1..=255_u8,
    ) {
        let row = Piece::Row { number: 5, pixels: &pixels };
        let mut buffer = vec![0; max_frame(160)];
        let mut frame = encode(row, &mut buffer).unwrap().to_vec();
        frame.pop();
        let at = at.index(frame.len());
        frame[at] ^= wrong;
        prop_assert_eq!(decode(&mut frame), Err(RowError::Damaged));
    }

    #[test]
    fn any_bytes_are_read_without_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&mut bytes);
    }
}

#[test]
fn a_strip_is_whole_or_refused() {
    let pixels = [0; 4];
    let row = |number| Piece::Row {
        number,
        pixels: &pixels,
    };
    let mut order = Order::new(4);
    for piece in [row(0), row(1), Piece::End { rows: 2 }, row(0)] {
        order.take(piece).unwrap();
    }
    let lost = |found, expected| Err(OrderError::Rows { found, expected });
    assert_eq!(order.take(row(2)), lost(2, 1));
    assert_eq!(order.take(row(0)), lost(0, 1));
    assert_eq!(order.take(Piece::End { rows: 2 }), lost(2, 1));
    let narrow = Piece::Row {
        number: 1,
        pixels: &pixels[1..],
    };
    let width = OrderError::Width {
        found: 3,
        expected: 4,
    };
    assert_eq!(order.take(narrow), Err(width));
}
