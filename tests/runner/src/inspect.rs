//! Runs a case by the edge's own inspection path.

use core::fmt::Write as _;

use heapless::{String, Vec};
use residua_edge::{
    engine::{
        Engine as Runtime, EngineError,
        native::{
            Native, Plan,
            kernel::{self, Format, Kernel, Stretch},
        },
        reference::Reference,
    },
    inspector::{Buffers, Inspection, Inspector, decide},
    map::AnomalyMap,
    regions::{RegionEntry, RunEntry},
};
use residua_shared::{
    buffer::BufferError,
    frame::{Frame, MAX_SIDE, Size},
    net::{MAX_KERNEL, Net},
    onnx,
    verdict::Region,
    wire::{MAX_FRAME, Message, Report, Time, encode},
};
use serde::{Serialize, Serializer, ser::SerializeSeq as _};

use crate::{
    case::{Answer, Case, Engine, GUARD, Part, Reply, Row, UNTOUCHED},
    twice::twice,
};

/// Bytes of the longest case, enough for the paper's network.
pub const MAX_CASE: usize = 17 << 17;
/// Pixels of the largest image.
pub const MAX_AREA: usize = 512 * 512;
/// Pixels in the widest row.
pub const MAX_WIDTH: usize = MAX_SIDE as usize;
/// Elements of the anomaly map for the widest row and the largest box, or for 3762 pixels weighed by
/// roughness.
pub const MAX_FILTER: usize = AnomalyMap::len_for_largest_box(MAX_WIDTH);
/// Bytes for the native engine's weights, enough for the paper's network.
pub const MAX_WEIGHTS: usize = 25 << 17;
/// Bytes for the scalar reference's activations, or for the native engine's lines.
pub const MAX_SCRATCH: usize = 3 << 19;
/// Where an engine's weights lie is a multiple of it.
const ALIGNMENT: usize = 64;
/// Bytes of the longest reply.
pub const MAX_REPLY: usize = 3 << 20;

/// The memory of a target. What it holds before does not matter.
pub struct Memory<'b> {
    /// [`MAX_WEIGHTS`] bytes.
    pub weights: &'b mut [u8],
    /// [`MAX_SCRATCH`] bytes.
    pub scratch: &'b mut [u8],
    /// [`MAX_AREA`] values.
    pub reconstruction: &'b mut [i32],
    /// [`MAX_WIDTH`] values.
    pub residual: &'b mut [i32],
    /// [`MAX_FILTER`] values.
    pub filter: &'b mut [u32],
    /// [`MAX_AREA`] values.
    pub map: &'b mut [u32],
    /// [`MAX_AREA`] bytes.
    pub mask: &'b mut [u8],
    /// Half as many as [`MAX_AREA`].
    pub runs: &'b mut [RunEntry],
    /// A quarter of [`MAX_AREA`].
    pub regions: &'b mut [RegionEntry],
    /// [`MAX_REPLY`] bytes.
    pub reply: &'b mut [u8],
}

/// Such memory on the heap.
#[cfg(feature = "linux")]
pub struct Storage {
    bytes: [std::vec::Vec<u8>; 4],
    signed: [std::vec::Vec<i32>; 2],
    unsigned: [std::vec::Vec<u32>; 2],
    runs: std::vec::Vec<RunEntry>,
    regions: std::vec::Vec<RegionEntry>,
}

#[cfg(feature = "linux")]
impl Default for Storage {
    fn default() -> Self {
        use std::vec;
        Self {
            bytes: [MAX_WEIGHTS, MAX_SCRATCH, MAX_AREA, MAX_REPLY].map(|length| vec![0; length]),
            signed: [MAX_AREA, MAX_WIDTH].map(|length| vec![0; length]),
            unsigned: [MAX_FILTER, MAX_AREA].map(|length| vec![0; length]),
            runs: vec![RunEntry::EMPTY; MAX_AREA / 2],
            regions: vec![RegionEntry::EMPTY; MAX_AREA / 4],
        }
    }
}

#[cfg(feature = "linux")]
impl Storage {
    /// The memory, borrowed.
    pub fn memory(&mut self) -> Memory<'_> {
        let [weights, scratch, mask, reply] = &mut self.bytes;
        let [reconstruction, residual] = &mut self.signed;
        let [filter, map] = &mut self.unsigned;
        Memory {
            weights,
            scratch,
            reconstruction,
            residual,
            filter,
            map,
            mask,
            runs: &mut self.runs,
            regions: &mut self.regions,
            reply,
        }
    }
}

type Failure = String<112>;
type Replied<'a> = Reply<&'a [u8], Suspects<'a>>;

