//! How good crops are varied, so that what varies on a line without being a defect is learned to.
//!
//! A crop and its target are varied alike, before any blemish: what is drawn here is good.

use anyhow::{Result, bail};
use clap::ValueEnum;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::options::Objective;

/// Which ways a crop may be turned over: only those in which a good part looks like one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    #[default]
    None,
    /// Left to right, every other crop.
    Horizontal,
    /// Top to bottom, every other crop.
    Vertical,
    /// Either, each by itself.
    Both,
}

/// The ranges that variations are drawn from, uniformly for each crop. 0 is none of one.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Grey levels are multiplied by 1 ± this, 0 to [`LARGEST_SHARE`].
    pub gain: f64,
    /// So many grey levels are added or taken, 0 to [`LARGEST_OFFSET`].
    pub offset: f64,
    /// Light rises across the crop in any direction: by ± this share from its middle to an edge, 0
    /// to [`LARGEST_SHARE`].
    pub gradient: f64,
    pub flip: Flip,
    /// The share of crops that repair training blemishes, 0 to 1.
    pub blemished: f64,
}

/// Gain and gradient at most.
pub const LARGEST_SHARE: f64 = 0.9;
/// Offset at most, in grey levels.
pub const LARGEST_OFFSET: f64 = 128.0;

impl Augmentation {
    /// Plain training sees the images as they are. Repair training sees them a little brighter and
    /// darker, so that light matters less, and blemishes most: the rest teaches to leave good parts
    /// alone.
    pub fn of(objective: Objective) -> Self {
        let (gain, blemished) = match objective {
            Objective::Mse => (0.0, 0.0),
            Objective::Repair => (0.15, 0.8),
        };
        Self {
            gain,
            offset: 0.0,
            gradient: 0.0,
            flip: Flip::None,
            blemished,
        }
    }

    /// Errors where a value is out of its range, naming it.
    pub fn check(&self) -> Result<()> {
        for (field, value, most) in [
            ("gain", self.gain, LARGEST_SHARE),
            ("offset", self.offset, LARGEST_OFFSET),
            ("gradient", self.gradient, LARGEST_SHARE),
            ("blemished", self.blemished, 1.0),
        ] {
            if !(0.0..=most).contains(&value) {
                bail!("{field}: {value} is not within 0 to {most}");
            }
        }
        Ok(())
    }

    /// One crop's variation.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Variation {
        let mut within = |most: f64| match most as f32 {
            // Without a draw, so that what is not asked for changes nothing else.
            0.0 => 0.0,
            most => rng.random_range(-most..=most),
        };
        let gain = 1.0 + within(self.gain);
        let offset = within(self.offset / 255.0);
        let rise = within(self.gradient);
        let angle = match rise {
            0.0 => 0.0,
            _ => rng.random_range(0.0..std::f32::consts::PI),
        };
        let mut flipped = |may: bool| may && rng.random();
        Variation {
            gain,
            offset,
            slope: [rise * angle.cos(), rise * angle.sin()],
            mirrored: flipped(matches!(self.flip, Flip::Horizontal | Flip::Both)),
            upside_down: flipped(matches!(self.flip, Flip::Vertical | Flip::Both)),
        }
    }
}

/// What is done to one crop.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Variation {
    gain: f32,
    offset: f32,
    /// Along the rows and down them, from the middle to an edge.
    slope: [f32; 2],
    mirrored: bool,
    upside_down: bool,
}

