#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of this folder: what PyTorch computes in float64 for narrow nets.

    pip install torch==2.15.0 numpy==2.4.6
    ./make_golden.py

Each file belongs to one net (ratio 16, hidden 64, 10 classes) and one batch:

    logits   F64 [N][10]       of the first forward
    losses   F64 [10]          of ten steps of plain SGD on that batch, each before its update
    mask.k   U8 [N][64]        of the k-th dropout layer, the same in all ten steps
    features.0.weight, ...     F32, the first step's gradients (not in the files at 224x224)
    features.1.running_mean    F32, and running_var: of batch norms after the first step
    weight_sums  F64 [T]       the sum of every initial parameter tensor, to see that the test
                               begins where this script began

and bf16_*.safetensors to 64 batches of one net (their seeds stand in the metadata), for the test
of bf16's gradients:

    norms         F64 [16][T]  the gradients' L2 norms in float64
    autocast_rms  F64 [T]      relative L2 error of the gradients under torch.autocast(bfloat16),
                               root mean square over the 64 batches

T counts the tensors, in the net's order. Nothing that can be made again is stored: weights are
those of net_init_d2l (Philox, see src/base/philox.h), but batch norms' scales and shifts those of
spread(), pixels and labels those of batch() below; tests/golden/torch/golden.c has both as well.

Gradients are comparable only where rounding cannot push a value across a kink. So the seed of a
file with gradients is the first at which no ReLU's input and no pool's runner-up lies within 1e-5
of its layer's largest magnitude of its kink, and whose gradients PyTorch itself finds in float32 to
within 3.5e-6 of their largest magnitude (see EVEN): otherwise the test would ask for luck. What
float32 does with F(4x4, 3x3) in every 3x3 convolution is printed beside it (see winograd): the test
gives as much to a backend that runs them all so. The seeds of a bf16 file are the first 64 at
which, besides, no input of the two hidden linear layers' ReLUs lies within 4e-3: such a layer has
so few units that a single one on the wrong side would outweigh all rounding, for PyTorch as for us,
and decide the comparison by luck. The many kinks of the convolutions stay, and bf16 does push
values across them; so errors vary much from batch to batch. That is why there are 64: with 16
batches autocast's own root mean square differs by up to 1.5 times from one set to another.
"""
import itertools
import json
import os
import struct

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
RATIO, HIDDEN, CLASSES, BF16_BATCHES = 16, 64, 10, 64
KINK, HEAD_KINK, EVEN = 1e-5, 4e-3, 3.5e-6

# (convolutions, channels, kernel, stride, pad, kernel of the pool after them or 0)
def blocks(*convs):
    return [(n, c, 3, 1, 1, 2) for n, c in zip(convs, (64, 128, 256, 512, 512))]


def then_1x1(n, channels):
    return [(n, channels, 3, 1, 1, 0), (1, channels, 1, 1, 0, 2)]


NETS = {
    "vgg11": blocks(1, 1, 2, 2, 2),
    "vgg13": blocks(2, 2, 2, 2, 2),
    "vgg16": blocks(2, 2, 3, 3, 3),
    "vgg19": blocks(2, 2, 4, 4, 4),
    "vgg16_1x1": blocks(2, 2) + then_1x1(2, 256) + then_1x1(2, 512) + then_1x1(2, 512),
    "alexnet": [(1, 96, 11, 4, 1, 3), (1, 256, 5, 1, 2, 3), (2, 384, 3, 1, 1, 0),
                (1, 256, 3, 1, 1, 3)],
}
WINOGRAD_BT = torch.tensor([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                            [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]])
WINOGRAD_G = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4],
                           [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64) / 24
WINOGRAD_AT = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0],
                            [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
WINDOW = {"alexnet": 5}  # rows and columns of an adaptive head, else 7
MOMENTUM = 0.1


# ---- what C has as well -------------------------------------------------------------------------

def philox(seed, purpose, epoch, sample, block):
    """Philox4x32-10 at the counters [block, sample, epoch, purpose]; uint32 [4][len(block)]."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c = [block.astype(np.uint64)] + [np.full(len(block), v, np.uint64)
                                     for v in (sample, epoch, purpose)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> half) ^ c[1] ^ np.uint64(k0), p1 & low,
             (p0 >> half) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c).astype(np.uint32)


