//! What a network is made of: the presets, and the shape of every layer that follows from one.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::folded::{Kind, Source};

/// The largest kernel that any part of residua supports.
pub const MAX_KERNEL: usize = 11;
/// The most layers and channels that a configuration read from a file may ask for.
const MAX_STAGES: usize = 16;
const MAX_CHANNELS: usize = 1024;

/// A named network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The published network: 1.6 million parameters, 227,000 multiplications a pixel.
    Paper,
    /// The published network with the LeakyReLU of the author's code; cannot be exported.
    PaperLeaky,
    /// 8 channels and no full-resolution skip: 7,100 multiplications a pixel, 5,200 with
    /// coarse skips.
    Edge,
    /// No convolution at full resolution but the last: 1,700 multiplications a pixel, 1,300
    /// with coarse skips.
    EdgeSmall,
    /// The same with fewer channels: 680 multiplications a pixel, 580 with coarse skips.
    EdgeTiny,
}

/// Which of a preset's skip connections its network has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Skips {
    /// All of them.
    All,
    /// All but the finest, the only way by which what is thinner than a few pixels can be copied.
    Coarse,
}

impl Preset {
    /// The network that this name stands for, with these skips.
    pub fn with(self, skips: Skips) -> Config {
        let mut config = self.config();
        if skips == Skips::Coarse
            && config.output.skip.take().is_none()
            && let Some(last) = config.decoder.last_mut()
        {
            last.skip = None;
        }
        config
    }

    /// The network that this name stands for.
    pub fn config(self) -> Config {
        match self {
            Self::Paper => paper(Activation::Relu),
            Self::PaperLeaky => paper(Activation::LeakyRelu),
            Self::Edge => edge(),
            Self::EdgeSmall => edge_small(),
            Self::EdgeTiny => edge_tiny(),
        }
    }
}

/// What follows every batch norm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    Relu,
    /// Negative values times 0.2; floating point only.
    LeakyRelu,
}

impl Activation {
    /// What a negative value is multiplied by.
    pub fn negative_slope(self) -> f64 {
        match self {
            Self::Relu => 0.0,
            Self::LeakyRelu => 0.2,
        }
    }
}

/// One convolution of the way down, with batch norm and activation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderStage {
    pub channels: usize,
    /// Odd, at most [`MAX_KERNEL`].
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
}

/// One transposed convolution of stride 2, with batch norm and activation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderStage {
    pub channels: usize,
    /// Odd, at most [`MAX_KERNEL`].
    pub kernel: usize,
    /// The encoder stage, from 0, whose output is concatenated behind the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<usize>,
}

/// The 1x1 convolution that yields the image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputStage {
    /// As in [`DecoderStage`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<usize>,
    /// Batch norm and activation after it; without, a bias only.
    pub normalize: bool,
}

/// A network: encoder, decoder, output, from a grey image in `0..=1` to its reconstruction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub activation: Activation,
    /// Whether convolutions before a batch norm carry a bias too, which the batch norm cancels.
    pub redundant_bias: bool,
    pub output: OutputStage,
    pub encoder: Vec<EncoderStage>,
    pub decoder: Vec<DecoderStage>,
}

/// The shape of one layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerShape {
    /// `x1`, `x2`, … in order of evaluation.
    pub name: String,
    pub source: Source,
    pub kind: Kind,
    pub kernel: usize,
    pub input_channels: usize,
    pub output_channels: usize,
    /// Followed by batch norm and activation.
    pub normalize: bool,
    pub bias: bool,
    /// The image's width divided by the output's.
    pub reduction: usize,
}

impl LayerShape {
    /// The weight's shape: `[out, in, k, k]`, or `[in, out, k, k]` for a transposed convolution.
    pub fn weight_shape(&self) -> [usize; 4] {
        let (k, i, o) = (self.kernel, self.input_channels, self.output_channels);
        match self.kind {
            Kind::Conv { .. } => [o, i, k, k],
            Kind::ConvTranspose => [i, o, k, k],
        }
    }

