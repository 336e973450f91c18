#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the golden files of tests/format, beside this script.

  dtypes.safetensors  one tensor of each kind, written by huggingface's safetensors
  model.safetensors   a narrow VGG-11 of PyTorch with vgg's metadata, saved with safetensors.torch
  truth.safetensors   pixels U8 [n][h][w][c] and the net's logits F64 [n][classes], by PyTorch in
                      double precision

Made with safetensors 0.8.0, torch 2.15.0 and numpy 2.4.6:  python3 make_golden.py
"""

import json
import os

import torch
from safetensors.torch import save_file
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
BLOCKS = [(1, 64), (1, 128), (2, 256), (2, 512), (2, 512)]
RATIO, INPUT, CLASSES, HIDDEN, DROPOUT = 32, (1, 64, 96), 7, 24, 0.25


def path(name):
    return os.path.join(HERE, name)


def dtypes():
    tensors = {
        "f32": torch.tensor([[1.5, -2.0, float("inf")], [0.0, -0.0, 2.0**-149]]),
        "a.f32": torch.tensor(3.25),
        "f64": torch.tensor([1.0 / 3.0], dtype=torch.float64),
        "i64": torch.tensor([-1, 2**62]),
        "u8": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "bf16": torch.tensor([1.0, -3.0], dtype=torch.bfloat16),
        "f16": torch.tensor([0.5], dtype=torch.float16),
        'empty "quoted" \u978b\n\x01': torch.zeros(0, 4),
    }
    save_file(tensors, path("dtypes.safetensors"), metadata={"format": "pt"})


def vgg():
    features, c = [], INPUT[0]
    for num_convs, out in BLOCKS:
        for _ in range(num_convs):
            features += [nn.Conv2d(c, out // RATIO, 3, padding=1), nn.ReLU()]
            c = out // RATIO
        features.append(nn.MaxPool2d(2, 2))
    flat = c * (INPUT[1] // 32) * (INPUT[2] // 32)
    net = nn.Module()
    net.features = nn.Sequential(*features)
    net.classifier = nn.Sequential(
        nn.Linear(flat, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, CLASSES))
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")
    return net


def model():
    net = vgg()
    step_names = {"resize": "pillow-bilinear-cover-centre-crop", "grey": "pillow-L",
                  "exif": "apply", "alpha": "over-black", "scale": "1/255"}
    metadata = {
        "format": "pt",
        "vgg.version": "0.1.0",
        "vgg.arch": json.dumps({"text": "vgg11", "ratio": RATIO, "input": INPUT,
                                "classes": CLASSES, "hidden": HIDDEN, "dropout": DROPOUT}),
        "vgg.classes": json.dumps(["n\u00famero %d" % i for i in range(CLASSES)]),
        "vgg.preprocess": json.dumps({"input": INPUT, "invert": False, **step_names}),
        "vgg.recipe": json.dumps({"recipe": "none"}),
    }
    save_file(net.state_dict(), path("model.safetensors"), metadata=metadata)
    pixels = torch.randint(0, 256, (3, *INPUT), dtype=torch.uint8)
    net.double().eval()
    with torch.no_grad():
        logits = net.classifier(net.features(pixels.double() / 255).flatten(1))
    save_file({"pixels": pixels.permute(0, 2, 3, 1).contiguous(), "logits": logits},
              path("truth.safetensors"))


torch.manual_seed(1)
dtypes()
model()
