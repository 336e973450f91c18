#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Prints the golden values of params.c: first elements of the d2l initialisation, from a Philox
# written after the SC11 paper in Python's integers. Checked with Python 3.11 (standard library).
#
#   python3 init_golden.py
import math
import struct

M0, M1, W0, W1 = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85


def philox(key, counter):
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(10):
        p0, p1 = M0 * c0, M1 * c2
        c0, c1 = (p1 >> 32) ^ c1 ^ k0, p1 & 0xFFFFFFFF
        c2, c3 = (p0 >> 32) ^ c3 ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = (k0 + W0) & 0xFFFFFFFF, (k1 + W1) & 0xFFFFFFFF
    return c0, c1, c2, c3


def as_float(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def element(seed, tensor, index, bound):
    draws = philox((seed & 0xFFFFFFFF, seed >> 32), (index // 4, tensor, 0, 1))
    unit = (draws[index % 4] >> 8) / 2**24
    return as_float(as_float(bound) * (2 * unit - 1))


def hexadecimal(x):
    mantissa, exponent = x.hex().split("p")
    return mantissa.rstrip("0") + "p" + exponent + "f"


# vgg11 at ratio 4 and hidden 64: tensor number, fan in, fan out (0: a bias), elements
for tensor, fan_in, fan_out, indices in (
    (0, 9, 16 * 9, (0, 1, 2, 3, 143)),
    (1, 9, 0, (0, 15)),
    (16, 6272, 64, (0, 401407)),
    (21, 64, 0, (0, 9)),
):
    bound = math.sqrt(6 / (fan_in + fan_out)) if fan_out else 1 / math.sqrt(fan_in)
    for index in indices:
        value = element((7 << 32) + 42, tensor, index, bound)
        print(f"      {{{tensor}, {index}, {hexadecimal(value)}}},")
