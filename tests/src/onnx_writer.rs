//! Writes random networks as ONNX files, by tract's protobuf types: a second hand beside the
//! export, so that reader and export cannot share one misreading.

use prost::Message;
use residua_shared::{
    frame::Size,
    net::{Pads, Source},
};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

use crate::random_net::{LayerSpec, RandomNet};

/// log2 of the image's scale.
const IMAGE_EXPONENT: i32 = -8;

/// The network as an ONNX file.
pub fn onnx(net: &RandomNet) -> Vec<u8> {
    model(net).encode_to_vec()
}

/// The network as a `ModelProto`, to be changed before it is written.
pub fn model(net: &RandomNet) -> ModelProto {
    let mut writer = Writer::default();
    for (index, layer) in net.layers.iter().enumerate() {
        writer.layer(net, index, layer);
    }
    let output = tensor_info("reconstruction", DataType::Int32, &[1, 1], net.graph);
    writer.into_model(net, output)
}

#[derive(Default)]
struct Writer {
    graph: GraphProto,
}

impl Writer {
    fn into_model(self, net: &RandomNet, output: ValueInfoProto) -> ModelProto {
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 13,
            }],
            producer_name: "residua-tests".into(),
            graph: Some(GraphProto {
                name: "random".into(),
                input: vec![tensor_info("image", DataType::Uint8, &[1, 1], net.graph)],
                output: vec![output],
                ..self.graph
            }),
            metadata_props: vec![StringStringEntryProto {
                key: "residua.manifest".into(),
                value: format!("{{\"seed\":{}}}", net.seed),
            }],
            ..Default::default()
        }
    }

    fn layer(&mut self, net: &RandomNet, index: usize, layer: &LayerSpec) {
        let input = self.concatenated(layer.source);
        let input_exponent = match layer.source {
            Source::Image => IMAGE_EXPONENT,
            Source::Layer(source) | Source::Concat(source, _) => net.layers[source].exponent,
        };
        let name = format!("layer{index}");
        let kernel = layer.kernel;
        let bytes = layer.weights.iter().map(|&w| w as u8).collect();
        let dims = [layer.output_channels, layer.input_channels, kernel, kernel];
        let weights = self.constant(&name, "w", DataType::Int8, &dims, bytes);
        let biases = layer.biases.iter().flat_map(|b| b.to_le_bytes()).collect();
        let attributes = vec![
            integers("dilations", &[1, 1]),
            integers("kernel_shape", &[kernel, kernel]),
            pads(layer.pads),
            integers("strides", &[layer.stride, layer.stride]),
        ];
        if layer.shifts.is_empty() {
            self.node(
                "ConvInteger",
                &name,
                vec![input, weights],
                &name,
                attributes,
            );
            let bias = self.constant(&name, "bias", DataType::Int32, &[1, 1, 1, 1], biases);
            let inputs = vec![name, bias];
            self.node("Add", "output", inputs, "reconstruction", vec![]);
            return;
        }

        let channels = [layer.output_channels];
        let scales = layer.shifts.iter().flat_map(|&shift| {
            let exponent = layer.exponent - input_exponent - shift as i32;
            2_f32.powi(exponent).to_le_bytes()
        });
        let scales = scales.collect();
        let scalar = |exponent: i32| 2_f32.powi(exponent).to_le_bytes().to_vec();
        use DataType::{Float, Int8, Int32, Uint8};
        let inputs = vec![
            input,
            self.constant(&name, "x_scale", Float, &[], scalar(input_exponent)),
            self.constant(&name, "x_zero", Uint8, &[], vec![0]),
            weights,
            self.constant(&name, "w_scale", Float, &channels, scales),
            self.constant(&name, "w_zero", Int8, &[], vec![0]),
            self.constant(&name, "y_scale", Float, &[], scalar(layer.exponent)),
            self.constant(&name, "y_zero", Uint8, &[], vec![0]),
            self.constant(&name, "bias", Int32, &channels, biases),
        ];
        self.node("QLinearConv", &name, inputs, &name, attributes);
        if layer.depth_to_space {
            let attributes = vec![
                AttributeProto {
                    name: "blocksize".into(),
                    r#type: AttributeType::Int.into(),
                    i: 2,
                    ..Default::default()
                },
                AttributeProto {
                    name: "mode".into(),
                    r#type: AttributeType::String.into(),
                    s: b"CRD".to_vec(),
                    ..Default::default()
                },
            ];
            let output = format!("{name}.up");
            self.node("DepthToSpace", &output, vec![name], &output, attributes);
        }
    }

    /// The tensor that a layer with this source reads, after a `Concat` where it needs one.
    fn concatenated(&mut self, source: Source) -> String {
        let Source::Concat(first, second) = source else {
            return self.tensor_of(source);
        };
        let inputs = vec![
            self.tensor_of(Source::Layer(first)),
            self.tensor_of(Source::Layer(second)),
        ];
        let name = format!("concat{}", self.graph.node.len());
        let axis = AttributeProto {
            name: "axis".into(),
            r#type: AttributeType::Int.into(),
            i: 1,
            ..Default::default()
        };
        self.node("Concat", &name, inputs, &name, vec![axis]);
        name
    }

    fn tensor_of(&self, source: Source) -> String {
        let Source::Layer(index) = source else {
            return "image".into();
        };
        let up = format!("layer{index}.up");
        let is_up = self.graph.node.iter().any(|node| node.output[0] == up);
        if is_up { up } else { format!("layer{index}") }
    }

    fn node(
        &mut self,
        operator: &str,
        name: &str,
        input: Vec<String>,
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        self.graph.node.push(NodeProto {
            input,
            output: vec![output.into()],
            name: name.into(),
            op_type: operator.into(),
            attribute,
            ..Default::default()
        });
    }

    fn constant(
        &mut self,
        layer: &str,
        name: &str,
        data_type: DataType,
        dims: &[usize],
        raw_data: Vec<u8>,
    ) -> String {
        let name = format!("{layer}.{name}");
        self.graph.initializer.push(TensorProto {
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type: data_type.into(),
            name: name.clone(),
            raw_data,
            ..Default::default()
        });
        name
    }
}

fn integers(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints.into(),
        ints: values.iter().map(|&value| value as i64).collect(),
        ..Default::default()
    }
}

fn pads(pads: Pads) -> AttributeProto {
    integers("pads", &[pads.top, pads.left, pads.bottom, pads.right])
}

/// An input or output of a graph.
pub fn tensor_info(name: &str, kind: DataType, channels: &[usize], size: Size) -> ValueInfoProto {
    let dim = |&value: &usize| Dimension {
        value: Some(dimension::Value::DimValue(value as i64)),
        ..Default::default()
    };
    let sides = [size.height(), size.width()];
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: kind.into(),
                shape: Some(TensorShapeProto {
                    dim: channels.iter().chain(&sides).map(dim).collect(),
                }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    }
}
