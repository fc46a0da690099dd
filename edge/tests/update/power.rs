//! Power is lost at every single operation, at its start, in its middle and at its end.

use residua_edge::update::Flash;

use crate::{
    flash::Chip,
    models::{in_use, install, model, open},
};

/// Updates to version 3 on a chip with these versions, cutting everywhere.
fn cut_everywhere(before: &[u64]) {
    let chip = Chip::new();
    let mut updater = open(Flash::new(chip.clone()));
    for &version in before {
        install(&mut updater, &model(version)).unwrap();
    }
    let old = before
        .last()
        .map(|&version| (version, model(version).bytes));
    let new = Some((3, model(3).bytes));

    let whole = chip.copy();
    install(&mut open(Flash::new(whole.clone())), &model(3)).unwrap();
    let operations = whole.operations();
    // Four sectors erased, three chunks and the record written.
    assert_eq!(operations, 8);
    for cut in 0..operations {
        for quarters in 0..=4 {
            let chip = chip.copy();
            chip.cut_after(cut, quarters);
            assert!(install(&mut open(Flash::new(chip.clone())), &model(3)).is_err());
            chip.power_on();
            let mut updater = open(Flash::new(chip));
            // Only the record's last byte makes the new model.
            let written = cut + 1 == operations && quarters == 4;
            let expected = if written { &new } else { &old };
            assert_eq!(&in_use(&mut updater), expected, "{cut}, {quarters}/4");
            // What was left behind hinders nothing.
            let version = if written { 4 } else { 3 };
            install(&mut updater, &model(version)).unwrap();
            let newest = Some((version, model(version).bytes));
            assert_eq!(in_use(&mut updater), newest);
        }
    }
}

#[test]
fn the_old_model_runs_or_the_new_one_whole() {
    cut_everywhere(&[1]);
    cut_everywhere(&[1, 2]);
}

#[test]
fn without_an_old_model_there_is_none_or_the_new_one_whole() {
    cut_everywhere(&[]);
}

#[test]
fn power_lost_after_any_chunk_leaves_the_old_model() {
    let chip = Chip::new();
    install(&mut open(Flash::new(chip.clone())), &model(1)).unwrap();
    let new = model(2);
    for sent in 0..=3 {
        let chip = chip.copy();
        let mut updater = open(Flash::new(chip.clone()));
        updater.begin(new.header, new.signature).unwrap();
        for (offset, chunk) in crate::models::chunks(&new.bytes).take(sent) {
            updater.chunk(offset, chunk).unwrap();
        }
        let mut updater = open(Flash::new(chip));
        assert_eq!(in_use(&mut updater), Some((1, model(1).bytes)));
    }
}
