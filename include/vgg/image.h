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

/* Decodes a PNG or JPEG file, found by its content and not by its suffix. The EXIF orientation is
 * applied (a broken EXIF block counts as none), alpha is composited over black, palettes are
 * expanded, 16-bit samples keep their high byte, CMYK and YCCK become RGB as Pillow does it. Grey
 * files give 1 channel, others 3. No pixel is made up: a truncated or damaged file is an error.
 *   out  on success owns its pixels: free with vgg_image_free; else untouched
 * Fails with VGG_NO_INPUT (missing, unreadable, not a regular file), VGG_BAD_CONTENT (not a
 * picture, broken, over 100 million pixels or 65500 a side, over 100 scans), VGG_NO_MEMORY. */
VGG_API vgg_status vgg_image_read(const char *path, vgg_image *out, vgg_error *err);
VGG_API void vgg_image_free(vgg_image *image);

/* The one rule by which a picture becomes a net's input; stored in every model file. */
typedef struct vgg_preprocess {
  vgg_shape input; /* what the net takes */
  bool invert;     /* 255 - x, for dark drawings on light ground */
} vgg_preprocess;

/* Turns a picture into a net's input bytes: colour to grey by Pillow's integer L
 * (19595 R + 38470 G + 7471 B + 32768) >> 16, grey to colour is refused; invert; resized by
 * Pillow's bilinear filter so that it just covers input.h x input.w (for a square input this is
 * torchvision's Resize(int)); cropped at the centre.
 *   image   borrowed
 *   pixels  [input.h][input.w][input.c], written
 * Fails with VGG_BAD_VALUE if a grey picture meets a colour net, VGG_NO_MEMORY. */
VGG_API vgg_status vgg_preprocess_apply(const vgg_preprocess *rule, const vgg_image *image,
                                        uint8_t *pixels, vgg_error *err);

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
