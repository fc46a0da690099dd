//! A line's strips: rows in, a report for every window out, and what the gate must know of both.

use core::num::NonZeroU32;

use heapless::Deque;
use residua_edge::{
    engine::native::{
        Native,
        kernel::{Kernel, cortex_m},
    },
    gate::GateFault,
    inspector::InspectError,
    rows::{Order, Piece},
    strip::{MaskRegion, MaskRun, OpenRegion, OpenRun, Strip, StripBuffers, StripRegion, Window},
};
use residua_shared::{
    frame::Size,
    manifest::Digest,
    onnx,
    rule::DecisionRule,
    verdict::Region,
    wire::{FaultKind, MAX_REGIONS, Report},
};

use crate::{
    clock,
    model::{self, LENGTHS},
    shared::{self, PARTS},
    trouble::Trouble,
};

/// Runs of suspect pixels of a window at the most, and of regions before they are joined; where there
/// are more, the window has no mask.
const MASK: (usize, usize) = (4096, 2048);

/// Counting regions that end in a window at the most; more are a defect that says so.
const ENDING: usize = 1024;

type Inspector = Strip<'static, &'static mut [u8], &'static [u8]>;

/// The memory of a line, which there is once.
pub struct Memory {
    arena: [u8; model::ARENA],
    image: [u8; LENGTHS.image],
    reconstruction: [i32; LENGTHS.reconstruction],
    residual: [i32; LENGTHS.residual],
    filter: [u32; LENGTHS.filter],
    runs: [OpenRun; LENGTHS.runs],
    regions: [OpenRegion; LENGTHS.regions],
    ended: [StripRegion; ENDING],
    mask_runs: [MaskRun; MASK.0],
    mask_regions: [MaskRegion; MASK.1],
}

impl Memory {
    /// Before its first use.
    pub const NEW: Self = Self {
        arena: [0; model::ARENA],
        image: [0; LENGTHS.image],
        reconstruction: [0; LENGTHS.reconstruction],
        residual: [0; LENGTHS.residual],
        filter: [0; LENGTHS.filter],
        runs: [OpenRun::EMPTY; LENGTHS.runs],
        regions: [OpenRegion::EMPTY; LENGTHS.regions],
        ended: [StripRegion::EMPTY; ENDING],
        mask_runs: [MaskRun::EMPTY; MASK.0],
        mask_regions: [MaskRegion::EMPTY; MASK.1],
    };
}

/// The strips that pass the camera, window by window; each window is a part.
pub struct Line {
    strip: Inspector,
    rule: DecisionRule,
    order: Order,
    /// Parts that passed and are not yet reported, with the time at which each was complete.
    passed: Deque<(u64, u64), PARTS>,
    next_part: u64,
    last_row: u64,
}

impl Line {
    /// A line before its first row.
    ///
    /// Errors where the model in flash is not the one with this digest, or not for this processor.
    pub fn new(
        digest: Digest,
        rule: DecisionRule,
        memory: &'static mut Memory,
    ) -> Result<Self, Trouble> {
        let model = |detail| Trouble::Other(FaultKind::Model, detail);
        // Not to be known when this is compiled: what counts is what flash holds now.
        let onnx = core::hint::black_box(&model::ONNX[..]);
        if !onnx::digest(onnx).is_ok_and(|found| found == digest) {
            return Err(model(
                "the model in flash is damaged; write the firmware again",
            ));
        }
        let strip = strip(onnx, rule, memory).ok_or_else(|| {
            model("the model does not fit this program or processor; write the firmware again")
        })?;
        Ok(Self {
            strip,
            rule,
            order: Order::new(model::WIDTH),
            passed: Deque::new(),
            next_part: 0,
            last_row: 0,
        })
    }

    /// The number of the part whose rows come now.
    pub fn next_part(&self) -> u64 {
        self.next_part
    }

    /// Whether a strip has begun that got no row for so many microseconds.
    pub fn silent(&self, now: u64, us: u64) -> bool {
        self.order.rows() > 0 && now.saturating_sub(self.last_row) > us
    }

