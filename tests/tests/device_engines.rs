//! The device program with each of its engines: the same verdicts, regions and masks.

use std::fs;

use residua_device::{
    config::Config,
    journal::{Cursor, Entry, Journal},
    program,
};
use residua_shared::{
    verdict::Outcome,
    wire::{Message, Reader, Report},
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden");
const IMAGES: [&str; 5] = ["blob", "crack", "good", "noise", "stain"];

/// What the program finds, by its whole way from the image files to the journal.
fn found(model: &str, engine: &str) -> Vec<(Report, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    for name in IMAGES {
        let file = format!("{name}.png");
        let from = format!("{GOLDEN}/{model}/images/{file}");
        fs::copy(from, images.join(file)).unwrap();
    }
    let journal = folder.path().join("journal");
    let config = format!(
        "[model]\nfile = \"{GOLDEN}/{model}/model.onnx\"\nengine = \"{engine}\"\n\
         [source.folder]\npath = {images:?}\nwatch = false\n\
         [journal]\nfolder = {journal:?}\nmegabytes = 1\n"
    );
    program::run(&Config::parse(&config).unwrap()).unwrap();

    let journal = Journal::open(&journal, 1 << 20).unwrap();
    let (mut cursor, mut entry) = (Cursor::default(), Entry::default());
    let mut found = Vec::new();
    while journal.read(&mut cursor, &mut entry).unwrap() {
        let mut reader = Reader::new();
        reader.extend(&entry.verdict, |message| match message {
            Ok(Message::Report(mut report)) => {
                report.time = Default::default();
                found.push((report, entry.mask.clone()));
            }
            other => panic!("{other:?}"),
        });
    }
    found
}

#[test]
fn tract_and_native_decide_alike_in_the_program() {
    for model in ["edge", "edge-small", "edge-tiny"] {
        let native = found(model, "native");
        assert_eq!(native.len(), IMAGES.len());
        let defects = native.iter().filter(|(report, mask)| {
            let defect = report.verdict.outcome == Outcome::Defect;
            assert_eq!(defect, !mask.is_empty());
            defect
        });
        assert!(defects.count() > 0, "{model}");
        assert_eq!(native, found(model, "tract"), "{model}");
    }
}
