//! Reconstruction → residual: R = X - AE(X) (Minhas and Zelek 2020, eq. 1) in fixed point.

use core::num::NonZeroU8;

use residua_shared::rule::{ColumnWeights, DecisionRule};

use crate::wide::{quotient, wide};

/// r = (x << F) - clamp(y, 0, 255 << F) for one row, F the scale's fraction bits: within
/// ±(255 << F). On a ground G it is that, times G, divided by floor(clamp(y, 0, 255 << F) / 2^F) + G,
/// and rounded towards 0. Where the rule weighs columns it is r · w / 64 then, rounded towards 0 and
/// clamped to ±(255 << F). Of rows of different lengths the shortest decides.
pub fn residual(image: &[u8], rule: &DecisionRule, reconstruction: &[i32], residual: &mut [i32]) {
    differences(image, rule, reconstruction, residual);
    if let Some(weights) = rule.columns() {
        let white = 255 << rule.scale().fraction_bits();
        for (columns, weight) in weights.zones(residual.len()) {
            weigh(weight, white, &mut residual[columns]);
        }
    }
}

/// A row whose residual is a difference alone, as a rule asks for that knows neither a ground nor
/// weights of columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'r> {
    /// The image's row.
    pub image: &'r [u8],
    /// Its reconstruction.
    pub reconstruction: &'r [i32],
    /// Of the reconstruction.
    pub fraction_bits: u8,
}

impl<'r> Plain<'r> {
    /// The row, where the rule asks for no more.
    pub fn of(image: &'r [u8], rule: &DecisionRule, reconstruction: &'r [i32]) -> Option<Self> {
        let scale = rule.scale();
        let plain = scale.ground().is_none() && rule.columns().is_none();
        plain.then_some(Self {
            image,
            reconstruction,
            fraction_bits: scale.fraction_bits(),
        })
    }

    /// The row from a pixel on.
    pub fn from(self, pixel: usize) -> Self {
        Self {
            image: &self.image[pixel..],
            reconstruction: &self.reconstruction[pixel..],
            ..self
        }
    }

    /// What [`residual`] writes.
    pub fn residuals(self) -> impl Iterator<Item = i32> {
        let bits = self.fraction_bits;
        let white = 255 << bits;
        let pixels = self.image.iter().zip(self.reconstruction);
        pixels.map(move |(&x, &y)| {
            // The upper limit as a lower one of 0, for which Arm has an instruction.
            let below = (white - y.max(0)).max(0);
            (i32::from(x) << bits) - white + below
        })
    }
}

fn differences(image: &[u8], rule: &DecisionRule, reconstruction: &[i32], residual: &mut [i32]) {
    let row = Plain {
        image,
        reconstruction,
        fraction_bits: rule.scale().fraction_bits(),
    };
    match rule.scale().ground() {
        None => subtract(row, residual),
        Some(ground) => contrast(row, ground, residual),
    }
}

wide! {
    fn subtract(row: Plain<'_>, residual: &mut [i32]) {
        for (r, difference) in residual.iter_mut().zip(row.residuals()) {
            *r = difference;
        }
    }

    fn contrast(row: Plain<'_>, ground: NonZeroU8, residual: &mut [i32]) {
        let bits = row.fraction_bits;
        let (white, ground) = (255 << bits, u32::from(ground.get()));
        let pixels = residual.iter_mut().zip(row.image).zip(row.reconstruction);
        for ((r, &x), &y) in pixels {
            let y = y.clamp(0, white);
            let difference = (i32::from(x) << bits) - y;
            // Below 2^28: a difference has at most 20 bits and the ground 8. The quotient is not
            // above the difference.
            let size = quotient(difference.unsigned_abs() * ground, (y >> bits) as u32 + ground);
            *r = if difference < 0 { -(size as i32) } else { size as i32 };
        }
    }

    fn weigh(weight: NonZeroU8, white: i32, residual: &mut [i32]) {
        for r in residual {
            *r = ColumnWeights::weigh(*r, weight, white);
        }
    }
}
