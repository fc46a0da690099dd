//! Exported models: opening, checking and running them.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use residua_edge::{
    engine::{
        bands::Bands,
        native::{Plan, kernel},
        reference::Reference,
        tract::Tract,
    },
    inspector::{self, Inspection, Storage},
};
use residua_shared::{
    frame::Frame,
    manifest::{Manifest, Streaming},
    net::Net,
    onnx,
    verdict::{Region, Verdict},
};

use crate::{
    data::Grey,
    export,
    net::{autoencoder::Autoencoder, float::Float},
    save,
};

/// The ONNX file's name in a model's folder.
pub const ONNX: &str = "model.onnx";
/// The manifest's name in a model's folder.
pub const MANIFEST: &str = "manifest.json";

/// What a model's folder may hold: the card is of `residua eval --card`.
const PARTS: [&str; 3] = [ONNX, MANIFEST, "card.md"];

/// What every message about a damaged model ends with.
const REMEDY: &str = "copy or export the model again";

/// An exported model whose parts were checked against each other.
#[derive(Clone, Debug)]
pub struct Model {
    file: PathBuf,
    onnx: Vec<u8>,
    manifest: Manifest,
}

impl Model {
    /// Opens the model at `path`: a folder with [`ONNX`] and [`MANIFEST`], or the ONNX file alone,
    /// which carries the same manifest inside.
    ///
    /// Errors name the file and what is wrong with it: not there, not ONNX, no manifest, one that
    /// differs from that inside, an unknown version, a digest that is not the file's, a shape or
    /// a scale that is not the graph's.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = path.is_dir();
        let file = if folder {
            path.join(ONNX)
        } else {
            path.to_owned()
        };
        let onnx = read(&file)?;
        let manifest = manifest_inside(&onnx).with_context(|| file.display().to_string())?;
        if folder {
            let beside = path.join(MANIFEST);
            ensure!(
                read(&beside)? == manifest,
                "{}: not the manifest that is inside {ONNX}; {REMEDY}",
                beside.display()
            );
        }
        let manifest: Manifest = serde_json::from_slice(manifest)
            .with_context(|| format!("{}: manifest: {REMEDY}", file.display()))?;
        let model = Self {
            onnx,
            manifest,
            file,
        };
        model
            .check()
            .with_context(|| format!("{}: manifest", model.file.display()))?;
        Ok(model)
    }

    fn check(&self) -> Result<()> {
        let manifest = &self.manifest;
        manifest.check()?;
        manifest.check_digest(onnx::digest(&self.onnx)?)?;
        let graph = self.net()?.graph();
        ensure!(
            graph == manifest.graph,
            "graph: the manifest states {} but the ONNX file has {graph}; {REMEDY}",
            manifest.graph
        );
        let (stated, found) = (
            manifest.rule.scale().fraction_bits(),
            export::fraction_bits(&self.onnx)?,
        );
        ensure!(
            stated == found,
            "rule: its scale has {stated} fraction bits but the ONNX file's has {found}; {REMEDY}"
        );
        if let Some(stated) = manifest.streaming {
            let found = streaming(&self.net()?);
            ensure!(
                found == Some(stated),
                "streaming: the manifest states {stated}, but the ONNX file's network has {}; \
                 {REMEDY}",
                found.map_or("none".into(), |found| found.to_string())
            );
        }
        Ok(())
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The ONNX file's bytes.
    pub fn onnx(&self) -> &[u8] {
        &self.onnx
    }

    /// The integer network in the file.
    pub fn net(&self) -> Result<Net<'_>> {
        let bits = self.manifest.rule.scale().fraction_bits();
        Ok(onnx::read(&self.onnx, bits)?)
    }

    /// How the native engine streams the network.
    pub fn plan(&self, net: &Net<'_>) -> Result<Plan> {
        Plan::new(net).with_context(|| {
            format!(
                "{}: the native engine cannot run it (--engine tract can)",
                self.file.display()
            )
        })
    }

    /// Makes the model ready to inspect images, each on so many threads where the engine is native;
    /// the results are those of one.
    pub fn inspector(&self, kind: EngineKind, threads: NonZeroUsize) -> Result<Inspector<'_>> {
        let Manifest { input, rule, .. } = self.manifest;
        let net = self.net()?;
        let engine = match kind {
            EngineKind::Native => {
                self.plan(&net)?;
                let engine = Bands::new(&net, input, kernel::best(), threads.get())
                    .with_context(|| self.file.display().to_string())?;
                Engine::Native(Box::new(inspector::Inspector::new(engine, rule)?))
            }
            EngineKind::Tract => {
                let bits = rule.scale().fraction_bits();
                let engine = Tract::new(&self.onnx, input, bits)
                    .with_context(|| self.file.display().to_string())?;
                Engine::Tract(Box::new(inspector::Inspector::new(engine, rule)?))
            }
            EngineKind::Reference => Engine::Reference {
                scratch: vec![0; net.scratch_len()],
                net: Box::new(net),
            },
        };
        Ok(Inspector {
            engine,
            model: self,
            storage: Storage::new(input, rule),
        })
    }

    /// An inspector that decides as this model does, but on the reconstruction by float weights.
    pub fn float_inspector(&self, net: Autoencoder) -> Result<Inspector<'_>> {
        let Manifest { input, rule, .. } = self.manifest;
        let engine = Float::new(net, input, rule.scale().fraction_bits());
        Ok(Inspector {
            engine: Engine::Float(Box::new(inspector::Inspector::new(engine, rule)?)),
            model: self,
            storage: Storage::new(input, rule),
        })
    }
}

