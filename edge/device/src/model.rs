//! The exported model: opening, checking, and the engines that run it.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use residua_edge::engine::{
    Engine, EngineError,
    native::{Native, Plan, kernel},
};
use residua_shared::{
    frame::{Frame, Size},
    manifest::Manifest,
    onnx,
};

use crate::config;

/// A model whose parts fit each other.
#[derive(Clone, Debug)]
pub struct Model {
    /// The ONNX file.
    onnx: Vec<u8>,
    /// The manifest in it.
    pub manifest: Manifest,
    /// The version that it was signed as; 0 where it was put here by hand.
    pub version: u64,
}

impl Model {
    /// Opens the ONNX file at `path`. Errors name the file and the remedy.
    pub fn open(path: &Path) -> Result<Self> {
        let onnx = fs::read(path).with_context(|| {
            format!(
                "{}: model.file cannot be read; give the model.onnx that `residua export` made",
                path.display()
            )
        })?;
        Self::read(onnx).with_context(|| path.display().to_string())
    }

    /// Checks the bytes of an ONNX file.
    pub fn read(onnx: Vec<u8>) -> Result<Self> {
        const REMEDY: &str = "copy or export the model again";
        let manifest = onnx::manifest(&onnx)?
            .with_context(|| format!("there is no residua manifest in it; {REMEDY}"))?;
        let manifest: Manifest =
            serde_json::from_slice(manifest).with_context(|| format!("manifest: {REMEDY}"))?;
        manifest.check()?;
        manifest.check_digest(onnx::digest(&onnx)?)?;
        let graph = onnx::read(&onnx, manifest.rule.scale().fraction_bits())?.graph();
        ensure!(
            graph == manifest.graph,
            "graph: the manifest states {} but the file has {graph}; {REMEDY}",
            manifest.graph
        );
        Ok(Self {
            onnx,
            manifest,
            version: 0,
        })
    }

    /// The engine that the configuration asks for.
    pub fn engine(&self, kind: config::Engine) -> Result<AnyEngine, EngineError> {
        match kind {
            config::Engine::Native => Ok(AnyEngine::Native(Box::new(self.native()?))),
            #[cfg(feature = "tract")]
            config::Engine::Tract => {
                let bits = self.manifest.rule.scale().fraction_bits();
                residua_edge::engine::tract::Tract::new(&self.onnx, self.manifest.input, bits)
                    .map(AnyEngine::Tract)
            }
            #[cfg(not(feature = "tract"))]
            config::Engine::Tract => Err(EngineError::Runtime(
                "this program was built without tract".into(),
            )),
        }
    }

    /// Bytes that the native engine keeps.
    pub fn engine_bytes(&self) -> Result<u64, EngineError> {
        let bits = self.manifest.rule.scale().fraction_bits();
        let plan = Plan::new(&onnx::read(&self.onnx, bits)?)?;
        Ok((plan.weights_len(kernel::best()) + plan.arena_len()) as u64)
    }

    /// The native engine, which also takes rows.
    pub fn native(&self) -> Result<Native<Vec<u8>>, EngineError> {
        let bits = self.manifest.rule.scale().fraction_bits();
        let net = onnx::read(&self.onnx, bits)?;
        let (plan, kernel) = (Plan::new(&net)?, kernel::best());
        let (weights, arena) = (vec![0; plan.weights_len(kernel)], vec![0; plan.arena_len()]);
        Native::new(&net, self.manifest.input, kernel, weights, arena)
    }
}

/// An engine chosen when the program starts.
#[derive(Debug)]
pub enum AnyEngine {
    /// residua's own.
    Native(Box<Native<Vec<u8>>>),
    /// tract.
    #[cfg(feature = "tract")]
    Tract(residua_edge::engine::tract::Tract),
}

impl Engine for AnyEngine {
    fn input(&self) -> Size {
        match self {
            Self::Native(engine) => engine.input(),
            #[cfg(feature = "tract")]
            Self::Tract(engine) => engine.input(),
        }
    }

    fn fraction_bits(&self) -> u8 {
        match self {
            Self::Native(engine) => engine.fraction_bits(),
            #[cfg(feature = "tract")]
            Self::Tract(engine) => engine.fraction_bits(),
        }
    }

    fn reconstruct(
        &mut self,
        frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError> {
        match self {
            Self::Native(engine) => engine.reconstruct(frame, reconstruction),
            #[cfg(feature = "tract")]
            Self::Tract(engine) => engine.reconstruct(frame, reconstruction),
        }
    }
}
