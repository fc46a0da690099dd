//! The published network copies nearly everything, defects included: what it leaves of a faint one
//! is less than a grey level. The reconstruction therefore keeps its fraction to the subtraction; in
//! 8 bits the defect would be gone.

use std::{f64::consts::TAU, fs, path::Path};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use residua_host::{
    eval::Scores,
    export,
    net::config::Preset,
    quantize,
    train::{self, DeviceChoice, Objective, Schedule},
};
use residua_shared::{
    frame::{Frame, Size},
    reference::{map::map, residual::residual},
    rule::{Comparison, MapScale},
};
use residua_tests::runners::{Judge, Runner};

const SIDE: usize = 48;
/// How much brighter the arc is than what lies around it, in grey levels.
const CONTRAST: f64 = 2.0;
/// Near a border the padding makes errors of its own.
const BORDER: usize = 8;

/// A smooth, faintly mottled surface.
fn surface(rng: &mut ChaCha8Rng) -> Vec<f64> {
    let waves: Vec<[f64; 3]> = (0..6)
        .map(|_| {
            let angle = rng.random_range(0.0..TAU);
            let pixels = rng.random_range(20.0..60.0);
            let phase = rng.random_range(0.0..TAU);
            [
                TAU * f64::cos(angle) / pixels,
                TAU * f64::sin(angle) / pixels,
                phase,
            ]
        })
        .collect();
    let grey = |at: usize| {
        let (x, y) = ((at % SIDE) as f64, (at / SIDE) as f64);
        let wave = |[a, b, phase]: &[f64; 3]| 3.0 * (a * x + b * y + phase).sin();
        120.0 + waves.iter().map(wave).sum::<f64>()
    };
    (0..SIDE * SIDE).map(grey).collect()
}

/// Half a ring, two pixels wide.
fn on_arc(at: usize) -> bool {
    let (x, y) = ((at % SIDE) as f64, (at / SIDE) as f64);
    let radius = f64::hypot(x - 14.0, y - 24.0);
    (radius - 14.0).abs() < 1.0 && x > 14.0
}

fn inside(at: usize) -> bool {
    let inner = BORDER..SIDE - BORDER;
    inner.contains(&(at % SIDE)) && inner.contains(&(at / SIDE))
}

fn pixels(values: &[f64]) -> Vec<u8> {
    values.iter().map(|v| v.round() as u8).collect()
}

fn write_surfaces(folder: &Path, rng: &mut ChaCha8Rng) {
    fs::create_dir_all(folder).unwrap();
    for number in 0..60 {
        let pixels = pixels(&surface(rng));
        let image = image::GrayImage::from_raw(SIDE as u32, SIDE as u32, pixels).unwrap();
        image.save(folder.join(format!("{number:02}.png"))).unwrap();
    }
}

/// How well the residual ranks the arc above the rest, pixel by pixel: the area under its ROC curve.
fn ranking(image: &[u8], reconstruction: &[i32], fraction_bits: u8) -> f64 {
    let size = Size::new(SIDE, SIDE).unwrap();
    let frame = Frame::new(size, image).unwrap();
    let scale = MapScale::new(fraction_bits, 1).unwrap();
    let (mut difference, mut values) = (vec![0; size.area()], vec![0; size.area()]);
    residual(frame, scale, reconstruction, &mut difference).unwrap();
    map(size, &difference, Comparison::Absolute, scale, &mut values).unwrap();
    let of = |arc: bool| {
        let wanted = |at: &usize| inside(*at) && on_arc(*at) == arc;
        (0..size.area())
            .filter(wanted)
            .map(|at| values[at])
            .collect()
    };
    Scores::new(of(true), of(false)).auroc().unwrap()
}

#[test]
fn a_faint_arc_outranks_the_background_in_the_fixed_point_residual() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    write_surfaces(&data, &mut rng);
    let run = train::train(&train::Options {
        preset: Some(Preset::Paper),
        objective: Some(Objective::Mse),
        epochs: Some(30),
        batch: Some(4),
        learning_rate: Some(4e-3),
        schedule: Some(Schedule::OneCycle),
        device: DeviceChoice::Cpu,
        ..train::Options::new(data, scratch.path().join("run"))
    })
    .unwrap();
    let size = Size::new(SIDE, SIDE).unwrap();
    let network = quantize::post_training(&run, size).unwrap();
    let onnx = export::onnx(&network, size).unwrap();
    let bits = network.fraction_bits;

    let (mut exact, mut in_8_bits, mut error) = (0.0, 0.0, 0.0);
    let images: Vec<Vec<u8>> = (0..8)
        .map(|_| {
            let mut values = surface(&mut rng);
            let arc = values.iter_mut().enumerate().filter(|(at, _)| on_arc(*at));
            arc.for_each(|(_, value)| *value += CONTRAST);
            pixels(&values)
        })
        .collect();
    let reconstructions = Judge.run(&onnx, size, bits, &images).unwrap();
    let count = images.len() as f64;
    for (image, reconstruction) in images.iter().zip(&reconstructions) {
        let step = 1 << bits;
        let whole: Vec<i32> = reconstruction
            .iter()
            .map(|&value| (value + step / 2).div_euclid(step) * step)
            .collect();
        exact += ranking(image, reconstruction, bits) / count;
        in_8_bits += ranking(image, &whole, bits) / count;
        let background: Vec<f64> = (0..size.area())
            .filter(|&at| inside(at) && !on_arc(at))
            .map(|at| f64::from(image[at]) - f64::from(reconstruction[at]) / f64::from(step))
            .collect();
        let squares: f64 = background.iter().map(|r| r * r).sum();
        error += (squares / background.len() as f64).sqrt() / count;
    }
    println!(
        "background residual {error:.2} grey levels; AUROC of the arc {exact:.3}, in 8 bits \
         {in_8_bits:.3}"
    );
    assert!(error < 1.0, "not near an identity: {error:.2} grey levels");
    assert!(exact > 0.8, "{exact:.3}");
    assert!(in_8_bits < exact - 0.03, "{in_8_bits:.3} and {exact:.3}");
}
