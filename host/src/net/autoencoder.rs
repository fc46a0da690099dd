//! The autoencoder: its weights, and how an image goes through them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    config::{Activation, Config, LayerShape},
    folded::{self, Folded, Kind, Source},
    ops::{self, EPSILON, Moments},
};

/// How much of the batch's moments enters the running ones, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// Where the output starts, by its batch norm or without one by its own weights: about the moments
/// of images in `0..=1`.
const OUTPUT_MEAN: f32 = 0.5;
const OUTPUT_SPREAD: f32 = 0.25;

/// A network of a [`Config`] with its weights, all f32 on one device.
#[derive(Debug)]
pub struct Autoencoder {
    config: Config,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    shape: LayerShape,
    weight: Var,
    bias: Option<Var>,
    norm: Option<Norm>,
}

/// A batch norm's weights and running moments, one value a channel.
#[derive(Debug)]
struct Norm {
    weight: Var,
    bias: Var,
    running_mean: Var,
    running_var: Var,
}

impl Autoencoder {
    /// A network with random weights as PyTorch draws them (uniform within 1/√fan-in), determined
    /// by `seed`. The output alone starts at the mean and spread of images. A batch norm there, from
    /// PyTorch's 0 and 1, would start half of the pixels below the last ReLU, where there is no
    /// gradient, and up to a quarter of them were seen to stay black for good. Without one, the
    /// first epochs went into finding the mean, and what a short training came to was luck.
    pub fn new(config: &Config, seed: u64, device: &Device) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers = config.layers()?;
        let output = layers.last().map_or("", |layer| &layer.name);
        let bare = |layer: &str| layer == output && !config.output.normalize;
        Self::build(config, |name, shape| {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = match name.rsplit_once('.') {
                Some((_, "running_mean")) => vec![0.0; count],
                Some((_, "running_var")) => vec![1.0; count],
                Some((norm, part)) if norm.ends_with(".norm") => {
                    let of_output = norm.strip_suffix(".norm") == Some(output);
                    let value = match part {
                        "weight" if of_output => OUTPUT_SPREAD,
                        "weight" => 1.0,
                        _ if of_output => OUTPUT_MEAN,
                        _ => 0.0,
                    };
                    vec![value; count]
                }
                Some((layer, "bias")) if bare(layer) => vec![OUTPUT_MEAN; count],
                part => {
                    // What PyTorch takes for the fan-in: of a transposed convolution it is not.
                    let fan_in: usize = shape.get(1..).unwrap_or_default().iter().product();
                    let spread = match part {
                        Some((layer, _)) if bare(layer) => OUTPUT_SPREAD,
                        _ => 1.0,
                    };
                    let bound = spread / (fan_in as f32).sqrt();
                    let draw = |_| rng.random_range(-bound..=bound);
                    (0..count).map(draw).collect()
                }
            };
            Ok(Tensor::from_vec(values, shape, device)?)
        })
    }

    /// The network whose [`Self::tensors`] were saved in a safetensors file.
    ///
    /// Errors where the file cannot be read, or its tensors do not fit the configuration.
    pub fn load(config: &Config, file: &Path, device: &Device) -> Result<Self> {
        let stored = candle_core::safetensors::load(file, device)
            .with_context(|| format!("{}: not a readable safetensors file", file.display()))?;
        Self::build(config, |name, shape| {
            let tensor = stored
                .get(name)
                .with_context(|| format!("{}: tensor {name} is missing", file.display()))?;
            ensure!(
                tensor.dims() == shape && tensor.dtype() == DType::F32,
                "{}: tensor {name} is {:?} {:?}, but the configuration needs F32 {shape:?}",
                file.display(),
                tensor.dtype(),
                tensor.dims()
            );
            Ok(tensor.clone())
        })
    }

    /// Asks for every tensor in turn, by name and shape.
    fn build(
        config: &Config,
        mut tensor: impl FnMut(&str, &[usize]) -> Result<Tensor>,
    ) -> Result<Self> {
        let mut var = |name: &str, shape: &[usize]| -> Result<Var> {
            Ok(Var::from_tensor(&tensor(name, shape)?)?)
        };
        let mut layers = Vec::new();
        for shape in config.layers()? {
            let name = &shape.name;
            let channels = [shape.output_channels];
            let weight = var(&format!("{name}.weight"), &shape.weight_shape())?;
            let bias = shape
                .bias
                .then(|| var(&format!("{name}.bias"), &channels))
                .transpose()?;
            let norm = shape
                .normalize
                .then(|| -> Result<Norm> {
                    Ok(Norm {
                        weight: var(&format!("{name}.norm.weight"), &channels)?,
                        bias: var(&format!("{name}.norm.bias"), &channels)?,
                        running_mean: var(&format!("{name}.norm.running_mean"), &channels)?,
                        running_var: var(&format!("{name}.norm.running_var"), &channels)?,
                    })
                })
                .transpose()?;
            layers.push(Layer {
                shape,
                weight,
                bias,
                norm,
            });
        }
        Ok(Self {
            config: config.clone(),
            layers,
        })
    }

    /// What it was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All tensors by name: `x1.weight`, `x1.bias`, and of the batch norm `x1.norm.weight`,
    /// `x1.norm.bias`, `x1.norm.running_mean`, `x1.norm.running_var`.
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        let mut tensors = HashMap::new();
        for layer in &self.layers {
            for (part, var) in layer.named() {
                let name = format!("{}.{part}", layer.shape.name);
                tensors.insert(name, var.as_detached_tensor());
            }
        }
        tensors
    }

    /// What training changes, by the names of [`Self::tensors`], in order of evaluation.
    ///
    /// A bias in front of a batch norm is not among them: the batch norm subtracts it again, so
    /// that its gradient is exactly zero and it stays as it was drawn.
    pub fn parameters(&self) -> Vec<(String, Var)> {
        let mut parameters = Vec::new();
        for layer in &self.layers {
            for (part, var) in layer.named() {
                let trained = match part {
                    "bias" => layer.norm.is_none(),
                    _ => !part.contains("running"),
                };
                if trained {
                    parameters.push((format!("{}.{part}", layer.shape.name), var.clone()));
                }
            }
        }
        parameters
    }

    /// The reconstruction `[n, 1, h, w]` of images `[n, 1, h, w]` in `0..=1`.
    ///
    /// With `train`, batch norms use the batch's own moments and update the running ones, and the
    /// result can be differentiated; without, they use the running ones and it cannot.
    ///
    /// Errors where a side is not a multiple of [`Config::stride`].
    pub fn forward(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        match self.outputs(images, train)?.pop() {
            Some(reconstruction) => Ok(reconstruction),
            None => bail!("the network has no layers"),
        }
    }

    /// What [`Self::forward`] without `train` computes in each layer, after its activation.
    pub fn activations(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        self.outputs(images, false)
    }

    fn outputs(&self, images: &Tensor, train: bool) -> Result<Vec<Tensor>> {
        let (_, channels, height, width) = images.dims4()?;
        let stride = self.config.stride();
        ensure!(
            channels == 1 && height % stride == 0 && width % stride == 0,
            "images of {channels} channels and {width}x{height} pixels: this network needs one \
             channel and sides that are multiples of {stride}"
        );
        let slope = self.config.activation.negative_slope();
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let input = match layer.shape.source {
                Source::Image => images.clone(),
                Source::Layer(i) => outputs[i].clone(),
                Source::Concat(i, j) => Tensor::cat(&[&outputs[i], &outputs[j]], 1)?,
            };
            let output = if train {
                layer.train(&input, slope)
            } else {
                layer.evaluate(&input, slope)
            };
            outputs.push(output.with_context(|| format!("layer {}", layer.shape.name))?);
        }
        Ok(outputs)
    }

    /// The network with its batch norms folded into weights and biases: equal to evaluation up to
    /// rounding, but for the last layer's activation, which a folded network leaves out.
    ///
    /// Errors for LeakyReLU, which a folded network cannot express.
    pub fn fold(&self) -> Result<Folded> {
        ensure!(
            self.config.activation == Activation::Relu,
            "the network has LeakyReLU, which has no integer form; train another preset to export"
        );
        let layers = self.layers.iter().map(Layer::fold).collect::<Result<_>>()?;
        Ok(Folded { layers })
    }
}

