//! One frame on several processor cores: horizontal bands, each with a native engine of its own.
//!
//! A band's engine begins as many rows above its band as the network sees, and goes on below it
//! until the band's last row is complete. What lies over the beginning it takes for zeros, as above
//! an image, which no row of the band depends on: the results are those of one engine.

use std::{ops::Range, thread, vec::Vec};

use residua_shared::{
    buffer::BufferError,
    frame::{Frame, Size},
    net::Net,
};

use super::{
    Engine, EngineError, check_frame,
    native::{Native, Plan, kernel::Kernel},
};

/// The engine. Each frame takes a thread more for every band but the first.
#[derive(Debug)]
pub struct Bands {
    input: Size,
    fraction_bits: u8,
    bands: Vec<Band>,
}

/// Rows of the reconstruction, and what computes them.
#[derive(Debug)]
struct Band {
    engine: Native<Vec<u8>>,
    /// The first image row that it takes.
    first: usize,
    rows: Range<usize>,
    /// Takes the rows that lie above the band.
    spare: Vec<i32>,
}

impl Bands {
    /// An engine for images of size `input` in `count` bands (at least one, and at most as many as
    /// the image has rows), as equal as the network's stride allows.
    pub fn new(
        net: &Net<'_>,
        input: Size,
        kernel: &'static dyn Kernel,
        count: usize,
    ) -> Result<Self, EngineError> {
        let plan = Plan::new(net)?;
        let count = count.clamp(1, input.height());
        let rows = input.height().div_ceil(count);
        let rows = rows.next_multiple_of(plan.period());
        let mut bands = Vec::new();
        for start in (0..input.height()).step_by(rows) {
            let weights = std::vec![0; plan.weights_len(kernel)];
            let arena = std::vec![0; plan.arena_len()];
            bands.push(Band {
                engine: Native::new(net, input, kernel, weights, arena)?,
                first: start.saturating_sub(plan.overlap_rows()),
                rows: start..(start + rows).min(input.height()),
                spare: std::vec![0; input.width()],
            });
        }
        Ok(Self {
            input,
            fraction_bits: net.fraction_bits(),
            bands,
        })
    }

    /// Bands in use: fewer than asked for where the image has too few rows.
    pub fn count(&self) -> usize {
        self.bands.len()
    }
}

impl Band {
    /// Writes its rows of the reconstruction.
    fn reconstruct(&mut self, frame: Frame<'_>, output: &mut [i32]) -> Result<(), BufferError> {
        let width = frame.size().width();
        let mut image = frame.pixels()[self.first * width..].chunks_exact(width);
        let mut output = output.chunks_exact_mut(width);
        self.engine.restart();
        for y in self.first..self.rows.end {
            let row = if y < self.rows.start {
                Some(&mut *self.spare)
            } else {
                output.next()
            };
            if let Some(row) = row {
                next_row(&mut self.engine, &mut image, row)?;
            }
        }
        Ok(())
    }
}

/// The engine's next row of the reconstruction, for as many image rows as that takes.
fn next_row<'i>(
    engine: &mut Native<Vec<u8>>,
    image: &mut impl Iterator<Item = &'i [u8]>,
    output: &mut [i32],
) -> Result<(), BufferError> {
    for row in image {
        if engine.push_row(row, output)? {
            return Ok(());
        }
    }
    engine.finish(output)?;
    Ok(())
}

impl Engine for Bands {
    fn input(&self) -> Size {
        self.input
    }

    fn fraction_bits(&self) -> u8 {
        self.fraction_bits
    }

    fn reconstruct(
        &mut self,
        frame: Frame<'_>,
        reconstruction: &mut [i32],
    ) -> Result<(), EngineError> {
        check_frame(self.input, frame)?;
        BufferError::exact("reconstruction", reconstruction.len(), self.input.area())?;
        let width = self.input.width();
        let mut rest = reconstruction;
        thread::scope(|scope| {
            let mut others = Vec::new();
            let mut here = Ok(());
            for (index, band) in self.bands.iter_mut().enumerate().rev() {
                let (before, output) = rest.split_at_mut(band.rows.start * width);
                rest = before;
                if index == 0 {
                    here = band.reconstruct(frame, output);
                } else {
                    others.push(scope.spawn(move || band.reconstruct(frame, output)));
                }
            }
            for other in others {
                // A panic goes on in the caller's thread.
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(here?)
        })
    }
}
