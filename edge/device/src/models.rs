//! New models over the link: received into two slots of a folder, and loaded from there.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use residua_edge::update::{Files, Slot, TrustedKey, Updater};
use residua_shared::{
    frame::Size,
    wire::{ModelHeader, Refusal, Signature},
};

use crate::{
    config,
    events::{Level, log},
    model::Model,
};

/// The slots, and what may run from them.
#[derive(Debug)]
pub struct Models {
    updater: Updater<Files>,
    engine: config::Engine,
}

impl Models {
    /// The slots of a device that inspects `input` images with `engine`. Errors name the key and
    /// the remedy.
    pub fn open(config: &config::Update, engine: config::Engine, input: Size) -> Result<Self> {
        const REMEDY: &str = "update.folder cannot be used; check its disk and rights";
        let key = trusted_key(&config.key)?;
        let files = Files::open(&config.folder, config.slot_bytes()).context(REMEDY)?;
        let updater = Updater::open(files, key, input).context(REMEDY)?;
        Ok(Self { updater, engine })
    }

    /// The newest model that is whole; none where none was ever received. Errors where this
    /// program cannot run it.
    pub fn newest(&mut self) -> Result<Option<Model>> {
        let Some((slot, header)) = self.updater.active() else {
            return Ok(None);
        };
        load(self.updater.slots(), slot, &header, self.engine).map(Some)
    }

    /// As [`Updater::begin`].
    pub fn begin(&mut self, header: ModelHeader, signature: Signature) -> Result<(), Refusal> {
        self.updater.begin(header, signature)
    }

    /// As [`Updater::chunk`].
    pub fn chunk(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refusal> {
        self.updater.chunk(offset, bytes)
    }

    /// As [`Updater::commit`], where the engine takes the model; this is it.
    pub fn commit(&mut self) -> Result<Model, Refusal> {
        let (engine, mut loaded) = (self.engine, None);
        self.updater.commit(|files, slot, header| {
            let model = load(files, slot, header, engine).map_err(|error| {
                let why = &format_args!("{error:#}");
                log(Level::Warn, "model_cannot_run", &[("why", why)]);
                Refusal::Invalid
            })?;
            loaded = Some(model);
            Ok(())
        })?;
        loaded.ok_or(Refusal::Invalid)
    }
}

/// The model in a slot, where it is what its header says and the engine takes it.
fn load(files: &Files, slot: Slot, header: &ModelHeader, engine: config::Engine) -> Result<Model> {
    let path = files.path(slot);
    let load = || {
        let mut model = Model::read(fs::read(&path)?)?;
        let (stated, found) = (header.input, model.manifest.input);
        ensure!(
            stated == found,
            "it is for {found} images but was signed for {stated}; sign it for {found}"
        );
        model.engine(engine)?;
        model.version = header.version;
        Ok(model)
    };
    load().with_context(|| path.display().to_string())
}

/// The key in the file that `residua device-key` made: 64 hexadecimal digits.
pub fn trusted_key(file: &Path) -> Result<TrustedKey> {
    const REMEDY: &str = "update.key must name FILE.pub of `residua device-key FILE`";
    let named = || format!("{}: {REMEDY}", file.display());
    let text = fs::read_to_string(file).with_context(named)?;
    let bytes = bytes(text.trim()).with_context(named)?;
    TrustedKey::from_bytes(&bytes).with_context(named)
}

fn bytes(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}
