//! From the graph's nodes to the network's layers.

use heapless::Vec;

use super::{
    OnnxError, fields,
    node::Node,
    protobuf::{Field, Value},
    tensor::{Tensor, Type},
};
use crate::{
    frame::Size,
    net::{Layer, MAX_LAYERS, Net, Pads, Requantization, Source, name},
};

/// log2 of the image's scale.
const IMAGE_EXPONENT: i32 = -8;

pub fn read(file: &[u8], fraction_bits: u8) -> Result<Net<'_>, OnnxError> {
    let graph = graph(file)?;
    let size = check_ends(graph)?;
    let mut reader = Reader::new(graph)?;
    for field in fields("GraphProto", graph) {
        if let Field {
            number: 1,
            value: Value::Bytes(bytes),
            ..
        } = field?
        {
            reader.node(&Node::parse(bytes)?)?;
        }
    }
    if !reader.ended {
        let expected = "the graph must end in an Add that yields `reconstruction`";
        return Err(error("GraphProto", "node", expected));
    }
    Net::new(reader.layers, size, fraction_bits).map_err(OnnxError::Net)
}

/// The `GraphProto`, once versions are checked.
fn graph(file: &[u8]) -> Result<&[u8], OnnxError> {
    let (mut ir_version, mut opsets, mut graph, mut graphs) = (0, 0, None, 0);
    for field in fields("ModelProto", file) {
        match field? {
            Field {
                number: 1,
                value: Value::Varint(value),
                ..
            } => ir_version = value,
            Field {
                number: 7,
                value: Value::Bytes(bytes),
                ..
            } => {
                graph = Some(bytes);
                graphs += 1;
            }
            Field {
                number: 8,
                value: Value::Bytes(bytes),
                ..
            } => {
                check_opset(bytes)?;
                opsets += 1;
            }
            _ => {}
        }
    }
    if ir_version != 8 {
        return Err(error("ModelProto", "ir_version", "must be 8"));
    }
    if opsets != 1 {
        return Err(error("ModelProto", "opset_import", "there must be one"));
    }
    match graph {
        Some(graph) if graphs == 1 => Ok(graph),
        _ => Err(error("ModelProto", "graph", "there must be one")),
    }
}

fn check_opset(bytes: &[u8]) -> Result<(), OnnxError> {
    let mut fits = false;
    for field in fields("OperatorSetIdProto", bytes) {
        match field? {
            Field {
                number: 1,
                value: Value::Bytes(domain),
                ..
            } if !domain.is_empty() && domain != b"ai.onnx" => {
                return Err(error(
                    "ModelProto",
                    "opset_import",
                    "ONNX's own domain only",
                ));
            }
            Field {
                number: 2,
                value: Value::Varint(version),
                ..
            } => fits = version == 13,
            _ => {}
        }
    }
    if fits {
        return Ok(());
    }
    Err(error("ModelProto", "opset_import", "must be version 13"))
}

/// Checks the graph's one input and one output and returns their size.
fn check_ends(graph: &[u8]) -> Result<Size, OnnxError> {
    let (mut input, mut output) = (None, None);
    for field in fields("GraphProto", graph) {
        let Field {
            number,
            value: Value::Bytes(bytes),
            ..
        } = field?
        else {
            continue;
        };
        let (end, name, kind) = match number {
            11 => (&mut input, "image", Type::U8),
            12 => (&mut output, "reconstruction", Type::I32),
            _ => continue,
        };
        if end.is_some() {
            return Err(error("GraphProto", "input, output", "one of each"));
        }
        *end = Some(value_info(bytes, name, kind)?);
    }
    match (input, output) {
        (Some(input), Some(output)) if input == output => Ok(input),
        _ => {
            let expected = "there must be one of each, of one shape";
            Err(error("GraphProto", "input, output", expected))
        }
    }
}