impl Layer {
    fn named(&self) -> impl Iterator<Item = (&'static str, &Var)> {
        let norm = self.norm.as_ref().map(|norm| {
            [
                ("norm.weight", &norm.weight),
                ("norm.bias", &norm.bias),
                ("norm.running_mean", &norm.running_mean),
                ("norm.running_var", &norm.running_var),
            ]
        });
        let bias = self.bias.as_ref().map(|bias| ("bias", bias));
        [("weight", &self.weight)]
            .into_iter()
            .chain(bias)
            .chain(norm.into_iter().flatten())
    }

    fn convolve(&self, input: &Tensor, weight: &Tensor) -> Result<Tensor> {
        Ok(match self.shape.kind {
            Kind::Conv { stride } => ops::conv2d(input, weight, stride)?,
            Kind::ConvTranspose => ops::conv_transpose2d(input, weight)?,
        })
    }

    fn train(&self, input: &Tensor, slope: f64) -> Result<Tensor> {
        let sums = self.convolve(input, &self.weight)?;
        let Some(norm) = &self.norm else {
            let bias = self.bias()?.reshape((1, (), 1, 1))?;
            return Ok(sums.broadcast_add(&bias)?);
        };
        let (y, moments) = ops::batch_norm_activation(&sums, &norm.weight, &norm.bias, slope)?;
        norm.follow(&moments, &self.bias()?)?;
        Ok(y)
    }

