//! What is refused, why, and that the old model runs on.

use residua_edge::update::{Flash, SigningKey, Updater};
use residua_shared::{
    frame::Size,
    manifest::Digest,
    wire::{CHUNK, Refusal},
};

use crate::{
    flash::Chip,
    models::{Model, chunks, in_use, input, install, key, model, open, signed},
};

/// A device that runs version 5.
fn device() -> (Chip, Updater<Flash<Chip>>) {
    let chip = Chip::new();
    let mut updater = open(Flash::new(chip.clone()));
    install(&mut updater, &model(5)).unwrap();
    (chip, updater)
}

fn assert_refused(model: &Model, refusal: Refusal) {
    let (chip, mut updater) = device();
    assert_eq!(install(&mut updater, model), Err(refusal));
    let old = Some((5, crate::models::model(5).bytes));
    assert_eq!(in_use(&mut updater), old);
    assert_eq!(in_use(&mut open(Flash::new(chip))), old);
    // It was given up.
    assert_eq!(updater.chunk(0, &model.bytes[..1]), Err(Refusal::NotBegun));
    assert_eq!(updater.commit(|_, _, _| Ok(())), Err(Refusal::NotBegun));
    install(&mut updater, &crate::models::model(6)).unwrap();
}

#[test]
fn another_ones_signature() {
    let mut stolen = model(6);
    stolen.signature = SigningKey::from_seed(&[8; 32]).sign(&stolen.header);
    assert_refused(&stolen, Refusal::Signature);
}

#[test]
fn a_signature_of_another_header() {
    let mut older_raised = model(4);
    older_raised.header.version = 6;
    assert_refused(&older_raised, Refusal::Signature);
}

#[test]
fn an_older_version_or_the_same() {
    assert_refused(&model(4), Refusal::Version { current: 5 });
    assert_refused(&model(5), Refusal::Version { current: 5 });
}

#[test]
fn the_first_version_is_1() {
    let mut updater = open(Flash::new(Chip::new()));
    let refused = install(&mut updater, &model(0));
    assert_eq!(refused, Err(Refusal::Version { current: 0 }));
    install(&mut updater, &model(1)).unwrap();
}

#[test]
fn another_geometry() {
    let mut wide = model(6).header;
    wide.input = Size::new(65, 48).unwrap();
    let expected = input();
    assert_refused(
        &signed(wide, model(6).bytes),
        Refusal::Geometry { expected },
    );
}

#[test]
fn a_record_of_another_geometry_is_not_in_use() {
    let (chip, _) = device();
    let other = Size::new(65, 48).unwrap();
    let updater = Updater::open(Flash::new(chip.clone()), key(), other).unwrap();
    assert_eq!(updater.active(), None);
    let stranger = SigningKey::from_seed(&[8; 32]).trusted();
    let updater = Updater::open(Flash::new(chip), stranger, input()).unwrap();
    assert_eq!(updater.active(), None);
}

#[test]
fn a_model_that_does_not_fit() {
    let capacity = 6 * CHUNK as u32;
    for length in [0, capacity + 1] {
        let mut header = model(6).header;
        header.length = length;
        let refusal = Refusal::Length { capacity };
        assert_refused(&signed(header, vec![0; 100]), refusal);
    }
    let (_, mut updater) = device();
    let bytes = vec![3; capacity as usize];
    let mut header = model(6).header;
    header.length = capacity;
    header.digest = Digest(<sha2::Sha256 as sha2::Digest>::digest(&bytes).into());
    install(&mut updater, &signed(header, bytes)).unwrap();
}

#[test]
fn bytes_that_are_not_the_ones_signed() {
    let mut wrong = model(6);
    wrong.bytes[1000] ^= 1;
    assert_refused(&wrong, Refusal::Digest);
}

#[test]
fn a_model_that_the_device_cannot_run() {
    let (_, mut updater) = device();
    let new = model(6);
    updater.begin(new.header, new.signature).unwrap();
    for (offset, chunk) in chunks(&new.bytes) {
        updater.chunk(offset, chunk).unwrap();
    }
    let refused = updater.commit(|slots, slot, header| {
        // What the device would load is what was sent.
        let stored = crate::models::stored(slots, slot, header.length);
        assert_eq!(stored, new.bytes);
        Err(Refusal::Invalid)
    });
    assert_eq!(refused, Err(Refusal::Invalid));
    assert_eq!(in_use(&mut updater).unwrap().0, 5);
}

#[test]
fn chunks_out_of_order_torn_twice_or_missing() {
    let (_, mut updater) = device();
    let new = model(6);
    assert_eq!(
        updater.chunk(0, &new.bytes[..CHUNK]),
        Err(Refusal::NotBegun)
    );
    updater.begin(new.header, new.signature).unwrap();
    let wrong = |updater: &mut Updater<_>, expected| {
        let refusal = Err(Refusal::Offset { expected });
        for (offset, chunk) in chunks(&new.bytes).filter(|&(offset, _)| offset != expected) {
            assert_eq!(updater.chunk(offset, chunk), refusal);
        }
        let at = expected as usize;
        let rest = &new.bytes[at..];
        let full = rest.len().min(CHUNK);
        assert_eq!(updater.chunk(expected, &rest[..0]), refusal);
        assert_eq!(updater.chunk(expected, &rest[..full - 1]), refusal);
        let long = [&rest[..full], &[0]].concat();
        assert_eq!(updater.chunk(expected, &long), refusal);
        assert_eq!(updater.commit(|_, _, _| Ok(())).map(|_| ()), refusal);
    };
    for (offset, chunk) in chunks(&new.bytes) {
        wrong(&mut updater, offset);
        updater.chunk(offset, chunk).unwrap();
    }
    // None of it spoiled anything.
    updater.commit(|_, _, _| Ok(())).unwrap();
    assert_eq!(in_use(&mut updater), Some((6, new.bytes)));
}

#[test]
fn a_new_begin_gives_up_the_one_before() {
    let (_, mut updater) = device();
    let (first, second) = (model(6), model(7));
    updater.begin(first.header, first.signature).unwrap();
    updater.chunk(0, &first.bytes[..CHUNK]).unwrap();
    install(&mut updater, &second).unwrap();
    assert_eq!(in_use(&mut updater), Some((7, second.bytes)));

    updater.begin(model(8).header, model(8).signature).unwrap();
    // Refused, and the other is given up nevertheless.
    assert!(updater.begin(first.header, first.signature).is_err());
    assert_eq!(updater.commit(|_, _, _| Ok(())), Err(Refusal::NotBegun));
}

#[test]
fn a_store_that_fails() {
    for operations in 0..8 {
        let (chip, mut updater) = device();
        chip.cut_after(operations, 2);
        assert_eq!(install(&mut updater, &model(6)), Err(Refusal::Storage));
        assert_eq!(in_use(&mut updater).unwrap().0, 5);
    }
}
