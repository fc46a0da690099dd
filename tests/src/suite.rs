//! Cases through the whole inspection path, on this machine and on every ARM target.

use std::thread;

use residua_edge::engine::native::kernel;
use residua_runner::{case::Engine, layers::activations};
use residua_shared::{
    frame::Size,
    onnx,
    rule::{Comparison, DecisionRule, MapScale},
};

use crate::{
    judge::{self, difference},
    layers::first_apart,
    targets::{Answer, Case, Reply, TARGETS, Target},
};

/// Multiply-accumulates up to which the scalar reference runs on a target as well: it is slow there,
/// and above this a microcontroller is given the judge's reconstruction.
const REFERENCE_MACS: u64 = 4_000_000;
/// The same for the native engine's scalar kernel.
const SCALAR_MACS: u64 = 1_000_000_000;

/// A case with a name.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What it is called in messages.
    pub name: String,
    /// The command that runs it alone.
    pub rerun: String,
    /// The case. [`Engine::Tract`] stands for all engines that can run the file.
    pub case: Case,
}

/// Where cases run.
#[derive(Clone, Copy)]
enum Place {
    Here,
    Target(&'static Target),
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Here => "this machine",
            Self::Target(target) => target.name,
        }
    }

    fn run(self, cases: &[Case]) -> Result<Vec<Vec<Reply>>, String> {
        match self {
            Self::Here => Ok(cases.iter().map(judge::here).collect()),
            Self::Target(target) => target.run(cases),
        }
    }

    /// How many kernels of the native engine this place can run.
    fn kernels(self) -> u8 {
        match self {
            Self::Here => kernel::all().len() as u8,
            Self::Target(target) => target.kernels,
        }
    }

    /// The case as this place can run it: by every kernel of the native engine, by tract, and by
    /// the reference or, where that would take too long, with the judge's reconstructions.
    fn cases(self, case: &Case, judged: &[Answer]) -> Vec<Case> {
        let Engine::Tract(file) = &case.engine else {
            return self.parts(case.clone());
        };
        let with = |engine| Case {
            engine,
            ..case.clone()
        };
        let macs = onnx::read(file, case.rule.scale().fraction_bits()).map_or(0, |net| net.macs());
        let macs = macs * judged.len() as u64;
        let small = macs <= REFERENCE_MACS;
        let reference = small.then(|| with(Engine::Reference(file.clone())));
        let given = judged.iter().flat_map(|answer| &answer.reconstruction);
        let given = || with(Engine::Given(given.copied().collect()));
        let tract = match self {
            Self::Target(Target { bare: true, .. }) => None,
            _ => Some(case.clone()),
        };
        let quick = |&kernel: &u8| kernel > 0 || macs <= SCALAR_MACS;
        let native = (0..self.kernels()).filter(quick);
        let native = native.map(|kernel| with(Engine::Native(file.clone(), kernel)));
        native
            .chain(tract)
            .chain([reference.unwrap_or_else(given)])
            .flat_map(|case| self.parts(case))
            .collect()
    }

    /// The case whole, or image by image where memory is small.
    fn parts(self, case: Case) -> Vec<Case> {
        if !matches!(self, Self::Target(Target { bare: true, .. })) {
            return vec![case];
        }
        let area = case.input.area();
        let images = (0_u32..).zip(case.images.chunks_exact(area));
        let part = |(number, image): (u32, &[u8])| Case {
            engine: match &case.engine {
                Engine::Given(values) => {
                    let start = number as usize * 4 * area;
                    Engine::Given(values[start..][..4 * area].to_vec())
                }
                engine => engine.clone(),
            },
            images: image.to_vec(),
            first: case.first + number,
            ..case.clone()
        };
        images.map(part).collect()
    }
}

/// Runs all subjects in every place and compares every answer with the judge's, which it returns.
///
/// # Panics
/// With the first mismatch of each place.
pub fn check_on_targets(subjects: &[Subject]) -> Vec<Vec<Answer>> {
    let judged = judge_all(subjects);
    let places = TARGETS.map(Place::Target);
    let places = [Place::Here].into_iter().chain(places);
    let complaints: Vec<String> = thread::scope(|scope| {
        let check = |place| {
            let judged = &judged;
            scope.spawn(move || check_in(place, subjects, judged).err())
        };
        let threads: Vec<_> = places.map(check).collect();
        let ended = threads.into_iter();
        ended
            .filter_map(|t| t.join().expect("no panic in there"))
            .collect()
    });
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    judged
}

