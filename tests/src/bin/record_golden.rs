//! Records the golden fixtures anew: see [`residua_tests::golden`].
//!
//! `record-golden` records what the models find; `record-golden --models` makes the models and
//! their images anew before that, by residua's own commands, which it prints.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use image::ExtendedColorType::L8;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use residua_host::{
    commands::Cli,
    data::{Grey, read_grey},
    model, save,
};
use residua_tests::{golden, judge};

fn main() -> Result<()> {
    match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => {}
        [flag] if flag == "--models" => make_models()?,
        _ => bail!("usage: record-golden [--models]"),
    }
    let mut text = format!("# Recorded by: {}\n", golden::RECORD);
    for golden in golden::load()? {
        let answers = judge::answers(&golden.subject().case).map_err(anyhow::Error::msg)?;
        text += &golden.text(&answers);
        for ((name, image), answer) in golden.images.iter().zip(&answers) {
            save::png(&golden.mask(name), &answer.mask, image.size, L8)?;
        }
    }
    save::replace(&golden::folder().join("expected.txt"), text.as_bytes())
}

/// One texture each, one size that is no multiple of the stride, one that was fine-tuned.
fn make_models() -> Result<()> {
    for (name, family, size, qat_epochs) in [
        ("edge-tiny", "cloth", "77x69", 0),
        ("edge-small", "brushed", "96x64", 1),
        ("edge", "steel", "64x80", 0),
    ] {
        let scratch = tempfile::tempdir()?;
        let data = scratch.path().join("data");
        let (run, exported) = (scratch.path().join("run"), scratch.path().join(name));
        let (data_text, run_text) = (text(&data)?, text(&run)?);
        residua(&format!(
            "synth --out {data_text} --family {family} --size {size} --train 160 --good 1 --per-kind 1"
        ))?;
        residua(&format!(
            "train --data {data_text} --out {run_text} --preset {name} --epochs 40 --device cpu"
        ))?;
        residua(&format!("calibrate {run_text} --false-alarms 0.05"))?;
        residua(&format!(
            "export {run_text} --out {} --qat-epochs {qat_epochs}",
            text(&exported)?
        ))?;
        let folder = golden::folder().join(name);
        for file in [model::ONNX, model::MANIFEST] {
            save::replace(&folder.join(file), &fs::read(exported.join(file))?)?;
        }
        images(&data, &folder.join("images"))?;
    }
    Ok(())
}

/// A good part and three defective ones, and the extremes.
fn images(data: &Path, folder: &Path) -> Result<()> {
    let mut size = None;
    for kind in ["good", "crack", "blob", "stain"] {
        let image = read_grey(&first_image(&data.join("test").join(kind))?)?;
        write(folder, kind, &image)?;
        size = Some(image.size);
    }
    let size = size.context("no images")?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let noise = (0..size.area()).map(|_| 255 * rng.random_range(0..=1));
    for (name, pixels) in [
        ("noise", noise.collect()),
        ("black", vec![0; size.area()]),
        ("white", vec![255; size.area()]),
    ] {
        write(folder, name, &Grey { size, pixels })?;
    }
    Ok(())
}

fn residua(line: &str) -> Result<()> {
    println!("$ residua {line}");
    let code = Cli::try_parse_from(["residua"].into_iter().chain(line.split(' ')))?.run()?;
    ensure!(code == 0, "exit code {code}");
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .context("the temporary folder's name is not UTF-8")
}

fn first_image(folder: &Path) -> Result<PathBuf> {
    let images = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let images: Vec<PathBuf> = images.collect::<Result<_>>()?;
    let first = images.into_iter().min();
    first.with_context(|| format!("{}: no images", folder.display()))
}

fn write(folder: &Path, name: &str, image: &Grey) -> Result<()> {
    let file = folder.join(name).with_extension("png");
    save::png(&file, &image.pixels, image.size, L8)
}
