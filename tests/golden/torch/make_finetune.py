#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes finetune_*.safetensors: PyTorch's fine-tuning of a narrow net, in float64.

    pip install torch==2.15.0 numpy==2.4.6
    ./make_finetune.py

Nets, weights, pictures and the choice of seeds are those of make_golden.py: vgg11 at ratio 16,
hidden 64, without dropout. The weights "from elsewhere" are those of seed `seed` with 10 classes;
the new head for 5 classes is drawn from seed `seed` + 1. The data set is one batch, so that its
order does not matter and an epoch is a step. SGD with momentum .9 and weight decay, the head at a
rate of its own, both following a warm-up and half a cosine as PyTorch's schedulers make them.

    losses  F64 [STEPS]  each before its update
    lrs     F64 [STEPS]  of all layers but the head
    ways    F64 [T]      how far a step's largest element went, summed over all steps, for each of
                         the tensors below in the net's order
    features.0.weight ...  F32, after the last step: those that were trained

finetune_frozen    all convolutions are frozen
finetune_rates     nothing is frozen
finetune_weights   all convolutions are frozen and classes have weights
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

import make_golden as golden

SIDE, N, CLASSES, STEPS, WARMUP = 32, 3, 5, 5, 2
LR, HEAD_LR, MOMENTUM, DECAY = 0.01, 0.05, 0.9, 1e-3
HEAD = ("classifier.6.weight", "classifier.6.bias")
CLASS_WEIGHTS = [1, 2, 0.5, 1, 3]


def start(seed):
    layers, params = golden.build("vgg11", SIDE, seed)
    fan_in, index = golden.HIDDEN, len(params) - 2
    w = golden.uniform(seed + 1, index, CLASSES * fan_in, np.sqrt(6 / (fan_in + CLASSES)))
    b = golden.uniform(seed + 1, index + 1, CLASSES, 1 / np.sqrt(fan_in))
    params[HEAD[0]] = torch.from_numpy(w.reshape(CLASSES, fan_in).copy())
    params[HEAD[1]] = torch.from_numpy(b)
    x, labels = golden.batch(seed, N, SIDE, 1)
    labels %= CLASSES
    labels[-1] = CLASSES - 1  # that the data have so many classes
    return layers, params, x, labels


def train(seed, frozen, weights):
    """None when a step comes near a kink."""
    layers, params32, x, labels = start(seed)
    params = {k: p.double() for k, p in params32.items()}
    trained = [k for k in params if not (frozen and k.startswith("features."))]
    for k in trained:
        params[k].requires_grad_()
    optimizer = torch.optim.SGD(
        [{"params": [params[k] for k in trained if k not in HEAD]},
         {"params": [params[k] for k in HEAD], "lr": HEAD_LR}],
        LR, MOMENTUM, weight_decay=DECAY)
    schedule = SequentialLR(optimizer, [LinearLR(optimizer, 1 / WARMUP, total_iters=WARMUP - 1),
                                        CosineAnnealingLR(optimizer, STEPS - WARMUP)], [WARMUP])
    losses, lrs, ways = [], [], np.zeros(len(trained))
    for _ in range(STEPS):
        with torch.no_grad():
            if golden.near_a_kink(layers, params, x, []):
                return None
        before = [params[k].detach().clone() for k in trained]
        loss = F.cross_entropy(golden.forward(layers, params, x, []), labels, weight=weights)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
        ways += [(params[k].detach() - b).abs().max().item() for k, b in zip(trained, before)]
    tensors = {k: params[k].detach().float().numpy() for k in trained}
    return {"losses": np.array(losses), "lrs": np.array(lrs), "ways": ways, **tensors}


def write(name, frozen=False, weights=None):
    seed = 0
    tensors = None
    while tensors is None:
        seed += 1
        tensors = train(seed, frozen, weights)
    print(name, "losses", " ".join(f"{l:.4f}" for l in tensors["losses"]),
          "rates", " ".join(f"{l:.5f}" for l in tensors["lrs"]))
    golden.write(name, tensors, golden.metadata_of("vgg11", SIDE, N, seed, LR))


if __name__ == "__main__":
    write("finetune_frozen", frozen=True)
    write("finetune_rates")
    write("finetune_weights", frozen=True, weights=torch.tensor(CLASS_WEIGHTS, dtype=torch.float64))