fn judge_all(subjects: &[Subject]) -> Vec<Vec<Answer>> {
    let workers = thread::available_parallelism().map_or(1, |n| n.get());
    let share = subjects.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = subjects
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().map(judge).collect::<Vec<_>>()))
            .collect();
        let parts = threads.into_iter();
        parts
            .flat_map(|t| t.join().expect("no panic in there"))
            .collect()
    })
}

fn judge(subject: &Subject) -> Vec<Answer> {
    judge::answers(&subject.case)
        .unwrap_or_else(|error| panic!("{}, the judge: {error}", subject.name))
}

fn check_in(place: Place, subjects: &[Subject], judged: &[Vec<Answer>]) -> Result<(), String> {
    let mut cases = Vec::new();
    let mut of = Vec::new();
    for (index, (subject, judged)) in subjects.iter().zip(judged).enumerate() {
        let own = place.cases(&subject.case, judged);
        of.resize(of.len() + own.len(), index);
        cases.extend(own);
    }
    let replies = place.run(&cases)?;
    for ((case, replies), &index) in cases.iter().zip(&replies).zip(&of) {
        let (subject, judged) = (&subjects[index], &judged[index]);
        let expected = &judged[(case.first - subject.case.first) as usize..];
        compare(place, case, replies, expected).map_err(|what| {
            let Subject { name, rerun, .. } = subject;
            format!("{}, {name}, {what}\n  rerun: {rerun}", place.name())
        })?;
    }
    Ok(())
}

fn compare(
    place: Place,
    case: &Case,
    replies: &[Reply],
    expected: &[Answer],
) -> Result<(), String> {
    let images = case.images.chunks_exact(case.input.area());
    for (number, ((reply, expected), image)) in replies.iter().zip(expected).zip(images).enumerate()
    {
        let found = match reply {
            Reply::Inspected(found) => found,
            Reply::Failed(why) => return Err(format!("engine {}: {why}", engine(case))),
            Reply::Activations(_) => return Err("activations, which nobody asked for".into()),
        };
        if let Some(difference) = difference(case.input, found, expected) {
            let mut text = format!(
                "engine {}, image {}: {}",
                engine(case),
                case.first as usize + number,
                difference.text
            );
            if let (true, Engine::Tract(file)) = (difference.reconstruction, &case.engine) {
                text += "\n  ";
                text += &layer(place, case, file, image).unwrap_or_else(|error| error);
            }
            return Err(text);
        }
    }
    Ok(())
}

fn engine(case: &Case) -> &'static str {
    match case.engine {
        Engine::Given(_) => "none, reconstruction given",
        Engine::Reference(_) => "reference",
        Engine::Native(..) | Engine::NativeTwice(..) => "native",
        Engine::Tract(_) | Engine::TractLayers(_) => "tract",
        Engine::Row(..) => "a kernel",
    }
}

/// The layer in which tract goes astray there.
fn layer(place: Place, case: &Case, file: &[u8], image: &[u8]) -> Result<String, String> {
    let there = |part: &[u8], graph: Size, image: &[u8]| {
        let Place::Target(target) = place else {
            return activations(part, graph, image).map_err(|error| format!("{error:#}"));
        };
        let case = Case {
            engine: Engine::TractLayers(part.to_vec()),
            input: graph,
            images: image.to_vec(),
            ..case.clone()
        };
        match target.run(&[case])?.concat().pop() {
            Some(Reply::Activations(activations)) => Ok(activations),
            other => Err(format!("no activations: {other:?}")),
        }
    };
    let bits = case.rule.scale().fraction_bits();
    first_apart(file, bits, case.input, image, &there)
}

/// A rule whose thresholds lie where this map does: `suspect` and `counting` are shares of its
/// values that exceed the pixel and the image threshold.
pub fn rule_for(
    comparison: Comparison,
    scale: MapScale,
    min_area: u32,
    mut values: Vec<u32>,
    (suspect, counting): (f64, f64),
) -> DecisionRule {
    values.sort_unstable();
    let exceeded = |share: f64| values[((values.len() - 1) as f64 * (1.0 - share)) as usize];
    DecisionRule::new(
        comparison,
        scale,
        exceeded(suspect),
        min_area,
        exceeded(counting),
    )
    .expect("a smaller share exceeds more")
}
