//! Adam (Kingma and Ba 2015) at the defaults that the paper uses: β₁ 0.9, β₂ 0.999, ε 1e-8.

use std::collections::HashMap;

use anyhow::{Context, Result};
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Tensor, Var, backprop::GradStore};
use rayon::prelude::*;

use crate::net::ops::elements;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// One trained tensor with the running means of its gradient and squared gradient.
struct Parameter {
    name: String,
    value: Var,
    mean: Tensor,
    square: Tensor,
}

/// The optimizer's state: the moments of each parameter and the steps taken.
pub struct Adam {
    parameters: Vec<Parameter>,
    steps: u32,
}

impl Adam {
    /// An optimizer of these parameters that has taken no step.
    pub fn new(parameters: Vec<(String, Var)>) -> Result<Self> {
        let parameters = parameters
            .into_iter()
            .map(|(name, value)| {
                Ok(Parameter {
                    name,
                    mean: value.zeros_like()?,
                    square: value.zeros_like()?,
                    value,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            parameters,
            steps: 0,
        })
    }

    /// The optimizer that [`Self::state`] described.
    pub fn restore(
        parameters: Vec<(String, Var)>,
        state: &HashMap<String, Tensor>,
    ) -> Result<Self> {
        let moment = |name: &str, which: &str, like: &Var| -> Result<Tensor> {
            let key = format!("{name}.{which}");
            let tensor = state
                .get(&key)
                .with_context(|| format!("{key} is missing"))?;
            anyhow::ensure!(
                tensor.shape() == like.shape(),
                "{key} has shape {:?}, not {:?}",
                tensor.shape(),
                like.shape()
            );
            Ok(tensor.to_device(like.device())?)
        };
        let steps = state.get("steps").context("steps is missing")?;
        let steps = steps.to_vec1::<u32>()?;
        Ok(Self {
            steps: *steps.first().context("steps is empty")?,
            parameters: parameters
                .into_iter()
                .map(|(name, value)| {
                    Ok(Parameter {
                        mean: moment(&name, "mean", &value)?,
                        square: moment(&name, "square", &value)?,
                        name,
                        value,
                    })
                })
                .collect::<Result<_>>()?,
        })
    }

    /// Everything that the next step depends on beside the parameters themselves, by name.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut state = HashMap::new();
        for parameter in &self.parameters {
            let name = &parameter.name;
            state.insert(format!("{name}.mean"), parameter.mean.clone());
            state.insert(format!("{name}.square"), parameter.square.clone());
        }
        let steps = Tensor::new(&[self.steps], &candle_core::Device::Cpu)?;
        state.insert("steps".into(), steps);
        Ok(state)
    }

    /// One step against the gradients; parameters without one stay as they are.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<()> {
        self.steps += 1;
        let steps = f64::from(self.steps);
        let mean_correction = 1.0 - BETA1.powf(steps);
        let square_correction = (1.0 - BETA2.powf(steps)).sqrt();
        for parameter in &mut self.parameters {
            let Some(gradient) = gradients.get(&parameter.value) else {
                continue;
            };
            // Else every step would keep the graph of the one before alive.
            let gradient = gradient.detach();
            let rate = learning_rate / mean_correction;
            if gradient.device().is_cpu() {
                parameter.step_on_cpu(&gradient, rate, square_correction)?;
            } else {
                parameter.step_on_device(&gradient, rate, square_correction)?;
            }
        }
        Ok(())
    }
}

