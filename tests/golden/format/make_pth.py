#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the .pth files of tests/format, in the folder pth beside this script.

  truth.safetensors   the tensors that the readable files below hold, as F32
  types*.pth          one tensor of each type; zip, legacy, zip64, without CRCs
  views*.pth          transposed, strided, expanded by slices, sharing storages
  nested*.pth         {"state_dict": ..., "epoch": ...} as training scripts save
  parameters*.pth     nn.Parameter instead of plain tensors
  python2.pth         as PyTorch 0.1 to 0.3 wrote under Python 2, assembled by hand
  net-*.pth           nets under torchvision's, timm's and the book's names
  nets.safetensors    pixels U8 [n][h][w][c] and logits F64 [n][classes] of each, by PyTorch in
                      double precision
  evil-*.pth          files that would run something, or that lie; never to be loaded by Python

Made with torch 2.15.0 and safetensors 0.8.0:  python3 make_pth.py
"""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file
from torch import nn

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pth")
TYPES = {
    "f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16,
    "i64": torch.int64, "i32": torch.int32, "i16": torch.int16, "i8": torch.int8,
    "u8": torch.uint8, "bool": torch.bool,
}


def path(name):
    return os.path.join(HERE, name)


def save(name, value, legacy=False):
    torch.save(value, path(name), _use_new_zipfile_serialization=not legacy)


def types():
    t = OrderedDict()
    for name, dtype in TYPES.items():
        values = torch.tensor([0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 100], dtype=torch.float64)
        if dtype.is_floating_point:
            values = values / 8 - 3  # exact in eight bits of fraction
        t["types." + name] = values.to(dtype).reshape(3, 4)
    special = [0.0, -0.0, float("inf"), -float("inf"), 6e-8, 6.1e-5, 65504.0, 2.0**-24]
    t["types.f16special"] = torch.tensor(special, dtype=torch.float16)
    t["types.scalar"] = torch.tensor(-2.5)
    t["types.empty"] = torch.zeros(0, 3)
    return t


def views():
    base = torch.arange(48, dtype=torch.float32).reshape(2, 4, 6)
    other = torch.arange(20, dtype=torch.float64)
    return OrderedDict([
        ("views.whole", base),
        ("views.transposed", base[0].t()),
        ("views.permuted", base.permute(2, 0, 1)[1:3]),
        ("views.every_second", other[3:17:2]),
        ("views.column", other.reshape(4, 5)[:, 3:4]),
    ])


# ---- files that torch.save no longer writes ------------------------------------------------------

MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + bytes.fromhex("80024de9032e")


def short(text):
    return b"U" + bytes([len(text)]) + text.encode()


def name(module, attribute):
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def storage(kind, key, count, view=b"N"):
    return (b"(" + short("storage") + name("torch", kind) + short(key) + short("cpu") + b"K" +
            bytes([count]) + view + b"tQ")


def number(x):
    return b"K" + bytes([x]) if 0 <= x < 256 else b"\x8a\x08" + struct.pack("<q", x)


def tensor(store, offset, shape, stride):
    numbers = lambda v: b"(" + b"".join(number(x) for x in v) + b"t"
    return (name("torch._utils", "_rebuild_tensor") + b"(" + store + b"K" + bytes([offset]) +
            numbers(shape) + numbers(stride) + b"tR")


def python2():
    """OrderedDict([[key, value], ...]); a Parameter by NEWOBJ and BUILD; a storage's view."""
    plain = tensor(storage("FloatStorage", "7001", 6), 0, [2, 3], [3, 1])
    view = tensor(storage("FloatStorage", "7002", 10, b"(" + short("7003") + b"K\x02K\x06t"), 1,
                  [4], [1])
    parameter = (name("torch.nn.parameter", "Parameter") +
                 tensor(storage("HalfStorage", "7004", 4), 0, [4], [1]) + b"\x85\x81" +
                 b"\x88\x89" + name("collections", "OrderedDict") + b"]\x85R" + b"\x87b")
    pairs = b"".join(b"](" + short(k) + v + b"e" for k, v in [
        ("python2.plain", plain), ("python2.view", view), ("python2.parameter", parameter)])
    body = name("collections", "OrderedDict") + b"](" + pairs + b"e\x85R"
    f32 = [struct.pack("<q%df" % n, n, *[i / 4 for i in range(n)]) for n in (6, 10)]
    f16 = struct.pack("<q4e", 4, 1, 1.5, -2, 0.25)
    with open(path("python2.pth"), "wb") as f:
        f.write(MAGIC + SYSTEM + b"\x80\x02" + body + b".")
        f.write(b"\x80\x02](" + short("7001") + short("7002") + short("7004") + b"e.")
        f.write(f32[0] + f32[1] + f16)
    return OrderedDict([
        ("python2.plain", torch.arange(6).reshape(2, 3) / 4),
        ("python2.view", torch.arange(3, 7) / 4),
        ("python2.parameter", torch.tensor([1, 1.5, -2, 0.25])),
    ])