/// Checks a `ValueInfoProto`'s name and type and returns its size.
fn value_info(bytes: &[u8], wanted: &'static str, kind: Type) -> Result<Size, OnnxError> {
    let (mut name, mut tensor): (&[u8], &[u8]) = (&[], &[]);
    for field in fields("ValueInfoProto", bytes) {
        match field? {
            Field {
                number: 1,
                value: Value::Bytes(bytes),
                ..
            } => name = bytes,
            Field {
                number: 2,
                value: Value::Bytes(bytes),
                ..
            } => tensor = nested("TypeProto", bytes, 1)?,
            _ => {}
        }
    }
    if name != wanted.as_bytes() {
        let expected = "the input must be `image`, the output `reconstruction`";
        return Err(error("GraphProto", "input, output", expected));
    }
    let (mut element, mut shape): (u64, &[u8]) = (0, &[]);
    for field in fields("TypeProto.Tensor", tensor) {
        match field? {
            Field {
                number: 1,
                value: Value::Varint(value),
                ..
            } => element = value,
            Field {
                number: 2,
                value: Value::Bytes(bytes),
                ..
            } => shape = bytes,
            _ => {}
        }
    }
    if element != kind as u64 {
        let expected = "the input must be UINT8, the output INT32";
        return Err(error(wanted, "elem_type", expected));
    }
    let shape_error = || error(wanted, "shape", "must be [1, 1, height, width] in numbers");
    let [1, 1, height, width] = *dims(shape)? else {
        return Err(shape_error());
    };
    Size::new(width, height).map_err(|_| shape_error())
}

/// The stated dimensions of a `TensorShapeProto`; 0 stands for one that is not a number.
fn dims(shape: &[u8]) -> Result<Vec<usize, 5>, OnnxError> {
    let mut dims = Vec::new();
    for field in fields("TensorShapeProto", shape) {
        let Field {
            number: 1,
            value: Value::Bytes(bytes),
            ..
        } = field?
        else {
            continue;
        };
        let mut dim = 0;
        for field in fields("TensorShapeProto.Dimension", bytes) {
            if let Field {
                number: 1,
                value: Value::Varint(value),
                ..
            } = field?
            {
                dim = usize::try_from(value).unwrap_or(0);
            }
        }
        // A fifth dimension already makes the shape wrong; the rest don't matter.
        let _ = dims.push(dim);
    }
    Ok(dims)
}

/// The last message with this field number inside another.
fn nested<'a>(message: &'static str, bytes: &'a [u8], wanted: u32) -> Result<&'a [u8], OnnxError> {
    let mut found: &[u8] = &[];
    for field in fields(message, bytes) {
        if let Field {
            number,
            value: Value::Bytes(bytes),
            ..
        } = field?
            && number == wanted
        {
            found = bytes;
        }
    }
    Ok(found)
}

/// A computed tensor that later nodes can read.
struct Activation<'a> {
    name: &'a str,
    source: Source,
    /// log2 of its scale.
    exponent: i32,
    /// Whether a node has read it already.
    used: bool,
}

/// Room for the image, every layer and as many concatenations.
const MAX_ACTIVATIONS: usize = 2 * MAX_LAYERS + 1;

struct Reader<'a> {
    graph: &'a [u8],
    layers: Vec<Layer<'a>, MAX_LAYERS>,
    activations: Vec<Activation<'a>, MAX_ACTIVATIONS>,
    /// The output of a `ConvInteger` that still waits for its bias.
    sums: Option<&'a str>,
    ended: bool,
}

impl<'a> Reader<'a> {
    fn new(graph: &'a [u8]) -> Result<Self, OnnxError> {
        let mut reader = Self {
            graph,
            layers: Vec::new(),
            activations: Vec::new(),
            sums: None,
            ended: false,
        };
        reader.add(Activation {
            name: "image",
            source: Source::Image,
            exponent: IMAGE_EXPONENT,
            used: false,
        })?;
        Ok(reader)
    }