impl Variation {
    /// Varies a crop of rows of `width` pixels, values in `0..=1`.
    ///
    /// Values stay within black and white, as a camera's do: too much light costs the crop what it
    /// would cost the photograph, in the input and in the target alike.
    pub fn apply(&self, pixels: &mut [f32], width: usize) {
        if self.upside_down {
            pixels.reverse();
        }
        // Upside down by reversal is mirrored too.
        if self.mirrored != self.upside_down {
            pixels.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
        let height = pixels.len() / width;
        for (y, row) in pixels.chunks_exact_mut(width).enumerate() {
            let light = 1.0 + self.slope[1] * from_middle(y, height);
            for (x, pixel) in row.iter_mut().enumerate() {
                let light = light + self.slope[0] * from_middle(x, width);
                *pixel = (*pixel * self.gain * light + self.offset).clamp(0.0, 1.0);
            }
        }
    }
}

/// A pixel's place along a side, -1 to 1.
fn from_middle(at: usize, side: usize) -> f32 {
    (2 * at + 1) as f32 / side as f32 - 1.0
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const PLAIN: Augmentation = Augmentation {
        gain: 0.0,
        offset: 0.0,
        gradient: 0.0,
        flip: Flip::None,
        blemished: 0.0,
    };

    /// Many draws of a variation applied to rows of three.
    fn applied(augmentation: Augmentation, pixels: [f32; 6]) -> Vec<[f32; 6]> {
        augmentation.check().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let varied = (0..2000).map(|_| {
            let mut varied = pixels;
            augmentation.draw(&mut rng).apply(&mut varied, 3);
            varied
        });
        varied.collect()
    }

    /// The least and the largest.
    fn range(values: impl Iterator<Item = f32>) -> [f32; 2] {
        values.fold([f32::MAX, f32::MIN], |[low, high], v| {
            [low.min(v), high.max(v)]
        })
    }

    #[track_caller]
    fn close(range: [f32; 2], expected: [f32; 2]) {
        // Of so many draws the outermost fall a little short of the range's ends.
        for (value, expected) in range.into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-2, "{range:?}, {expected}");
        }
    }

    #[test]
    fn nothing_asked_for_is_nothing_done() {
        let pixels = [0.0, 0.1, 0.2, 0.5, 0.9, 1.0];
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let before = rng.clone();
        PLAIN.draw(&mut rng).apply(&mut pixels.clone(), 3);
        assert!(rng == before, "drew from the generator");
        assert!(
            applied(PLAIN, pixels)
                .iter()
                .all(|varied| *varied == pixels)
        );
    }

    #[test]
    fn light_varies_within_its_ranges_and_the_camera_s() {
        let grey = [0.5; 6];
        let gain = applied(Augmentation { gain: 0.2, ..PLAIN }, grey);
        close(range(gain.iter().map(|p| p[0])), [0.4, 0.6]);
        let offset = Augmentation {
            offset: 51.0,
            ..PLAIN
        };
        close(
            range(applied(offset, grey).iter().map(|p| p[4])),
            [0.3, 0.7],
        );
        let dark = applied(offset, [0.1; 6]);
        close(range(dark.iter().map(|p| p[4])), [0.0, 0.3]);
        let bright = applied(offset, [0.9; 6]);
        close(range(bright.iter().map(|p| p[4])), [0.7, 1.0]);
    }

    #[test]
    fn a_gradient_turns_about_the_middle() {
        let gradient = Augmentation {
            gradient: 0.3,
            ..PLAIN
        };
        let varied = applied(gradient, [0.5; 6]);
        // Pixels' centres are at 2/3 of the way along and 1/2 of it down.
        close(range(varied.iter().map(|p| p[2] - p[0])), [-0.2, 0.2]);
        close(range(varied.iter().map(|p| p[4] - p[1])), [-0.15, 0.15]);
        for p in varied {
            let mean = p.iter().sum::<f32>() / 6.0;
            assert!((mean - 0.5).abs() < 1e-6, "{p:?}");
        }
    }

    #[test]
    fn flips_are_those_allowed_each_every_other_time() {
        let pixels = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5];
        let mirrored = [0.2, 0.1, 0.0, 0.5, 0.4, 0.3];
        let upside_down = [0.3, 0.4, 0.5, 0.0, 0.1, 0.2];
        let both = [0.5, 0.4, 0.3, 0.2, 0.1, 0.0];
        for (flip, allowed) in [
            (Flip::Horizontal, vec![pixels, mirrored]),
            (Flip::Vertical, vec![pixels, upside_down]),
            (Flip::Both, vec![pixels, mirrored, upside_down, both]),
        ] {
            let varied = applied(Augmentation { flip, ..PLAIN }, pixels);
            for one in &allowed {
                let count = varied.iter().filter(|v| *v == one).count();
                let expected = varied.len() / allowed.len();
                assert!(
                    count.abs_diff(expected) < 120,
                    "{flip:?}: {count} of {one:?}"
                );
            }
            assert!(varied.iter().all(|v| allowed.contains(v)), "{flip:?}");
        }
    }

    #[test]
    fn senseless_ranges_are_refused_by_name() {
        let wrong = [
            (
                Augmentation {
                    gain: -0.1,
                    ..PLAIN
                },
                "gain",
            ),
            (
                Augmentation {
                    gradient: f64::NAN,
                    ..PLAIN
                },
                "gradient",
            ),
            (
                Augmentation {
                    offset: 129.0,
                    ..PLAIN
                },
                "offset",
            ),
            (
                Augmentation {
                    blemished: 1.1,
                    ..PLAIN
                },
                "blemished",
            ),
        ];
        for (augmentation, field) in wrong {
            let error = augmentation.check().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
