/* SPDX-License-Identifier: Apache-2.0
 *
 * Training pictures as a net would see them, to look at: a row for each of a few pictures, first as
 * they are, then as each of the first epochs changes them.
 */
#ifndef CLI_PREVIEW_H
#define CLI_PREVIEW_H

#include "cli.h"

typedef struct preview_options {
  const char *path, *augment;
  vgg_shape input; /* c 0: 224 x 224 of the data's channels */
  uint64_t seed;
} preview_options;

vgg_status preview_save(const vgg_dataset *data, const preview_options *o, vgg_error *err);

#endif