    /// Trainable values: weight, bias, and the batch norm's two a channel.
    pub fn parameters(&self) -> usize {
        let per_channel = usize::from(self.bias) + 2 * usize::from(self.normalize);
        self.weight_shape().iter().product::<usize>() + per_channel * self.output_channels
    }

    /// Multiply-accumulates for each pixel of the image.
    pub fn macs_per_pixel(&self) -> f64 {
        let weights = self.weight_shape().iter().product::<usize>() as f64;
        let outputs_a_weight = match self.kind {
            Kind::Conv { .. } => 1.0,
            // Each output meets a quarter of the kernel.
            Kind::ConvTranspose => 0.25,
        };
        weights * outputs_a_weight / (self.reduction * self.reduction) as f64
    }
}

impl Config {
    /// The layers in order of evaluation, checked: sizes within bounds, every skip of the size of
    /// what it is concatenated to, the reconstruction as large as the image.
    pub fn layers(&self) -> Result<Vec<LayerShape>> {
        ensure!(
            !self.encoder.is_empty()
                && self.encoder.len() <= MAX_STAGES
                && self.decoder.len() <= MAX_STAGES,
            "network: encoder and decoder must have 1 to {MAX_STAGES} stages"
        );
        let mut layers: Vec<LayerShape> = Vec::new();
        for stage in &self.encoder {
            ensure!(
                matches!(stage.stride, 1 | 2),
                "network.encoder: stride {} is not 1 or 2",
                stage.stride
            );
            let (source, input_channels, reduction) = match layers.last() {
                None => (Source::Image, 1, 1),
                Some(l) => (
                    Source::Layer(layers.len() - 1),
                    l.output_channels,
                    l.reduction,
                ),
            };
            layers.push(LayerShape {
                name: format!("x{}", layers.len() + 1),
                source,
                kind: Kind::Conv {
                    stride: stage.stride,
                },
                kernel: stage.kernel,
                input_channels,
                output_channels: stage.channels,
                normalize: true,
                bias: self.redundant_bias,
                reduction: reduction * stage.stride,
            });
        }
        for stage in &self.decoder {
            let (source, input_channels, reduction) = self.joined(&layers, stage.skip)?;
            ensure!(
                reduction.is_multiple_of(2),
                "network.decoder: its strides multiply to more than the encoder's"
            );
            layers.push(LayerShape {
                name: format!("x{}", layers.len() + 1),
                source,
                kind: Kind::ConvTranspose,
                kernel: stage.kernel,
                input_channels,
                output_channels: stage.channels,
                normalize: true,
                bias: self.redundant_bias,
                reduction: reduction / 2,
            });
        }
        let (source, input_channels, reduction) = self.joined(&layers, self.output.skip)?;
        ensure!(
            reduction == 1,
            "network.decoder: the reconstruction is {reduction} times smaller than the image"
        );
        layers.push(LayerShape {
            name: format!("x{}", layers.len() + 1),
            source,
            kind: Kind::Conv { stride: 1 },
            kernel: 1,
            input_channels,
            output_channels: 1,
            normalize: self.output.normalize,
            bias: self.redundant_bias || !self.output.normalize,
            reduction,
        });
        for layer in &layers {
            ensure!(
                layer.kernel % 2 == 1 && layer.kernel <= MAX_KERNEL,
                "network: kernel {} is not odd and at most {MAX_KERNEL}",
                layer.kernel
            );
            ensure!(
                (1..=MAX_CHANNELS).contains(&layer.output_channels),
                "network: {} channels are not 1 to {MAX_CHANNELS}",
                layer.output_channels
            );
        }
        Ok(layers)
    }