impl Parameter {
    fn step_on_device(
        &mut self,
        gradient: &Tensor,
        rate: f64,
        square_correction: f64,
    ) -> Result<()> {
        self.mean = ((&self.mean * BETA1)? + (gradient * (1.0 - BETA1))?)?;
        self.square = ((&self.square * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
        let spread = ((self.square.sqrt()? / square_correction)? + EPSILON)?;
        let change = ((&self.mean / spread)? * rate)?;
        Ok(self.value.set(&(self.value.as_tensor() - change)?)?)
    }

    /// In place and on all threads: tensor by tensor it was a seventh of a step of the published
    /// network on two threads.
    fn step_on_cpu(&mut self, gradient: &Tensor, rate: f64, square_correction: f64) -> Result<()> {
        let gradient = gradient.contiguous()?;
        let mean = Running::<false> { keep: BETA1 };
        let square = Running::<true> { keep: BETA2 };
        self.mean.inplace_op2(&gradient, &mean)?;
        self.square.inplace_op2(&gradient, &square)?;
        let descent = Descent {
            rate: rate as f32,
            square_correction: square_correction as f32,
        };
        Ok(self.value.inplace_op3(&self.mean, &self.square, &descent)?)
    }
}

/// Elements that a thread takes at once.
const CHUNK: usize = 1 << 14;

/// A running mean of the gradient, or of its square.
struct Running<const SQUARED: bool> {
    keep: f64,
}

/// The parameter's move against the mean gradient, in proportion to the root of the mean square.
struct Descent {
    rate: f32,
    square_correction: f32,
}

impl<const SQUARED: bool> InplaceOp2 for Running<SQUARED> {
    fn name(&self) -> &'static str {
        "adam-running-mean"
    }

    fn cpu_fwd(
        &self,
        mean: &mut CpuStorage,
        mean_layout: &Layout,
        gradient: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<()> {
        let gradient = elements::<f32>(gradient, layout)?;
        let mean = elements_mut(mean, mean_layout)?;
        let (keep, take) = (self.keep as f32, (1.0 - self.keep) as f32);
        mean.par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .for_each(|(mean, gradient)| {
                for (m, &g) in mean.iter_mut().zip(gradient) {
                    let g = if SQUARED { g * g } else { g };
                    *m = *m * keep + g * take;
                }
            });
        Ok(())
    }
}

impl InplaceOp3 for Descent {
    fn name(&self) -> &'static str {
        "adam-descent"
    }

    fn cpu_fwd(
        &self,
        value: &mut CpuStorage,
        value_layout: &Layout,
        mean: &CpuStorage,
        mean_layout: &Layout,
        square: &CpuStorage,
        square_layout: &Layout,
    ) -> candle_core::Result<()> {
        let mean = elements::<f32>(mean, mean_layout)?;
        let square = elements::<f32>(square, square_layout)?;
        let value = elements_mut(value, value_layout)?;
        value
            .par_chunks_mut(CHUNK)
            .zip(mean.par_chunks(CHUNK).zip(square.par_chunks(CHUNK)))
            .for_each(|(value, (mean, square))| {
                for (v, (m, s)) in value.iter_mut().zip(mean.iter().zip(square)) {
                    let spread = s.sqrt() / self.square_correction + EPSILON as f32;
                    *v -= m / spread * self.rate;
                }
            });
        Ok(())
    }
}

fn elements_mut<'a>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => candle_core::bail!("Adam trains contiguous f32 tensors only"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_cpu_steps_as_other_devices_do() {
        let row =
            |seed: f32| -> Vec<f32> { (0..40_000).map(|i| (i as f32 * seed).sin()).collect() };
        let var = || Var::from_vec(row(0.3), (200, 200), &Device::Cpu).unwrap();
        let (cpu, device) = (var(), var());
        let parameter = |value: &Var| Parameter {
            name: "p".into(),
            value: value.clone(),
            mean: value.zeros_like().unwrap(),
            square: value.zeros_like().unwrap(),
        };
        let (mut on_cpu, mut on_device) = (parameter(&cpu), parameter(&device));
        for seed in [0.7, 0.11, 1.3] {
            let gradient = Tensor::from_vec(row(seed), (200, 200), &Device::Cpu).unwrap();
            on_cpu.step_on_cpu(&gradient, 0.01, 0.05).unwrap();
            on_device.step_on_device(&gradient, 0.01, 0.05).unwrap();
        }
        for (a, b) in [
            (cpu.as_tensor(), device.as_tensor()),
            (&on_cpu.mean, &on_device.mean),
            (&on_cpu.square, &on_device.square),
        ] {
            let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
            let largest = difference.max(0).unwrap().to_scalar::<f32>().unwrap();
            assert!(largest < 1e-6, "{largest}");
        }
        let moved = (cpu.as_tensor() - var().as_tensor())
            .unwrap()
            .abs()
            .unwrap();
        let moved = moved.mean_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(moved > 1e-3, "{moved}");
    }
}