SYSTEM = (b"\x80\x02}(" + short("protocol_version") + b"M\xe9\x03" + short("little_endian") +
          b"\x88u.")


def legacy(to, tensors, keys=("0",), counts=(8,), tail=b""):
    """A legacy file of named tensors over storages of eight floats."""
    pairs = b"".join(short(k) + v for k, v in tensors)
    with open(path(to), "wb") as f:
        f.write(MAGIC + SYSTEM + b"\x80\x02}(" + pairs + b"u.")
        f.write(b"\x80\x02](" + b"".join(short(k) for k in keys) + b"e.")
        for count in counts:
            f.write(struct.pack("<q8f", count, *range(8)))
        f.write(tail)


def liars():
    """Well-formed pickles whose numbers are wrong."""
    eight = storage("FloatStorage", "0", 8)
    good = [("w", tensor(eight, 0, [2, 4], [4, 1]))]
    shapes = {
        "outside": (1, [2, 4], [4, 1]), "repeats": (0, [5], [0]), "negative": (0, [2], [-1]),
        "wraps": (0, [1 << 40, 1 << 40], [1, 1]), "far": (0, [2], [1 << 62]),
        "offset": (9, [0], [1]), "overlaps": (0, [7, 7], [1, 0]), "ranks": (0, [2, 4], [1]),
        "deep": (0, [1] * 9, [1] * 9),
    }
    for kind, (offset, shape, stride) in shapes.items():
        legacy("evil-%s.pth" % kind, [("w", tensor(eight, offset, shape, stride))])
    legacy("evil-twice.pth", good + good)
    again = [("w%d" % i, b"h\0") for i in range(1, 40)]  # one tensor by the memo
    legacy("evil-more.pth", [("w0", good[0][1] + b"q\0")] + again)
    legacy("evil-count.pth", good, counts=(7,))
    legacy("evil-unlisted.pth", good, keys=(), counts=())
    legacy("evil-unknown.pth", good, keys=("0", "1"), counts=(8, 8))
    legacy("evil-listed-twice.pth", good, keys=("0", "0"), counts=(8, 8))
    legacy("evil-tail.pth", good, tail=b"\0")
    legacy("evil-types.pth", good + [("h", tensor(storage("HalfStorage", "0", 8), 0, [8], [1]))])
    legacy("evil-text.pth", good + [("t", short("no tensor"))])
    legacy("evil-view.pth", [("w", tensor(storage("FloatStorage", "0", 8, b"(" + short("1") +
                                                  b"K\x04K\x05t"), 0, [1], [1]))])
    with zipfile.ZipFile(path("small.pth")) as old:
        pickled = old.read("small/data.pkl")
    for kind, names in {"folders": ["a/data.pkl", "b/data/0"], "leads-out": ["a/../data.pkl"],
                        "no-pickle": ["a/b"], "no-storage": ["a/data.pkl"]}.items():
        with zipfile.ZipFile(path("evil-%s.pth" % kind), "w") as new:
            for name in names:
                new.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), pickled)


def rezip(source, to, replace=None, limit=None, method=zipfile.ZIP_STORED):
    """Writes the entries of an archive again; `replace` maps the end of a name to its content."""
    old_limit = zipfile.ZIP64_LIMIT
    with zipfile.ZipFile(path(source)) as old, zipfile.ZipFile(path(to), "w", method) as new:
        if limit is not None:
            zipfile.ZIP64_LIMIT = limit
        for info in old.infolist():
            content = old.read(info)
            for tail, other in (replace or {}).items():
                if info.filename.endswith(tail):
                    content = other
            date = zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0))
            date.compress_type = method
            new.writestr(date, content)
    zipfile.ZIP64_LIMIT = old_limit


class Evil:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def evil():
    """Each names something that must be refused."""
    pickles = {
        "system": pickle.dumps({"w": Evil(os.system, "touch /tmp/vgg-was-here")}, 2),
        "eval": pickle.dumps({"w": Evil(eval, "1+1")}, 2),
        "module": b"\x80\x02" + name("torchvision.models.vgg", "VGG") + b")\x81}b.",
        "protocol4": pickle.dumps({"w": 1}, 4),
        "inst": b"\x80\x02(U\x02lsios\nsystem\n.",
    }
    for kind, content in pickles.items():
        rezip("small.pth", "evil-%s.pth" % kind, {"data.pkl": content})
    rezip("small.pth", "evil-short-storage.pth", {"data/0": b"\0" * 8})
    rezip("small.pth", "evil-deflated.pth", method=zipfile.ZIP_DEFLATED)
    rezip("small.pth", "evil-big-endian.pth", {"byteorder": b"big"})


# ---- nets ----------------------------------------------------------------------------------------

def blocks(channels, pairs, ratio):
    """The convolutional blocks of a VGG net, each a list of modules."""
    result = []
    for count, out in pairs:
        block = []
        for _ in range(count):
            block += [nn.Conv2d(channels, out // ratio, 3, padding=1), nn.ReLU()]
            channels = out // ratio
        result.append(block + [nn.MaxPool2d(2, 2)])
    return result


def head(inputs, hidden, classes):
    return [nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, hidden),
            nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, classes)]


