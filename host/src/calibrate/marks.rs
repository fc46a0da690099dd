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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// In grey levels.
    pub contrast: u8,
    pub painted: usize,
    /// Of these, met by a region that counts.
    pub found: usize,
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
    let mut found = |Marked { image, mark }: Marked| -> Result<bool> {
        let mut mask = vec![0; mark.len()];
        let buffers = &mut storage.buffers();
        let frame = Frame::new(image.size, &image.pixels)?;
        inspector.inspect(frame, buffers)?.write_mask(&mut mask)?;
        Ok(mark.iter().zip(mask).any(|(mark, mask)| *mark && mask > 0))
    };
    let of_contrast = |contrast: u8| {
        // The same places for all.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut marks = Marks {
            contrast,
            painted: 0,
            found: 0,
        };
        for (turn, image) in good.iter().cycle().take(PAINTED).enumerate() {
            let dark = match rule.comparison() {
                Comparison::Absolute => turn % 2 == 0,
                Comparison::Dark => true,
                Comparison::Bright => false,
            };
            let signed = f32::from(contrast) * if dark { -1.0 } else { 1.0 };
            marks.painted += 1;
            marks.found += usize::from(found(synth::mark(image, signed, &mut rng))?);
        }
        Ok(marks)
    };
    CONTRASTS.into_iter().map(of_contrast).collect()
}

/// What to say where marks that stand out most are found less than every other time.
pub(super) fn reproduced(marks: &[Marks]) -> Option<String> {
    let strongest = marks.last()?;
    (2 * strongest.found < strongest.painted).then(|| {
        format!(
            "of {} thin lines {} grey levels off what they lie on, painted into good images, only \
             {} would be found: either the network reproduces what no good part has, or good parts \
             are as rough; try more epochs, the other --objective, another --seed or --box 3, and \
             measure on known bad parts",
            strongest.painted, strongest.contrast, strongest.found
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_network_that_misses_most_of_the_strongest_is_warned_of() {
        let found = |found| {
            let weak = Marks {
                contrast: 16,
                painted: 24,
                found: 0,
            };
            let strong = Marks {
                contrast: 128,
                found,
                ..weak
            };
            reproduced(&[weak, strong])
        };
        assert_eq!(found(12), None);
        let warning = found(11).unwrap();
        assert!(
            warning.contains("of 24 thin lines 128 grey levels"),
            "{warning}"
        );
        assert!(warning.contains("only 11"), "{warning}");
        assert_eq!(reproduced(&[]), None);
    }
}