def uniform(seed, tensor, count, bound):
    draws = philox(seed, 1, 0, tensor, np.arange((count + 3) // 4)).T.reshape(-1)[:count]
    unit = (draws >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    return np.float32(bound) * (np.float32(2) * unit - np.float32(1))


def splitmix64(x):
    with np.errstate(over="ignore"):
        x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def spread(seed, tensor, count):
    """Between -1/2 and 1/2: so far are scales and shifts from 1. (Shifts around 0 leave half of all
    values near a kink, and each norm then widens the errors of the one before.)"""
    start = np.uint64((seed << 32) + (1 << 30) + (tensor << 16))
    draws = splitmix64(start + np.arange(count, dtype=np.uint64)) >> np.uint64(40)
    return draws.astype(np.float32) * np.float32(2.0**-24) - np.float32(0.5)


def batch(seed, n, side, enlarge):
    """Grey pictures [n][1][side][side], each pixel enlarge x enlarge times, as x / 255; labels."""
    small = side // enlarge
    start = np.uint64(seed << 32)
    pixels = splitmix64(start + np.arange(n * small * small, dtype=np.uint64)) >> np.uint64(56)
    labels = splitmix64(start + np.uint64(2**31) + np.arange(n, dtype=np.uint64)) % np.uint64(10)
    x = pixels.astype(np.float32) / np.float32(255)
    x = x.reshape(n, 1, small, small).repeat(enlarge, 2).repeat(enlarge, 3)
    return torch.from_numpy(x).double(), torch.from_numpy(labels.astype(np.int64))


# ---- the net ------------------------------------------------------------------------------------

def build(arch, side, seed, norm=False, lrn=None, head="flatten"):
    """Layers and float32 parameters as net_init_d2l makes them, under torchvision's names."""
    layers, params = [], {}
    lrns = 0 if lrn is None else 2 if arch == "alexnet" else 1

    def add(name, shape, canonical):
        fan_in, fan_out = np.prod(shape[1:]), np.prod(shape) / shape[1]
        count = int(np.prod(shape))
        w = uniform(seed, len(params), count, np.sqrt(6 / (fan_in + fan_out)))
        params[name + ".weight"] = torch.from_numpy(canonical(w).copy())
        b = uniform(seed, len(params), shape[0], 1 / np.sqrt(fan_in))
        params[name + ".bias"] = torch.from_numpy(b)

    c, index = 1, 0
    for convs, channels, kernel, stride, pad, pool in NETS[arch]:
        k = channels // RATIO
        for _ in range(convs):
            name = f"features.{index}"
            add(name, (k, c, kernel, kernel),
                lambda w: w.reshape(k, kernel, kernel, c).transpose(0, 3, 1, 2))
            layers.append(("conv", name, stride, pad))
            index += 1
            if norm:
                layers.append(("norm", f"features.{index}"))
                for kind in (".weight", ".bias"):
                    values = np.float32(1) + spread(seed, len(params), k)
                    params[f"features.{index}{kind}"] = torch.from_numpy(values)
                index += 1
            layers.append(("relu",))
            index += 1
            if lrns > 0:
                layers.append(("lrn", lrn))
                lrns, index = lrns - 1, index + 1
            side = (side + 2 * pad - kernel) // stride + 1
            c = k
        if pool:
            layers.append(("pool", pool))
            side, index = (side - pool) // 2 + 1, index + 1
    if head == "adaptive":
        side = WINDOW.get(arch, 7)
        layers.append(("average", side))
    layers.append(("flatten",))
    units = c * side * side
    for i, out in ((0, HIDDEN), (3, HIDDEN), (6, CLASSES)):
        name = f"classifier.{i}"
        if i == 0:  # columns [row][column][channel] -> [channel][row][column]
            add(name, (out, units), lambda w: w.reshape(out, side, side, c)
                .transpose(0, 3, 1, 2).reshape(out, units))
        else:
            add(name, (out, units), lambda w: w.reshape(out, units))
        layers.append(("linear", name))
        if i < 6:
            layers += [("relu",), ("dropout", i // 3)]
        units = out
    return layers, params


def winograd(x, weight, bias):
    """A 3x3 convolution of pad 1 as F(4x4, 3x3) of Lavin and Gray 2015, sections 4.1 and 4.3, in
    x's type; autograd transposes it, so that all three directions round as that algorithm does."""
    n, _, h, w = x.shape
    rows, columns = -(-h // 4), -(-w // 4)
    x = F.pad(x, (1, 4 * columns + 1 - w, 1, 4 * rows + 1 - h))
    BT, G, AT = (m.to(x.dtype) for m in (WINOGRAD_BT, WINOGRAD_G, WINOGRAD_AT))
    tiles = BT @ x.unfold(2, 6, 4).unfold(3, 6, 4) @ BT.T  # [n][c][rows][columns][6][6]
    products = torch.einsum("kcij,ncyxij->nkyxij", G @ weight @ G.T, tiles)
    y = (AT @ products @ AT.T).permute(0, 1, 2, 4, 3, 5)  # [n][k][rows][4][columns][4]
    return y.reshape(n, -1, 4 * rows, 4 * columns)[:, :, :h, :w] + bias[:, None, None]


def forward(layers, params, x, masks, watch=None, running=None, use_winograd=False):
    """Logits; watch(kind, input, kernel) sees what goes into each ReLU and pool. `running` becomes
    the batch norms' statistics after a step."""
    for layer in layers:
        kind = layer[0]
        if kind == "conv" and use_winograd and params[layer[1] + ".weight"].shape[2:] == (3, 3):
            x = winograd(x, params[layer[1] + ".weight"], params[layer[1] + ".bias"])
        elif kind == "conv":
            x = F.conv2d(x, params[layer[1] + ".weight"], params[layer[1] + ".bias"],
                         stride=layer[2], padding=layer[3])
        elif kind == "relu":
            if watch:
                watch(kind, x, 0)
            x = F.relu(x)
        elif kind == "pool":
            if watch:
                watch(kind, x, layer[1])
            x = F.max_pool2d(x, layer[1], 2)
        elif kind == "norm":
            c = x.shape[1]
            mean, var = torch.zeros(c, dtype=x.dtype), torch.ones(c, dtype=x.dtype)
            x = F.batch_norm(x, mean, var, params[layer[1] + ".weight"],
                             params[layer[1] + ".bias"], training=True, momentum=MOMENTUM)
            if running is not None:
                running[layer[1] + ".running_mean"] = mean
                running[layer[1] + ".running_var"] = var
        elif kind == "lrn":  # PyTorch's alpha is that of the mean
            alpha = 1e-4 * (5 if layer[1] == "sum" else 1)
            x = F.local_response_norm(x, 5, alpha=alpha, beta=0.75, k=2.0)
        elif kind == "average":
            x = F.adaptive_avg_pool2d(x, layer[1])
        elif kind == "flatten":
            x = torch.flatten(x, 1)
        elif kind == "linear":
            x = F.linear(x, params[layer[1] + ".weight"], params[layer[1] + ".bias"])
        elif masks:
            x = x * masks[layer[1]] * 2  # 1 / (1 - 0.5)
    return x


def runner_up_is_near(x, kernel):
    """A pool stands behind a ReLU: its windows of zeros have no gradient."""
    windows = F.unfold(x.flatten(0, 1).unsqueeze(1), kernel, stride=2)
    first, second = windows.topk(2, dim=1).values.unbind(1)
    return bool(((first > 0) & (first - second < KINK * x.abs().max())).any())


def near_a_kink(layers, params, x, masks, head_limit=KINK):
    relus, pools = [], []

    def watch(kind, x, kernel):
        if kind == "pool":
            pools.append((x, kernel))
        else:
            limit = KINK if x.dim() == 4 else head_limit
            relus.append(bool((x.abs() < limit * x.abs().max()).any()))

    forward(layers, params, x, masks, watch)
    return any(relus) or any(runner_up_is_near(*pool) for pool in pools)


def gradients(layers, params, x, labels, masks=None, autocast=False, running=None,
              use_winograd=False):
    leaves = {n: p.clone().requires_grad_() for n, p in params.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = forward(layers, leaves, x, masks, running=running, use_winograd=use_winograd)
        loss = F.cross_entropy(logits, labels)
    loss.backward()
    return logits.detach(), loss.item(), {n: p.grad for n, p in leaves.items()}


def float32_error(layers, params, x, labels, masks, **how):
    """What float32 loses of the gradients, as a part of each one's largest magnitude: the worst,
    without those that would be 0 but for rounding: of biases in front of batch norms."""
    lost = {a[1] + ".bias" for a, b in zip(layers, layers[1:]) if b[0] == "norm"}
    truth = gradients(layers, params, x, labels, masks)[2]
    narrow = {k: p.float() for k, p in params.items()}
    ours = gradients(layers, narrow, x.float(), labels, [m.float() for m in masks], **how)[2]
    return max(((ours[k].double() - g).abs().max() / g.abs().max()).item()
               for k, g in truth.items() if k not in lost)


# ---- the files ----------------------------------------------------------------------------------

def write(name, tensors, metadata):
    kinds = {"float64": "F64", "float32": "F32", "uint8": "U8"}
    header, at, data = {"__metadata__": {k: str(v) for k, v in metadata.items()}}, 0, b""
    for key, value in sorted(tensors.items(), key=lambda t: -np.asarray(t[1]).itemsize):
        value = np.ascontiguousarray(value)
        header[key] = {"dtype": kinds[value.dtype.name], "shape": list(value.shape),
                       "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
        data += value.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = os.path.join(HERE, name + ".safetensors")
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    print(f"{name}: {8 + len(text) + len(data)} bytes", metadata)


def metadata_of(arch, side, n, seed, lr):
    return {"arch": arch, "side": side, "batch": n, "seed": seed, "lr": lr,
            "torch": torch.__version__.split("+")[0], "numpy": np.__version__}


def masks_of(seed, n):
    draws = philox(seed, 3, 0, 0, np.arange(2 * n * HIDDEN // 4)).reshape(2, n, HIDDEN)
    return (draws >> np.uint32(31)).astype(np.uint8)


def golden(name, arch, side, n, lr, dropout=False, enlarge=1, with_gradients=True, **net):
    for seed in range(1, 100000):
        layers, params32 = build(arch, side, seed, **net)
        params = {k: v.double() for k, v in params32.items()}
        x, labels = batch(seed, n, side, enlarge)
        stored = masks_of(seed, n) if dropout else []
        masks = [torch.from_numpy(m).double() for m in stored]
        if not with_gradients or (not near_a_kink(layers, params, x, masks)
                                  and float32_error(layers, params, x, labels, masks) <= EVEN):
            break
    if with_gradients:
        start = layers, params, x, labels, masks
        print(f"{name} float32 {float32_error(*start):.2g}, with F(4x4, 3x3) "
              f"{float32_error(*start, use_winograd=True):.2g}")
    tensors = {f"mask.{k}": m for k, m in enumerate(stored)}
    tensors["weight_sums"] = np.array([p.sum().item() for p in params.values()])
    losses, running = [], {}
    for step in range(10):
        logits, loss, grads = gradients(layers, params, x, labels, masks,
                                        running=None if step else running)
        losses.append(loss)
        if step == 0:
            tensors["logits"] = logits.numpy()
            if with_gradients:
                tensors.update({k: g.float().numpy() for k, g in grads.items()})
                tensors.update({k: r.float().numpy() for k, r in running.items()})
        params = {k: p - lr * grads[k] for k, p in params.items()}
    tensors["losses"] = np.array(losses)
    print(name, "losses", " ".join(f"{l:.4f}" for l in losses))
    write(name, tensors, metadata_of(arch, side, n, seed, lr) | net)


def bf16(name, arch, side, n):
    seeds, norms, errors = [], [], []
    for seed in itertools.count(1):
        if len(seeds) == BF16_BATCHES:
            break
        layers, params32 = build(arch, side, seed)
        params = {k: v.double() for k, v in params32.items()}
        x, labels = batch(seed, n, side, 1)
        if near_a_kink(layers, params, x, [], HEAD_KINK):
            continue
        truth = gradients(layers, params, x, labels)[2]
        ours = gradients(layers, params32, x.float(), labels, autocast=True)[2]
        seeds.append(seed)
        norms.append([g.norm().item() for g in truth.values()])
        errors.append([((ours[k].double() - g).norm() / g.norm()).item()
                       for k, g in truth.items()])
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    print(name, "autocast", " ".join(f"{e:.4f}" for e in rms))
    write(name, {"norms": np.array(norms), "autocast_rms": rms},
          metadata_of(arch, side, n, " ".join(map(str, seeds)), 0))


def main():
    golden("vgg11", "vgg11", 32, 4, 0.05)
    golden("vgg11_dropout", "vgg11", 32, 4, 0.05, dropout=True)
    golden("alexnet", "alexnet", 97, 4, 0.01)
    golden("vgg11_lrn", "vgg11", 32, 4, 0.05, lrn="sum")
    golden("vgg11_lrn_mean", "vgg11", 32, 4, 0.05, lrn="mean")
    golden("alexnet_lrn", "alexnet", 97, 4, 0.01, lrn="sum")
    golden("vgg13", "vgg13", 32, 4, 0.05)
    golden("vgg16", "vgg16", 32, 4, 0.05)
    golden("vgg16_1x1", "vgg16_1x1", 32, 4, 0.05)
    golden("vgg19", "vgg19", 32, 4, 0.05)
    for arch in ("vgg11", "vgg13", "vgg16", "vgg19"):
        golden(arch + "_bn", arch, 32, 8, 0.001, norm=True, head="adaptive")
    golden("alexnet_bn", "alexnet", 97, 4, 0.001, norm=True, head="flatten")
    golden("vgg11_224", "vgg11", 224, 2, 0.05, enlarge=8, with_gradients=False)
    golden("alexnet_224", "alexnet", 224, 2, 0.01, enlarge=8, with_gradients=False)
    bf16("bf16_vgg11", "vgg11", 32, 4)
    bf16("bf16_alexnet", "alexnet", 97, 2)


if __name__ == "__main__":
    main()
