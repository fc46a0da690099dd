//! What a model is worth on labelled images: figures at three levels, each with its threshold.
//!
//! - **image** ([`Scores`] of [`image_score()`]): is the part good or bad?
//! - **region** ([`RegionCounts`]): of the true defects, how many are met by a predicted region; of
//!   the predicted regions, how many meet a defect?
//! - **pixel** ([`Scores`] of all map values, [`aupro`]): how well is the defect outlined?
//!
//! A figure that the images at hand cannot give (no defects, no good images, no masks) is `None`,
//! never 0 and never NaN. Thresholds follow the decision rule: what lies strictly *above* counts.

mod components;
mod curves;
mod evaluation;
mod f1;
mod figures;
mod image_score;
mod kinds;
mod light;
mod measure;
mod overlap;
mod regions;
mod rivals;
mod scores;
mod table;
mod text;

pub use components::{Components, components, defects};
pub use curves::Point;
pub use evaluation::{Evaluation, Evaluator, Observation, ScoredImage};
pub use f1::{Best, PLATEAU_TOLERANCE, Plateau, f1};
pub use figures::{
    Figures, GreyPlateau, GreyThreshold, ImageFigures, Images, KindFigures, KindRegions, Nearby,
    PixelFigures, Plateaus, RegionFigures, Thresholds,
};
pub use image_score::image_score;
pub use light::{Axis, LIGHTS, Light};
pub use measure::{Choice, Part, measure, open, part};
pub use overlap::{Positive, aupro};
pub use regions::RegionCounts;
pub use rivals::{region_sum, residual_l1, top_mean};
pub use scores::{Counts, Cut, Scores};
pub use table::{Row, grey, rows};
pub use text::text;
