//! The decision rule: from an anomaly map to a verdict, all in integers on the map's own scale.

use core::{fmt, num::NonZeroU8, ops::Range};

use serde::{Deserialize, Serialize};

/// Fraction bits that a reconstruction may have: at least 1/16 grey level (an 8-bit output cannot
/// carry the residual of a network that is nearly an identity), and few enough that a sum over the
/// largest box stays within 31 bits.
pub const FRACTION_BITS: core::ops::RangeInclusive<u8> = 4..=12;

/// The largest side of the box filter, in pixels.
pub const MAX_BOX: u8 = 31;

/// The side of the box over which roughness is taken, in pixels.
pub const ROUGHNESS_BOX: u8 = 31;

/// The pixels of a row from whose mean a pixel's deviation makes its place rough.
pub const ROUGHNESS_SPAN: u8 = 11;

/// The highest reference of roughness, in grey levels: beyond it the weights are all nearly 1.
pub const MAX_ROUGHNESS: u8 = 64;

/// How the residual R = X - AE(X) of a pixel becomes its anomaly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// |R|: both signs count.
    Absolute,
    /// max(0, -R): only what is darker than its reconstruction counts.
    Dark,
    /// max(0, R): only what is brighter than its reconstruction counts.
    Bright,
}

impl Comparison {
    /// The anomaly of one residual, in its steps; never negative.
    #[inline]
    pub fn of(self, residual: i32) -> u32 {
        match self {
            Self::Absolute => residual.unsigned_abs(),
            Self::Dark => residual.min(0).unsigned_abs(),
            Self::Bright => residual.max(0).unsigned_abs(),
        }
    }
}

/// What one step of an anomaly map is worth: the map is the *sum* of the anomalies in a box, so
/// that no division rounds.
///
/// With a ground G the residual is a contrast: R · G / (AE(X) + G), in grey levels. On black it is
/// R itself, where the reconstruction has the brightness G it is half of it, and far above it falls
/// as one over the brightness (Weber's law): the same mark weighs the same in good light and in
/// bad. G keeps the noise of dark places from being blown up.
///
/// With a roughness C the map is weighed by C / (M + C), where M is the mean over
/// [`ROUGHNESS_BOX`]² pixels of how far the *reconstruction* deviates from its own mean over
/// [`ROUGHNESS_SPAN`] pixels of the row, in grey levels. A difference in a smooth place counts in
/// full, in a place as rough as C by half: where good parts are structured their reconstruction errs
/// more. (Masking by local activity, as vision and image coding know it.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawScale")]
pub struct MapScale {
    fraction_bits: u8,
    box_size: u8,
    ground: Option<NonZeroU8>,
    roughness: Option<NonZeroU8>,
}

#[derive(Deserialize)]
struct RawScale {
    fraction_bits: u8,
    box_size: u8,
    #[serde(default)]
    ground: Option<NonZeroU8>,
    #[serde(default)]
    roughness: Option<NonZeroU8>,
}

impl MapScale {
    /// The scale of a map of sums over `box_size` x `box_size` residuals with `fraction_bits`.
    ///
    /// Errors where `fraction_bits` is outside [`FRACTION_BITS`], or `box_size` is even, 0 or above
    /// [`MAX_BOX`].
    pub fn new(fraction_bits: u8, box_size: u8) -> Result<Self, RuleError> {
        if !FRACTION_BITS.contains(&fraction_bits) {
            return Err(RuleError::FractionBits(fraction_bits));
        }
        if box_size.is_multiple_of(2) || box_size > MAX_BOX {
            return Err(RuleError::BoxSize(box_size));
        }
        Ok(Self {
            fraction_bits,
            box_size,
            ground: None,
            roughness: None,
        })
    }

    /// The same scale over contrasts on this ground, in grey levels; over plain differences for
    /// `None`.
    pub fn on(self, ground: Option<NonZeroU8>) -> Self {
        Self { ground, ..self }
    }

    /// The ground in grey levels where residuals are contrasts.
    pub fn ground(self) -> Option<NonZeroU8> {
        self.ground
    }

