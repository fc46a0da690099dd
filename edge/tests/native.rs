//! The native engine on a small network: by rows, in bands and on a strip, as the reference. Small
//! enough for `cargo xtask miri`; the parity suite has the large ones.

mod common;
mod small_net;

use std::num::NonZeroU32;

use common::{ample, by_edge, by_reference};
use residua_edge::{
    engine::{
        Engine,
        native::{Native, Plan, kernel},
    },
    strip::{OpenRegion, OpenRun, Strip, StripBuffers, StripRegion},
};
use residua_shared::{
    frame::{Frame, Size},
    net::Net,
    reference::reconstruction::reconstruct,
    rule::{Comparison, DecisionRule, MapScale},
    verdict::Outcome,
};
use small_net::net;

/// A pattern with a dark square in it.
fn image(size: Size) -> Vec<u8> {
    let dark = |x: usize, y: usize| (4..8).contains(&x) && (2..6).contains(&y);
    let pixel = |n: usize| {
        let (x, y) = (n % size.width(), n / size.width());
        if dark(x, y) {
            9
        } else {
            (x * x + 7 * y) as u8 | 128
        }
    };
    (0..size.area()).map(pixel).collect()
}

fn expected(net: &Net<'_>, size: Size, image: &[u8]) -> Vec<i32> {
    let mut scratch = vec![0; net.scratch_len()];
    let mut output = vec![0; size.area()];
    let frame = Frame::new(size, image).unwrap();
    reconstruct(net, frame, &mut scratch, &mut output).unwrap();
    output
}

fn reconstructed(mut engine: impl Engine, image: &[u8]) -> Vec<i32> {
    let frame = Frame::new(engine.input(), image).unwrap();
    let mut output = vec![0x7777; image.len()];
    // Twice: nothing of a frame may be left for the next.
    for _ in 0..2 {
        engine.reconstruct(frame, &mut output).unwrap();
    }
    output
}

fn engine(net: &Net<'_>, size: Size, kernel: &'static dyn kernel::Kernel) -> Native<Vec<u8>> {
    let plan = Plan::new(net).unwrap();
    // Rubbish, which must not matter.
    let weights = vec![0x5a; plan.weights_len(kernel)];
    let arena = vec![0xa5; plan.arena_len()];
    Native::new(net, size, kernel, weights, arena).unwrap()
}

#[test]
fn every_kernel_equals_the_reference() {
    for (width, height) in [(12, 10), (2, 2), (1, 3), (17, 5)] {
        let size = Size::new(width, height).unwrap();
        let net = net(size.padded_to(2).unwrap());
        let image = image(size);
        let expected = expected(&net, size, &image);
        for kernel in kernel::all() {
            let found = reconstructed(engine(&net, size, kernel), &image);
            assert_eq!(found, expected, "{}, {size}", kernel.name());
        }
    }
}

#[cfg(feature = "std")]
#[test]
fn bands_equal_the_reference() {
    let size = Size::new(10, 16).unwrap();
    let (net, image) = (net(size), image(size));
    let expected = expected(&net, size, &image);
    for count in [1, 2, 4] {
        let bands =
            residua_edge::engine::bands::Bands::new(&net, size, kernel::best(), count).unwrap();
        assert_eq!(bands.count(), count);
        assert_eq!(reconstructed(bands, &image), expected, "{count} bands");
    }
}

/// A strip that is one window gets the verdict of a frame; in several windows its regions and its
/// highest score are the same.
#[test]
fn a_strip_decides_as_a_frame() {
    let size = Size::new(12, 18).unwrap();
    let (net, image) = (net(size), image(size));
    let scale = MapScale::new(4, 3).unwrap();
    let reconstruction = expected(&net, size, &image);
    let frame = Frame::new(size, &image).unwrap();
    let at =
        |pixel, counts| DecisionRule::new(Comparison::Absolute, scale, pixel, 2, counts).unwrap();
    let all = by_edge(at(0, 0), frame, &reconstruction, ample(size, at(0, 0)));
    let mut values = all.map.clone();
    values.sort_unstable();
    let rule = at(values[values.len() * 3 / 4], values[values.len() * 7 / 8]);
    let whole = by_edge(rule, frame, &reconstruction, ample(size, rule));
    assert_eq!(whole, by_reference(rule, frame, &reconstruction));
    assert_eq!(whole.verdict.outcome, Outcome::Defect);

    let windows = |height: u32| {
        let plan = Plan::new(&net).unwrap();
        let lengths = StripBuffers::len_for(size.width(), rule, &plan);
        let buffers = StripBuffers {
            image: &mut vec![0; lengths.image],
            reconstruction: &mut vec![0; lengths.reconstruction],
            residual: &mut vec![0; lengths.residual],
            filter: &mut vec![7; lengths.filter],
            runs: &mut vec![OpenRun::EMPTY; lengths.runs],
            regions: &mut vec![OpenRegion::EMPTY; lengths.regions],
            ended: &mut vec![StripRegion::EMPTY; 30],
            mask_runs: &mut [],
            mask_regions: &mut [],
        };
        let height = NonZeroU32::new(height).unwrap();
        let engine = engine(&net, size, &kernel::scalar::Scalar);
        let mut strip = Strip::new(engine, rule, height, buffers).unwrap();
        let mut verdicts = Vec::new();
        for row in image.chunks_exact(size.width()) {
            verdicts.extend(strip.push_row(row).unwrap().map(|window| window.verdict));
        }
        while let Some(window) = strip.finish().unwrap() {
            verdicts.push(window.verdict);
        }
        verdicts
    };
    assert_eq!(windows(18), [whole.verdict]);
    let each = windows(5);
    assert_eq!(each.len(), 4);
    assert!(
        each.iter()
            .any(|verdict| verdict.outcome == Outcome::Defect)
    );
    let score = each.iter().map(|verdict| verdict.score).max();
    assert_eq!(score, Some(whole.verdict.score));
    let regions: u32 = each.iter().map(|verdict| verdict.regions).sum();
    assert_eq!(regions, whole.verdict.regions);
}
