//! The graph of an integer network.

use residua_shared::frame::Size;
use tract_onnx::pb::{
    self, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto::dimension,
};

use super::{INPUT, OUTPUT, OUTPUT_DOC};
use crate::{
    net::folded::Source,
    quantize::{IMAGE_EXPONENT, Layer, Quantized},
};

const ZERO_U8: &str = "zero_u8";
const ZERO_I8: &str = "zero_i8";
const INPUT_DOC: &str = "grey levels, 0 black to 255 white";

pub fn graph(network: &Quantized, size: Size) -> pb::GraphProto {
    let mut builder = Builder::new(size);
    let (last, hidden) = network.layers.split_last().expect("a network has layers");
    for layer in hidden {
        builder.hidden(layer);
    }
    builder.last(last);
    let input = value_info(INPUT, DataType::Uint8, [1, size.height(), size.width()]);
    let output = value_info(OUTPUT, DataType::Int32, [1, size.height(), size.width()]);
    pb::GraphProto {
        name: "residua".into(),
        node: builder.nodes,
        initializer: builder.initializers,
        input: vec![pb::ValueInfoProto {
            doc_string: INPUT_DOC.into(),
            ..input
        }],
        output: vec![pb::ValueInfoProto {
            doc_string: format!("{OUTPUT_DOC}{}", network.fraction_bits),
            ..output
        }],
        value_info: builder.values,
        ..Default::default()
    }
}

/// A tensor of activations: its name, the name of its scale, and its shape without the batch.
#[derive(Clone)]
struct Tensor {
    name: String,
    scale: String,
    shape: [usize; 3],
}

struct Builder {
    image: Tensor,
    layers: Vec<Tensor>,
    nodes: Vec<pb::NodeProto>,
    initializers: Vec<pb::TensorProto>,
    values: Vec<pb::ValueInfoProto>,
}

impl Builder {
    fn new(size: Size) -> Self {
        let image = Tensor {
            name: INPUT.into(),
            scale: format!("{INPUT}.scale"),
            shape: [1, size.height(), size.width()],
        };
        let mut builder = Self {
            image: image.clone(),
            layers: Vec::new(),
            nodes: Vec::new(),
            initializers: Vec::new(),
            values: Vec::new(),
        };
        builder.initializer(ZERO_U8, DataType::Uint8, &[], vec![0]);
        builder.initializer(ZERO_I8, DataType::Int8, &[], vec![0]);
        builder.scale(&image.scale, &[], &[IMAGE_EXPONENT]);
        builder
    }

    fn hidden(&mut self, layer: &Layer) {
        let input = self.input(layer);
        let shape = output_shape(layer, input.shape);
        let name = &layer.name;
        let scale = format!("{name}.scale");
        let weight_scale = format!("{name}.weight_scale");
        let bias = format!("{name}.bias");
        let conv = if layer.depth_to_space {
            format!("{name}.conv")
        } else {
            name.clone()
        };
        self.scale(&scale, &[], &[layer.output_exponent]);
        let channels = layer.output_channels;
        self.scale(&weight_scale, &[channels], &layer.weight_exponents);
        let weight = self.weight(layer);
        self.initializer(&bias, DataType::Int32, &[channels], i32_bytes(&layer.bias));
        self.node(
            "QLinearConv",
            &conv,
            &[
                &input.name,
                &input.scale,
                ZERO_U8,
                &weight,
                &weight_scale,
                ZERO_I8,
                &scale,
                ZERO_U8,
                &bias,
            ],
            convolution_attributes(layer),
        );
        self.value(&conv, DataType::Uint8, shape);
        let mut output = Tensor {
            name: conv,
            scale,
            shape,
        };
        if layer.depth_to_space {
            let [channels, height, width] = shape;
            output.shape = [channels / 4, 2 * height, 2 * width];
            let attributes = vec![int("blocksize", 2), string("mode", "CRD")];
            self.node("DepthToSpace", name, &[&output.name], attributes);
            self.value(name, DataType::Uint8, output.shape);
            output.name.clone_from(name);
        }
        self.layers.push(output);
    }

    fn last(&mut self, layer: &Layer) {
        let input = self.input(layer);
        let shape = output_shape(layer, input.shape);
        let product = format!("{}.product", layer.name);
        let bias = format!("{}.bias", layer.name);
        let weight = self.weight(layer);
        self.node(
            "ConvInteger",
            &product,
            &[&input.name, &weight],
            convolution_attributes(layer),
        );
        self.value(&product, DataType::Int32, shape);
        self.initializer(
            &bias,
            DataType::Int32,
            &[1, 1, 1, 1],
            i32_bytes(&layer.bias),
        );
        self.node("Add", OUTPUT, &[&product, &bias], Vec::new());
    }