def alexnet():
    return [nn.Conv2d(1, 3, 11, stride=4, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(),
            nn.Conv2d(12, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()]


class Torchvision(nn.Module):
    def __init__(self, parts, top):
        super().__init__()
        self.features = nn.Sequential(*sum(parts, []))
        self.classifier = nn.Sequential(*top)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def answer(truth, name, net, channels, side, preset):
    """The net's logits, in double precision, on pictures of noise."""
    pixels = torch.randint(0, 256, (2, side, side, channels), dtype=torch.uint8)
    x = pixels.permute(0, 3, 1, 2).double() / 255
    if preset:
        mean, std = torch.tensor([.485, .456, .406]), torch.tensor([.229, .224, .225])
        x = (x - mean.double().reshape(1, 3, 1, 1)) / std.double().reshape(1, 3, 1, 1)
    with torch.no_grad():
        truth[name + ".logits"] = net.double().eval()(x)
    truth[name + ".pixels"] = pixels


def nets():
    a = [(1, 64), (1, 128), (2, 256), (2, 512), (2, 512)]
    b = [(2, 64), (2, 128), (2, 256), (2, 512), (2, 512)]
    truth = {}
    net = Torchvision(blocks(3, b, 32), head(64, 24, 7))
    save("net-torchvision.pth", {"state_dict": nn.DataParallel(net).state_dict(), "epoch": 9})
    answer(truth, "torchvision", net, 3, 64, True)
    state = net.float().state_dict()
    state["features.0.bias"] = torch.zeros(3)
    save("net-wrong-shape.pth", state)
    del state["features.0.bias"]
    save("net-missing.pth", state)
    state["features.0.bias"], state["fc.bias"] = torch.zeros(2), torch.zeros(2)
    save("net-extra.pth", state)

    net = Torchvision(blocks(3, a, 32), head(64, 24, 7)).half()
    state = net.state_dict()
    for old, new in [("classifier.0", "pre_logits.fc1"), ("classifier.3", "pre_logits.fc2"),
                     ("classifier.6", "head.fc")]:
        weight = state.pop(old + ".weight")
        if "fc1" in new:
            weight = weight.reshape(24, 16, 2, 2)
        if "fc2" in new:
            weight = weight.reshape(24, 24, 1, 1)
        state[new + ".weight"], state[new + ".bias"] = weight, state.pop(old + ".bias")
    save("net-timm.pth", state)
    answer(truth, "timm", net, 3, 64, True)

    net = nn.Sequential(*[nn.Sequential(*block) for block in blocks(1, a, 32)], nn.Flatten(),
                        *head(16, 24, 10))
    save("net-book.pth", net.state_dict(), legacy=True)
    answer(truth, "book", net, 1, 32, False)
    net = nn.Sequential(*alexnet(), *head(8, 16, 10))
    save("net-alexnet.pth", OrderedDict(("net." + k, v) for k, v in net.state_dict().items()))
    answer(truth, "alexnet", net, 1, 65, False)
    save_file(truth, path("nets.safetensors"))


def main():
    os.makedirs(HERE, exist_ok=True)
    torch.manual_seed(0)
    truth = OrderedDict()
    for kind, state in [("types", types()), ("views", views())]:
        truth.update(state)
        save(kind + ".pth", state)
        save(kind + "-legacy.pth", state, legacy=True)
    rezip("types.pth", "types-zip64.pth", limit=0)
    torch.serialization.set_crc32_options(False)
    save("types-nocrc.pth", types())
    torch.serialization.set_crc32_options(True)
    nested = OrderedDict([("nested.w", torch.arange(6.).reshape(2, 3)),
                          ("nested.b", torch.ones(2))])
    truth.update(nested)
    nested._metadata = OrderedDict([("", {"version": 1})])
    checkpoint = {"epoch": 3, "lr": 0.1, "best": None, "names": ["a", "b"], "big": 1 << 40,
                  "state_dict": nested, "optimizer": {"state": {0: {"momentum": torch.ones(2)}}}}
    save("nested.pth", checkpoint)
    save("nested-legacy.pth", checkpoint, legacy=True)
    parameters = OrderedDict([("parameters.w", torch.nn.Parameter(torch.arange(4.) / 4)),
                              ("parameters.h", torch.nn.Parameter(torch.arange(4.).half()))])
    truth.update((k, v.detach()) for k, v in parameters.items())
    save("parameters.pth", parameters)
    save("parameters-legacy.pth", parameters, legacy=True)
    truth.update(python2())
    save("small.pth", {"w": torch.arange(4.)})
    truth["w"] = torch.arange(4.)
    evil()
    liars()
    nets()
    save_file({k: v.float().contiguous().clone() for k, v in truth.items()},
              path("truth.safetensors"))


if __name__ == "__main__":
    main()
