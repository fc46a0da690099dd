//! What the parity suite is made of: cases, a judge, and small runners for every runtime and target.

pub mod golden;
pub mod judge;
pub mod layers;
pub mod onnx_writer;
pub mod onnxruntime_arm;
pub mod peak;
pub mod presets;
pub mod random_net;
pub mod runners;
pub mod strips;
pub mod suite;
pub mod targets;
