//! What must be replied to a case, by the scalar reference, and where a reply first differs.

use residua_runner::{
    case::Engine,
    inspect::{Storage, run},
};
use residua_shared::{
    frame::{Frame, Size},
    onnx,
    reference::{
        columns,
        map::map,
        mask,
        reconstruction::reconstruct,
        regions::{max_regions, regions},
        residual::residual,
        roughness::{deviations, weigh},
        verdict::verdict,
    },
    rule::DecisionRule,
    verdict::{Outcome, Region},
    wire::{MAX_FRAME, MAX_REGIONS, Message, Report, Time, encode},
};

use crate::targets::{Answer, Case, Reply};

/// The reconstruction of each image.
pub fn reconstructions(case: &Case) -> Result<Vec<Vec<i32>>, String> {
    let area = case.input.area();
    let file = match &case.engine {
        Engine::Given(values) => {
            let values = values.chunks_exact(4 * area);
            return Ok(values
                .map(|values| integers(values, i32::from_le_bytes))
                .collect());
        }
        Engine::Reference(file)
        | Engine::Native(file, _)
        | Engine::NativeTwice(file, ..)
        | Engine::Tract(file)
        | Engine::TractLayers(file) => file,
        Engine::Row(..) => return Err("a row alone has no reconstruction".into()),
    };
    let net = onnx::read(file, case.rule.scale().fraction_bits());
    let net = net.map_err(|error| error.to_string())?;
    let mut scratch = vec![0; net.scratch_len()];
    let images = case.images.chunks_exact(area);
    images
        .map(|image| {
            let frame = Frame::new(case.input, image).map_err(|error| error.to_string())?;
            let mut values = vec![0; area];
            reconstruct(&net, frame, &mut scratch, &mut values)
                .map_err(|error| error.to_string())?;
            Ok(values)
        })
        .collect()
}

/// The answer to each image.
pub fn answers(case: &Case) -> Result<Vec<Answer>, String> {
    let reconstructions = reconstructions(case)?;
    let images = case.images.chunks_exact(case.input.area());
    let all = (case.first..).zip(images.zip(&reconstructions));
    all.map(|(number, (image, values))| answer(case, number, image, values))
        .collect()
}

/// The anomaly map by the reference.
pub fn anomaly_map(rule: DecisionRule, size: Size, image: &[u8], values: &[i32]) -> Vec<u32> {
    let area = size.area();
    let (mut differences, mut deviant, mut sums) = (vec![0; area], vec![0; area], vec![0; area]);
    let frame = Frame::new(size, image).expect("images have the case's size");
    let scale = rule.scale();
    residual(frame, scale, values, &mut differences)
        .and_then(|()| columns::weigh(size, rule.columns(), scale, &mut differences))
        .and_then(|()| map(size, &differences, rule.comparison(), scale, &mut sums))
        .and_then(|()| deviations(size, values, scale, &mut deviant))
        .and_then(|()| weigh(size, &deviant, scale, &mut sums))
        .expect("buffers of the image's size");
    sums
}

fn answer(case: &Case, number: u32, image: &[u8], values: &[i32]) -> Result<Answer, String> {
    let (size, rule) = (case.input, case.rule);
    let sums = anomaly_map(rule, size, image, values);
    let area = size.area();
    let mut suspect = vec![0; area];
    let (mut labels, mut stack) = (vec![0; area], vec![0; area]);
    let nothing = Region {
        left: 0,
        top: 0,
        right: 0,
        bottom: 0,
        area: 0,
        peak: 0,
    };
    let mut suspects = vec![nothing; max_regions(size)];
    let mut defects = vec![0; area];
    mask::suspects(rule, &sums, &mut suspect)
        .and_then(|()| {
            regions(
                size,
                &suspect,
                &sums,
                &mut labels,
                &mut stack,
                &mut suspects,
            )
        })
        .and_then(|count| {
            suspects.truncate(count);
            mask::defects(rule, &labels, &suspects, &mut defects)
        })
        .map_err(|error| error.to_string())?;
    let expected = Answer {
        reconstruction: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        map: sums.iter().flat_map(|v| v.to_le_bytes()).collect(),
        mask: defects,
        verdict: verdict(rule, &suspects),
        frame: frame(case, number, &suspects)?,
        suspects,
    };
    let (runs, openings) = table_entries(size, &suspect);
    if runs <= case.runs as usize && openings <= case.regions as usize {
        return Ok(expected);
    }
    overflowed(
        case,
        number,
        image,
        Answer {
            mask: suspect,
            ..expected
        },
    )
}