/// What the native engine needs for a network; `None` where it cannot run it.
pub fn streaming(net: &Net<'_>) -> Option<Streaming> {
    let plan = Plan::new(net).ok()?;
    Some(Streaming {
        latency_rows: plan.latency_rows() as u32,
        arena_bytes: plan.arena_len() as u64,
    })
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| {
        format!(
            "{}: cannot be read; give a model that `residua export` made",
            file.display()
        )
    })
}

fn manifest_inside(file: &[u8]) -> Result<&[u8]> {
    match onnx::manifest(file)? {
        Some(manifest) => Ok(manifest),
        None => bail!("there is no residua manifest in its metadata; {REMEDY}"),
    }
}

/// What runs the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum EngineKind {
    /// residua's own engine, by rows in fixed memory: the fastest.
    Native,
    /// tract, on the ONNX file as it is.
    Tract,
    /// The scalar reference: slow, and the judge of the others.
    Reference,
}

/// As many threads as the machine runs at once.
pub fn all_threads() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// A model ready to inspect images one after the other.
pub struct Inspector<'m> {
    model: &'m Model,
    engine: Engine<'m>,
    storage: Storage,
}

enum Engine<'m> {
    Native(Box<inspector::Inspector<Bands>>),
    Tract(Box<inspector::Inspector<Tract>>),
    Reference { net: Box<Net<'m>>, scratch: Vec<u8> },
    Float(Box<inspector::Inspector<Float>>),
}

