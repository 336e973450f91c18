#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of this folder with Pillow 13.0.0 and numpy (any).

  resize.pnm      pairs of pictures: before, after Image.resize(size, BILINEAR)
  preprocess.pnm  pairs: before, after convert('L'), invert, Resize, CenterCrop as torchvision has
                  them; the comment of the second picture says "invert" or "plain"

  box.pnm         pairs: before ("top left height width" of the box), Image.resize(size, box=)
  augment.pnm     pairs: before ("what factor"), ImageEnhance or ImageOps.mirror

  decode/         pictures of every kind, and for each FILE what it must become: FILE.pnm

A .pnm holds binary PGM (grey) and PPM (RGB) pictures one after the other, as the format allows.
Run it in this folder: python3 make_golden.py
"""
import io
import os
import struct
import zlib

import numpy
import PIL
from PIL import Image, ImageEnhance, ImageOps

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


BOXES = [  # mode, height, width; top, left, height, width of the box -> height, width
    ("RGB", 60, 80, 10, 20, 30, 40, 12, 15),
    ("RGB", 60, 80, 0, 0, 30, 40, 45, 64),
    ("RGB", 60, 80, 30, 40, 30, 40, 30, 40),
    ("RGB", 60, 80, 5, 71, 55, 9, 24, 24),
    ("L", 91, 50, 0, 0, 91, 50, 50, 30),  # the whole: vertical first
    ("L", 120, 50, 20, 0, 80, 50, 60, 30),  # vertical first by the picture, not by the box
    ("L", 60, 200, 0, 5, 60, 40, 10, 30),  # and the other way round
    ("L", 33, 33, 16, 16, 1, 1, 8, 8),
]


def make_box():
    rng = numpy.random.default_rng(3)
    with open("box.pnm", "wb") as out:
        for mode, in_h, in_w, top, left, box_h, box_w, h, w in BOXES:
            image = noise(rng, mode, in_h, in_w)
            box = (left, top, left + box_w, top + box_h)
            out.write(pnm(image, f"{top} {left} {box_h} {box_w}")
                      + pnm(image.resize((w, h), BILINEAR, box=box)))


AUGMENTS = [  # what, factor
    ("brightness", 0), ("brightness", 0.6), ("brightness", 1), ("brightness", 1.4),
    ("contrast", 0), ("contrast", 0.33), ("contrast", 1.7), ("saturation", 0),
    ("saturation", 0.5), ("saturation", 1), ("saturation", 1.9), ("flip", 0),
]


def make_augment():
    rng = numpy.random.default_rng(4)
    enhance = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast,
               "saturation": ImageEnhance.Color}
    with open("augment.pnm", "wb") as out:
        for what, factor in AUGMENTS:
            for mode in ("L", "RGB"):
                image = noise(rng, mode, 9, 13 - len(mode))
                want = ImageOps.mirror(image) if what == "flip" else (
                    enhance[what](image).enhance(factor))
                out.write(pnm(image, f"{what} {factor}") + pnm(want))


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


def scene(mode, height=13, width=17):
    """A smooth picture, which a JPEG keeps, with all corners different."""
    y, x = numpy.mgrid[0:height, 0:width]
    red, green = 255 * x / (width - 1), 255 * y / (height - 1)
    blue, alpha = (255 - red) * green / 255, 255 - (red + green) / 4
    planes = {"L": [red * 0.6 + green * 0.4], "LA": [green, alpha], "RGB": [red, green, blue],
              "RGBA": [red, green, blue, alpha], "CMYK": [red, green, blue, alpha / 2]}[mode]
    pixels = numpy.stack(planes, -1).round().astype(numpy.uint8)
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)


def over_black(image):
    """alpha * colour / 255 as Pillow pastes it."""
    base = image.convert("L" if image.mode == "LA" else "RGB")
    black = Image.new(base.mode, image.size)
    black.paste(base, mask=image.getchannel("A"))
    return black


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_around(width, height, depth, kind, interlace, before, data):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before
            + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


def png(height, width, depth, kind, rows, *before):
    """A PNG of chunks laid by hand, for kinds that Pillow does not write."""
    data = b"".join(b"\0" + row for row in rows)
    return png_around(width, height, depth, kind, 0, b"".join(before), data)


def interlaced(image):
    """Adam7, seven passes, no filter."""
    pixels = numpy.asarray(image)
    height, width, channels = pixels.shape
    data = b""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
              (1, 0, 2, 1)]
    for y0, x0, dy, dx in passes:
        part = pixels[y0::dy, x0::dx]
        if part.size:
            data += b"".join(b"\0" + row.tobytes() for row in part)
    kind = {3: 2, 4: 6}[channels]
    return png_around(width, height, 8, kind, 1, b"", data)


def exif(orientation, order="<"):
    mark = {"<": b"II", ">": b"MM"}[order]
    return mark + struct.pack(order + "HIHHHIHHI", 42, 8, 1, 0x112, 3, 1, orientation, 0, 0)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def put(name, data, want=None):
    """Writes a picture and what it must become: `want`, or what Pillow makes of the file."""
    with open(f"decode/{name}", "wb") as out:
        out.write(data)
    if want is None:
        want = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        want = want if want.mode == "L" else want.convert("RGB")
    with open(f"decode/{name}.pnm", "wb") as out:
        out.write(pnm(want))


def make_png():
    rgb, rgba, la = scene("RGB"), scene("RGBA"), scene("LA")
    put("grey.png", saved(scene("L"), "PNG"))
    put("rgb.png", saved(rgb, "PNG"))
    put("grey-alpha.png", saved(la, "PNG"), over_black(la))
    put("rgba.png", saved(rgba, "PNG"), over_black(rgba))
    put("interlaced.png", interlaced(rgb))
    put("interlaced-rgba.png", interlaced(rgba), over_black(rgba))
    put("palette.png", saved(rgb.quantize(7), "PNG"))
    put("bits1.png", saved(scene("L").convert("1"), "PNG"), scene("L").convert("1").convert("L"))

    trns = rgb.quantize(5)
    alphas = bytes([0, 60, 128, 254, 255])
    put("palette-trns.png", saved(trns, "PNG", transparency=alphas),
        over_black(trns_rgba(trns, alphas)))

    grey2 = [bytes([0b00011011]), bytes([0b11100100])]
    levels = numpy.array([[0, 85, 170, 255], [255, 170, 85, 0]], numpy.uint8)
    put("bits2.png", png(2, 4, 2, 0, grey2), Image.fromarray(levels))
    hidden = numpy.where(levels == 170, 0, levels).astype(numpy.uint8)
    put("bits2-trns.png", png(2, 4, 2, 0, grey2, chunk(b"tRNS", struct.pack(">H", 2))),
        Image.fromarray(hidden))

    wide = (numpy.arange(15 * 3, dtype=">u2").reshape(3, 5, 3) * 1456 + 200).astype(">u2")
    high = (wide >> 8).astype(numpy.uint8)
    put("grey16.png", png(3, 5, 16, 0, [row.tobytes() for row in wide[..., 0]]),
        Image.fromarray(high[..., 0]))
    rows = [row.tobytes() for row in wide]
    put("rgb16.png", png(3, 5, 16, 2, rows), Image.fromarray(high))
    clear = high.copy()
    clear[1, 2] = 0
    put("rgb16-trns.png", png(3, 5, 16, 2, rows, chunk(b"tRNS", wide[1, 2].tobytes())),
        Image.fromarray(clear))

    put("exif6.png", saved(rgb, "PNG", exif=exif(6)))
    plain = saved(rgb, "PNG")
    put("exif5-late.png", plain[:-12] + chunk(b"eXIf", exif(5, ">")) + plain[-12:])


def trns_rgba(image, alphas):
    rgba = numpy.asarray(image.convert("RGBA")).copy()
    rgba[..., 3] = numpy.frombuffer(alphas, numpy.uint8)[numpy.asarray(image)]
    return Image.fromarray(rgba)


def segment(jpeg, marker):
    """Offset and length of the first marker segment of that kind."""
    at = 2
    while jpeg[at + 1] != marker:
        at += 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    return at, 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]


def as_ycck(jpeg):
    """Tells an Adobe CMYK JPEG's reader that its channels are YCCK."""
    at, length = segment(jpeg, 0xEE)
    return jpeg[: at + length - 1] + b"\2" + jpeg[at + length :]


