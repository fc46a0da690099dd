//! Why the native engine refuses a network.

use core::fmt;

use residua_shared::net::{Name, name};

/// A network that the native engine cannot stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanError {
    /// The layer's name.
    pub layer: Name,
    /// What is wrong with it.
    pub problem: PlanProblem,
}

impl PlanError {
    pub(super) fn new(layer: &str, problem: PlanProblem) -> Self {
        Self {
            layer: name(layer),
            problem,
        }
    }
}

/// What is wrong with a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlanProblem {
    /// Strides and depth-to-space do not cancel: sizes fit at the graph's height only.
    Level,
    /// No layer reads its output.
    Unused,
    /// Its lines or weights are beyond this machine's memory.
    Memory,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            PlanProblem::Level => {
                "its strides and depth-to-spaces do not cancel for images of every height"
            }
            PlanProblem::Unused => "no layer reads its output",
            PlanProblem::Memory => "its lines or weights are beyond this machine's memory",
        };
        write!(f, "layer {}: {problem}; export the model again", self.layer)
    }
}

impl core::error::Error for PlanError {}
