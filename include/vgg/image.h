/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures: from a file to the bytes that a net is fed with.
 */
#ifndef VGG_IMAGE_H
#define VGG_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgg/arch.h"
#include "vgg/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A decoded picture: 8-bit samples, dense, row-major. */
typedef struct vgg_image {
  int channels; /* 1 grey, 3 RGB */
  int height, width;
  uint8_t *pixels; /* [height][width][channels], owned by the image */
} vgg_image;

/* How pictures are decoded, and what they may ask for before anything is allocated. Zero means the
 * default, in brackets. */
typedef struct vgg_decode_options {
  bool ignore_exif;  /* leave the picture as it is stored [its EXIF orientation is applied] */
  size_t max_file;   /* bytes of the file [512 MiB] */
  size_t max_pixels; /* height * width [100 million] */
  size_t max_side;   /* height or width [65500; PNG 16384] */
  size_t max_memory; /* bytes that a decoder may take beside the file and the pixels [256 MiB] */
  int max_scans;     /* passes of a progressive JPEG, each over the whole picture [100] */
  /* The picture will be shrunk to at most this: a JPEG may then be decoded at 1/2, 1/4 or 1/8 of
   * its size, as long as both sides keep twice these. Faster; pixels after the shrinking differ by
   * less than 1.5 of 255 in the mean. [decoded at its full size] */
  int shrunk_h, shrunk_w;
} vgg_decode_options;

/* Decodes a PNG, JPEG, WebP (in builds with libwebp), PNM or PAM file, found by its content and not
 * by its suffix. The EXIF orientation is applied (a broken EXIF block counts as none), alpha is
 * composited over black, palettes are expanded, 16-bit samples keep their high byte, CMYK and YCCK
 * become RGB as Pillow does it; of an animation the first frame is taken. Grey files give 1
 * channel, others 3. No pixel is made up: a truncated or damaged file is an error.
 *   out  on success owns its pixels: free with vgg_image_free; else untouched
 * Fails with VGG_NO_INPUT (missing, unreadable, not a regular file), VGG_BAD_CONTENT (not a
 * picture, broken, beyond a limit, WebP without libwebp), VGG_NO_MEMORY. */
VGG_API vgg_status vgg_image_read(const char *path, vgg_image *out, vgg_error *err);
/* The same with options; NULL means all defaults. */
VGG_API vgg_status vgg_image_read_with(const char *path, const vgg_decode_options *options,
                                       vgg_image *out, vgg_error *err);
/* The same for a file in memory.
 *   name   for messages
 *   bytes  [size], borrowed */
VGG_API vgg_status vgg_image_decode(const char *name, const uint8_t *bytes, size_t size,
                                    const vgg_decode_options *options, vgg_image *out,
                                    vgg_error *err);
VGG_API void vgg_image_free(vgg_image *image);

/* What a picture does whose channels are not the net's. Colour becomes grey by Pillow's integer L,
 * (19595 R + 38470 G + 7471 B + 32768) >> 16. */
typedef enum vgg_channels {
  VGG_CHANNELS_LUMA,     /* grey into a colour net is refused */
  VGG_CHANNELS_REPLICATE /* grey becomes three equal channels */
} vgg_channels;

/* The one rule by which a picture becomes a net's input; stored in every model file. */
typedef struct vgg_preprocess {
  vgg_shape input; /* what the net takes */
  bool invert;     /* 255 - x, for dark drawings on light ground */
  vgg_channels channels;
  bool ignore_exif; /* files are not turned as their EXIF orientation says */
  /* A JPEG at least 4 times as large as wanted is decoded at 1/2, 1/4 or 1/8 of its size: several
   * times as fast, other pixels (see vgg_decode_options). */
  bool reduced_jpeg;
  /* The picture's shorter side before the middle is cropped: at least input.h and input.w, at most
   * 65536. 0: the picture just covers the input. */
  int shorter_side;
  /* The net sees (x / 255 - mean) / std, a pair for each channel. std[0] 0: it sees x / 255. */
  double mean[3], std[3];
} vgg_preprocess;

/* How files are decoded for a rule; limits are the defaults. */
VGG_API vgg_decode_options vgg_preprocess_decode(const vgg_preprocess *rule);

/* Turns a decoded picture into a net's input bytes: channels; invert; resized by Pillow's bilinear
 * filter to the shorter side, or so that it just covers input.h x input.w (both are torchvision's
 * Resize(int), the second for a square input); cropped at the centre. mean and std are left to the
 * net.
 *   image   borrowed
 *   pixels  [input.h][input.w][input.c], written
 * Fails with VGG_BAD_VALUE if the channels do not fit, VGG_NO_MEMORY. */
VGG_API vgg_status vgg_preprocess_apply(const vgg_preprocess *rule, const vgg_image *image,
                                        uint8_t *pixels, vgg_error *err);

/* Writes a PNG file, replaced atomically. Fails with VGG_BAD_VALUE (no pixels), VGG_NO_OUTPUT,
 * VGG_IO, VGG_NO_MEMORY. */
VGG_API vgg_status vgg_image_write_png(const vgg_image *image, const char *path, vgg_error *err);

/* Resizes as Pillow 13 does, byte for byte: bilinear, antialiased when shrinking, a horizontal pass
 * rounded to bytes and then a vertical one; the vertical one first when the height shrinks by more
 * than twice as many pixels as the width, where older Pillows differ by one in a few pixels.
 *   in   [in_h][in_w][channels], borrowed;  out  [out_h][out_w][channels], written
 * Fails with VGG_BAD_VALUE when a size is not positive or in_h or in_w is over 2^24,
 * VGG_NO_MEMORY. */
VGG_API vgg_status vgg_resize_bilinear(const uint8_t *in, int in_h, int in_w, int channels,
                                       uint8_t *out, int out_h, int out_w, vgg_error *err);

#ifdef __cplusplus
}
#endif
#endif
