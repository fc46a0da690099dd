//! From the device to the host.

use core::fmt;

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use super::{
    CHUNK, Capabilities, Chunk, Histogram, MaskChunk,
    length::{BYTE, DIGEST, SIZE, THRESHOLD, U16, U32, U64, largest, list},
};
use crate::{
    frame::Size,
    manifest::Digest,
    rule::Threshold,
    verdict::{Region, Verdict},
};

/// Regions that a [`Report`] carries at most.
pub const MAX_REGIONS: usize = 16;

/// Bytes of the longest message of a device.
pub(super) const MAX_MESSAGE: usize = BYTE
    + largest(&[
        Hello::MAX,
        Report::MAX,
        Fault::MAX,
        MaskChunk::MAX,
        ImageChunk::MAX,
        Stats::MAX,
        Pong::MAX,
        Answer::MAX,
    ]);

/// A message from a device.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Once after every connection and every change of model, and whenever it is asked for.
    Hello(Hello),
    /// One a part.
    Report(Report),
    /// Instead of a report, where there can be none; and whatever else goes wrong.
    Fault(Fault),
    /// After the report of a defect, from devices with [`Capabilities::MASKS`].
    Mask(MaskChunk),
    /// The image that [`super::Command::Capture`] asked for.
    Image(ImageChunk),
    /// What [`super::Command::Stats`] asked for.
    Stats(Stats),
    /// What [`super::Command::Ping`] asked for.
    Pong(Pong),
    /// Whether any other command was obeyed.
    Answer(Answer),
}

/// When something was, by the device's own clock, which no one sets back, and by the time of day
/// where it knows that.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Time {
    /// Microseconds since the device started.
    pub uptime_us: u64,
    /// Microseconds since 1970-01-01 00:00 UTC.
    pub unix_us: Option<u64>,
}

impl Time {
    const MAX: usize = U64 + BYTE + U64;
}

/// Who is there, and what it inspects with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// [`super::VERSION`] of the device, so that a hello on record stands alone.
    pub protocol: u8,
    /// The version of the device's program.
    pub program: ProgramVersion,
    /// The device's own name.
    pub device: String<32>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The number that its next part will have. Numbers rise by one; whoever sees one below this
    /// for the first time has missed a report.
    pub next_part: u64,
    /// What it inspects with; a device without a model rejects every part.
    pub model: Option<Model>,
}

impl Hello {
    const MAX: usize = BYTE + ProgramVersion::MAX + list(32, 1) + U32 + U64 + BYTE + Model::MAX;
}

/// A program's version, by the rules of semantic versioning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ProgramVersion {
    /// Rises with every change that breaks something.
    pub major: u16,
    /// Rises with every addition.
    pub minor: u16,
    /// Rises with every repair.
    pub patch: u16,
}

impl ProgramVersion {
    const MAX: usize = 3 * U16;
}

impl fmt::Display for ProgramVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A model in use.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Model {
    /// The manifest's digest: of the graph, without the manifest.
    pub digest: Digest,
    /// The version that it was signed as; 0 where it was installed without a signature.
    pub version: u64,
    /// The images it inspects.
    pub input: Size,
    /// The image threshold in use, with the scale of all map values of this device.
    pub threshold: Threshold,
    /// The model's name.
    pub name: String<64>,
}

impl Model {
    const MAX: usize = DIGEST + U64 + SIZE + THRESHOLD + list(64, 1);
}

/// The verdict on one part.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The part's number, counted by the device; never given twice by a device with
    /// [`Capabilities::JOURNAL`], counted from 0 at each start by others.
    pub part: u64,
    /// When its image was complete.
    pub time: Time,
    /// Good or defect, its score in steps of `threshold.scale`.
    pub verdict: Verdict,
    /// The image threshold that decided, with the scale of all map values here.
    pub threshold: Threshold,
    /// Regions that count, in raster order; at most the first [`MAX_REGIONS`] of
    /// `verdict.regions`.
    pub regions: Vec<Region, MAX_REGIONS>,
}

impl Report {
    const VERDICT: usize = BYTE + U32 + U32 + BYTE;
    const REGION: usize = 4 * U16 + 2 * U32;
    const MAX: usize =
        U64 + Time::MAX + Self::VERDICT + THRESHOLD + list(MAX_REGIONS, Self::REGION);
}

/// Something failed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// The part that could not be inspected, where it concerns one. Its gate rejects it.
    pub part: Option<u64>,
    /// When it was noticed.
    pub time: Time,
    /// What failed.
    pub kind: FaultKind,
    /// One line for people: what, and the remedy.
    pub detail: String<128>,
}

impl Fault {
    const MAX: usize = BYTE + U64 + Time::MAX + BYTE + list(128, 1);
}

/// What failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FaultKind {
    /// The model could not be loaded, or is lost.
    Model,
    /// The image was missing or unusable.
    Image,
    /// The engine failed on a usable image.
    Engine,
    /// The camera or the source of images does not answer.
    Camera,
    /// The reject gate could not be driven, or lost count of the parts.
    Gate,
    /// A verdict or a part of the program came too late.
    Watchdog,
    /// The journal or another store could not be written.
    Storage,
    /// A new model could not be installed.
    Update,
    /// Bytes from the host could not be understood.
    Link,
    /// The program failed in a way that should not be possible.
    Internal,
}

