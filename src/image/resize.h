/* SPDX-License-Identifier: Apache-2.0
 *
 * Pillow's bilinear resize, prepared once and run on many pictures of one size.
 *
 *   in [in_h][in_w][C] --horizontal, rounded to bytes--> [rows][w][C] --vertical--> out [h][w][C]
 *
 * From Pillow 13 on the vertical pass comes first when the height shrinks by more than twice as
 * many pixels as the width does: in_h > h and in_h - h > 2 (in_w - w). Before, it never did; the
 * difference is the rounding between the passes. This code follows Pillow 13.
 *
 * One axis, for output x: centre c = (x + .5) in/out, filter scale s = max(in/out, 1), taps from
 * (int)(c - s + .5) to (int)(c + s + .5) clipped to the picture, weight max(0, 1 - |i + .5 - c| /
 * s) divided by the sum of the weights, then rounded to a multiple of 2^-22. A pass gives (sum of
 * weight * pixel + half) >> 22, at most 255. Both sides must compute the weights in double in this
 * very order: one bit of difference shows in the pixels.
 */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "vgg/status.h"

typedef struct resizer resizer;

/* A resizer of [in_h][in_w][channels] to [out_h][out_w][channels]. Fails with VGG_BAD_VALUE when a
 * size is not positive or an input side is over 2^24, VGG_NO_MEMORY. */
vgg_status resizer_create(int in_h, int in_w, int channels, int out_h, int out_w, resizer **out,
                          vgg_error *err);

/* A part of an axis: `count` samples of `size` from `first` on. */
typedef struct resizer_window {
  int size, first, count;
} resizer_window;

/* A resizer that gives a window of the output only, the same bytes as resizing and then cutting;
 * what lies outside costs neither time nor memory. Fails as resizer_create, and with VGG_BAD_VALUE
 * when a window leaves the output. */
vgg_status resizer_create_window(int in_h, int in_w, int channels, resizer_window rows,
                                 resizer_window columns, resizer **out, vgg_error *err);

/* A resizer of a part of the input, as Pillow's resize with a box: not quite the same as cutting
 * and then resizing, for at its rim it sees what lies outside. Pictures are whole ones. Fails as
 * resizer_create, and with VGG_BAD_VALUE when the part leaves the input. */
vgg_status resizer_create_box(resizer_window rows, resizer_window columns, int channels, int out_h,
                              int out_w, resizer **out, vgg_error *err);

/* Resizes one picture; allocates nothing. A resizer has scratch of its own: one thread at a time.
 *   in   [in_h][in_w][channels], borrowed
 *   out  [rows][columns][channels] of the window, written; does not overlap `in` */
void resizer_run(resizer *r, const uint8_t *in, uint8_t *out);
void resizer_close(resizer *r); /* accepts NULL */

/* Bytes that a resizer holds. */
size_t resizer_bytes(const resizer *r);

#endif
