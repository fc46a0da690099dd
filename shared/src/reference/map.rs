//! Residual → anomaly map: one sign or both of the residual, summed over a box.

use crate::{
    buffer::BufferError,
    frame::Size,
    rule::{Comparison, MapScale},
};

/// For every pixel the sum of the anomalies in the box around it, coordinates clamped to the image
/// (the border pixels are repeated outwards).
///
/// Residuals must be within ±(255 << `fraction_bits`), which keeps every sum below 2^31; the map
/// of others is unspecified.
pub fn map(
    size: Size,
    residual: &[i32],
    comparison: Comparison,
    scale: MapScale,
    map: &mut [u32],
) -> Result<(), BufferError> {
    BufferError::exact("residual", residual.len(), size.area())?;
    BufferError::exact("map", map.len(), size.area())?;
    let radius = scale.box_size() / 2;
    for y in 0..size.height() {
        for x in 0..size.width() {
            let mut sum = 0_u32;
            for dy in 0..scale.box_size() {
                for dx in 0..scale.box_size() {
                    let row = (y + dy).saturating_sub(radius).min(size.height() - 1);
                    let column = (x + dx).saturating_sub(radius).min(size.width() - 1);
                    let anomaly = comparison.of(residual[row * size.width() + column]);
                    sum = sum.saturating_add(anomaly);
                }
            }
            map[y * size.width() + x] = sum;
        }
    }
    Ok(())
}