impl Inspector<'_> {
    /// Inspects one image; errors where it has not the model's size, naming both.
    pub fn inspect(&mut self, image: &Grey) -> Result<Inspected> {
        self.with(image, |inspection| Inspected::new(&inspection))
    }

    /// The reconstruction of one image, in grey levels times 2^fraction bits.
    pub fn reconstruct(&mut self, image: &Grey) -> Result<Vec<i32>> {
        self.with(image, |inspection| Ok(inspection.reconstruction().to_vec()))
    }

    fn with<T>(
        &mut self,
        image: &Grey,
        take: impl FnOnce(Inspection<'_>) -> Result<T>,
    ) -> Result<T> {
        let Manifest { input, rule, .. } = self.model.manifest;
        ensure!(
            image.size == input,
            "the image is {} but the model takes {input}; give images of this size, or train and \
             export a model for the others",
            image.size
        );
        let frame = Frame::new(image.size, &image.pixels)?;
        let buffers = &mut self.storage.buffers();
        match &mut self.engine {
            Engine::Native(inspector) => take(inspector.inspect(frame, buffers)?),
            Engine::Tract(inspector) => take(inspector.inspect(frame, buffers)?),
            Engine::Float(inspector) => take(inspector.inspect(frame, buffers)?),
            Engine::Reference { net, scratch } => {
                let engine = Reference::new(Net::clone(net), input, scratch)?;
                take(inspector::Inspector::new(engine, rule)?.inspect(frame, buffers)?)
            }
        }
    }
}

/// What was found in an image.
#[derive(Clone, PartialEq, Debug)]
pub struct Inspected {
    pub verdict: Verdict,
    /// The regions that count.
    pub regions: Vec<Region>,
    /// The anomaly map, row by row, in steps of the rule's scale.
    pub map: Vec<u32>,
    /// 255 in the regions that count, else 0.
    pub mask: Vec<u8>,
}

impl Inspected {
    fn new(inspection: &Inspection<'_>) -> Result<Self> {
        let mut mask = vec![0; inspection.size().area()];
        inspection.write_mask(&mut mask)?;
        Ok(Self {
            verdict: inspection.verdict(),
            regions: inspection.regions().collect(),
            map: inspection.map().to_vec(),
            mask,
        })
    }
}

/// Errors where a model cannot be put at `folder`: something is there, and it may not be replaced or
/// is more than a model.
pub fn check_place(folder: &Path, replace: bool) -> Result<()> {
    let shown = folder.display();
    ensure!(
        folder.file_name().is_some(),
        "--out {shown}: a model has a folder of its own; give its name, as {}",
        folder.join("model").display()
    );
    if !folder.exists() {
        return Ok(());
    }
    ensure!(
        replace,
        "{shown}: exists already; replace the model by --force, or choose another --out"
    );
    let entries = fs::read_dir(folder).with_context(|| {
        format!("{shown}: not the folder of a model, so --force does not replace it; choose another --out")
    })?;
    for entry in entries {
        let name = entry.with_context(|| shown.to_string())?.file_name();
        ensure!(
            PARTS.iter().any(|part| name == *part),
            "{shown}: holds {}, which is no part of a model, so --force does not replace it; choose \
             another --out",
            name.display()
        );
    }
    Ok(())
}

/// Writes a model's folder, manifest inside and beside, in place of the one that was there; see
/// [`check_place`].
///
/// The folder is made beside its place and moved there, so that an error (a full disk) or a reader
/// never meets half a model.
pub fn save(folder: &Path, onnx: &[u8], manifest: &Manifest) -> Result<()> {
    check_place(folder, true)?;
    let manifest = serde_json::to_string_pretty(manifest).context("the manifest")?;
    let onnx = export::with_manifest(onnx, &manifest);
    // Nobody else calls anything so: what a killed export left may be removed.
    let (partial, old) = (
        folder.with_added_extension("residua-partial"),
        folder.with_added_extension("residua-old"),
    );
    let write = || {
        remove(&partial)?;
        save::replace(&partial.join(ONNX), &onnx)?;
        save::replace(&partial.join(MANIFEST), manifest.as_bytes())?;
        remove(&old)?;
        if folder.exists() {
            fs::rename(folder, &old)?;
        }
        fs::rename(&partial, folder)?;
        remove(&old)
    };
    let written = write();
    if written.is_err() {
        // It takes room on a disk that may be full.
        let _ = fs::remove_dir_all(&partial);
    }
    written.with_context(|| {
        format!(
            "{}: the model cannot be written; make room or check the rights, then export again",
            folder.display()
        )
    })
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}
