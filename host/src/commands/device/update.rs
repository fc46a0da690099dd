use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use residua_shared::{
    manifest::Digest,
    wire::{CHUNK, Capabilities, Command, ModelHeader, Refusal},
};
use sha2::{Digest as _, Sha256};

use super::{Connection, key};
use crate::{commands::bar, console, model::Model};

/// Chunks that may be refused in a row, as answers get lost, before the update is given up.
const TRIES: u32 = 10;

/// The device takes up a new model between two images.
const PATIENCE: Duration = Duration::from_secs(10);

/// So often it is asked whether it has.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub struct Args {
    /// The model: a folder with model.onnx and manifest.json, or the .onnx file alone.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The secret key that `residua device-key` made, whose public half the device has.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The model's version, above the one in use; the next one where it is not given.
    #[arg(long, value_name = "N")]
    model_version: Option<u64>,
}

impl Args {
    pub fn run(self, device: &mut Connection) -> Result<()> {
        let (model, key) = (Model::open(&self.model)?, key::read(&self.key)?);
        let hello = device.hello()?;
        ensure!(
            hello.capabilities.contains(Capabilities::UPDATE),
            "{}: the device takes no models over the link; put model.onnx on it by hand",
            device.address()
        );
        let current = hello.model.map_or(0, |model| model.version);
        let onnx = model.onnx();
        let header = ModelHeader {
            version: self.model_version.unwrap_or(current + 1),
            length: u32::try_from(onnx.len()).context("the model is too long")?,
            input: model.manifest().input,
            digest: Digest(Sha256::digest(onnx).into()),
        };
        device.obey(Command::BeginModel {
            header,
            signature: key.sign(&header),
        })?;
        send(device, onnx)?;
        commit(device, header.version)?;
        console::print(&format!(
            "{}: version {} of {} is in use, before version {current}",
            device.address(),
            header.version,
            model.manifest().name
        ))
    }
}

/// Has the device switch to what it received, and waits until it has. Where the answer got lost on
/// the line and the question is repeated, no model is begun any more; the version in use tells.
fn commit(device: &mut Connection, version: u64) -> Result<()> {
    match device.try_obey(Command::CommitModel)? {
        Err(Refusal::NotBegun) if device.lossy() => {}
        Err(refusal) => return Err(anyhow!("{}: {refusal}", device.address())),
        Ok(()) => {}
    }
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if device
            .hello()?
            .model
            .is_some_and(|model| model.version == version)
        {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    bail!(
        "{}: version {version} is on the device but not in use; restart residua-edge and see its \
         log",
        device.address()
    )
}

/// Sends all bytes. A chunk whose answer got lost is sent again, and the device says where it is.
fn send(device: &mut Connection, onnx: &[u8]) -> Result<()> {
    let bar = bar::new(onnx.len() as u64);
    let (mut offset, mut tries) = (0, 0);
    while offset < onnx.len() {
        let end = onnx.len().min(offset + CHUNK);
        let chunk = Command::ModelChunk {
            offset: offset as u32,
            bytes: onnx[offset..end].iter().copied().collect(),
        };
        match device.try_obey(chunk)? {
            Ok(()) => (offset, tries) = (end, 0),
            Err(Refusal::Offset { expected }) if tries < TRIES => {
                offset = expected as usize;
                tries += 1;
            }
            Err(refusal) => return Err(anyhow!("{}: {refusal}", device.address())),
        }
        bar.set(offset as u64);
    }
    Ok(())
}
