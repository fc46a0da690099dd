//! The manifest: what an exported model is, how it was made, and how it decides. It lies beside
//! `model.onnx` as `manifest.json` and inside it under the metadata key [`METADATA_KEY`].

use core::fmt;

use heapless::String;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{frame::Size, rule::DecisionRule};

/// The version of this manifest's schema. A reader refuses any other.
pub const VERSION: u16 = 1;

/// The key of the manifest in the ONNX file's `metadata_props`.
pub const METADATA_KEY: &str = "residua.manifest";

/// A SHA-256 digest; 64 lower-case hexadecimal digits in text formats.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 32]>::deserialize(deserializer).map(Self);
        }
        let text = String::<64>::deserialize(deserializer)?;
        let digits = text.as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 64 {
            return Err(D::Error::custom("a digest has 64 hexadecimal digits"));
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(D::Error::custom("a digest has 64 hexadecimal digits"));
            };
            *byte = (high * 16 + low) as u8;
        }
        Ok(Self(digest))
    }
}

/// Everything that a device or an evaluator must know of a model beside its graph.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`] of the schema.
    pub version: u16,
    /// The model's name, as people call it.
    pub name: String<64>,
    /// The network preset it was trained from.
    pub preset: String<32>,
    /// SHA-256 of the ONNX file without its top-level `metadata_props` (which hold this manifest).
    pub digest: Digest,
    /// The images it inspects.
    pub input: Size,
    /// The graph's own input shape: `input` padded to the network's stride by repeating the last
    /// row and column.
    pub graph: Size,
    /// What the native engine needs for it; absent where that cannot run the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<Streaming>,
    /// How it decides.
    pub rule: DecisionRule,
    /// Where the rule's thresholds come from.
    pub calibration: Calibration,
    /// How the integers were made from the trained weights.
    pub quantization: Quantization,
    /// How the network was trained.
    pub training: Training,
}

/// What the native engine needs, whatever the image's height.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Streaming {
    /// A row of the reconstruction is complete so many image rows after its own.
    pub latency_rows: u32,
    /// Bytes of the arena with the lines between layers.
    pub arena_bytes: u64,
}

impl fmt::Display for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows of latency and {} bytes of arena",
            self.latency_rows, self.arena_bytes
        )
    }
}

/// Where the thresholds come from: held-out good images alone.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Calibration {
    /// Held-out good images.
    pub images: u32,
    /// The false-alarm rate asked for, per image.
    pub false_alarm_rate: f64,
    /// How the image threshold was found.
    pub method: String<32>,
    /// The share by which the image threshold was then raised.
    #[serde(default)]
    pub guard: f64,
    /// With 95 % confidence the image threshold lies between these, in steps of the rule's scale
    /// (bootstrap over the sample); absent in models exported before it was kept.
    #[serde(default)]
    pub threshold_interval: Option<(u32, u32)>,
    /// With 95 % confidence the true false-alarm rate is below this (exact binomial bound from the
    /// sample alone, no model of the tail).
    pub false_alarm_bound: f64,
    /// The share of good pixels above the pixel threshold that was asked for.
    pub pixel_rate: f64,
}

/// How the integers were made.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quantization {
    /// `ptq` (post-training) or `qat` (quantization-aware fine-tuning).
    pub method: String<16>,
    /// Good images on which activation scales were chosen.
    pub images: u32,
}

/// How the network was trained, and on what.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Training {
    /// The data set's layout.
    pub layout: String<16>,
    /// SHA-256 over the data set's sorted relative file names and lengths: tells whether a folder
    /// is the one that was split for training.
    pub data: Digest,
    /// The seed of the split into training, validation, calibration and test.
    pub split_seed: u64,
    /// The seed of the weights and batches.
    pub seed: u64,
    /// Epochs trained.
    pub epochs: u32,
    /// The epoch whose weights were kept.
    pub kept_epoch: u32,
}

/// Why a manifest was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ManifestError {
    /// The schema's version is not [`VERSION`].
    Version(u16),
    /// The graph is smaller than the image it should hold.
    Graph {
        /// The images inspected.
        input: Size,
        /// The graph's shape.
        graph: Size,
    },
    /// The ONNX file is not the one that the manifest describes.
    Digest {
        /// In the manifest.
        stated: Digest,
        /// Of the file.
        found: Digest,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(
                f,
                "version: manifest version {version} is unknown (this program reads {VERSION}); \
                 export the model again with this program's version"
            ),
            Self::Graph { input, graph } => write!(
                f,
                "graph: a {graph} graph cannot hold {input} images; export the model again"
            ),
            Self::Digest { stated, found } => write!(
                f,
                "digest: the manifest states {stated} but the ONNX file has {found}; \
                 the two are not of one export; export the model again"
            ),
        }
    }
}

impl core::error::Error for ManifestError {}

impl Manifest {
    /// Checks what serde cannot: the version, and that the sizes fit each other.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.version != VERSION {
            return Err(ManifestError::Version(self.version));
        }
        let (input, graph) = (self.input, self.graph);
        if graph.width() < input.width() || graph.height() < input.height() {
            return Err(ManifestError::Graph { input, graph });
        }
        Ok(())
    }

    /// Checks that `found`, the digest of an ONNX file, is the one stated.
    pub fn check_digest(&self, found: Digest) -> Result<(), ManifestError> {
        if found != self.digest {
            return Err(ManifestError::Digest {
                stated: self.digest,
                found,
            });
        }
        Ok(())
    }
}
