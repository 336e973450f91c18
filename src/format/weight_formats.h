/* SPDX-License-Identifier: Apache-2.0
 *
 * What a row of weight_formats.def gives: how a file is recognised and opened.
 */
#ifndef FORMAT_WEIGHT_FORMATS_H
#define FORMAT_WEIGHT_FORMATS_H

#include "format/safetensors.h"
#include "format/weights.h"

/* What a format's open fills in; weights.c frees it. */
typedef struct weights_content {
  weights_tensor *tensors; /* [count]; names point into the file or into strings */
  size_t count;
  char *strings;
  st_file *st; /* safetensors only: metadata */
} weights_content;

typedef struct weights_row {
  const char *name;
  bool (*is)(const uint8_t *bytes, size_t size); /* by the first bytes */
  vgg_status (*open)(const char *name, const uint8_t *bytes, size_t size, weights_content *out,
                     vgg_error *err);
} weights_row;

/* FORMAT(id, name): weights_id_is and weights_id_open. */
#define FORMAT(id, name)                                                              \
  bool weights_##id##_is(const uint8_t *bytes, size_t size);                          \
  vgg_status weights_##id##_open(const char *file, const uint8_t *bytes, size_t size, \
                                 weights_content *out, vgg_error *err);
#include "format/weight_formats.def"
#undef FORMAT

/* Sets count and contiguous strides from rank and shape; false if the product wraps. */
bool weights_lay_out(weights_tensor *t);

#endif