    fn node(&mut self, node: &Node<'a>) -> Result<(), OnnxError> {
        if self.ended {
            return Err(node.error("output", "no node may follow the last Add"));
        }
        match node.operator {
            "QLinearConv" => self.qlinear_conv(node),
            "DepthToSpace" => self.depth_to_space(node),
            "Concat" => self.concat(node),
            "ConvInteger" => self.conv_integer(node),
            "Add" => self.add_bias(node),
            _ => {
                let expected = "QLinearConv, DepthToSpace, Concat, ConvInteger or Add";
                Err(node.error("op_type", expected))
            }
        }
    }

    fn qlinear_conv(&mut self, node: &Node<'a>) -> Result<(), OnnxError> {
        let [
            x,
            x_scale,
            x_zero,
            w,
            w_scale,
            w_zero,
            y_scale,
            y_zero,
            bias,
        ] = node.inputs()?;
        self.constant(x_zero, Type::U8)?.zero()?;
        self.constant(w_zero, Type::I8)?.zero()?;
        self.constant(y_zero, Type::U8)?.zero()?;
        let input = self.constant(x_scale, Type::F32)?.exponent()?;
        let output = self.constant(y_scale, Type::F32)?.exponent()?;
        let (source, stated) = self.read_by(node, x)?;
        if input != stated {
            let expected = "must be that of the tensor it reads (2^-8 for the image)";
            return Err(node.error("x_scale", expected));
        }
        let layer = self.convolution(node, source, w)?;
        let channels = [layer.output_channels];
        let layer = Layer {
            biases: self
                .constant(bias, Type::I32)?
                .shaped(&channels, "one bias an output channel")?,
            requantization: Some(Requantization {
                weight_scales: self
                    .constant(w_scale, Type::F32)?
                    .shaped(&channels, "one scale an output channel")?,
                exponent: input - output,
            }),
            ..layer
        };
        let index = self.push(node, layer)?;
        self.add(Activation {
            name: node.output,
            source: Source::Layer(index),
            exponent: output,
            used: false,
        })
    }

    fn depth_to_space(&mut self, node: &Node<'a>) -> Result<(), OnnxError> {
        node.knows(&["blocksize", "mode"])?;
        if node.integers("blocksize", [0])? != [2] {
            return Err(node.error("blocksize", "must be 2"));
        }
        if node.string("mode")? != Some(b"CRD".as_slice()) {
            return Err(node.error("mode", "must be CRD"));
        }
        let [input] = node.inputs()?;
        let index = self.find(node, input)?;
        let activation = &mut self.activations[index];
        let expected = "must be a QLinearConv's output that nothing else reads";
        let Source::Layer(layer) = activation.source else {
            return Err(node.error("input", expected));
        };
        if activation.used || self.layers[layer].depth_to_space {
            return Err(node.error("input", expected));
        }
        self.layers[layer].depth_to_space = true;
        // The tensor before has no name any more, so that no later node can read it.
        activation.name = node.output;
        Ok(())
    }

    fn concat(&mut self, node: &Node<'a>) -> Result<(), OnnxError> {
        node.knows(&["axis"])?;
        if node.integers("axis", [0])? != [1] {
            return Err(node.error("axis", "must be 1"));
        }
        let [first, second] = node.inputs()?;
        let (first, exponent) = self.read_by(node, first)?;
        let (second, other) = self.read_by(node, second)?;
        if exponent != other {
            return Err(node.error("input", "both must have one scale"));
        }
        let (Source::Layer(first), Source::Layer(second)) = (first, second) else {
            return Err(node.error("input", "must be two layers' outputs"));
        };
        self.add(Activation {
            name: node.output,
            source: Source::Concat(first, second),
            exponent,
            used: false,
        })
    }

    fn conv_integer(&mut self, node: &Node<'a>) -> Result<(), OnnxError> {
        let [x, w] = node.inputs()?;
        if self.sums.is_some() {
            return Err(node.error("op_type", "there must be one ConvInteger, the last layer"));
        }
        let (source, _) = self.read_by(node, x)?;
        let layer = self.convolution(node, source, w)?;
        self.push(node, layer)?;
        self.sums = Some(node.output);
        Ok(())
    }