/// Which regions a table that is too small still holds is the device's affair, so that they are
/// taken from this machine's own; that it must be a defect, and all of its suspect pixels in the
/// mask, is not.
fn overflowed(case: &Case, number: u32, image: &[u8], expected: Answer) -> Result<Answer, String> {
    let given = Case {
        engine: Engine::Given(expected.reconstruction.clone()),
        images: image.to_vec(),
        first: number,
        ..case.clone()
    };
    let Some(Reply::Inspected(here)) = here(&given).pop() else {
        return Err("no answer here".into());
    };
    if !here.verdict.overflow || here.verdict.outcome != Outcome::Defect {
        return Err(format!(
            "image {number} overflows the tables, but here: {:?}",
            here.verdict
        ));
    }
    Ok(Answer {
        suspects: here.suspects,
        verdict: here.verdict,
        frame: here.frame,
        ..expected
    })
}

fn frame(case: &Case, number: u32, suspects: &[Region]) -> Result<Vec<u8>, String> {
    let rule = case.rule;
    let counting = suspects.iter().filter(|r| rule.counts(r.area, r.peak));
    let report = Message::Report(Report {
        part: number.into(),
        time: Time::default(),
        verdict: verdict(rule, suspects),
        threshold: rule.image_threshold(),
        regions: counting.copied().take(MAX_REGIONS).collect(),
    });
    let mut buffer = [0; MAX_FRAME];
    let frame = encode(&report, &mut buffer).map_err(|error| error.to_string())?;
    Ok(frame.to_vec())
}

/// Runs of suspect pixels, and those of them that touch none of the row above: the entries that
/// the two tables need.
fn table_entries(size: Size, suspect: &[u8]) -> (usize, usize) {
    let (width, height) = (size.width(), size.height());
    let is = |x: usize, y: usize| suspect[y * width + x] != 0;
    let (mut runs, mut openings) = (0, 0);
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let start = x;
            while x < width && is(x, y) {
                x += 1;
            }
            if x > start {
                let around = start.saturating_sub(1)..=x.min(width - 1);
                runs += 1;
                openings += usize::from(y == 0 || !around.clone().any(|x| is(x, y - 1)));
            }
            x += 1;
        }
    }
    (runs, openings)
}

/// The replies of the runner on this very machine, in this process.
pub fn here(case: &Case) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut storage = Storage::default();
    run(&case.borrowed(), &mut storage.memory(), &mut |bytes| {
        replies.push(postcard::from_bytes(bytes).expect("a reply as it was written"));
    });
    replies
}

/// The first difference of an answer, in the order of the path; `None` where all is equal.
pub fn difference(size: Size, found: &Answer, expected: &Answer) -> Option<Difference> {
    let at = |what, found: &[i64], expected: &[i64]| {
        let index = found.iter().zip(expected).position(|(a, b)| a != b)?;
        let (x, y) = (index % size.width(), index / size.width());
        let (found, expected) = (found[index], expected[index]);
        Some(Difference {
            reconstruction: what == "reconstruction",
            text: format!("{what} at x {x}, y {y}: {found} instead of {expected}"),
        })
    };
    let signed = |bytes: &[u8]| integers(bytes, |b| i64::from(i32::from_le_bytes(b)));
    let unsigned = |bytes: &[u8]| integers(bytes, |b| i64::from(u32::from_le_bytes(b)));
    let bytes = |bytes: &[u8]| bytes.iter().map(|&b| b.into()).collect::<Vec<i64>>();
    let whole = |what, equal: bool, values: String| {
        (!equal).then(|| Difference {
            reconstruction: false,
            text: format!("{what}: {values}"),
        })
    };
    at(
        "reconstruction",
        &signed(&found.reconstruction),
        &signed(&expected.reconstruction),
    )
    .or_else(|| at("map", &unsigned(&found.map), &unsigned(&expected.map)))
    .or_else(|| {
        let pairs = found.suspects.iter().zip(&expected.suspects);
        let first = pairs.take_while(|(a, b)| a == b).count();
        let (a, b) = (found.suspects.get(first), expected.suspects.get(first));
        let values = format!("{a:?} instead of {b:?}");
        whole(format!("suspect region {first}"), a == b, values)
    })
    .or_else(|| {
        let values = format!("{:?} instead of {:?}", found.verdict, expected.verdict);
        whole("verdict".into(), found.verdict == expected.verdict, values)
    })
    .or_else(|| at("mask", &bytes(&found.mask), &bytes(&expected.mask)))
    .or_else(|| {
        let values = format!("{:?} instead of {:?}", found.frame, expected.frame);
        whole("wire frame".into(), found.frame == expected.frame, values)
    })
    // Lengths, which the comparisons of elements leave out.
    .or_else(|| whole("answer".into(), found == expected, "lengths differ".into()))
}

/// Where a target leaves the judge.
#[derive(Debug)]
pub struct Difference {
    /// In the reconstruction already: a layer of the network is to blame.
    pub reconstruction: bool,
    /// The place and both values.
    pub text: String,
}

fn integers<T>(bytes: &[u8], of: impl Fn([u8; 4]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks();
    chunks.iter().map(|&chunk| of(chunk)).collect()
}
