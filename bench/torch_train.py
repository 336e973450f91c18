# SPDX-License-Identifier: Apache-2.0
"""Trains the small VGG-11 as the tutorial does, or a net of the paper on random pictures, in
PyTorch, and reports the time of each step.

A worker for bench/compare_torch: builds one setting, warms it up, prints `ready`, then for every
line `N` on stdin trains N steps and prints their seconds on one line. The clock runs from the
batch in memory to the updated weights, as in the tutorial's train_ch6.
"""
import argparse
import gzip
import os
import sys
import time

import numpy as np
import torch
from torch import nn

from archs import ARCHS, SMALL


def vgg(blocks, norm, channels, classes):
    layers = []
    for block in blocks:
        for out in block:
            layers.append(nn.Conv2d(channels, out, 3, padding=1))
            if norm:
                layers.append(nn.BatchNorm2d(out))
            layers.append(nn.ReLU())
            channels = out
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(channels * 7 * 7, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, classes))


def fashion_mnist(folder, count):
    """The first `count` training pictures, resized to 224 by nearest pixel: values do not matter
    for speed, but real ones have real zeros and ties."""
    def read(name, header):
        with gzip.open(os.path.join(folder, name)) as f:
            return np.frombuffer(f.read(), np.uint8, offset=header)
    pixels = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[:count]
    labels = read("train-labels-idx1-ubyte.gz", 8)[:count]
    big = pixels.repeat(8, axis=1).repeat(8, axis=2)
    return torch.from_numpy(big.copy()).float().div_(255).unsqueeze(1), torch.from_numpy(
        labels.astype(np.int64))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--precision", choices=("fp32", "bf16"), required=True)
    p.add_argument("--mode", choices=("eager", "compile"), required=True)
    p.add_argument("--arch", choices=sorted(ARCHS))
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    if a.arch:
        net = vgg(*ARCHS[a.arch], channels=3, classes=1000)
        x, y = torch.rand(a.batch, 3, 224, 224), torch.randint(1000, (a.batch,))
    else:
        net = vgg(*SMALL, channels=1, classes=10)
        x, y = fashion_mnist(a.data, a.batch)
    net = net.to(memory_format=torch.channels_last)
    for m in net.modules():
        if isinstance(m, (nn.Linear, nn.Conv2d)):
            nn.init.xavier_uniform_(m.weight)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    loss_of = nn.CrossEntropyLoss()
    x = x.contiguous(memory_format=torch.channels_last)
    run = torch.compile(net) if a.mode == "compile" else net

    def step():
        begin = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bf16"):
            loss = loss_of(run(x), y)
        loss.backward()
        optimizer.step()
        loss.item()  # the tutorial reads the loss every step
        return time.perf_counter() - begin

    for _ in range(3):
        step()
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        print(*(f"{step():.6f}" for _ in range(int(line))), flush=True)


if __name__ == "__main__":
    main()