/// Inspects every image of a case, and gives each reply's bytes, still without their length, to
/// `emit`.
///
/// # Panics
/// Where a reply is longer than the memory for it.
pub fn run(case: &Case<&[u8]>, memory: &mut Memory<'_>, emit: &mut impl FnMut(&[u8])) {
    let weights = core::mem::take(&mut memory.weights);
    let scratch = core::mem::take(&mut memory.scratch);
    let bits = case.rule.scale().fraction_bits();
    let done = match &case.engine {
        Engine::Given(values) => {
            let area = case.input.area();
            let given = Given {
                input: case.input,
                fraction_bits: bits,
                values: values.chunks_exact(4 * area).cycle(),
            };
            inspect(case, given, memory, emit)
        }
        Engine::Reference(file) => onnx::read(file, bits)
            .map_err(EngineError::from)
            .and_then(|net| Reference::new(net, case.input, scratch))
            .map_err(failure)
            .and_then(|engine| inspect(case, engine, memory, emit)),
        Engine::Native(file, number) => {
            let kernel = |_: &Net<'_>, _: usize| kernel::all().get(usize::from(*number)).copied();
            native(case, file, kernel, [weights, scratch], memory, emit)
        }
        Engine::NativeTwice(file, number, part) => {
            let kernel = |net: &Net<'_>, weights| {
                let formats = kernel::all().get(usize::from(*number))?.formats();
                let layers = Plan::new(net).ok()?.packed_layers(formats);
                let within = match part {
                    Part::Layer(layer) => layers.get(usize::from(*layer))?.clone(),
                    Part::Nothing | Part::Path => 0..0,
                };
                twice(*number, weights + within.start..weights + within.end)
            };
            native(case, file, kernel, [weights, scratch], memory, emit)
        }
        Engine::Row(row, number) => match kernel::all().get(usize::from(*number)) {
            Some(&kernel) => activations(row, kernel, weights, memory, emit),
            None => Err(failure(format_args!("there is no kernel {number} here"))),
        },
        #[cfg(feature = "linux")]
        Engine::Tract(file) => residua_edge::engine::tract::Tract::new(file, case.input, bits)
            .map_err(failure)
            .and_then(|engine| inspect(case, engine, memory, emit)),
        #[cfg(feature = "linux")]
        Engine::TractLayers(file) => {
            case.images
                .chunks_exact(case.input.area())
                .try_for_each(|image| {
                    let activations = crate::layers::activations(file, case.input, image);
                    let activations =
                        activations.map_err(|error| failure(format_args!("{error:#}")))?;
                    send(&Reply::Activations(&activations), memory.reply, emit);
                    Ok(())
                })
        }
        #[cfg(not(feature = "linux"))]
        Engine::Tract(_) | Engine::TractLayers(_) => Err(failure("there is no tract here")),
    };
    memory.weights = weights;
    memory.scratch = scratch;
    if let Err(failure) = done {
        send(&Reply::Failed(failure), memory.reply, emit);
    }
}

fn inspect(
    case: &Case<&[u8]>,
    engine: impl Runtime,
    memory: &mut Memory<'_>,
    emit: &mut impl FnMut(&[u8]),
) -> Result<(), Failure> {
    let (size, rule) = (case.input, case.rule);
    let mut inspector = Inspector::new(engine, rule).map_err(failure)?;
    let lengths = Buffers::len_for(size, rule);
    let mut buffers = Buffers {
        reconstruction: part(
            "reconstruction",
            memory.reconstruction,
            lengths.reconstruction,
        )?,
        residual: part("residual", memory.residual, lengths.residual)?,
        filter: part("filter", memory.filter, lengths.filter)?,
        map: part("map", memory.map, lengths.map)?,
        runs: part("runs", memory.runs, case.runs as usize)?,
        regions: part("regions", memory.regions, case.regions as usize)?,
    };
    let mask = part("mask", memory.mask, size.area())?;
    for repetition in 1..=case.repetitions {
        for (number, pixels) in (case.first..).zip(case.images.chunks_exact(size.area())) {
            let frame = Frame::new(size, pixels).map_err(failure)?;
            let mut inspection = inspector.inspect(frame, &mut buffers).map_err(failure)?;
            if let Engine::NativeTwice(.., Part::Path) = case.engine {
                inspection = decide(rule, frame, &mut buffers).map_err(failure)?;
            }
            if repetition == case.repetitions {
                answer(number, inspection, case, mask, memory.reply, emit)?;
            }
        }
    }
    Ok(())
}

