"""Median time of onnxruntime on an exported model, one thread: speed.py MODEL.onnx [SECONDS]"""

import sys
import time

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
node = session.get_inputs()[0]
image = numpy.random.default_rng(0).integers(0, 256, node.shape, numpy.uint8)
times, start = [], time.perf_counter()
while time.perf_counter() - start < seconds or len(times) < 5:
    one = time.perf_counter()
    session.run(None, {node.name: image})
    times.append(time.perf_counter() - one)
times.sort()
print(f"onnxruntime  median {times[len(times) // 2] * 1e3:9.3f} ms, best {times[0] * 1e3:9.3f} ms")
