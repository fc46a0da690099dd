//! What the parity suite is made of: cases, and one small runner per runtime.

pub mod onnx_writer;
pub mod random_net;
pub mod runners;
