//! In which layer tract leaves the reference, for the message of a mismatch.

use prost::Message;
use residua_shared::{
    frame::{Frame, Size},
    net::Net,
    onnx,
    reference::reconstruction::reconstruct,
};
use tract_onnx::pb::{ModelProto, tensor_proto::DataType};

use crate::onnx_writer::tensor_info;

/// The ONNX file cut off behind layer `last`, whose activations become its output.
pub fn onnx_up_to(file: &[u8], net: &Net<'_>, last: usize) -> Result<Vec<u8>, String> {
    let mut model = ModelProto::decode(file).map_err(|error| error.to_string())?;
    let graph = model.graph.as_mut().ok_or("a file without a graph")?;
    let convolutions = graph.node.iter().enumerate();
    let mut convolutions = convolutions.filter(|(_, node)| node.op_type == "QLinearConv");
    let (mut end, _) = convolutions.nth(last).ok_or("a file without that layer")?;
    let layer = &net.layers()[last];
    if layer.depth_to_space {
        end += 1;
    }
    graph.node.truncate(end + 1);
    let name = &graph.node[end].output[0];
    let channels = [1, layer.channels()];
    graph.output = vec![tensor_info(
        name,
        DataType::Uint8,
        &channels,
        net.output_size(last),
    )];
    Ok(model.encode_to_vec())
}

/// Runs such a file for an image of the graph's size.
pub type Tract<'t> = &'t dyn Fn(&[u8], Size, &[u8]) -> Result<Vec<u8>, String>;

/// The first layer, in words, whose activations `tract` computes otherwise than the reference.
pub fn first_apart(
    file: &[u8],
    fraction_bits: u8,
    input: Size,
    image: &[u8],
    tract: Tract<'_>,
) -> Result<String, String> {
    let net = onnx::read(file, fraction_bits).map_err(|error| error.to_string())?;
    let frame = Frame::new(input, image).map_err(|error| error.to_string())?;
    let mut scratch = vec![0; net.scratch_len()];
    let mut output = vec![0; input.area()];
    reconstruct(&net, frame, &mut scratch, &mut output).map_err(|error| error.to_string())?;
    let padded = &scratch[..net.graph().area()];
    for (index, layer) in net.layers().iter().enumerate() {
        let expected = &scratch[net.activations(index)];
        if expected.is_empty() {
            break;
        }
        let found = tract(&onnx_up_to(file, &net, index)?, net.graph(), padded)?;
        let Some(at) = found.iter().zip(expected).position(|(a, b)| a != b) else {
            continue;
        };
        let size = net.output_size(index);
        let (channel, pixel) = (at / size.area(), at % size.area());
        let (x, y) = (pixel % size.width(), pixel / size.width());
        let row = if layer.depth_to_space {
            4 * channel + y % 2 * 2 + x % 2
        } else {
            channel
        };
        return Ok(format!(
            "tract leaves first in layer {index} ({:?}, kernel {}, stride {}, {} to {} channels, \
             depth to space: {}): channel {channel}, x {x}, y {y} is {} instead of {}; its shift \
             is {}",
            layer.source,
            layer.kernel,
            layer.stride,
            layer.input_channels,
            layer.output_channels,
            layer.depth_to_space,
            found[at],
            expected[at],
            layer.shift(row),
        ));
    }
    Ok("every layer but the last is equal".into())
}
