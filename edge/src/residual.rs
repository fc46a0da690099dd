//! Reconstruction → residual: R = X - AE(X) (Minhas and Zelek 2020, eq. 1) in fixed point.

use residua_shared::rule::MapScale;

/// r = (x << F) - clamp(y, 0, 255 << F) for one row, F the scale's fraction bits: within
/// ±(255 << F). On a ground G it is that, times G, divided by floor(clamp(y, 0, 255 << F) / 2^F) + G,
/// and rounded towards 0. Of rows of different lengths the shortest decides.
pub fn residual(image: &[u8], scale: MapScale, reconstruction: &[i32], residual: &mut [i32]) {
    let bits = scale.fraction_bits();
    let white = 255 << bits;
    let pixels = residual.iter_mut().zip(image).zip(reconstruction);
    let Some(ground) = scale.ground() else {
        for ((r, &x), &y) in pixels {
            *r = (i32::from(x) << bits) - y.clamp(0, white);
        }
        return;
    };
    let ground = i32::from(ground.get());
    for ((r, &x), &y) in pixels {
        let y = y.clamp(0, white);
        // Below 2^28: a residual has at most 20 bits and the ground 8.
        *r = ((i32::from(x) << bits) - y) * ground / ((y >> bits) + ground);
    }
}