    /// The same scale with maps weighed by this roughness, in grey levels; not weighed for `None`.
    ///
    /// Errors where it is above [`MAX_ROUGHNESS`].
    pub fn weighed_by(self, roughness: Option<NonZeroU8>) -> Result<Self, RuleError> {
        match roughness {
            Some(value) if value.get() > MAX_ROUGHNESS => Err(RuleError::Roughness(value.get())),
            _ => Ok(Self { roughness, ..self }),
        }
    }

    /// The roughness in grey levels by which maps are weighed.
    pub const fn roughness(self) -> Option<NonZeroU8> {
        self.roughness
    }

    /// A row of the map is complete so many rows after its own.
    pub fn delay_rows(self) -> usize {
        let window = self.roughness.map_or(self.box_size, |_| ROUGHNESS_BOX);
        usize::from(window / 2)
    }

    /// Binary fraction bits of the reconstruction and of the residual: a grey level is
    /// 2^`fraction_bits` steps of them.
    pub fn fraction_bits(self) -> u8 {
        self.fraction_bits
    }

    /// The side of the box filter in pixels, odd.
    pub const fn box_size(self) -> usize {
        self.box_size as usize
    }

    /// Map steps in one grey level of mean anomaly over the box.
    pub fn steps_per_grey(self) -> u32 {
        (u32::from(self.box_size) * u32::from(self.box_size)) << self.fraction_bits
    }

    /// A map value in grey levels, for people.
    pub fn grey(self, raw: u32) -> f32 {
        raw as f32 / self.steps_per_grey() as f32
    }
}

impl TryFrom<RawScale> for MapScale {
    type Error = RuleError;

    fn try_from(raw: RawScale) -> Result<Self, RuleError> {
        Self::new(raw.fraction_bits, raw.box_size)?
            .on(raw.ground)
            .weighed_by(raw.roughness)
    }
}

/// Zones of equal width, side by side, into which [`ColumnWeights`] divide an image.
pub const ZONES: usize = 32;

/// What residuals count, by where across the image they are: for parts that always lie alike, as
/// rails do, whose good images differ from their reconstruction in some places more than in others.
///
/// Zone i of an image with W columns has those from floor(i W / [`ZONES`]) to before
/// floor((i + 1) W / [`ZONES`]). Its weight counts in 64ths: 64 changes nothing, 32 halves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnWeights([NonZeroU8; ZONES]);

impl ColumnWeights {
    /// The weight that changes nothing.
    pub const ONE: NonZeroU8 = NonZeroU8::new(64).unwrap();

    /// The weights of the zones from left to right, in 64ths.
    pub const fn new(weights: [NonZeroU8; ZONES]) -> Self {
        Self(weights)
    }

    /// The zones of an image with `width` columns, from left to right: their columns, none where
    /// the image is narrower than that many zones, and their weight.
    pub fn zones(&self, width: usize) -> impl Iterator<Item = (Range<usize>, NonZeroU8)> {
        let start = move |zone: usize| zone * width / ZONES;
        let weights = self.0.into_iter().enumerate();
        weights.map(move |(zone, weight)| (start(zone)..start(zone + 1), weight))
    }

    /// A residual within ±`white` at this weight: rounded towards 0 and still within ±`white`.
    ///
    /// `white` is below 2^23.
    #[inline]
    pub fn weigh(residual: i32, weight: NonZeroU8, white: i32) -> i32 {
        let unit = i32::from(Self::ONE.get());
        (residual * i32::from(weight.get()) / unit).clamp(-white, white)
    }
}

/// A threshold on an anomaly map, which knows the scale it was made for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Threshold {
    /// The value in map steps; what lies strictly above it counts.
    pub raw: u32,
    /// The scale of the map it applies to.
    pub scale: MapScale,
}

impl Threshold {
    /// The threshold in grey levels, for people.
    pub fn grey(self) -> f32 {
        self.scale.grey(self.raw)
    }
}

/// The decision rule of a model.
///
/// A pixel is suspect where the map exceeds the pixel threshold; 8-connected suspect pixels form a
/// region; a region counts when its area reaches the minimum *and* its score (the highest map value
/// in it) exceeds the image threshold. An image is a defect when one region counts. Thus a high
/// threshold decides and a lower one draws the outline. Where columns are weighed, grey levels are
/// those of columns with weight 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawRule")]
pub struct DecisionRule {
    comparison: Comparison,
    pixel_threshold: Threshold,
    min_area: u32,
    image_threshold: Threshold,
    columns: Option<ColumnWeights>,
}

