//! Anomaly map → anomaly map weighed by the roughness of the reconstruction.

use crate::{
    buffer::BufferError,
    frame::Size,
    rule::{MapScale, ROUGHNESS_BOX, ROUGHNESS_SPAN},
};

/// How far every pixel of the reconstruction deviates from its row.
///
/// With q = floor(4 · clamp(y, 0, 255 << F) / 2^F), quarters of grey levels, that is
/// |11 q - the sum of q over the 11 pixels around it in its row|, where the first and last pixel of
/// the row stand in for those beyond.
pub fn deviations(
    size: Size,
    reconstruction: &[i32],
    scale: MapScale,
    deviations: &mut [u32],
) -> Result<(), BufferError> {
    BufferError::exact("reconstruction", reconstruction.len(), size.area())?;
    BufferError::exact("deviations", deviations.len(), size.area())?;
    let (width, bits) = (size.width(), scale.fraction_bits());
    let reach = usize::from(ROUGHNESS_SPAN / 2);
    let quarters =
        |index: usize| (reconstruction[index].clamp(0, 255 << bits) >> (bits - 2)) as u32;
    for (index, deviation) in deviations.iter_mut().enumerate() {
        let (row, x) = (index / width * width, index % width);
        let sum: u32 = (x..=x + 2 * reach)
            .map(|shifted| quarters(row + shifted.saturating_sub(reach).min(width - 1)))
            .sum();
        *deviation = (u32::from(ROUGHNESS_SPAN) * quarters(index)).abs_diff(sum);
    }
    Ok(())
}

/// Weighs every value of the map in place; leaves it as it is where the scale has no roughness.
///
/// S is the sum of the deviations over the 31x31 box as far as it lies in the image, n its pixels
/// there, K = 4 · 11 · C · n. The weight is w = floor(1024 K / (S + K)), and the value becomes
/// floor(value · w / 1024).
pub fn weigh(
    size: Size,
    deviations: &[u32],
    scale: MapScale,
    map: &mut [u32],
) -> Result<(), BufferError> {
    BufferError::exact("deviations", deviations.len(), size.area())?;
    BufferError::exact("map", map.len(), size.area())?;
    let Some(roughness) = scale.roughness() else {
        return Ok(());
    };
    let width = size.width();
    let of_one_pixel = 4 * u32::from(ROUGHNESS_SPAN) * u32::from(roughness.get());
    let radius = usize::from(ROUGHNESS_BOX / 2);
    let around =
        |centre: usize, side: usize| centre.saturating_sub(radius)..(centre + radius + 1).min(side);
    for y in 0..size.height() {
        for x in 0..width {
            let (rows, columns) = (around(y, size.height()), around(x, width));
            let even = of_one_pixel * (rows.len() * columns.len()) as u32;
            let mut sum = 0;
            for row in rows {
                for column in columns.clone() {
                    sum += deviations[row * width + column];
                }
            }
            let weight = u64::from((even << 10) / (sum + even));
            let value = &mut map[y * width + x];
            *value = ((u64::from(*value) * weight) >> 10) as u32;
        }
    }
    Ok(())
}
