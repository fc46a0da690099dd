//! Residual → residual weighed by where across the image it is.

use crate::{
    buffer::BufferError,
    frame::Size,
    rule::{ColumnWeights, MapScale},
};

/// Weighs every residual in place; leaves them as they are where there are no weights.
///
/// A residual r of a zone with weight w becomes r · w / 64, rounded towards 0, within ±(255 << F), F
/// the scale's fraction bits. Residuals must be within that range already.
pub fn weigh(
    size: Size,
    weights: Option<&ColumnWeights>,
    scale: MapScale,
    residual: &mut [i32],
) -> Result<(), BufferError> {
    BufferError::exact("residual", residual.len(), size.area())?;
    let Some(weights) = weights else {
        return Ok(());
    };
    let white = 255 << scale.fraction_bits();
    for (columns, weight) in weights.zones(size.width()) {
        for y in 0..size.height() {
            for x in columns.clone() {
                let residual = &mut residual[y * size.width() + x];
                *residual = ColumnWeights::weigh(*residual, weight, white);
            }
        }
    }
    Ok(())
}
