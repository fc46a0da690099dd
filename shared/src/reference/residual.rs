//! Reconstruction → residual: R = X - AE(X) (Minhas and Zelek 2020, eq. 1) in fixed point.

use crate::{buffer::BufferError, frame::Frame, rule::MapScale};

/// r = (x << F) - clamp(y, 0, 255 << F) for every pixel, F the scale's fraction bits: within
/// ±(255 << F). On a ground G it is that, times G, divided by floor(clamp(y, 0, 255 << F) / 2^F) + G,
/// and rounded towards 0.
///
/// Clamping into the image's own range makes the last ReLU implicit and bounds the residual.
pub fn residual(
    frame: Frame<'_>,
    scale: MapScale,
    reconstruction: &[i32],
    residual: &mut [i32],
) -> Result<(), BufferError> {
    let area = frame.size().area();
    BufferError::exact("reconstruction", reconstruction.len(), area)?;
    BufferError::exact("residual", residual.len(), area)?;
    let bits = scale.fraction_bits();
    for index in 0..area {
        let x = i32::from(frame.pixels()[index]) << bits;
        let y = reconstruction[index].clamp(0, 255 << bits);
        residual[index] = match scale.ground() {
            None => x - y,
            Some(ground) => {
                let ground = i32::from(ground.get());
                (x - y) * ground / ((y >> bits) + ground)
            }
        };
    }
    Ok(())
}
