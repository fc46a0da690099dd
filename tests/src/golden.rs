//! The golden fixtures in `tests/fixtures/golden`: small exported models with images, and what was
//! found in them when they were recorded, so that a change of any value shows in review.
//!
//! - `MODEL/model.onnx`, `MODEL/manifest.json`: as `residua export` wrote them.
//! - `MODEL/images/NAME.png`: synthetic parts, black, white and noise.
//! - `MODEL/masks/NAME.png`: the defect mask of each, byte by byte.
//! - `expected.txt`: for each image the verdict, and hashes of reconstruction and map.
//!
//! [`RECORD`] records masks and `expected.txt` anew; with `-- --models` the models and images too.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use residua_edge::regions::{max_regions, max_runs};
use residua_host::{
    data::{Grey, read_grey},
    model::Model,
};
use residua_runner::case::Engine;
use sha2::{Digest, Sha256};

use crate::{
    suite::Subject,
    targets::{Answer, Case},
};

/// The command that records what is found.
pub const RECORD: &str = "cargo run --release -p residua-tests --bin record-golden";

/// The models' names.
pub const MODELS: [&str; 3] = ["edge-tiny", "edge-small", "edge"];

/// A model with its images.
#[derive(Debug)]
pub struct Golden {
    /// Its folder's name.
    pub name: &'static str,
    /// The model.
    pub model: Model,
    /// By name, in order.
    pub images: Vec<(String, Grey)>,
}

/// The folder of the fixtures.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden")
}

/// All models with their images.
pub fn load() -> Result<Vec<Golden>> {
    let load = |&name: &&'static str| {
        let folder = folder().join(name);
        Ok(Golden {
            name,
            model: Model::open(&folder)?,
            images: images(&folder.join("images"))?,
        })
    };
    MODELS.iter().map(load).collect()
}

fn images(folder: &Path) -> Result<Vec<(String, Grey)>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let files = entries.map(|entry| Ok(entry?.path()));
    let mut files: Vec<PathBuf> = files.collect::<Result<_>>()?;
    files.sort();
    let read = |file: PathBuf| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        Ok((name.into_owned(), read_grey(&file)?))
    };
    files.into_iter().map(read).collect()
}

impl Golden {
    /// The images through the whole inspection path.
    pub fn subject(&self) -> Subject {
        let manifest = self.model.manifest();
        let pixels = self.images.iter().flat_map(|(_, image)| &image.pixels);
        Subject {
            name: format!("golden {}", self.name),
            rerun: "cargo xtask test -p residua-tests --test golden".into(),
            case: Case {
                engine: Engine::Tract(self.model.onnx().to_vec()),
                input: manifest.input,
                rule: manifest.rule,
                runs: max_runs(manifest.input) as u32,
                regions: max_regions(manifest.input) as u32,
                images: pixels.copied().collect(),
                first: 0,
                repetitions: 1,
            },
        }
    }

    /// Where the mask of an image lies.
    pub fn mask(&self, image: &str) -> PathBuf {
        folder()
            .join(self.name)
            .join("masks")
            .join(image)
            .with_extension("png")
    }

    /// What `expected.txt` says of the answers to these images.
    pub fn text(&self, answers: &[Answer]) -> String {
        let mut text = String::new();
        for ((image, _), answer) in self.images.iter().zip(answers) {
            let verdict = answer.verdict;
            let _ = write!(
                text,
                "{}/{image}: {:?}, score {}, {} regions of {} suspect\n  reconstruction {}\n  \
                 map            {}\n",
                self.name,
                verdict.outcome,
                verdict.score,
                verdict.regions,
                answer.suspects.len(),
                hash(&answer.reconstruction),
                hash(&answer.map),
            );
        }
        text
    }
}

/// The first half of the SHA-256.
fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..16].iter().map(|b| format!("{b:02x}")).collect()
}