    /// Source, channels and reduction of the last layer's output, joined with a skip's.
    fn joined(&self, layers: &[LayerShape], skip: Option<usize>) -> Result<(Source, usize, usize)> {
        let Some(last) = layers.len().checked_sub(1) else {
            bail!("network: no encoder");
        };
        let (channels, reduction) = (layers[last].output_channels, layers[last].reduction);
        let Some(skip) = skip else {
            return Ok((Source::Layer(last), channels, reduction));
        };
        ensure!(
            skip < self.encoder.len() && skip != last,
            "network: skip {skip} is not an earlier encoder stage"
        );
        ensure!(
            layers[skip].reduction == reduction,
            "network: skip {skip} has 1/{} of the image's width, what it joins 1/{reduction}",
            layers[skip].reduction
        );
        let joined = channels + layers[skip].output_channels;
        Ok((Source::Concat(last, skip), joined, reduction))
    }

    /// Trainable values in all.
    pub fn parameters(&self) -> Result<usize> {
        Ok(self.layers()?.iter().map(LayerShape::parameters).sum())
    }

    /// Multiply-accumulates for each pixel of the image.
    pub fn macs_per_pixel(&self) -> Result<f64> {
        Ok(self.layers()?.iter().map(LayerShape::macs_per_pixel).sum())
    }

    /// What the image's sides must be multiples of.
    pub fn stride(&self) -> usize {
        self.encoder.iter().map(|stage| stage.stride).product()
    }
}

fn down(channels: usize, kernel: usize, stride: usize) -> EncoderStage {
    EncoderStage {
        channels,
        kernel,
        stride,
    }
}

fn up(channels: usize, kernel: usize, skip: Option<usize>) -> DecoderStage {
    DecoderStage {
        channels,
        kernel,
        skip,
    }
}

/// The kernels of the published network at any width.
fn published_shape(channels: usize) -> (Vec<EncoderStage>, Vec<DecoderStage>) {
    let encoder = [(11, 1), (9, 2), (7, 2), (5, 2), (3, 2)]
        .map(|(kernel, stride)| down(channels, kernel, stride));
    let decoder = [(5, None), (7, Some(3)), (9, Some(2)), (11, Some(1))]
        .map(|(kernel, skip)| up(channels, kernel, skip));
    (encoder.into(), decoder.into())
}

/// Minhas and Zelek 2020, with the full-resolution skip of the author's code.
fn paper(activation: Activation) -> Config {
    let (encoder, decoder) = published_shape(48);
    Config {
        activation,
        redundant_bias: true,
        output: OutputStage {
            skip: Some(0),
            normalize: true,
        },
        encoder,
        decoder,
    }
}

fn edge() -> Config {
    let (encoder, decoder) = published_shape(8);
    Config {
        activation: Activation::Relu,
        redundant_bias: false,
        output: OutputStage {
            skip: None,
            normalize: false,
        },
        encoder,
        decoder,
    }
}

fn edge_small() -> Config {
    Config {
        encoder: vec![
            down(8, 5, 2),
            down(16, 5, 2),
            down(16, 3, 2),
            down(24, 3, 2),
        ],
        decoder: vec![
            up(16, 3, None),
            up(16, 5, Some(2)),
            up(8, 5, Some(1)),
            up(8, 5, Some(0)),
        ],
        ..edge()
    }
}

