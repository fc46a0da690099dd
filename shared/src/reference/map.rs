//! Residual → anomaly map: one sign or both of the residual, summed over a box.

use crate::{
    buffer::BufferError,
    frame::Size,
    rule::{Comparison, MapScale},
};

/// For every pixel the sum of the anomalies in the box around it, as far as the box lies in the
/// image. Boxes that hang over a border thus weigh less: a convolutional network is least sure
/// there, where it sees padding.
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
    let around =
        |centre: usize, side: usize| centre.saturating_sub(radius)..(centre + radius + 1).min(side);
    for y in 0..size.height() {
        for x in 0..size.width() {
            let mut sum = 0_u32;
            for row in around(y, size.height()) {
                for column in around(x, size.width()) {
                    let anomaly = comparison.of(residual[row * size.width() + column]);
                    sum = sum.saturating_add(anomaly);
                }
            }
            map[y * size.width() + x] = sum;
        }
    }
    Ok(())
}