def make_jpeg():
    rgb = scene("RGB", 21, 29)
    put("grey.jpg", saved(scene("L", 21, 29), "JPEG", quality=90))
    put("420.jpg", saved(rgb, "JPEG", quality=90, subsampling="4:2:0"))
    put("444.jpg", saved(rgb, "JPEG", quality=90, subsampling="4:4:4"))
    put("progressive.jpg", saved(rgb, "JPEG", quality=90, progressive=True))
    cmyk = saved(scene("CMYK", 21, 29), "JPEG", quality=90)
    put("cmyk.jpg", cmyk)
    put("ycck.jpg", as_ycck(cmyk))
    at, length = segment(cmyk, 0xEE)
    put("cmyk-plain.jpg", cmyk[:at] + cmyk[at + length :])
    small = scene("RGB", 9, 12)
    for orientation in range(1, 9):
        block = b"Exif\0\0" + exif(orientation, "<>"[orientation % 2])
        put(f"exif{orientation}.jpg", saved(small, "JPEG", quality=90, exif=block))
    for name, block in [("exif9", exif(9)), ("exif-broken", exif(6)[:15])]:
        put(f"{name}.jpg", saved(scene("L", 9, 12), "JPEG", quality=90, exif=b"Exif\0\0" + block))
    put("a-jpeg.png", saved(rgb, "JPEG", quality=90))