/// A part of an image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImageChunk {
    /// The number of the part that it shows.
    pub part: u64,
    /// The whole image.
    pub size: Size,
    /// The pixel, counted row by row from the image's first, at which this chunk begins. Chunks
    /// come in order.
    pub start: u32,
    /// Pixels, 0 black to 255 white. The image is complete when `start` and their number together
    /// make `size.area()`.
    pub pixels: Chunk,
}

impl ImageChunk {
    const MAX: usize = U64 + SIZE + U32 + list(CHUNK, 1);

    /// Whether this is the image's last chunk.
    pub fn last(&self) -> bool {
        self.start as usize + self.pixels.len() >= self.size.area()
    }
}

/// What a device counted since it started.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Stats {
    /// When these were read.
    pub time: Time,
    /// Parts found good.
    pub good: u64,
    /// Parts found defective.
    pub defects: u64,
    /// Parts without a verdict.
    pub faults: u64,
    /// What was lost for lack of room or time.
    pub dropped: Dropped,
    /// From a complete image to its verdict.
    pub latency: Histogram,
    /// Memory in use.
    pub memory: Memory,
}

impl Stats {
    const MAX: usize = Time::MAX + 3 * U64 + Dropped::MAX + Histogram::MAX + Memory::MAX;
}

/// What was lost for lack of room or time.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Dropped {
    /// Images that came while another was inspected and no room was left.
    pub images: u64,
    /// Reports that the host never got.
    pub reports: u64,
    /// Masks that the host never got.
    pub masks: u64,
    /// Frames from the host that were damaged or unknown.
    pub frames: u64,
    /// Parts that the gate rejected because their verdict came too late.
    pub late: u64,
}

impl Dropped {
    const MAX: usize = 5 * U64;
}

/// Memory in use, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// The inspection's own buffers; fixed once a model is loaded.
    pub buffers: u64,
    /// The most that was ever in use: the process's resident set under an operating system, else
    /// the high-water mark of the stack.
    pub peak: u64,
}

impl Memory {
    const MAX: usize = 2 * U64;
}

/// An answer to a ping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pong {
    /// [`super::Request::id`] of the ping.
    pub request: u16,
    /// When it arrived.
    pub time: Time,
}

impl Pong {
    const MAX: usize = U16 + Time::MAX;
}

/// Whether a command was obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// [`super::Request::id`] of the command.
    pub request: u16,
    /// Obeyed, or why not; then nothing was changed.
    pub result: Result<(), Refusal>,
}

impl Answer {
    const MAX: usize = U16 + BYTE + Refusal::MAX;
}

/// Why a device does not obey.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// The device cannot do this; its capabilities say so.
    Unsupported,
    /// Another host, or another command of this one, is being served.
    Busy,
    /// There is no model.
    NoModel,
    /// The threshold is on another scale than the model's map.
    Scale,
    /// The image threshold would lie below this one, the model's pixel threshold.
    Threshold {
        /// In map steps.
        pixel: u32,
    },
    /// The signature was not made with the key that the device trusts, or for another header.
    Signature,
    /// The model is not newer than the one in use.
    Version {
        /// The version in use.
        current: u64,
    },
    /// The model inspects images of another size.
    Geometry {
        /// The size that the device takes.
        expected: Size,
    },
    /// The model is longer than a slot, or empty.
    Length {
        /// Bytes that a slot holds.
        capacity: u32,
    },
    /// A chunk or a commit without a model begun, or after one that failed.
    NotBegun,
    /// The chunk does not start where the last one ended, is not full though not the last, or goes
    /// past the stated length; or the model was committed before it was complete.
    Offset {
        /// Where the next chunk must start.
        expected: u32,
    },
    /// The bytes received do not have the digest that was signed.
    Digest,
    /// The bytes are what was signed, but no model that this device can run.
    Invalid,
    /// The device could not write or read its store.
    Storage,
}

impl Refusal {
    const MAX: usize = BYTE + largest(&[U64, U32, SIZE]);
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("the device cannot do this"),
            Self::Busy => f.write_str("the device is busy; try again"),
            Self::NoModel => f.write_str("the device has no model; send it one"),
            Self::Scale => f.write_str(
                "threshold: it is on another map scale than the device's model; \
                 take the scale from its hello",
            ),
            Self::Threshold { pixel } => write!(
                f,
                "threshold: the image threshold must be at least {pixel}, the model's pixel threshold"
            ),
            Self::Signature => f.write_str(
                "signature: not made with the key that the device trusts, or for another model; \
                 sign it again",
            ),
            Self::Version { current } => write!(
                f,
                "version: the device runs version {current}; sign the model with a higher one"
            ),
            Self::Geometry { expected } => write!(
                f,
                "input: the device inspects {expected} images; train a model for that size"
            ),
            Self::Length { capacity } => {
                write!(
                    f,
                    "length: the device holds models of 1 to {capacity} bytes"
                )
            }
            Self::NotBegun => f.write_str("no model was begun; send it from its start"),
            Self::Offset { expected } => {
                write!(f, "offset: the device expects the byte at {expected} next")
            }
            Self::Digest => f.write_str(
                "digest: the bytes that arrived are not the ones signed; send the model again",
            ),
            Self::Invalid => {
                f.write_str("the model was refused by the device's engine; export it again")
            }
            Self::Storage => {
                f.write_str("the device could not use its store; check its disk or flash")
            }
        }
    }
}

impl core::error::Error for Refusal {}
