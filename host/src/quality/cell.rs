//! What is measured in one cell: one data set, one seed, one variant.

use anyhow::Result;
use residua_edge::{
    engine::Engine,
    inspector::{Storage, decide},
};
use residua_shared::{
    frame::{Frame, Size},
    reference,
    rule::DecisionRule,
    verdict::{Outcome, Region, Verdict},
};
use serde::{Deserialize, Serialize};

use super::{
    Choices,
    comparison::{self, Rival},
};
use crate::{
    calibrate::{Options, calibrate, tail_threshold},
    data::{self, Grey, Sample},
    engine,
    eval::{
        Counts, Evaluator, LIGHTS, Light, Observation, Scores, f1, image_score, region_sum,
        residual_l1, top_mean,
    },
    export,
    quantize::{self, Quantized},
    train::run::RunFolder,
};

/// The share of an image's pixels that [`top_mean`] is taken over.
const TOP: f64 = 1e-3;

/// The figures of a cell; `None` is what the images cannot give.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub good: usize,
    pub defect: usize,
    pub image_auroc: Option<f64>,
    pub image_f1: Option<f64>,
    pub image_f1_best: Option<f64>,
    pub region_f1: Option<f64>,
    pub pixel_f1: Option<f64>,
    pub pixel_f1_best: Option<f64>,
    /// Good parts called defect.
    pub stopped: usize,
    /// Defective parts called defect.
    pub caught: usize,
    pub scores: Vec<ScoreFigures>,
    /// Empty where light was not asked for.
    pub lights: Vec<LightFigures>,
}

/// One number an image, in place of the shipped one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ScoreFigures {
    pub name: String,
    pub auroc: Option<f64>,
    /// At the threshold from good images, by the same tail as the shipped score's.
    pub f1: Option<f64>,
    pub f1_best: Option<f64>,
}

/// The verdicts under other light; the thresholds stay.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LightFigures {
    pub light: String,
    pub stopped: usize,
    pub caught: usize,
    pub f1: Option<f64>,
}

/// An image and what the network made of it.
pub(super) struct Reconstructed {
    pub image: Grey,
    pub reconstruction: Vec<i32>,
}

/// A trained network on all images that its cells need.
pub struct Trained {
    network: Quantized,
    size: Size,
    engine: Box<dyn Engine>,
    /// Good images that no threshold comes from.
    validation: Vec<Reconstructed>,
    calibration: Vec<Reconstructed>,
    test: Vec<Reconstructed>,
    samples: Vec<Sample>,
    truths: Vec<Option<Grey>>,
}

impl Trained {
    /// Quantizes a run and reconstructs its calibration and test images by the integer network.
    ///
    /// Errors where the run or its images cannot be used.
    pub fn new(run: &RunFolder) -> Result<Self> {
        let dataset = run.dataset(None)?;
        let split = dataset.split(run.config().data.split_seed)?;
        let size = dataset.size;
        let network = quantize::post_training(run, size)?;
        let file = export::onnx(&network, size.padded_to(network.side_multiple())?)?;
        let mut engine = engine::fastest(&file, size, network.fraction_bits)?;
        let validation = reconstruct(&mut *engine, data::load_all(&split.validation)?)?;
        let calibration = reconstruct(&mut *engine, data::load_all(&split.calibration)?)?;
        let test = reconstruct(&mut *engine, data::load_all(&split.test)?)?;
        let truths = split.test.iter().map(data::load_mask);
        Ok(Self {
            truths: truths.collect::<Result<_>>()?,
            network,
            size,
            engine,
            validation,
            calibration,
            test,
            samples: split.test,
        })
    }