    fn evaluate(&self, input: &Tensor, slope: f64) -> Result<Tensor> {
        let sums = self.convolve(&input.detach(), &self.weight.as_detached_tensor())?;
        let (scale, shift) = self.affine()?;
        let device = sums.device();
        let scale = Tensor::from_vec(scale, self.shape.output_channels, device)?;
        let shift = Tensor::from_vec(shift, self.shape.output_channels, device)?;
        let slope = if self.norm.is_some() { slope } else { 1.0 };
        Ok(ops::affine_activation(&sums, &scale, &shift, slope)?)
    }

    /// The bias of the convolution, zero where it has none.
    fn bias(&self) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => Ok(bias.as_tensor().clone()),
            None => {
                let device = self.weight.device();
                Ok(Tensor::zeros(
                    self.shape.output_channels,
                    DType::F32,
                    device,
                )?)
            }
        }
    }

    /// Scale and shift of each output channel that bias and batch norm with its running moments
    /// amount to.
    fn affine(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let bias = self.bias()?.to_vec1::<f32>()?;
        let Some(norm) = &self.norm else {
            return Ok((vec![1.0; bias.len()], bias));
        };
        let weight = norm.weight.to_vec1::<f32>()?;
        let shift = norm.bias.to_vec1::<f32>()?;
        let mean = norm.running_mean.to_vec1::<f32>()?;
        let variance = norm.running_var.to_vec1::<f32>()?;
        let of = |c: usize| {
            let scale = f64::from(weight[c]) / (f64::from(variance[c]) + EPSILON).sqrt();
            let centred = f64::from(bias[c]) - f64::from(mean[c]);
            (scale as f32, (f64::from(shift[c]) + centred * scale) as f32)
        };
        Ok((0..bias.len()).map(of).unzip())
    }

    fn fold(&self) -> Result<folded::Layer> {
        let (scale, bias) = self.affine()?;
        let mut weight = self.weight.flatten_all()?.to_vec1::<f32>()?;
        let area = self.shape.kernel * self.shape.kernel;
        for (plane, weights) in weight.chunks_exact_mut(area).enumerate() {
            let output = match self.shape.kind {
                Kind::Conv { .. } => plane / self.shape.input_channels,
                Kind::ConvTranspose => plane % self.shape.output_channels,
            };
            for weight in weights {
                *weight *= scale[output];
            }
        }
        Ok(folded::Layer {
            name: self.shape.name.clone(),
            source: self.shape.source,
            kind: self.shape.kind,
            kernel: self.shape.kernel,
            input_channels: self.shape.input_channels,
            output_channels: self.shape.output_channels,
            weight,
            bias,
        })
    }
}

impl Norm {
    /// Moves the running moments towards a batch's, whose mean still lacks the convolution's bias.
    fn follow(&self, moments: &Moments, bias: &Tensor) -> Result<()> {
        let blend = |running: &Var, batch: Vec<f64>| -> Result<()> {
            let old = running.to_vec1::<f32>()?;
            let new = old.iter().zip(batch);
            let new =
                new.map(|(&old, new)| (f64::from(old) * (1.0 - MOMENTUM) + new * MOMENTUM) as f32);
            let new = Tensor::from_vec(new.collect(), running.shape(), running.device())?;
            Ok(running.set(&new)?)
        };
        let bias = bias.to_vec1::<f32>()?;
        let mean = moments.mean.iter().zip(bias);
        blend(
            &self.running_mean,
            mean.map(|(mean, bias)| mean + f64::from(bias)).collect(),
        )?;
        // The estimate without bias, as PyTorch keeps it.
        let count = moments.count as f64;
        let unbiased = count / (count - 1.0).max(1.0);
        blend(
            &self.running_var,
            moments.variance.iter().map(|v| v * unbiased).collect(),
        )
    }
}
