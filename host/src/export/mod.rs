//! Integer networks as standard ONNX: opset 13, integer from end to end, in `QLinearConv`,
//! `DepthToSpace`, `Concat` and a last `ConvInteger`, with every tensor's shape stated.
//!
//! The file carries the manifest in its metadata. Equal networks give equal bytes.

mod graph;

use anyhow::{Context, Result, bail, ensure};
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

/// What an ONNX file of ours says of itself.
pub struct Description {
    /// The manifest's JSON in the metadata, where there is one.
    pub manifest: Option<String>,
    /// The graph's input shape.
    pub graph: Size,
    /// Of the reconstruction.
    pub fraction_bits: u8,
}

/// Reads an ONNX file's own description. Errors name what is wrong in it.
pub fn describe(onnx: &[u8]) -> Result<Description> {
    let model = pb::ModelProto::decode(onnx)
        .ok()
        .filter(|model| model.graph.is_some())
        .context("not a readable ONNX file; copy or export it again")?;
    let graph = model.graph.unwrap_or_default();
    let value = |values: &[pb::ValueInfoProto], name: &str| {
        let found = values.iter().find(|value| value.name == name).cloned();
        found.with_context(|| {
            format!(
                "the graph has no {name}: not a residua model; export one with `residua export`"
            )
        })
    };
    let input = value(&graph.input, INPUT)?;
    let output = value(&graph.output, OUTPUT)?;
    let fraction_bits = output
        .doc_string
        .strip_prefix(OUTPUT_DOC)
        .and_then(|bits| bits.parse().ok())
        .with_context(|| format!("{OUTPUT}: its fraction bits are not stated; export it again"))?;
    let size = shape(&input).with_context(|| format!("{INPUT}: export it again"))?;
    ensure!(
        shape(&output).is_ok_and(|output| output == size),
        "{OUTPUT}: its shape is not that of {INPUT}; export it again"
    );
    let manifest = model
        .metadata_props
        .into_iter()
        .find(|entry| entry.key == METADATA_KEY)
        .map(|entry| entry.value);
    Ok(Description {
        manifest,
        graph: size,
        fraction_bits,
    })
}

fn shape(value: &pb::ValueInfoProto) -> Result<Size> {
    use pb::tensor_shape_proto::dimension::Value::DimValue;
    let Some(pb::type_proto::Value::TensorType(tensor)) =
        value.r#type.as_ref().and_then(|kind| kind.value.as_ref())
    else {
        bail!("it has no type");
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let dims: Vec<i64> = dims
        .map(|dim| match dim.value {
            Some(DimValue(n)) => n,
            _ => 0,
        })
        .collect();
    let [1, 1, height, width] = dims[..] else {
        bail!("its shape is {dims:?}, not [1, 1, height, width]");
    };
    let side = |n: i64| usize::try_from(n).unwrap_or(0);
    Ok(Size::new(side(width), side(height))?)
}