    /// What a layer reads, after a `Concat` where it reads two.
    fn input(&mut self, layer: &Layer) -> Tensor {
        match layer.source {
            Source::Image => self.image.clone(),
            Source::Layer(index) => self.layers[index].clone(),
            Source::Concat(a, b) => {
                let (a, b) = (self.layers[a].clone(), self.layers[b].clone());
                let [channels, height, width] = a.shape;
                let joined = Tensor {
                    name: format!("{}.input", layer.name),
                    scale: a.scale,
                    shape: [channels + b.shape[0], height, width],
                };
                let names = [a.name.as_str(), b.name.as_str()];
                self.node("Concat", &joined.name, &names, vec![int("axis", 1)]);
                self.value(&joined.name, DataType::Uint8, joined.shape);
                joined
            }
        }
    }

    fn weight(&mut self, layer: &Layer) -> String {
        let name = format!("{}.weight", layer.name);
        let kernel = layer.kernel;
        let dims = [layer.output_channels, layer.input_channels, kernel, kernel];
        let bytes = layer.weight.iter().map(|w| w.cast_unsigned()).collect();
        self.initializer(&name, DataType::Int8, &dims, bytes);
        name
    }

    fn scale(&mut self, name: &str, dims: &[usize], exponents: &[i32]) {
        let scales = exponents.iter().map(|e| (*e as f32).exp2());
        let bytes = scales.flat_map(f32::to_le_bytes).collect();
        self.initializer(name, DataType::Float, dims, bytes);
    }

    fn initializer(&mut self, name: &str, kind: DataType, dims: &[usize], raw_data: Vec<u8>) {
        self.initializers.push(pb::TensorProto {
            name: name.into(),
            data_type: kind.into(),
            dims: dims.iter().map(|&n| n as i64).collect(),
            raw_data,
            ..Default::default()
        });
    }

    /// A node, named as its output.
    fn node(&mut self, op: &str, output: &str, inputs: &[&str], attribute: Vec<Attribute>) {
        self.nodes.push(pb::NodeProto {
            op_type: op.into(),
            name: output.into(),
            input: inputs.iter().map(|name| (*name).into()).collect(),
            output: vec![output.into()],
            attribute,
            ..Default::default()
        });
    }

    fn value(&mut self, name: &str, kind: DataType, shape: [usize; 3]) {
        self.values.push(value_info(name, kind, shape));
    }
}

fn output_shape(layer: &Layer, [_, height, width]: [usize; 3]) -> [usize; 3] {
    let pads = layer.pads.begin + layer.pads.end;
    let side = |n: usize| (n + pads - layer.kernel) / layer.stride + 1;
    [layer.output_channels, side(height), side(width)]
}

type Attribute = pb::AttributeProto;

fn convolution_attributes(layer: &Layer) -> Vec<Attribute> {
    let (begin, end) = (layer.pads.begin, layer.pads.end);
    vec![
        ints("kernel_shape", &[layer.kernel; 2]),
        ints("pads", &[begin, begin, end, end]),
        ints("strides", &[layer.stride; 2]),
    ]
}

fn ints(name: &str, values: &[usize]) -> Attribute {
    Attribute {
        name: name.into(),
        r#type: AttributeType::Ints.into(),
        ints: values.iter().map(|&n| n as i64).collect(),
        ..Default::default()
    }
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute {
        name: name.into(),
        r#type: AttributeType::Int.into(),
        i,
        ..Default::default()
    }
}

fn string(name: &str, s: &str) -> Attribute {
    Attribute {
        name: name.into(),
        r#type: AttributeType::String.into(),
        s: s.into(),
        ..Default::default()
    }
}

fn value_info(name: &str, kind: DataType, [c, h, w]: [usize; 3]) -> pb::ValueInfoProto {
    let dimension = |n: usize| pb::tensor_shape_proto::Dimension {
        value: Some(dimension::Value::DimValue(n as i64)),
        ..Default::default()
    };
    let tensor = pb::type_proto::Tensor {
        elem_type: kind.into(),
        shape: Some(pb::TensorShapeProto {
            dim: [1, c, h, w].map(dimension).into(),
        }),
    };
    pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn i32_bytes(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