def make_webp():
    rgb, rgba = scene("RGB", 21, 29), scene("RGBA", 21, 29)
    put("lossless.webp", saved(rgb, "WEBP", lossless=True))
    put("lossy.webp", saved(rgb, "WEBP", quality=90))
    put("lossless-alpha.webp", saved(rgba, "WEBP", lossless=True), over_black(rgba))
    lossy = saved(rgba, "WEBP", quality=90)
    put("lossy-alpha.webp", lossy, over_black(Image.open(io.BytesIO(lossy)).convert("RGBA")))
    put("exif6.webp", saved(rgb, "WEBP", lossless=True, exif=b"Exif\0\0" + exif(6)))
    second = scene("RGB", 21, 29).transpose(Image.Transpose.ROTATE_180)
    put("animated.webp", saved(rgb, "WEBP", lossless=True, save_all=True, append_images=[second]))
    frame = saved(scene("RGB", 7, 9), "WEBP", lossless=True)
    put("animated-part.webp", riff(frame[12:], 21, 29, 4, 6), on_canvas(scene("RGB", 7, 9)))
    put("a-webp.jpg", saved(rgb, "WEBP", lossless=True))


def riff(frame, height, width, y, x):
    """An animation whose first frame, 7 x 9, covers a part of its canvas only."""
    three = lambda n: struct.pack("<I", n)[:3]
    anmf = (three(x // 2) + three(y // 2) + three(9 - 1) + three(7 - 1) + three(100) + b"\0"
            + frame)
    chunks = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
                      for name, data in [
        (b"VP8X", struct.pack("<I", 2) + three(width - 1) + three(height - 1)),
        (b"ANIM", bytes(6)), (b"ANMF", anmf)])
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def on_canvas(image):
    canvas = Image.new("RGB", (29, 21))
    canvas.paste(image, (6, 4))
    return canvas


def make_pnm():
    rgb, grey = scene("RGB"), scene("L")
    bits = grey.convert("1")
    wide = numpy.asarray(grey).astype(int) * 256 + 90
    small = numpy.asarray(rgb) // 37  # 0 .. 6
    text = lambda a: " ".join(str(v) for v in numpy.asarray(a).ravel()).encode()
    put("p6.ppm", pnm(rgb))
    put("p5.pgm", pnm(grey, "a comment"))
    put("p4.pbm", saved(bits, "PPM"), bits.convert("L"))
    high = Image.fromarray((wide >> 8).astype(numpy.uint8))
    put("p5-16.pgm", b"P5 17 13 65535\n" + wide.astype(">u2").tobytes(), high)
    put("p6-max7.ppm", b"P6\n17 13\n7\n" + small.tobytes())
    ones = 1 - numpy.asarray(bits).astype("u1")
    put("p1.pbm", b"P1\n# all in one\n17 13\n" + text(ones).replace(b" ", b"") + b"\n",
        bits.convert("L"))
    put("p2.pgm", b"P2\n17 13\n255\n" + text(grey))
    put("p3-max7.ppm", b"P3 17\n13 # wide\n7\n" + text(small) + b"\n")
    head = b"P7\n# PAM\nWIDTH 17\nHEIGHT 13\nDEPTH %d\nMAXVAL 255\nTUPLTYPE %s\nENDHDR\n"
    put("rgb.pam", head % (3, b"RGB") + rgb.tobytes(), rgb)
    rgba = scene("RGBA")
    put("rgba.pam", head % (4, b"RGB_ALPHA") + rgba.tobytes(), over_black(rgba))


if __name__ == "__main__":
    make_resize()
    make_preprocess()
    make_box()
    make_augment()
    os.makedirs("decode", exist_ok=True)
    make_png()
    make_jpeg()
    make_webp()
    make_pnm()