    /// Calibrates by the choices and measures on the test images.
    ///
    /// Errors where an option is out of range, or a rival comparison has nothing to learn from.
    pub fn measure(&mut self, choices: &Choices, light: bool) -> Result<Measured> {
        let options = &choices.calibrate;
        let scale = options.scale(self.network.fraction_bits)?;
        // Maps do not depend on thresholds: with the highest there are, nothing is a region.
        let blind = DecisionRule::new(options.comparison, scale, u32::MAX, 1, u32::MAX)?;
        let seen = self.validation.iter();
        let seen = seen.map(|seen| (&seen.image, seen.reconstruction.as_slice()));
        let columns = options.learn_columns(self.size, scale, seen)?;
        let blind = blind.weighing(columns);
        let mut path = self.path(choices.rival, blind)?;
        let mut maps = Vec::with_capacity(self.calibration.len());
        for seen in &self.calibration {
            maps.push(path.inspect(seen, blind)?.map);
        }
        let rule = calibrate(&maps, self.size, scale, options)?.rule;
        let rule = rule.weighing(columns);

        let good = self.calibration.iter().zip(&maps);
        let good: Vec<_> = good.map(|(seen, map)| score_all(seen, map, rule)).collect();
        let mut evaluator = Evaluator::new(rule);
        let mut scores = Vec::with_capacity(self.test.len());
        for ((sample, seen), truth) in self.samples.iter().zip(&self.test).zip(&self.truths) {
            let Inspected { map, mask, verdict } = path.inspect(seen, rule)?;
            scores.push((sample.is_good(), score_all(seen, &map, rule)));
            evaluator.add(&Observation {
                name: &sample.name,
                label: &sample.label,
                truth: truth.as_ref(),
                truth_by_kind: &[],
                size: self.size,
                map: &map,
                mask: &mask,
                verdict,
                milliseconds: 0.0,
            })?;
        }
        let figures = evaluator.finish().figures;
        let lights: &[Light] = if light { &LIGHTS } else { &[] };
        Ok(Measured {
            good: figures.images.good,
            defect: figures.images.defect,
            image_auroc: figures.image.auroc,
            image_f1: figures.image.f1,
            image_f1_best: figures.image.f1_best,
            region_f1: figures.region.f1,
            pixel_f1: figures.pixel.f1,
            pixel_f1_best: figures.pixel.f1_best,
            stopped: figures.image.false_alarms,
            caught: figures.images.defect - figures.image.missed,
            scores: compare(&good, &scores, options),
            lights: lights
                .iter()
                .map(|light| self.under(light, rule, &mut path))
                .collect::<Result<_>>()?,
        })
    }

    fn path(&self, rival: Option<Rival>, blind: DecisionRule) -> Result<Path> {
        let Some(rival) = rival else {
            return Ok(Path::Shipped(Storage::new(self.size, blind)));
        };
        let map = comparison::Map::learn(rival, blind, &self.validation)?;
        Ok(Path::Rival(map))
    }

    /// The verdicts on the test images under another light.
    fn under(
        &mut self,
        light: &Light,
        rule: DecisionRule,
        path: &mut Path,
    ) -> Result<LightFigures> {
        let mut called = Counts {
            true_positives: 0,
            false_positives: 0,
        };
        let defects = self.samples.iter().filter(|s| !s.is_good()).count();
        for (sample, seen) in self.samples.iter().zip(&self.test) {
            let lit = reconstructed(&mut *self.engine, light.on(&seen.image))?;
            let defect = path.inspect(&lit, rule)?.verdict.outcome == Outcome::Defect;
            if sample.is_good() {
                called.false_positives += usize::from(defect);
            } else {
                called.true_positives += usize::from(defect);
            }
        }
        Ok(LightFigures {
            light: light.name.into(),
            stopped: called.false_positives,
            caught: called.true_positives,
            f1: f1(called, defects),
        })
    }
}

fn reconstruct(engine: &mut dyn Engine, images: Vec<Grey>) -> Result<Vec<Reconstructed>> {
    let images = images.into_iter();
    images.map(|image| reconstructed(engine, image)).collect()
}

fn reconstructed(engine: &mut dyn Engine, image: Grey) -> Result<Reconstructed> {
    let mut reconstruction = vec![0; image.size.area()];
    engine.reconstruct(Frame::new(image.size, &image.pixels)?, &mut reconstruction)?;
    Ok(Reconstructed {
        image,
        reconstruction,
    })
}