fn edge_tiny() -> Config {
    Config {
        encoder: vec![down(4, 5, 2), down(8, 5, 2), down(12, 3, 2), down(16, 3, 2)],
        decoder: vec![
            up(12, 3, None),
            up(8, 5, Some(2)),
            up(8, 5, Some(1)),
            up(4, 5, Some(0)),
        ],
        ..edge()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_is_the_published_network() {
        let config = Preset::Paper.config();
        assert_eq!(config.parameters().unwrap(), 1_599_267);
        assert_eq!(config.stride(), 16);
        // 59.5 GMAC at 512x512, of which x9 alone 36.5, x2 12.2 and x8 6.1.
        let giga = |macs: f64| (macs * 512.0 * 512.0 / 1e8).round() / 10.0;
        assert_eq!(giga(config.macs_per_pixel().unwrap()), 59.5);
        let layers = config.layers().unwrap();
        assert_eq!(
            [8, 1, 7].map(|i: usize| giga(layers[i].macs_per_pixel())),
            [36.5, 12.2, 6.1]
        );
        assert_eq!(layers[8].source, Source::Concat(7, 1));
        assert_eq!(layers[9].source, Source::Concat(8, 0));
    }

    #[test]
    fn presets_cost_what_their_help_says() {
        for (preset, parameters, low, high) in [
            (Preset::Paper, 1_599_267, 226_000.0, 228_000.0),
            (Preset::Edge, 45_345, 7_050.0, 7_150.0),
            (Preset::EdgeSmall, 35_249, 1_650.0, 1_750.0),
            (Preset::EdgeTiny, 14_569, 675.0, 685.0),
        ] {
            let config = preset.config();
            assert_eq!(config.parameters().unwrap(), parameters, "{preset:?}");
            let macs = config.macs_per_pixel().unwrap();
            assert!((low..high).contains(&macs), "{preset:?}: {macs}");
            assert_eq!(config.stride(), 16);
        }
        for (preset, parameters, low, high) in [
            (Preset::Edge, 37_601, 5_150.0, 5_250.0),
            (Preset::EdgeSmall, 33_649, 1_300.0, 1_350.0),
            (Preset::EdgeTiny, 14_169, 575.0, 585.0),
        ] {
            let config = preset.with(Skips::Coarse);
            assert_eq!(config.parameters().unwrap(), parameters, "{preset:?}");
            let macs = config.macs_per_pixel().unwrap();
            assert!((low..high).contains(&macs), "{preset:?}: {macs}");
        }
    }

    #[test]
    fn coarse_skips_lack_the_finest_alone() {
        let skips = |config: Config| {
            let decoder = config.decoder.into_iter().map(|stage| stage.skip);
            decoder.chain([config.output.skip]).collect::<Vec<_>>()
        };
        let (all, coarse) = (Skips::All, Skips::Coarse);
        for (preset, skips_of, expected) in [
            (
                Preset::Paper,
                all,
                [None, Some(3), Some(2), Some(1), Some(0)],
            ),
            (
                Preset::Paper,
                coarse,
                [None, Some(3), Some(2), Some(1), None],
            ),
            (Preset::Edge, coarse, [None, Some(3), Some(2), None, None]),
            (
                Preset::EdgeTiny,
                coarse,
                [None, Some(2), Some(1), None, None],
            ),
        ] {
            let config = preset.with(skips_of);
            assert!(config.layers().is_ok());
            assert_eq!(skips(config), expected, "{preset:?}");
        }
    }

    #[test]
    fn a_config_survives_its_file() {
        for preset in [Preset::PaperLeaky, Preset::Edge] {
            let text = toml::to_string(&preset.config()).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), preset.config());
        }
    }

    #[test]
    fn impossible_networks_are_refused() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Preset::Edge.config();
            change(&mut config);
            config.layers().unwrap_err().to_string()
        };
        assert!(refused(|c| c.encoder[0].kernel = 4).contains("kernel 4"));
        assert!(refused(|c| c.encoder[0].kernel = 13).contains("kernel 13"));
        assert!(refused(|c| c.encoder[0].stride = 3).contains("stride 3"));
        assert!(refused(|c| c.encoder[0].stride = 2).contains("2 times smaller"));
        assert!(refused(|c| c.decoder[1].skip = Some(1)).contains("1/2"));
        assert!(refused(|c| c.decoder[0].skip = Some(4)).contains("skip 4"));
        assert!(refused(|c| c.decoder[0].channels = 0).contains("0 channels"));
        assert!(refused(|c| c.encoder.clear()).contains("stages"));
        assert!(refused(|c| c.decoder.truncate(3)).contains("2 times smaller"));
    }
}
