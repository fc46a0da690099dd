//! Reconstruction → residual: R = X - AE(X) (Minhas and Zelek 2020, eq. 1) in fixed point.

use crate::{buffer::BufferError, frame::Frame};

/// r = (x << F) - clamp(y, 0, 255 << F) for every pixel, F = `fraction_bits` (at most 12): within
/// ±(255 << F).
///
/// Clamping into the image's own range makes the last ReLU implicit and bounds the residual.
pub fn residual(
    frame: Frame<'_>,
    fraction_bits: u8,
    reconstruction: &[i32],
    residual: &mut [i32],
) -> Result<(), BufferError> {
    let area = frame.size().area();
    BufferError::exact("reconstruction", reconstruction.len(), area)?;
    BufferError::exact("residual", residual.len(), area)?;
    for index in 0..area {
        let x = i32::from(frame.pixels()[index]);
        let y = reconstruction[index];
        residual[index] = (x << fraction_bits) - y.clamp(0, 255 << fraction_bits);
    }
    Ok(())
}
