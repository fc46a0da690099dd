"""Runs an exported model by onnxruntime, as a runner of the parity suite.

usage: reconstruct.py MODEL.onnx WIDTH HEIGHT < IMAGES > RECONSTRUCTIONS

IMAGES are grey images of WIDTH x HEIGHT bytes one after the other; RECONSTRUCTIONS are theirs, in
little-endian i32. The file must pass onnx.checker, and onnxruntime's graph optimizations must not
change a value. Needs numpy, onnx and onnxruntime as pinned in requirements.txt.
"""

import sys

import numpy as np
import onnx
import onnxruntime as ort


def session(path, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main():
    path, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    onnx.checker.check_model(path, full_check=True)
    levels = ort.GraphOptimizationLevel
    optimized = session(path, levels.ORT_ENABLE_ALL)
    plain = session(path, levels.ORT_DISABLE_ALL)
    _, _, rows, columns = optimized.get_inputs()[0].shape
    images = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(-1, height, width)
    for number, image in enumerate(images):
        # What lies below and beside the image repeats its last row and column.
        graph = np.pad(image, ((0, rows - height), (0, columns - width)), "edge")[None, None]
        name = optimized.get_inputs()[0].name
        [result] = optimized.run(None, {name: graph})
        [unoptimized] = plain.run(None, {name: graph})
        if not np.array_equal(result, unoptimized):
            sys.exit(f"image {number}: optimization changes onnxruntime's result")
        sys.stdout.buffer.write(result[0, 0, :height, :width].astype("<i4").tobytes())


main()
