//! The protocol, which both sides share: a file of cases goes in, a file of replies comes out. Each
//! is a sequence of records: the length as little-endian u32, then postcard.
//!
//! `B` are bytes: borrowed on a target, owned by the judge. Integers in them are little-endian.

use heapless::String;
use residua_shared::{frame::Size, rule::DecisionRule, verdict::Verdict};
use serde::{Deserialize, Serialize};

/// Images of one size that go one way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Case<B> {
    /// What reconstructs the images.
    pub engine: Engine<B>,
    /// The images' size.
    pub input: Size,
    /// The decision rule; its scale states the reconstruction's fraction bits.
    pub rule: DecisionRule,
    /// The length of the run table.
    pub runs: u32,
    /// The length of the region table.
    pub regions: u32,
    /// The images, one after the other.
    pub images: B,
    /// The number of the first image, counted in its report.
    pub first: u32,
    /// How often all images are inspected: 1, and more only to count instructions. The last time
    /// is replied to.
    pub repetitions: u32,
}

/// What reconstructs images.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Engine<B> {
    /// Nothing: these are the reconstructions, i32, one image after the other.
    Given(B),
    /// The scalar reference, with this ONNX file.
    Reference(B),
    /// The native engine, with this ONNX file, by the kernel of this number among those that the
    /// processor can run, from the slowest.
    Native(B, u8),
    /// tract, with this ONNX file.
    Tract(B),
    /// tract, with the first layers of a network as an ONNX file for images of the graph's own
    /// size: only the last one's activations are replied, to find where tract goes astray.
    TractLayers(B),
}

/// To every image one; after a failure none to the rest of the case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Reply<B, R> {
    /// The image was inspected.
    Inspected(Answer<B, R>),
    /// u8 activations, as [`Engine::TractLayers`] asks for.
    Activations(B),
    /// The start of one line.
    Failed(String<112>),
}

/// All that an inspection yields. `R` is a sequence of regions.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answer<B, R> {
    /// The reconstruction, i32.
    pub reconstruction: B,
    /// The anomaly map, u32.
    pub map: B,
    /// The defect mask, u8.
    pub mask: B,
    /// All suspect regions.
    pub suspects: R,
    /// The verdict.
    pub verdict: Verdict,
    /// The report as a frame of the wire protocol; the part's number is the image's.
    pub frame: B,
}

impl<B: AsRef<[u8]>> Case<B> {
    /// The same, its bytes borrowed.
    pub fn borrowed(&self) -> Case<&[u8]> {
        Case {
            engine: match &self.engine {
                Engine::Given(bytes) => Engine::Given(bytes.as_ref()),
                Engine::Reference(bytes) => Engine::Reference(bytes.as_ref()),
                Engine::Native(bytes, kernel) => Engine::Native(bytes.as_ref(), *kernel),
                Engine::Tract(bytes) => Engine::Tract(bytes.as_ref()),
                Engine::TractLayers(bytes) => Engine::TractLayers(bytes.as_ref()),
            },
            input: self.input,
            rule: self.rule,
            runs: self.runs,
            regions: self.regions,
            images: self.images.as_ref(),
            first: self.first,
            repetitions: self.repetitions,
        }
    }
}
