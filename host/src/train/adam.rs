//! Adam (Kingma and Ba 2015) at the defaults that the paper uses: β₁ 0.9, β₂ 0.999, ε 1e-8.

use std::collections::HashMap;

use anyhow::{Context, Result};
use candle_core::{Tensor, Var, backprop::GradStore};

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
            parameter.mean = ((&parameter.mean * BETA1)? + (&gradient * (1.0 - BETA1))?)?;
            parameter.square = ((&parameter.square * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
            let spread = ((parameter.square.sqrt()? / square_correction)? + EPSILON)?;
            let change = ((&parameter.mean / spread)? * (learning_rate / mean_correction))?;
            parameter
                .value
                .set(&(parameter.value.as_tensor() - change)?)?;
        }
        Ok(())
    }
}
