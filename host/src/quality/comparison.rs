//! Other ways from an image and its reconstruction to an anomaly map, to be compared with the one
//! that devices have. In floating point: what is not shipped need not be equal bit for bit.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use residua_shared::{
    frame::{Frame, Size},
    reference,
    rule::{DecisionRule, MapScale},
};

use super::cell::Reconstructed;
use crate::train::loss::{gms, ssim};

/// Over so many pixels, square, the mean of the residual is its slow part.
const SLOW_BOX: usize = 31;

/// A place with a scale of its own never has less than this share of the mean scale: the learned
/// one is a guess from few images.
const LEAST_SCALE: f32 = 0.25;

/// What replaces the shipped map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rival {
    /// The root of the mean squared residual over the box.
    Squared,
    /// The residual less its own mean over 31x31 pixels: what light that changes slowly from place
    /// to place adds goes away.
    LocalMean,
    /// Anomalies as multiples of what good images have at the same pixel, on average: for parts that
    /// always lie alike.
    PixelScale,
    /// 1 - structural similarity, a window around every pixel.
    Ssim,
    /// 1 - similarity of gradient magnitudes, averaged over the box.
    Gradient,
}

/// A [`Rival`] that knows the good images.
pub struct Map {
    rival: Rival,
    /// Everything that is not replaced.
    rule: DecisionRule,
    /// One factor for every pixel; empty where the rival learns none.
    factors: Vec<f32>,
}

impl Map {
    /// Learns from good images of one size, which are not those that thresholds come from.
    pub(super) fn learn(rival: Rival, rule: DecisionRule, good: &[Reconstructed]) -> Result<Self> {
        let mut map = Self {
            rival,
            rule,
            factors: Vec::new(),
        };
        if rival == Rival::PixelScale {
            let first = good
                .first()
                .context("no good images to learn a scale from")?;
            let size = first.image.size;
            let mut sums = vec![0.0; size.area()];
            for seen in good {
                for (sum, anomaly) in sums.iter_mut().zip(map.anomalies(seen)?) {
                    *sum += anomaly;
                }
            }
            map.factors = factors(size, &sums);
        }
        Ok(map)
    }

    /// The anomaly map, in steps of the scale.
    pub(super) fn of(&self, seen: &Reconstructed) -> Result<Vec<u32>> {
        let size = seen.image.size;
        let scale = self.rule.scale();
        let side = scale.box_size();
        let map = match self.rival {
            Rival::Squared => {
                let squares: Vec<f32> = self.anomalies(seen)?.into_iter().map(|a| a * a).collect();
                let means = box_means(size, &squares, side);
                means.into_iter().map(f32::sqrt).collect()
            }
            Rival::LocalMean | Rival::PixelScale => {
                let mut anomalies = self.anomalies(seen)?;
                for (anomaly, factor) in anomalies.iter_mut().zip(&self.factors) {
                    *anomaly *= factor;
                }
                box_means(size, &anomalies, side)
            }
            Rival::Ssim => dissimilarity(seen, scale, ssim::similarity)?,
            Rival::Gradient => box_means(size, &dissimilarity(seen, scale, gms::similarity)?, side),
        };
        let steps = scale.steps_per_grey() as f32;
        let mut steps: Vec<u32> = map.into_iter().map(|grey| (grey * steps) as u32).collect();
        if scale.roughness().is_some() {
            let mut deviations = vec![0; size.area()];
            reference::roughness::deviations(size, &seen.reconstruction, scale, &mut deviations)?;
            reference::roughness::weigh(size, &deviations, scale, &mut steps)?;
        }
        Ok(steps)
    }

    /// The anomaly of every pixel in grey levels, before any box.
    fn anomalies(&self, seen: &Reconstructed) -> Result<Vec<f32>> {
        let size = seen.image.size;
        let mut residual = vec![0; size.area()];
        let frame = Frame::new(size, &seen.image.pixels)?;
        let scale = self.rule.scale();
        reference::residual::residual(frame, scale, &seen.reconstruction, &mut residual)?;
        reference::columns::weigh(size, self.rule.columns(), scale, &mut residual)?;
        let slow = match self.rival {
            Rival::LocalMean => {
                let residual: Vec<f32> = residual.iter().map(|r| *r as f32).collect();
                box_means(size, &residual, SLOW_BOX)
            }
            _ => vec![0.0; size.area()],
        };
        let step = f32::exp2(-f32::from(scale.fraction_bits()));
        let pairs = residual.iter().zip(slow);
        let anomalies = pairs.map(|(residual, slow)| {
            let fast = *residual - slow.round() as i32;
            self.rule.comparison().of(fast) as f32 * step
        });
        Ok(anomalies.collect())
    }
}

/// The mean of all sums over that of each place, to which its neighbours help: images are few.
fn factors(size: Size, sums: &[f32]) -> Vec<f32> {
    let mean = sums.iter().sum::<f32>() / size.area() as f32;
    let least = (mean * LEAST_SCALE).max(f32::MIN_POSITIVE);
    let own = box_means(size, sums, 5).into_iter();
    own.map(|own| mean / own.max(least)).collect()
}