    fn add_bias(&mut self, node: &Node<'a>) -> Result<(), OnnxError> {
        node.knows(&[])?;
        let [first, second] = node.inputs()?;
        let bias = match self.sums {
            Some(sums) if sums == first => second,
            Some(sums) if sums == second => first,
            _ => return Err(node.error("input", "must be the ConvInteger's output and a bias")),
        };
        let bias = self.constant(bias, Type::I32)?;
        let bias = bias.shaped(&[1, 1, 1, 1], "must be [1, 1, 1, 1]")?;
        if node.output != "reconstruction" {
            return Err(node.error("output", "must be `reconstruction`"));
        }
        if let Some(last) = self.layers.last_mut() {
            last.biases = bias;
        }
        self.ended = true;
        Ok(())
    }

    /// A layer of a convolution node with weights `w`, still without biases and requantization.
    fn convolution(
        &self,
        node: &Node<'a>,
        source: Source,
        w: &'a str,
    ) -> Result<Layer<'a>, OnnxError> {
        let known = ["dilations", "group", "kernel_shape", "pads", "strides"];
        node.knows(&known)?;
        if node.integers("dilations", [1, 1])? != [1, 1] {
            return Err(node.error("dilations", "must be 1"));
        }
        if node.integers("group", [1])? != [1] {
            return Err(node.error("group", "must be 1"));
        }
        let weights = self.constant(w, Type::I8)?;
        let [output_channels, input_channels, kernel, width] = *weights.dims else {
            return Err(node.error("w", "must have four dimensions"));
        };
        let side = i64::try_from(kernel).unwrap_or(0);
        let square = [side, side];
        if width != kernel || node.integers("kernel_shape", square)? != square {
            return Err(node.error("kernel_shape", "must be square and that of the weights"));
        }
        let stride = match node.integers("strides", [1, 1])? {
            [1, 1] => 1,
            [2, 2] => 2,
            _ => return Err(node.error("strides", "must be 1, 1 or 2, 2")),
        };
        let pads = node.integers("pads", [0; 4])?.map(usize::try_from);
        let [Ok(top), Ok(left), Ok(bottom), Ok(right)] = pads else {
            return Err(node.error("pads", "must not be negative"));
        };
        Ok(Layer {
            name: node.name,
            source,
            input_channels,
            output_channels,
            kernel,
            stride,
            pads: Pads {
                top,
                left,
                bottom,
                right,
            },
            weights: weights.data,
            biases: &[],
            requantization: None,
            depth_to_space: false,
        })
    }

    fn constant(&self, name: &'a str, kind: Type) -> Result<Tensor<'a>, OnnxError> {
        Tensor::find(self.graph, name, kind)
    }

    /// The activation of this name.
    fn find(&self, node: &Node<'_>, name: &str) -> Result<usize, OnnxError> {
        let position = self.activations.iter().position(|a| a.name == name);
        position.ok_or_else(|| {
            node.error(
                "input",
                "must be the image or the output of an earlier layer",
            )
        })
    }

    /// The source and exponent of what a node reads under this name.
    fn read_by(&mut self, node: &Node<'_>, name: &str) -> Result<(Source, i32), OnnxError> {
        let index = self.find(node, name)?;
        let activation = &mut self.activations[index];
        activation.used = true;
        Ok((activation.source, activation.exponent))
    }

    fn push(&mut self, node: &Node<'_>, layer: Layer<'a>) -> Result<usize, OnnxError> {
        let index = self.layers.len();
        match self.layers.push(layer) {
            Ok(()) => Ok(index),
            Err(_) => Err(node.error("op_type", "there are more convolutions than 24")),
        }
    }

    fn add(&mut self, activation: Activation<'a>) -> Result<(), OnnxError> {
        let name = activation.name;
        if self.activations.iter().any(|a| a.name == name) {
            return Err(error(name, "output", "its name must be unique"));
        }
        self.activations
            .push(activation)
            .map_err(|_| error(name, "output", "there are too many concatenations"))
    }
}

fn error(place: &str, field: &'static str, expected: &'static str) -> OnnxError {
    OnnxError::Field {
        place: name(place),
        field,
        expected,
    }
}