/// The images by the native engine with the kernel that there is for a network and for weights that
/// are packed to this address.
fn native(
    case: &Case<&[u8]>,
    file: &[u8],
    kernel: impl Fn(&Net<'_>, usize) -> Option<&'static dyn Kernel>,
    [weights, scratch]: [&mut [u8]; 2],
    memory: &mut Memory<'_>,
    emit: &mut impl FnMut(&[u8]),
) -> Result<(), Failure> {
    let net = onnx::read(file, case.rule.scale().fraction_bits()).map_err(failure)?;
    let first = weights.as_ptr().addr().next_multiple_of(ALIGNMENT);
    let kernel = kernel(&net, first).ok_or_else(|| failure("there is no such kernel here"))?;
    let engine = Native::new(&net, case.input, kernel, weights, scratch).map_err(failure)?;
    inspect(case, engine, memory, emit)
}

/// One row by a kernel. Its weights are moved to where an engine's lie: some kernels take others
/// only by their twin.
fn activations(
    row: &Row<&[u8]>,
    kernel: &dyn Kernel,
    weights: &mut [u8],
    memory: &mut Memory<'_>,
    emit: &mut impl FnMut(&[u8]),
) -> Result<(), Failure> {
    let skipped = weights.as_ptr().align_offset(ALIGNMENT);
    let weights = part("weights", &mut weights[skipped..], row.weights.len())?;
    weights.copy_from_slice(row.weights);
    let stretches = row.stretches.iter().map(|stretch| Stretch {
        bytes: stretch.bytes,
        step: stretch.step as usize,
        length: stretch.length as usize,
    });
    let stretches: Vec<Stretch<'_>, { 2 * MAX_KERNEL }> = stretches.collect();
    let (width, outputs, step) = (row.width as usize, row.outputs as usize, row.step as usize);
    let format = if row.last {
        Format::output(kernel.centre())
    } else {
        kernel.formats()[0]
    };
    let packed = kernel::Row {
        stretches: &stretches,
        width,
        weights,
        format,
        outputs,
        step,
    };
    let reply = if row.last {
        let output = part("reconstruction", memory.reconstruction, width + GUARD / 4)?;
        output.fill(i32::from_ne_bytes([UNTOUCHED; 4]));
        kernel.sums(&packed, &mut output[..width]);
        bytemuck::cast_slice(output)
    } else {
        let own = width.saturating_sub(1) * step + outputs;
        let output = part("mask", memory.mask, own + GUARD)?;
        output.fill(UNTOUCHED);
        kernel.activations(&packed, &mut output[..own]);
        output
    };
    send(&Reply::Activations(reply), memory.reply, emit);
    Ok(())
}

fn answer(
    number: u32,
    inspection: Inspection<'_>,
    case: &Case<&[u8]>,
    mask: &mut [u8],
    reply: &mut [u8],
    emit: &mut impl FnMut(&[u8]),
) -> Result<(), Failure> {
    // What the last image left there must not pass for this one's.
    mask.fill(77);
    inspection.write_mask(mask).map_err(failure)?;
    let report = Message::Report(Report {
        part: number.into(),
        time: Time::default(),
        verdict: inspection.verdict(),
        threshold: case.rule.image_threshold(),
        regions: inspection
            .regions()
            .take(residua_shared::wire::MAX_REGIONS)
            .collect(),
    });
    let mut frame = [0; MAX_FRAME];
    let answer = Answer {
        reconstruction: bytemuck::cast_slice(inspection.reconstruction()),
        map: bytemuck::cast_slice(inspection.map()),
        mask,
        suspects: Suspects(inspection),
        verdict: inspection.verdict(),
        frame: encode(&report, &mut frame).map_err(failure)?,
    };
    send(&Reply::Inspected(answer), reply, emit);
    Ok(())
}

fn send(reply: &Replied<'_>, buffer: &mut [u8], emit: &mut impl FnMut(&[u8])) {
    let bytes = postcard::to_slice(reply, buffer);
    emit(bytes.expect("MAX_REPLY holds the longest reply"));
}

/// The first `length` elements.
fn part<'b, T>(
    buffer: &'static str,
    memory: &'b mut [T],
    length: usize,
) -> Result<&'b mut [T], Failure> {
    let given = memory.len();
    memory.get_mut(..length).ok_or_else(|| {
        failure(BufferError {
            buffer,
            needed: length,
            given,
        })
    })
}

/// As much of a message as a reply holds.
fn failure(message: impl core::fmt::Display) -> Failure {
    struct Cut(Failure);
    impl core::fmt::Write for Cut {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            text.chars()
                .try_for_each(|c| self.0.push(c).map_err(|_| core::fmt::Error))
        }
    }
    let mut cut = Cut(String::new());
    // The error says that it did not fit, which is the very purpose.
    let _ = write!(cut, "{message}");
    cut.0
}

/// Suspect regions as a sequence, without a heap to collect them in.
struct Suspects<'a>(Inspection<'a>);

impl Serialize for Suspects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = self.0.suspects().count();
        let mut sequence = serializer.serialize_seq(Some(count))?;
        self.0
            .suspects()
            .try_for_each(|region: Region| sequence.serialize_element(&region))?;
        sequence.end()
    }
}

/// Reconstructions made elsewhere, one image after the other and again from the first.
struct Given<I> {
    input: Size,
    fraction_bits: u8,
    values: I,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Runtime for Given<I> {
    fn input(&self) -> Size {
        self.input
    }

    fn fraction_bits(&self) -> u8 {
        self.fraction_bits
    }

    fn reconstruct(
        &mut self,
        _frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError> {
        let values = self.values.next().unwrap_or_default();
        BufferError::exact("given", values.len(), 4 * reconstruction.len())?;
        let (values, _) = values.as_chunks();
        for (out, &value) in reconstruction.iter_mut().zip(values) {
            *out = i32::from_le_bytes(value);
        }
        Ok(())
    }
}
