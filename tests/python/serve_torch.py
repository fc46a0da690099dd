"""PyTorch on a float network, to be timed by `cargo xtask bench`.

usage: serve_torch.py CONFIG WIDTH HEIGHT THREADS, where CONFIG is JSON

Batch norm is folded into the convolutions. Answers each number
of inferences on its standard input with the seconds that they took.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from train_step import Autoencoder


def main():
    config, (width, height, threads) = json.loads(sys.argv[1]), map(int, sys.argv[2:])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = Autoencoder(config).eval()
    for layer in [*net.down, *net.up]:
        if isinstance(layer.norm, nn.BatchNorm2d):
            transposed = isinstance(layer.convolution, nn.ConvTranspose2d)
            layer.convolution = fuse_conv_bn_eval(layer.convolution, layer.norm, transposed)
            layer.norm = nn.Identity()
    image = torch.rand(1, 1, height, width)
    for line in sys.stdin:
        start = time.perf_counter()
        with torch.inference_mode():
            for _ in range(int(line)):
                net(image)
        print(time.perf_counter() - start, flush=True)


main()
