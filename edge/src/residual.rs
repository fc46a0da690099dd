//! Reconstruction → residual: R = X - AE(X) (Minhas and Zelek 2020, eq. 1) in fixed point.

/// r = (x << F) - clamp(y, 0, 255 << F) for one row, F = `fraction_bits` (at most 12): within
/// ±(255 << F). Of rows of different lengths the shortest decides.
pub fn residual(image: &[u8], fraction_bits: u8, reconstruction: &[i32], residual: &mut [i32]) {
    let white = 255 << fraction_bits;
    for ((r, &x), &y) in residual.iter_mut().zip(image).zip(reconstruction) {
        *r = (i32::from(x) << fraction_bits) - y.clamp(0, white);
    }
}
