"""Training steps on random crops, timed: PyTorch's side of `cargo xtask bench-train`.

Usage: train_step.py CONFIG BATCH SIDE THREADS, where CONFIG is the JSON that residua's side prints.
Prints the network's number of parameters. Then, for each line of standard input, which is a number
of steps, the seconds that so many steps took.
"""

import json
import sys
import time

import torch
from torch import nn


class Layer(nn.Module):
    """A convolution, then batch norm and activation where there are any."""

    def __init__(self, convolution, channels, activation):
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(channels) if activation else nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x):
        return self.activation(self.norm(self.convolution(x)))


class Autoencoder(nn.Module):
    """The network of a residua configuration."""

    def __init__(self, config):
        super().__init__()
        activation = {"relu": nn.ReLU(), "leaky-relu": nn.LeakyReLU(0.2)}[config["activation"]]
        bias = config["redundant_bias"]
        encoder, decoder, output = config["encoder"], config["decoder"], config["output"]

        def width(skip):
            return 0 if skip is None else encoder[skip]["channels"]

        channels = 1
        self.down = nn.ModuleList()
        for stage in encoder:
            c, k, s = stage["channels"], stage["kernel"], stage["stride"]
            convolution = nn.Conv2d(channels, c, k, s, k // 2, bias=bias)
            self.down.append(Layer(convolution, c, activation))
            channels = c
        self.skips = [stage.get("skip") for stage in decoder] + [output.get("skip")]
        self.up = nn.ModuleList()
        for stage, skip in zip(decoder, self.skips):
            c, k = stage["channels"], stage["kernel"]
            inputs = channels + width(skip)
            convolution = nn.ConvTranspose2d(inputs, c, k, 2, k // 2, 1, bias=bias)
            self.up.append(Layer(convolution, c, activation))
            channels = c
        normalize = output["normalize"]
        convolution = nn.Conv2d(channels + width(self.skips[-1]), 1, 1, bias=bias or not normalize)
        self.up.append(Layer(convolution, 1, activation if normalize else None))

    def forward(self, x):
        encoded = []
        for layer in self.down:
            x = layer(x)
            encoded.append(x)
        for layer, skip in zip(self.up, self.skips):
            x = layer(x if skip is None else torch.cat([x, encoded[skip]], 1))
        return x


def main():
    config, (batch, side, threads) = sys.argv[1], map(int, sys.argv[2:])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = Autoencoder(json.loads(config))
    print(sum(p.numel() for p in net.parameters()), flush=True)
    adam = torch.optim.Adam(net.parameters())
    images = torch.rand(batch, 1, side, side)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            adam.zero_grad()
            loss = nn.functional.mse_loss(net(images), images)
            loss.backward()
            adam.step()
            loss.item()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
