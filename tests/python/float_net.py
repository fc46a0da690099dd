"""Writes a network of a residua configuration as float ONNX, with random weights.

usage: float_net.py CONFIG WIDTH HEIGHT FILE.onnx, where CONFIG is JSON

The layers are those that PyTorch exports: Conv and ConvTranspose, batch norm folded into them, each
followed by Relu. Needs the packages of requirements.txt.
"""

import json
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def main():
    config, (width, height), path = json.loads(sys.argv[1]), map(int, sys.argv[2:4]), sys.argv[4]
    random = np.random.default_rng(0)
    nodes, weights = [], []

    def tensor(name, *shape):
        # As large as keeps the values of layers alike.
        values = random.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:] or (1e4,)))
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def layer(name, kind, source, shape, outputs, activation, **attributes):
        inputs = [source, tensor(f"{name}.weight", *shape), tensor(f"{name}.bias", outputs)]
        linear = f"{name}.linear" if activation else name
        nodes.append(helper.make_node(kind, inputs, [linear], **attributes))
        if activation:
            nodes.append(helper.make_node("Relu", [linear], [name]))
        return name

    def concat(source, channels, skip):
        if skip is None:
            return source, channels
        name = f"{source}.with.{skip}"
        nodes.append(helper.make_node("Concat", [source, encoded[skip]], [name], axis=1))
        return name, channels + config["encoder"][skip]["channels"]

    source, channels, encoded = "image", 1, []
    for index, stage in enumerate(config["encoder"]):
        c, k, s = stage["channels"], stage["kernel"], stage["stride"]
        source = layer(
            f"down{index}", "Conv", source, (c, channels, k, k), c, True,
            kernel_shape=[k, k], strides=[s, s], pads=[k // 2] * 4,
        )
        encoded.append(source)
        channels = c
    for index, stage in enumerate(config["decoder"]):
        c, k = stage["channels"], stage["kernel"]
        source, channels = concat(source, channels, stage.get("skip"))
        source = layer(
            f"up{index}", "ConvTranspose", source, (channels, c, k, k), c, True,
            kernel_shape=[k, k], strides=[2, 2], pads=[k // 2] * 4, output_padding=[1, 1],
        )
        channels = c
    source, channels = concat(source, channels, config["output"].get("skip"))
    layer(
        "reconstruction", "Conv", source, (1, channels, 1, 1), 1, config["output"]["normalize"],
        kernel_shape=[1, 1],
    )

    def value(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, height, width])

    graph = helper.make_graph(nodes, "float", [value("image")], [value("reconstruction")], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


main()
