//! A mismatch is found wherever it is, and its message says where; a target that cannot run says
//! what to do.

use std::slice;

use residua_edge::regions::{max_regions, max_runs};
use residua_runner::case::Engine;
use residua_shared::{
    frame::Size,
    rule::{Comparison, DecisionRule, MapScale},
};
use residua_tests::{
    judge::{self, difference},
    layers::first_apart,
    onnx_writer::onnx,
    random_net::RandomNet,
    targets::{AARCH64, Answer, Case, Target},
};

/// A frame of 3 x 2 with one bright pixel at x 1, y 1.
fn case() -> Case {
    let input = Size::new(3, 2).unwrap();
    let scale = MapScale::new(4, 1).unwrap();
    Case {
        engine: Engine::Given(vec![0; 4 * 6]),
        input,
        rule: DecisionRule::new(Comparison::Absolute, scale, 16, 1, 16).unwrap(),
        runs: max_runs(input) as u32,
        regions: max_regions(input) as u32,
        images: vec![0, 0, 0, 0, 9, 0],
        first: 0,
        repetitions: 1,
    }
}

#[test]
fn every_part_of_an_answer_is_compared() {
    let case = case();
    let right = judge::answers(&case).unwrap().remove(0);
    assert!(difference(case.input, &right, &right).is_none());
    let tampered = |change: fn(&mut Answer), expected: &str| {
        let mut wrong = right.clone();
        change(&mut wrong);
        let found = difference(case.input, &wrong, &right).unwrap();
        assert!(found.text.contains(expected), "{}", found.text);
        assert_eq!(found.reconstruction, expected.starts_with("reconstruction"));
    };
    let at = "reconstruction at x 2, y 1: 256 instead of 0";
    tampered(|answer| answer.reconstruction[21] = 1, at);
    tampered(
        |answer| answer.map[16] = 145,
        "map at x 1, y 1: 145 instead of 144",
    );
    tampered(
        |answer| answer.suspects[0].area = 2,
        "suspect region 0: Some(Region",
    );
    tampered(
        |answer| answer.suspects.clear(),
        "suspect region 0: None instead of Some",
    );
    tampered(|answer| answer.verdict.score += 1, "verdict: ");
    tampered(
        |answer| answer.mask[4] = 0,
        "mask at x 1, y 1: 0 instead of 255",
    );
    tampered(|answer| answer.frame[3] ^= 1, "wire frame: ");
    tampered(|answer| answer.mask.push(0), "lengths differ");
}

#[test]
fn the_layer_that_goes_astray_is_named() {
    let net = (0..)
        .map(RandomNet::new)
        .find(|net| net.layers.len() > 3)
        .unwrap();
    let (file, image) = (onnx(&net), net.images().swap_remove(2));
    let message = |astray: usize| {
        let layers = std::cell::Cell::new(0);
        let tract = |file: &[u8], graph, image: &[u8]| {
            let mut right = residua_runner::layers::activations(file, graph, image).unwrap();
            let layer = layers.replace(layers.get() + 1);
            right[0] ^= u8::from(layer == astray);
            Ok(right)
        };
        first_apart(&file, net.fraction_bits, net.input, &image, &tract).unwrap()
    };
    let second = message(1);
    assert!(second.contains("first in layer 1 ("), "{second}");
    assert!(second.contains("channel 0, x 0, y 0 is"), "{second}");
    assert_eq!(message(usize::MAX), "every layer but the last is equal");
}

#[test]
fn a_target_without_its_program_says_how_to_get_it() {
    let target = Target {
        variable: "RESIDUA_NO_SUCH_RUNNER",
        ..AARCH64
    };
    let error = target.run(slice::from_ref(&case())).unwrap_err();
    assert!(
        error.starts_with("RESIDUA_NO_SUCH_RUNNER is not set: "),
        "{error}"
    );
    assert!(error.contains("`cargo xtask test`"), "{error}");
}
