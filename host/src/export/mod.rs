//! Integer networks as standard ONNX: opset 13, integer from end to end, in `QLinearConv`,
//! `DepthToSpace`, `Concat` and a last `ConvInteger`, with every tensor's shape stated.
//!
//! The file carries the manifest in its metadata. Equal networks give equal bytes.

mod graph;

use anyhow::{Context, Result, ensure};
use prost::Message;
use residua_shared::{frame::Size, manifest::METADATA_KEY};
use tract_onnx::pb;

use crate::quantize::Quantized;

/// ONNX format version of the file (2021).
const IR_VERSION: i64 = 8;
/// Operator set of the graph.
const OPSET: i64 = 13;

/// The graph's input: u8 `[1, 1, height, width]`, grey levels as they are.
pub const INPUT: &str = "image";
/// The graph's output: i32 `[1, 1, height, width]`, grey levels in fixed point.
pub const OUTPUT: &str = "reconstruction";
/// The output's doc string is this and the decimal number of fraction bits.
const OUTPUT_DOC: &str = "grey levels in fixed point, fraction bits: ";

/// The network as an ONNX file for images of `size`, still without a manifest.
///
/// Errors where a side of `size` is not a multiple of the network's stride.
pub fn onnx(network: &Quantized, size: Size) -> Result<Vec<u8>> {
    let multiple = network.side_multiple();
    ensure!(
        size.width().is_multiple_of(multiple) && size.height().is_multiple_of(multiple),
        "graph size {size}: both sides must be multiples of {multiple}; pad the images"
    );
    let model = pb::ModelProto {
        ir_version: IR_VERSION,
        producer_name: "residua".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opset_import: vec![pb::OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        graph: Some(graph::graph(network, size)),
        ..Default::default()
    };
    Ok(model.encode_to_vec())
}

/// The file with a manifest in its metadata; the digest stays the same.
///
/// Concatenated protobuf messages are one merged message, so the metadata is just appended.
pub fn with_manifest(onnx: &[u8], manifest: &str) -> Vec<u8> {
    let metadata = pb::ModelProto {
        metadata_props: vec![pb::StringStringEntryProto {
            key: METADATA_KEY.into(),
            value: manifest.into(),
        }],
        ..Default::default()
    };
    [onnx, &metadata.encode_to_vec()].concat()
}

/// The fraction bits that an exported file states of its reconstruction.
///
/// Errors where `onnx` is not readable or does not state them.
pub fn fraction_bits(onnx: &[u8]) -> Result<u8> {
    let model = pb::ModelProto::decode(onnx).context("not a readable ONNX file")?;
    let outputs = model.graph.unwrap_or_default().output;
    outputs
        .iter()
        .find_map(|output| output.doc_string.strip_prefix(OUTPUT_DOC)?.parse().ok())
        .with_context(|| format!("{OUTPUT}: its fraction bits are not stated"))
}
