//! Masks in chunks return as they were, and chunks are drawn alone.

use proptest::{collection::vec, prelude::*};
use residua_shared::wire::{MASK_SPANS, MaskChunk, MaskChunks, MaskError, Span, spans};

fn chunks(mask: &[u8]) -> Vec<MaskChunk> {
    MaskChunks::new(9, spans(mask)).collect()
}

fn drawn<'c>(pixels: usize, chunks: impl IntoIterator<Item = &'c MaskChunk>) -> Vec<u8> {
    let mut mask = vec![0; pixels];
    for chunk in chunks {
        chunk.draw(&mut mask).unwrap();
    }
    mask
}

#[test]
fn a_clear_mask_is_one_empty_chunk() {
    let chunks = chunks(&[0; 100]);
    assert_eq!(chunks.len(), 1);
    assert!(chunks[0].last && chunks[0].spans.is_empty());
    assert_eq!(drawn(100, &chunks), [0; 100]);
}

#[test]
fn a_chunk_says_where_it_lies() {
    // The most spans that a mask can have.
    let mask: Vec<u8> = (0..4 * MASK_SPANS).map(|i| (i % 2 * 255) as u8).collect();
    let chunks = chunks(&mask);
    assert_eq!(chunks.len(), 2);
    assert_eq!(
        (chunks[0].index, chunks[0].last, chunks[0].start),
        (0, false, 0)
    );
    let start = 2 * MASK_SPANS as u32;
    assert_eq!(
        (chunks[1].index, chunks[1].last, chunks[1].start),
        (1, true, start)
    );
    assert_eq!((chunks[0].part, chunks[1].part), (9, 9));
    // Without the first, the second still draws its own half.
    let half = drawn(mask.len(), &chunks[1..]);
    assert_eq!(half[2 * MASK_SPANS..], mask[2 * MASK_SPANS..]);
    assert!(half[..2 * MASK_SPANS].iter().all(|&pixel| pixel == 0));
}

#[test]
fn a_span_outside_the_image_is_an_error() {
    let chunk = |start, skip, length| MaskChunk {
        part: 0,
        index: 0,
        last: true,
        start,
        spans: [Span { skip, length }].into_iter().collect(),
    };
    let mut mask = [0; 10];
    assert_eq!(chunk(0, 9, 1).draw(&mut mask), Ok(()));
    assert_eq!(chunk(0, 9, 2).draw(&mut mask), Err(MaskError { pixel: 11 }));
    assert_eq!(
        chunk(11, 0, 0).draw(&mut mask),
        Err(MaskError { pixel: 11 })
    );
    let most = chunk(u32::MAX, u32::MAX, u32::MAX).draw(&mut mask);
    assert!(most.unwrap_err().to_string().contains("outside the image"));
}

proptest! {
    #[test]
    fn every_mask_returns(runs in vec((0_u32..40, any::<bool>()), 0..400)) {
        let mask: Vec<u8> = runs
            .iter()
            .flat_map(|&(length, set)| std::iter::repeat_n(if set { 255 } else { 0 }, length as usize))
            .collect();
        let chunks = chunks(&mask);
        prop_assert!(chunks.iter().enumerate().all(|(i, chunk)| chunk.index as usize == i
            && chunk.last == (i + 1 == chunks.len())));
        prop_assert_eq!(drawn(mask.len(), &chunks), mask.clone());
        prop_assert_eq!(drawn(mask.len(), chunks.iter().rev()), mask);
    }
}
