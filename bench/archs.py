# SPDX-License-Identifier: Apache-2.0
"""The paper's nets (Simonyan & Zisserman, arXiv 1409.1556, table 1), with and without batch norm:
the channels of the convolutions of each block."""

PLAIN = {
    "vgg11": ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),
    "vgg13": ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),
    "vgg16": ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    "vgg19": ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}
ARCHS = {name + norm: (blocks, norm != "")
         for name, blocks in PLAIN.items() for norm in ("", "_bn")}
SMALL = (((16,), (32,), (64,) * 2, (128,) * 2, (128,) * 2), False)