#[derive(Deserialize)]
struct RawRule {
    comparison: Comparison,
    pixel_threshold: Threshold,
    min_area: u32,
    image_threshold: Threshold,
    #[serde(default)]
    columns: Option<ColumnWeights>,
}

impl DecisionRule {
    /// A rule on maps of `scale`; thresholds in map steps, `min_area` in pixels.
    ///
    /// Errors where `min_area` is 0 or the image threshold is below the pixel threshold.
    pub fn new(
        comparison: Comparison,
        scale: MapScale,
        pixel_threshold: u32,
        min_area: u32,
        image_threshold: u32,
    ) -> Result<Self, RuleError> {
        RawRule {
            comparison,
            pixel_threshold: Threshold {
                raw: pixel_threshold,
                scale,
            },
            min_area,
            image_threshold: Threshold {
                raw: image_threshold,
                scale,
            },
            columns: None,
        }
        .try_into()
    }

    /// The same rule on maps of residuals weighed by these; not weighed for `None`.
    pub fn weighing(self, columns: Option<ColumnWeights>) -> Self {
        Self { columns, ..self }
    }

    /// What residuals count by where across the image they are.
    pub fn columns(&self) -> Option<&ColumnWeights> {
        self.columns.as_ref()
    }

    /// How a residual becomes an anomaly.
    pub fn comparison(self) -> Comparison {
        self.comparison
    }

    /// The scale of the map and of both thresholds.
    pub fn scale(self) -> MapScale {
        self.pixel_threshold.scale
    }

    /// Above it a pixel is suspect.
    pub fn pixel_threshold(self) -> Threshold {
        self.pixel_threshold
    }

    /// The smallest region that counts, in pixels.
    pub fn min_area(self) -> u32 {
        self.min_area
    }

    /// Above it the highest map value of a region makes the image a defect.
    pub fn image_threshold(self) -> Threshold {
        self.image_threshold
    }

    /// Whether a region of this area and peak makes its image a defect.
    pub fn counts(self, area: u32, peak: u32) -> bool {
        area >= self.min_area && peak > self.image_threshold.raw
    }
}

impl TryFrom<RawRule> for DecisionRule {
    type Error = RuleError;

    fn try_from(raw: RawRule) -> Result<Self, RuleError> {
        if raw.pixel_threshold.scale != raw.image_threshold.scale {
            return Err(RuleError::Scales);
        }
        if raw.image_threshold.raw < raw.pixel_threshold.raw {
            return Err(RuleError::Order);
        }
        if raw.min_area == 0 {
            return Err(RuleError::MinArea);
        }
        Ok(Self {
            comparison: raw.comparison,
            pixel_threshold: raw.pixel_threshold,
            min_area: raw.min_area,
            image_threshold: raw.image_threshold,
            columns: raw.columns,
        })
    }
}

/// Why a decision rule was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleError {
    /// Fraction bits outside [`FRACTION_BITS`].
    FractionBits(u8),
    /// A box side that is even, 0 or above [`MAX_BOX`].
    BoxSize(u8),
    /// A roughness above [`MAX_ROUGHNESS`].
    Roughness(u8),
    /// The two thresholds are on different scales.
    Scales,
    /// The image threshold is below the pixel threshold.
    Order,
    /// The minimum area is 0.
    MinArea,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FractionBits(bits) => write!(
                f,
                "fraction_bits is {bits}; it must be {} to {}",
                FRACTION_BITS.start(),
                FRACTION_BITS.end()
            ),
            Self::BoxSize(size) => {
                write!(f, "box_size is {size}; it must be odd, 1 to {MAX_BOX}")
            }
            Self::Roughness(value) => {
                write!(f, "roughness is {value}; it must be 1 to {MAX_ROUGHNESS}")
            }
            Self::Scales => {
                f.write_str("pixel_threshold and image_threshold are on different map scales")
            }
            Self::Order => f.write_str("image_threshold is below pixel_threshold"),
            Self::MinArea => f.write_str("min_area is 0; the smallest region has 1 pixel"),
        }
    }
}

impl core::error::Error for RuleError {}
