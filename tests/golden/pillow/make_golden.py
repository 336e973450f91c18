#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of this folder with Pillow 13.0.0 and numpy (any).

  resize.pnm      pairs of pictures: before, after Image.resize(size, BILINEAR)
  preprocess.pnm  pairs: before, after convert('L'), invert, Resize, CenterCrop as torchvision has
                  them; the comment of the second picture says "invert" or "plain"

A .pnm holds binary PGM (grey) and PPM (RGB) pictures one after the other, as the format allows.
Run it in this folder: python3 make_golden.py
"""
import numpy
import PIL
from PIL import Image, ImageOps

assert PIL.__version__ == "13.0.0", PIL.__version__
BILINEAR = Image.Resampling.BILINEAR


def pnm(image, comment=""):
    kind = {"L": "P5", "RGB": "P6"}[image.mode]
    note = f"# {comment}\n" if comment else ""
    return f"{kind}\n{note}{image.width} {image.height}\n255\n".encode() + image.tobytes()


def noise(rng, mode, height, width):
    """Random bytes, with runs of 0 and 255 so that rounding and clipping at the ends show."""
    shape = (height, width) if mode == "L" else (height, width, 3)
    pixels = rng.integers(-80, 336, shape).clip(0, 255).astype(numpy.uint8)
    return Image.fromarray(pixels)


RESIZES = [  # mode, height, width -> height, width
    ("L", 28, 28, 224, 224),  # the tutorial's: all weights are sixteenths
    ("L", 28, 28, 96, 96),
    ("L", 28, 28, 28, 28),
    ("L", 1, 1, 5, 7),
    ("L", 33, 47, 1, 1),
    ("L", 1, 60, 3, 7),
    ("L", 60, 1, 7, 3),
    ("L", 64, 64, 32, 32),
    ("L", 64, 32, 8, 16),  # vertical pass first
    ("L", 97, 31, 45, 64),  # vertical first, one side down and one up
    ("L", 31, 97, 64, 45),
    ("L", 90, 50, 50, 30),  # 40 = 2 x 20: still horizontal first
    ("L", 91, 50, 50, 30),  # 41: vertical first
    ("L", 50, 61, 50, 23),  # one pass only
    ("L", 61, 50, 23, 50),
    ("L", 3, 2, 300, 5),
    ("L", 2, 700, 2, 3),
    ("RGB", 7, 9, 56, 40),
    ("RGB", 7, 9, 28, 36),
    ("RGB", 40, 60, 13, 17),
    ("RGB", 83, 20, 11, 19),
    ("RGB", 1, 1, 3, 2),
    ("RGB", 5, 1, 1, 9),
    ("RGB", 37, 53, 24, 35),
]


def make_resize():
    rng = numpy.random.default_rng(1)
    with open("resize.pnm", "wb") as out:
        for mode, in_h, in_w, h, w in RESIZES:
            image = noise(rng, mode, in_h, in_w)
            out.write(pnm(image) + pnm(image.resize((w, h), BILINEAR)))


PREPROCESSES = [  # mode, height, width -> mode, height, width, invert
    ("L", 28, 28, "L", 64, 64, False),
    ("L", 30, 41, "L", 32, 32, False),
    ("L", 41, 30, "L", 32, 32, True),
    ("L", 100, 33, "L", 16, 16, False),  # vertical pass first, cropped
    ("L", 9, 100, "L", 16, 16, False),
    ("RGB", 50, 37, "L", 24, 24, False),
    ("RGB", 37, 50, "L", 24, 24, True),
    ("RGB", 29, 45, "RGB", 24, 24, False),
    ("RGB", 45, 29, "RGB", 24, 24, True),
    ("RGB", 29, 45, "RGB", 20, 30, False),  # covers by the height
    ("RGB", 29, 45, "RGB", 20, 33, False),  # covers by the width
    ("L", 7, 5, "L", 9, 20, False),
    ("L", 1, 1, "L", 8, 8, True),
    ("L", 1, 90, "L", 8, 8, False),
]


def resize_short_side(image, height, width):
    """torchvision's Resize(int) for a square; else the smallest size that covers."""
    w, h = image.size
    if height * w >= width * h:
        size = (int(height * w / h), height)
    else:
        size = (width, int(width * h / w))
    return image.resize(size, BILINEAR)


def center_crop(image, height, width):
    w, h = image.size
    top, left = int(round((h - height) / 2.0)), int(round((w - width) / 2.0))
    return image.crop((left, top, left + width, top + height))


def make_preprocess():
    rng = numpy.random.default_rng(2)
    with open("preprocess.pnm", "wb") as out:
        for mode, in_h, in_w, to, h, w, invert in PREPROCESSES:
            image = noise(rng, mode, in_h, in_w)
            result = image.convert(to)
            if invert:
                result = ImageOps.invert(result)
            result = center_crop(resize_short_side(result, h, w), h, w)
            out.write(pnm(image) + pnm(result, "invert" if invert else "plain"))


if __name__ == "__main__":
    make_resize()
    make_preprocess()
