/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoders: from the bytes of a file in memory to a picture.
 */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "vgg/image.h"

/* What a picture may ask for, checked before it is given. */
typedef struct codec_limits {
  size_t pixels;  /* height * width */
  size_t side;    /* height or width */
  size_t scratch; /* bytes that a library may take beside the pixels */
  int scans;      /* passes of a progressive JPEG: each walks over the whole picture */
} codec_limits;

/* 100 million pixels, 65500 a side (JPEG's own limit), 256 MiB, 100 scans. */
extern const codec_limits codec_default_limits;

typedef struct codec_input {
  const char *name; /* of the file, for messages */
  const uint8_t *bytes;
  size_t size;
  const codec_limits *limits;
} codec_input;

/* Decodes whatever codecs.def knows, found by content, and applies the orientation.
 *   out  on success owns its pixels: free with vgg_image_free; else untouched
 * Fails with VGG_BAD_CONTENT, VGG_NO_MEMORY. */
vgg_status codec_decode(const codec_input *in, vgg_image *out, vgg_error *err);

/* One decoder: the picture as stored, and its EXIF orientation, 1 .. 8. Its file is known to begin
 * with the codec's magic. Truncated and damaged files fail: no pixel is made up. */
#define CODEC(name, label, magic) \
  vgg_status name##_decode(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err);
#include "image/codecs.def"
#undef CODEC

/* For decoders, as soon as a header is read. Fails with VGG_BAD_CONTENT when the size that it
 * claims is beyond the limits. */
vgg_status codec_check_size(const codec_input *in, size_t height, size_t width, vgg_error *err);

/* For decoders: pixels of a size that codec_check_size let pass. Fails with VGG_NO_MEMORY. */
vgg_status codec_alloc(const codec_input *in, size_t height, size_t width, int channels,
                       uint8_t **pixels, vgg_error *err);

/* a * b / 255, rounded to nearest: both in 0 .. 255. */
static inline uint8_t codec_scale(unsigned a, unsigned b) {
  const unsigned t = a * b + 128;
  return (uint8_t)((t + (t >> 8)) >> 8);
}

#endif
