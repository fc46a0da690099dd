"""onnxruntime on a model, to be timed by `cargo xtask bench`.

usage: serve_engine.py FILE.onnx THREADS

Answers each number of inferences on its standard input with the seconds that they took.
Needs the packages of requirements.txt.
"""

import sys
import time

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
options.inter_op_num_threads = 1
runtime = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
node = runtime.get_inputs()[0]
image = numpy.random.default_rng(0).integers(0, 256, node.shape, numpy.uint8)
if node.type == "tensor(float)":
    image = image.astype(numpy.float32) / 255
for line in sys.stdin:
    start = time.perf_counter()
    for _ in range(int(line)):
        runtime.run(None, {node.name: image})
    print(time.perf_counter() - start, flush=True)