    /// Takes what came at `at`, and hands the reports due by it to `report`,
    /// each with the window's mask, where there was room for it.
    ///
    /// Errors with what makes the rest of the strip unreliable.
    pub fn take(
        &mut self,
        piece: Piece<'_>,
        at: u64,
        mut report: impl FnMut(Report, Option<&[MaskRun]>),
    ) -> Result<(), Trouble> {
        let before = self.order.rows();
        self.order.take(piece)?;
        self.last_row = at;
        let Self {
            strip,
            rule,
            passed,
            ..
        } = self;
        match piece {
            Piece::Row { pixels, .. } => {
                if self.order.rows().is_multiple_of(model::HEIGHT) {
                    pass(passed, &mut self.next_part, at)?;
                }
                if let Some(window) = strip.push_row(pixels).map_err(engine)? {
                    report(decided(window, *rule, passed)?, window.mask);
                }
            }
            Piece::End { .. } => {
                if !before.is_multiple_of(model::HEIGHT) {
                    pass(passed, &mut self.next_part, at)?;
                }
                while let Some(window) = strip.finish().map_err(engine)? {
                    report(decided(window, *rule, passed)?, window.mask);
                }
            }
        }
        Ok(())
    }
}

/// The inspector of strips; none where the weights packed into flash are not the model's, or not for
/// this processor.
fn strip(onnx: &[u8], rule: DecisionRule, memory: &'static mut Memory) -> Option<Inspector> {
    let net = onnx::read(onnx, rule.scale().fraction_bits()).ok()?;
    let weights = core::hint::black_box(&model::PACKED.0[..]);
    let input = Size::new(model::WIDTH, model::HEIGHT as usize).ok()?;
    let engine = Native::packed(&net, input, kernel()?, weights, &mut memory.arena[..]).ok()?;
    let buffers = StripBuffers {
        image: &mut memory.image,
        reconstruction: &mut memory.reconstruction,
        residual: &mut memory.residual,
        filter: &mut memory.filter,
        runs: &mut memory.runs,
        regions: &mut memory.regions,
        ended: &mut memory.ended,
        mask_runs: &mut memory.mask_runs,
        mask_regions: &mut memory.mask_regions,
    };
    Strip::new(engine, rule, NonZeroU32::new(model::HEIGHT)?, buffers).ok()
}

/// The board's kernel, where the processor has what it needs.
fn kernel() -> Option<&'static dyn Kernel> {
    #[cfg(feature = "mps3-an547")]
    let kernel = cortex_m::Helium::detect().map(|kernel| kernel as &dyn Kernel);
    #[cfg(not(feature = "mps3-an547"))]
    let kernel = cortex_m::Dsp::detect().map(|kernel| kernel as &dyn Kernel);
    kernel
}

/// A part's last row passed the camera at `at`.
fn pass(
    passed: &mut Deque<(u64, u64), PARTS>,
    next_part: &mut u64,
    at: u64,
) -> Result<(), Trouble> {
    let part = *next_part;
    *next_part += 1;
    shared::with_gate(|gate| gate.passed(part, at)).unwrap_or(Ok(()))?;
    // The gate's queue, which is no longer, would have been full before.
    passed
        .push_back((part, at))
        .map_err(|_| GateFault::Overflow)?;
    Ok(())
}

/// The report on the first part without one, whose verdict the gate hears first.
fn decided(
    window: Window<'_>,
    rule: DecisionRule,
    passed: &mut Deque<(u64, u64), PARTS>,
) -> Result<Report, Trouble> {
    let unseen = "a window came that no rows were; report this";
    let unseen = Trouble::Other(FaultKind::Internal, unseen);
    let (part, at) = passed.pop_front().ok_or(unseen)?;
    // A part that is there already was rejected, and the gate says that it failed.
    let _ = shared::with_gate(|gate| gate.decide(part, window.verdict.outcome));
    Ok(Report {
        part,
        time: clock::time(at),
        verdict: window.verdict,
        threshold: rule.image_threshold(),
        regions: window
            .regions
            .iter()
            .take(MAX_REGIONS)
            .map(|region| within(region, &window))
            .collect(),
    })
}

fn engine(_: InspectError) -> Trouble {
    Trouble::Other(
        FaultKind::Engine,
        "the engine refused a row; build the firmware again",
    )
}

/// A region in rows of the window that it ends in; where it begins above, from the first one on.
fn within(region: &StripRegion, window: &Window<'_>) -> Region {
    let row = |row: u64| u16::try_from(row.saturating_sub(window.first_row)).unwrap_or(u16::MAX);
    Region {
        left: region.left,
        top: row(region.top),
        right: region.right,
        bottom: row(region.bottom),
        area: u32::try_from(region.area).unwrap_or(u32::MAX),
        peak: region.peak,
    }
}