struct Inspected {
    map: Vec<u32>,
    mask: Vec<u8>,
    verdict: Verdict,
}

/// From a reconstruction to a verdict.
enum Path {
    /// As devices have it.
    Shipped(Storage),
    /// With another map.
    Rival(comparison::Map),
}

impl Path {
    fn inspect(&mut self, seen: &Reconstructed, rule: DecisionRule) -> Result<Inspected> {
        match self {
            Self::Shipped(storage) => shipped(seen, rule, storage),
            Self::Rival(map) => decided(map.of(seen)?, seen.image.size, rule),
        }
    }
}

/// The device's path after the engine.
fn shipped(seen: &Reconstructed, rule: DecisionRule, storage: &mut Storage) -> Result<Inspected> {
    let mut buffers = storage.buffers();
    buffers.reconstruction.copy_from_slice(&seen.reconstruction);
    let frame = Frame::new(seen.image.size, &seen.image.pixels)?;
    let inspection = decide(rule, frame, &mut buffers)?;
    let mut mask = vec![0; seen.image.size.area()];
    inspection.write_mask(&mut mask)?;
    Ok(Inspected {
        map: inspection.map().to_vec(),
        mask,
        verdict: inspection.verdict(),
    })
}

/// What a region is before it is found.
const NO_REGION: Region = Region {
    left: 0,
    top: 0,
    right: 0,
    bottom: 0,
    area: 0,
    peak: 0,
};

/// The decision on a map, by the reference.
fn decided(map: Vec<u32>, size: Size, rule: DecisionRule) -> Result<Inspected> {
    let (mut mask, mut labels) = (vec![0; map.len()], vec![0; map.len()]);
    let mut stack = vec![0; map.len()];
    let mut regions = vec![NO_REGION; reference::regions::max_regions(size)];
    reference::mask::suspects(rule, &map, &mut mask)?;
    let count =
        reference::regions::regions(size, &mask, &map, &mut labels, &mut stack, &mut regions)?;
    let regions = &regions[..count];
    reference::mask::defects(rule, &labels, regions, &mut mask)?;
    Ok(Inspected {
        verdict: reference::verdict::verdict(rule, regions),
        map,
        mask,
    })
}

const SCORES: [&str; 5] = [
    "region peak (shipped)",
    "maximum",
    "mean of the top 0.1 %",
    "L1 norm of the residual",
    "region sum",
];

/// One value for each of [`SCORES`].
fn score_all(seen: &Reconstructed, map: &[u32], rule: DecisionRule) -> [u32; SCORES.len()] {
    let (size, scale) = (seen.image.size, rule.scale());
    let (threshold, area) = (rule.pixel_threshold().raw, rule.min_area());
    let bits = scale.fraction_bits();
    [
        image_score(map, size, threshold, area),
        map.iter().copied().max().unwrap_or(0),
        top_mean(map, TOP),
        residual_l1(&seen.image.pixels, &seen.reconstruction, bits),
        region_sum(map, size, threshold, area, scale.steps_per_grey()),
    ]
}

/// `good` are the calibration images' scores; `test` the test images', with whether each is good.
fn compare(
    good: &[[u32; SCORES.len()]],
    test: &[(bool, [u32; SCORES.len()])],
    options: &Options,
) -> Vec<ScoreFigures> {
    let figures = SCORES.iter().enumerate().map(|(index, name)| {
        let of = |is_good| {
            let part = test.iter().filter(move |(good, _)| *good == is_good);
            part.map(|(_, scores)| scores[index]).collect()
        };
        let scores = Scores::new(of(false), of(true));
        let held_out: Vec<u32> = good.iter().map(|scores| scores[index]).collect();
        let tail = tail_threshold(&held_out, options.false_alarm_rate);
        ScoreFigures {
            name: (*name).into(),
            auroc: scores.auroc(),
            f1: scores.f1_at(options.raised(tail.threshold)),
            f1_best: scores.best_f1().map(|best| best.f1),
        }
    });
    figures.collect()
}
