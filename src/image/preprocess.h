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

#include <stddef.h>
#include <stdint.h>

#include "vgg/image.h"

typedef struct preprocessor preprocessor;

/* For pictures of [height][width][channels], channels 1 or 3. Fails with VGG_BAD_VALUE when a size
 * is not positive, when the channels are others or a grey picture meets a colour net and the rule
 * does not replicate; VGG_NO_MEMORY. */
vgg_status preprocessor_create(const vgg_preprocess *rule, int channels, int height, int width,
                               preprocessor **out, vgg_error *err);

/* Allocates nothing; one thread at a time.
 *   in   [height][width][channels], borrowed
 *   out  [input.h][input.w][input.c], written */
void preprocessor_run(preprocessor *p, const uint8_t *in, uint8_t *out);
void preprocessor_close(preprocessor *p); /* accepts NULL */

/* Bytes that a preprocessor holds. */
size_t preprocessor_bytes(const preprocessor *p);

#endif
