//! What a reconstruction is asked to be like: losses, alone and mixed.
//!
//! Every loss is 0 for a reconstruction equal to its target, and written for grey levels in `0..=1`.

pub mod gms;
mod scales;
pub mod ssim;

use std::{fmt, str::FromStr};

use anyhow::{Context, Error, Result, bail, ensure};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Weights of a mixture at most: far beyond any that could be told from its neighbours.
const LARGEST_WEIGHT: f64 = 1e6;

/// One measure of how far a reconstruction is from its target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Measure {
    /// Mean squared error.
    Mse,
    /// Mean absolute error.
    L1,
    /// 1 - mean structural similarity.
    Ssim,
    /// 1 - multi-scale structural similarity.
    MsSsim,
    /// 1 - mean gradient-magnitude similarity.
    Gms,
    /// The same over several scales.
    MsGms,
}

impl Measure {
    const ALL: [Self; 6] = [
        Self::Mse,
        Self::L1,
        Self::Ssim,
        Self::MsSsim,
        Self::Gms,
        Self::MsGms,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::L1 => "l1",
            Self::Ssim => "ssim",
            Self::MsSsim => "ms-ssim",
            Self::Gms => "gms",
            Self::MsGms => "ms-gms",
        }
    }

    /// The shortest side of an image that it can be taken of, in pixels.
    fn smallest_side(self) -> usize {
        match self {
            Self::Mse | Self::L1 => 1,
            Self::Ssim | Self::MsSsim => ssim::WINDOW,
            Self::Gms | Self::MsGms => gms::WINDOW,
        }
    }

    fn of(self, reconstruction: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Mse => (reconstruction - target)?.sqr()?.mean_all(),
            Self::L1 => (reconstruction - target)?.abs()?.mean_all(),
            Self::Ssim => ssim::single_scale(reconstruction, target),
            Self::MsSsim => ssim::multi_scale(reconstruction, target),
            Self::Gms => gms::single_scale(reconstruction, target),
            Self::MsGms => gms::multi_scale(reconstruction, target),
        }
    }
}

/// A weighted sum of measures, each at most once.
///
/// As text, on the command line and in a run's configuration: `mse`, or `mse:0.5,ms-ssim:0.5`. A
/// weight that is left out is 1; weights need not sum to anything.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Loss(Vec<(Measure, f64)>);

impl Default for Loss {
    /// Mean squared error, as published.
    fn default() -> Self {
        Self(vec![(Measure::Mse, 1.0)])
    }
}

impl Loss {
    /// The loss of a reconstruction, both `[images, 1, height, width]` with black at 0 and white at
    /// 1: a scalar, differentiable in the reconstruction.
    ///
    /// Errors where the tensors do not fit each other, or [`Self::check_size`] refuses their size.
    pub fn of(&self, reconstruction: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let weighted = |&(measure, weight): &(Measure, f64)| {
            measure.of(reconstruction, target)?.affine(weight, 0.0)
        };
        let (first, others) = self
            .0
            .split_first()
            .ok_or_else(|| candle_core::Error::Msg("a loss has at least one measure".into()))?;
        others
            .iter()
            .try_fold(weighted(first)?, |sum, term| sum + weighted(term)?)
    }

    /// Errors where images of this size, in pixels, are smaller than a measure's window.
    pub fn check_size(&self, width: usize, height: usize) -> Result<()> {
        for (measure, _) in &self.0 {
            let least = measure.smallest_side();
            ensure!(
                width.min(height) >= least,
                "--loss {}: it looks at windows of {least} pixels, and the crops have {width}x{height}; \
                 choose a larger --crop, or --loss mse or l1",
                measure.name()
            );
        }
        Ok(())
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (measure, weight)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{}", measure.name())?;
            if *weight != 1.0 {
                write!(f, ":{weight}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut terms = text.split(',').map(term).collect::<Result<Vec<_>>>()?;
        // One order, so that equal mixtures are equal.
        terms.sort_by_key(|&(measure, _)| measure);
        for pair in terms.windows(2) {
            ensure!(
                pair[0].0 != pair[1].0,
                "`{text}` has {} twice; give each loss once, with its whole weight",
                pair[0].0.name()
            );
        }
        Ok(Self(terms))
    }
}

fn term(text: &str) -> Result<(Measure, f64)> {
    let (name, weight) = text.split_once(':').unwrap_or((text, "1"));
    let Some(measure) = Measure::ALL.into_iter().find(|m| m.name() == name) else {
        bail!(
            "`{name}` is no loss; choose mse, l1, ssim, ms-ssim, gms or ms-gms, alone or mixed by \
             weight as mse:0.5,ms-ssim:0.5"
        );
    };
    let number = weight.parse::<f64>().ok();
    let weight = number
        .filter(|weight| *weight > 0.0 && *weight <= LARGEST_WEIGHT)
        .with_context(|| {
            format!("`{weight}` is no weight for {name}; give a number above 0, as {name}:0.5")
        })?;
    Ok((measure, weight))
}

impl TryFrom<String> for Loss {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Loss> for String {
    fn from(loss: Loss) -> Self {
        loss.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_read_back_as_it_was_written() {
        for text in ["mse", "l1", "ssim", "ms-ssim", "gms", "ms-gms", "l1:0.25"] {
            assert_eq!(text.parse::<Loss>().unwrap().to_string(), text);
        }
        let mixed: Loss = "ms-ssim:0.84,l1:0.16,mse:1".parse().unwrap();
        assert_eq!(mixed.to_string(), "mse,l1:0.16,ms-ssim:0.84");
        assert_eq!(mixed, mixed.to_string().parse().unwrap());
        assert_eq!(Loss::default().to_string(), "mse");
    }

    #[test]
    fn what_is_no_loss_is_refused_by_its_name() {
        for (text, word) in [
            ("", "mse:0.5,ms-ssim:0.5"),
            ("mae", "`mae`"),
            ("mse,", "ms-gms"),
            ("mse:", "`` is no weight for mse"),
            ("mse:0", "above 0"),
            ("l1:-1", "above 0"),
            ("l1:nan", "l1:0.5"),
            ("l1:inf", "l1:0.5"),
            ("l1:1e7", "l1:0.5"),
            ("mse,l1,mse:0.5", "mse twice"),
        ] {
            let error = text.parse::<Loss>().unwrap_err().to_string();
            assert!(error.contains(word), "no {word} in {error}");
        }
    }

    #[test]
    fn crops_smaller_than_a_window_are_refused() {
        let check = |loss: &str, side| loss.parse::<Loss>().unwrap().check_size(side, 40);
        check("mse,l1", 1).unwrap();
        check("ms-ssim,ms-gms", 11).unwrap();
        check("gms", 3).unwrap();
        let error = check("mse,ssim:0.5", 8).unwrap_err().to_string();
        for word in ["--loss ssim", "8x40", "--crop"] {
            assert!(error.contains(word), "no {word} in {error}");
        }
        check("ms-gms", 2).unwrap_err();
    }
}
