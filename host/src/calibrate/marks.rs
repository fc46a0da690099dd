//! What a model would see of marks painted into good images. While there are no defects it is the
//! only word on what is missed: a network that reproduces marks leaves as little as one that good
//! parts alone come out of.

use anyhow::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use residua_edge::{
    engine::Engine,
    inspector::{Inspector, Storage},
};
use residua_shared::{
    frame::Frame,
    rule::{Comparison, DecisionRule},
};

use crate::{
    data::Grey,
    synth::{self, Marked},
};

/// How far marks are off what they lie on, in grey levels.
const CONTRASTS: [u8; 4] = [16, 32, 64, 128];
/// Marks of each contrast.
const PAINTED: usize = 24;

/// Marks of one contrast.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Marks {
    /// In grey levels.
    pub contrast: u8,
    pub painted: usize,
    /// Of these, met by a region that counts.
    pub found: usize,
    /// The share of what they change that the reconstruction changes with them: 0 for a network that
    /// knows good parts alone, 1 for one that gives back whatever it is given.
    pub reproduced: f64,
}

/// Paints marks into good images, one at a time, and inspects them: dark ones, bright ones, or both
/// in turn, as the rule compares. None where there are no images.
///
/// Errors where an image does not fit the engine, or the engine the rule.
pub fn marks(engine: &mut dyn Engine, rule: DecisionRule, good: &[Grey]) -> Result<Vec<Marks>> {
    let Some(first) = good.first() else {
        return Ok(Vec::new());
    };
    let mut storage = Storage::new(first.size, rule);
    let mut inspector = Inspector::new(engine, rule)?;
    let mut inspect = |image: &Grey| -> Result<(Vec<i32>, Vec<u8>)> {
        let mut mask = vec![0; image.pixels.len()];
        let buffers = &mut storage.buffers();
        let inspection = inspector.inspect(Frame::new(image.size, &image.pixels)?, buffers)?;
        inspection.write_mask(&mut mask)?;
        Ok((inspection.reconstruction().to_vec(), mask))
    };
    let seen: Vec<_> = good.iter().cycle().take(PAINTED).enumerate().collect();
    let clean = good.iter().take(PAINTED);
    let clean: Vec<_> = clean
        .map(|image| Ok(inspect(image)?.0))
        .collect::<Result<_>>()?;
    let step = f64::from(rule.scale().fraction_bits()).exp2();
    let mut of_contrast = |contrast: u8| {
        // The same places for all.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (mut found, mut given, mut given_back) = (0, 0.0, 0.0);
        for &(turn, image) in &seen {
            let dark = match rule.comparison() {
                Comparison::Absolute => turn % 2 == 0,
                Comparison::Dark => true,
                Comparison::Bright => false,
            };
            let sign = if dark { -1.0 } else { 1.0 };
            let Marked {
                image: marked,
                mark,
            } = synth::mark(image, sign * f32::from(contrast), &mut rng);
            let (reconstruction, mask) = inspect(&marked)?;
            let inside = || (0..mark.len()).filter(|&pixel| mark[pixel]);
            found += usize::from(inside().any(|pixel| mask[pixel] > 0));
            let before = &clean[turn % clean.len()];
            for pixel in inside() {
                let change = f64::from(marked.pixels[pixel]) - f64::from(image.pixels[pixel]);
                given += f64::from(sign) * change;
                given_back += f64::from(sign) * f64::from(reconstruction[pixel] - before[pixel]);
            }
        }
        Ok(Marks {
            contrast,
            painted: seen.len(),
            found,
            reproduced: if given > 0.0 {
                given_back / step / given
            } else {
                0.0
            },
        })
    };
    CONTRASTS.into_iter().map(&mut of_contrast).collect()
}

/// What to say of a network that reproduces most of the strongest marks, and so misses them.
pub(super) fn copied(marks: &[Marks]) -> Option<String> {
    let strongest = marks.last()?;
    let missed = 2 * strongest.found < strongest.painted;
    (missed && strongest.reproduced > 0.5).then(|| {
        format!(
            "the network reproduces {:.0} % of what thin lines in good images change, and so would \
             defects: train for more epochs, by the other --objective, or with another --seed",
            100.0 * strongest.reproduced
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_network_that_reproduces_marks_and_misses_them_is_warned_of() {
        let strongest = |found, reproduced| {
            let strong = Marks {
                contrast: 128,
                painted: 24,
                found,
                reproduced,
            };
            let weak = Marks {
                contrast: 16,
                found: 0,
                ..strong
            };
            copied(&[weak, strong])
        };
        assert_eq!(strongest(12, 0.8), None);
        assert_eq!(strongest(0, 0.2), None);
        let warning = strongest(11, 0.8).unwrap();
        assert!(warning.contains("reproduces 80 %"), "{warning}");
        assert_eq!(copied(&[]), None);
    }
}
