//! The protocol, which both sides share: a file of cases goes in, a file of replies comes out. Each
//! is a sequence of records: the length as little-endian u32, then postcard.
//!
//! `B` are bytes: borrowed on a target, owned by the judge. Integers in them are little-endian.

use heapless::{String, Vec};
use residua_shared::{frame::Size, net::MAX_KERNEL, rule::DecisionRule, verdict::Verdict};
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
    /// The same with a part done twice: only to count instructions.
    NativeTwice(B, u8, Part),
    /// tract, with this ONNX file.
    Tract(B),
    /// tract, with the first layers of a network as an ONNX file for images of the graph's own
    /// size: only the last one's activations are replied, to find where tract goes astray.
    TractLayers(B),
    /// No network: this row alone by the kernel of this number, whose bytes are replied as
    /// activations (sums of the last layer as i32). There is one image, of which nothing is used.
    Row(Row<B>, u8),
}

/// A part of an inspection by the native engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Part {
    /// None of it.
    Nothing,
    /// The kernel's work for the layer of this number.
    Layer(u8),
    /// What follows the engine.
    Path,
}

/// One output row of one layer, as `residua_edge`'s kernels take it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row<B> {
    /// What it reads.
    pub stretches: Vec<Stretch<B>, { 2 * MAX_KERNEL }>,
    /// Pixels computed.
    pub width: u32,
    /// The weights, packed in the kernel's first format, or in that of the last layer.
    pub weights: B,
    /// Whether it is a row of the last layer.
    pub last: bool,
    /// Channels computed of each pixel.
    pub outputs: u32,
    /// Bytes from an output pixel to the next.
    pub step: u32,
}

/// What one row of a convolution's kernel reads.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stretch<B> {
    /// From the first tap of output pixel 0 on.
    pub bytes: B,
    /// Bytes from an output pixel's first tap to the next one's.
    pub step: u32,
    /// Bytes that each output pixel reads.
    pub length: u32,
}

/// Bytes behind a row's own that are replied too: those that it must leave alone.
pub const GUARD: usize = 64;

/// What lies in the memory of a row and behind it before.
pub const UNTOUCHED: u8 = 0xcc;

/// To every image one; after a failure none to the rest of the case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Reply<B, R> {
    /// The image was inspected.
    Inspected(Answer<B, R>),
    /// u8 activations, as [`Engine::TractLayers`] and [`Engine::Row`] ask for.
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
                Engine::NativeTwice(bytes, kernel, part) => {
                    Engine::NativeTwice(bytes.as_ref(), *kernel, *part)
                }
                Engine::Tract(bytes) => Engine::Tract(bytes.as_ref()),
                Engine::TractLayers(bytes) => Engine::TractLayers(bytes.as_ref()),
                Engine::Row(row, kernel) => Engine::Row(row.borrowed(), *kernel),
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

impl<B: AsRef<[u8]>> Row<B> {
    fn borrowed(&self) -> Row<&[u8]> {
        let stretches = self.stretches.iter().map(|stretch| Stretch {
            bytes: stretch.bytes.as_ref(),
            step: stretch.step,
            length: stretch.length,
        });
        Row {
            stretches: stretches.collect(),
            width: self.width,
            weights: self.weights.as_ref(),
            last: self.last,
            outputs: self.outputs,
            step: self.step,
        }
    }
}
