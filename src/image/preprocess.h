/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule of vgg_preprocess, prepared once for pictures of one size and run on many.
 *
 *   [h][w][c] -> L if the net is grey -> 255 - x if asked -> the window of the covering resize that
 *   the centre crop keeps -> three equal channels if the net is not grey, but the picture is
 *   -> [input.h][input.w][input.c]
 */
#ifndef IMAGE_PREPROCESS_H
#define IMAGE_PREPROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/resize.h"
#include "vgg/image.h"

typedef struct preprocessor preprocessor;

/* For pictures of [height][width][channels], channels 1 or 3. Fails with VGG_BAD_VALUE when a size
 * is not positive, when the channels are others or a grey picture meets a colour net and the rule
 * does not replicate; VGG_NO_MEMORY. */
vgg_status preprocessor_create(const vgg_preprocess *rule, int channels, int height, int width,
                               preprocessor **out, vgg_error *err);

/* Which part of a picture becomes the input, where it is not the rule's. */
typedef struct preprocess_part {
  bool of_picture; /* the windows are parts of the picture, which are resized to the input; else the
                      picture is resized to the windows' sizes, and they are parts of that */
  resizer_window rows, columns;
} preprocess_part;

/* The same for a part; NULL: the rule's. Fails also with VGG_BAD_VALUE when a window leaves its
 * whole. */
vgg_status preprocessor_create_part(const vgg_preprocess *rule, int channels, int height, int width,
                                    const preprocess_part *part, preprocessor **out,
                                    vgg_error *err);

/* The smallest size with the picture's aspect that covers want.h x want.w; the longer side is
 * truncated, as torchvision's Resize(int) does. False when it is beyond counting. */
bool preprocess_cover(int height, int width, vgg_shape want, int *out_h, int *out_w);

/* Where the middle `want` of `size` rows or columns begins. */
int preprocess_middle(int size, int want);

/* Allocates nothing; one thread at a time.
 *   in   [height][width][channels], borrowed
 *   out  [input.h][input.w][input.c], written */
void preprocessor_run(preprocessor *p, const uint8_t *in, uint8_t *out);
void preprocessor_close(preprocessor *p); /* accepts NULL */

/* Bytes that a preprocessor holds. */
size_t preprocessor_bytes(const preprocessor *p);

#endif