/// 1 - similarity of every pixel's window, white being 255; at the borders, where no window fits,
/// that of the nearest one.
fn dissimilarity(
    seen: &Reconstructed,
    scale: MapScale,
    similarity: fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
) -> Result<Vec<f32>> {
    let size = seen.image.size;
    let (width, height) = (size.width(), size.height());
    let white = 255.0 * f32::exp2(f32::from(scale.fraction_bits()));
    let image = seen
        .image
        .pixels
        .iter()
        .map(|grey| f32::from(*grey) / 255.0);
    let reconstruction = seen.reconstruction.iter();
    let reconstruction = reconstruction.map(|value| (*value as f32 / white).clamp(0.0, 1.0));
    let tensor = |grey: Vec<f32>| Tensor::from_vec(grey, (1, 1, height, width), &Device::Cpu);
    let similarity = similarity(
        &tensor(image.collect())?,
        &tensor(reconstruction.collect())?,
    )?;
    let (_, _, rows, columns) = similarity.dims4()?;
    let windows: Vec<f32> = similarity.flatten_all()?.to_vec1()?;
    let inside = |at: usize, side: usize, windows: usize| {
        at.saturating_sub((side - windows) / 2).min(windows - 1)
    };
    let pixels = (0..size.area()).map(|pixel| {
        let row = inside(pixel / width, height, rows);
        let column = inside(pixel % width, width, columns);
        (1.0 - windows[row * columns + column]).max(0.0) * 255.0
    });
    Ok(pixels.collect())
}

/// Of every pixel the sum over the box around it, as far as that lies on the image, over all the
/// box's pixels: as the shipped map has it.
fn box_means(size: Size, values: &[f32], side: usize) -> Vec<f32> {
    let (width, height) = (size.width(), size.height());
    let along = sums(values, width, side, (1, height, width));
    let mut sums = sums(&along, height, side, (width, width, 1));
    let pixels = (side * side) as f32;
    sums.iter_mut().for_each(|sum| *sum /= pixels);
    sums
}

/// Sums of `side` neighbours along lines of `length` values, `step` apart; there are `lines` lines,
/// whose first values are `apart` from each other.
fn sums(
    values: &[f32],
    length: usize,
    side: usize,
    (step, lines, apart): (usize, usize, usize),
) -> Vec<f32> {
    let mut sums = vec![0.0; values.len()];
    for line in 0..lines {
        let at = |index: usize| line * apart + index * step;
        for index in 0..length {
            let window = index.saturating_sub(side / 2)..(index + side / 2 + 1).min(length);
            sums[at(index)] = window.map(|index| values[at(index)]).sum();
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use residua_shared::rule::Comparison;

    use super::*;
    use crate::data::Grey;

    const BITS: u8 = 4;

    fn seen(size: (usize, usize), of: impl Fn(usize, usize) -> (u8, i32)) -> Reconstructed {
        let size = Size::new(size.0, size.1).unwrap();
        let pairs = (0..size.area()).map(|i| of(i % size.width(), i / size.width()));
        let (pixels, reconstruction) = pairs.map(|(x, y)| (x, y << BITS)).unzip();
        Reconstructed {
            image: Grey { size, pixels },
            reconstruction,
        }
    }

    fn map(rival: Rival, side: u8, good: &[Reconstructed], of: &Reconstructed) -> Vec<f32> {
        let scale = MapScale::new(BITS, side).unwrap();
        let blind = DecisionRule::new(Comparison::Absolute, scale, u32::MAX, 1, u32::MAX);
        let map = Map::learn(rival, blind.unwrap(), good).unwrap();
        map.of(of)
            .unwrap()
            .into_iter()
            .map(|v| scale.grey(v))
            .collect()
    }

    #[test]
    fn nothing_is_wrong_where_nothing_differs() {
        let same = seen((40, 36), |x, y| {
            let grey = (x * 7 + y * 3) as u8;
            (grey, grey.into())
        });
        for rival in [
            Rival::Squared,
            Rival::LocalMean,
            Rival::Ssim,
            Rival::Gradient,
        ] {
            let map = map(rival, 3, &[], &same);
            assert!(map.iter().all(|value| *value < 0.02), "{rival:?}");
        }
    }

    #[test]
    fn squares_weigh_peaks() {
        let of = seen(
            (3, 3),
            |x, y| if (x, y) == (1, 1) { (18, 9) } else { (9, 9) },
        );
        assert_eq!(map(Rival::Squared, 3, &[], &of)[4], 3.0, "root of 81 / 9");
    }

    #[test]
    fn an_even_difference_of_light_goes_and_a_spot_stays() {
        let of = seen((101, 101), |x, y| {
            if (x, y) == (50, 50) {
                (90, 50)
            } else {
                (70, 50)
            }
        });
        let map = map(Rival::LocalMean, 1, &[], &of);
        assert!(map[50 * 101 + 40] < 0.1, "{}", map[50 * 101 + 40]);
        assert!((map[50 * 101 + 50] - 20.0).abs() < 0.1);
    }

    #[test]
    fn scales_of_pixels_are_bounded_from_below() {
        let good = [seen(
            (20, 20),
            |x, y| if x + y == 0 { (0, 0) } else { (16, 0) },
        )];
        let map = map(Rival::PixelScale, 1, &good, &seen((20, 20), |_, _| (16, 0)));
        assert!(
            map.iter()
                .all(|value| *value >= 15.0 && *value <= 4.0 * 16.0)
        );
        let blank = [seen((4, 4), |_, _| (0, 0))];
        let map = self::map(Rival::PixelScale, 1, &blank, &blank[0]);
        assert!(map.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn other_structure_is_seen_where_the_mean_is_equal() {
        let stripes = |at: usize| {
            if (at / 4).is_multiple_of(2) {
                100_u8
            } else {
                140
            }
        };
        let of = seen((64, 64), |x, y| {
            let turned = x >= 32 && y >= 32;
            (stripes(if turned { y } else { x }), stripes(x).into())
        });
        for rival in [Rival::Ssim, Rival::Gradient] {
            let map = map(rival, 5, &[], &of);
            let at = |x: usize, y: usize| map[y * 64 + x];
            assert!(
                at(48, 48) > 40.0 && at(12, 12) < 1.0,
                "{rival:?} {}",
                at(48, 48)
            );
        }
    }
}
