//! What the golden models find is what was recorded, on every runtime and target.

use std::fs;

use residua_host::data::read_grey;
use residua_tests::{
    golden::{RECORD, folder, load},
    runners::{OnnxRuntime, Runner},
    suite::check_on_targets,
};

#[test]
fn golden_models_find_what_they_found_when_they_were_recorded() {
    let goldens = load().unwrap();
    let subjects: Vec<_> = goldens.iter().map(|golden| golden.subject()).collect();
    let answers = check_on_targets(&subjects);
    let file = folder().join("expected.txt");
    let expected = fs::read_to_string(&file).unwrap();
    let found: String = goldens
        .iter()
        .zip(&answers)
        .map(|(golden, answers)| golden.text(answers))
        .collect();
    let recorded = expected.lines().filter(|line| !line.starts_with('#'));
    for (found, recorded) in found.lines().zip(recorded.clone()) {
        assert_eq!(
            found,
            recorded,
            "{}: if the change is meant, record it by: {RECORD}",
            file.display()
        );
    }
    assert_eq!(found.lines().count(), recorded.count(), "run: {RECORD}");
    for (golden, answers) in goldens.iter().zip(&answers) {
        for ((name, _), answer) in golden.images.iter().zip(answers) {
            let file = golden.mask(name);
            let mask = read_grey(&file).unwrap().pixels;
            assert!(mask == answer.mask, "{}: run: {RECORD}", file.display());
        }
        let manifest = golden.model.manifest();
        let bits = manifest.rule.scale().fraction_bits();
        let images: Vec<_> = golden
            .images
            .iter()
            .map(|(_, i)| i.pixels.clone())
            .collect();
        let runtime = OnnxRuntime.run(golden.model.onnx(), manifest.input, bits, &images);
        for (values, answer) in runtime.unwrap().iter().zip(answers) {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            assert!(
                bytes == answer.reconstruction,
                "{}: onnxruntime",
                golden.name
            );
        }
    }
}

/// Otherwise a path that never finds anything, or always, would pass.
#[test]
fn golden_images_are_good_and_defective() {
    let text = fs::read_to_string(folder().join("expected.txt")).unwrap();
    assert!(text.contains("/good: Good"), "{text}");
    assert!(text.contains("/crack: Defect"), "{text}");
}
