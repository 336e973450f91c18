/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoders: from the bytes of a file in memory to a picture.
 */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgg/image.h"

typedef struct codec_input {
  const char *name; /* of the file, for messages */
  const uint8_t *bytes;
  size_t size;
  vgg_decode_options options; /* for decoders: every limit set */
} codec_input;

/* One decoder.
 *   name_is      does a file begin as this format does?
 *   name_decode  for such a file: the picture as stored, and its EXIF orientation, 1 .. 8.
 *                Truncated and damaged files fail: no pixel is made up. */
#define CODEC(name, label, side)                     \
  bool name##_is(const uint8_t *bytes, size_t size); \
  vgg_status name##_decode(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err);
#include "image/codecs.def"
#undef CODEC

/* The same options with every limit that is zero set to its default, for a format whose sides are
 * at most `side`. */
vgg_decode_options codec_options(const vgg_decode_options *options, size_t side);

/* For decoders, as soon as a header is read. Fails with VGG_BAD_CONTENT when the size that it
 * claims is beyond the limits. */
vgg_status codec_check_size(const codec_input *in, size_t height, size_t width, vgg_error *err);

/* For decoders: pixels of a size that codec_check_size let pass. Fails with VGG_NO_MEMORY. */
vgg_status codec_alloc(const codec_input *in, size_t height, size_t width, int channels,
                       uint8_t **pixels, vgg_error *err);

/* Lays pixels [count][stored] over black, in place: grey + alpha (stored 2) or RGBA (4) becomes
 * [count][stored - 1]. */
void codec_drop_alpha(uint8_t *pixels, size_t count, int stored);

/* a * b / 255, rounded to nearest: both in 0 .. 255. */
static inline uint8_t codec_scale(unsigned a, unsigned b) {
  const unsigned t = a * b + 128;
  return (uint8_t)((t + (t >> 8)) >> 8);
}

/* The divisor, 1, 2, 4 or 8, by which a JPEG of height x width may be decoded smaller when it will
 * be shrunk to at most shrunk_h x shrunk_w: both sides keep twice that. 1 when either is 0. */
int codec_jpeg_divisor(size_t height, size_t width, int shrunk_h, int shrunk_w);

#endif
