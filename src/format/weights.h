/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of named tensors, whoever wrote them: safetensors, and PyTorch's .pth of both kinds. The
 * format is found by content, never by the file's name; a row of weight_formats.def each.
 */
#ifndef FORMAT_WEIGHTS_H
#define FORMAT_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgg/status.h"

enum { WEIGHTS_MAX_RANK = 8 };

/* An element's type. Numbers are little-endian; read as float they are rounded to nearest. */
typedef struct weights_type {
  const char *name; /* as safetensors calls it: "F32", "BF16", "I64" */
  size_t size;      /* bytes of an element */
  bool is_float;
  float (*get)(const uint8_t *element);
} weights_type;

/* NULL: not read here. */
const weights_type *weights_type_of(const char *name);

typedef struct weights_tensor {
  const char *name;
  const char *type_name;    /* for messages */
  const weights_type *type; /* NULL: of a type that is not read */
  int rank;
  uint64_t shape[WEIGHTS_MAX_RANK];
  uint64_t stride[WEIGHTS_MAX_RANK]; /* in elements; never leads out of the data */
  uint64_t count;                    /* product of shape */
  const uint8_t *data; /* the first element, in the file; may be unaligned; NULL if none */
} weights_tensor;

typedef struct weights_file weights_file;

/* Maps and checks a file, which nobody may shorten until weights_close.
 * Fails with VGG_NO_INPUT, VGG_BAD_CONTENT (the message says what the file is), VGG_IO,
 * VGG_NO_MEMORY. */
vgg_status weights_open(const char *path, weights_file **out, vgg_error *err);
/* The same on bytes in memory, borrowed until weights_close; `name` stands in messages. */
vgg_status weights_open_bytes(const char *name, const uint8_t *bytes, size_t size,
                              weights_file **out, vgg_error *err);
void weights_close(weights_file *f);

/* "safetensors", "PyTorch zip", "PyTorch legacy". */
const char *weights_format(const weights_file *f);
size_t weights_count(const weights_file *f);
const weights_tensor *weights_at(const weights_file *f, size_t i); /* lent; in the file's order */
const weights_tensor *weights_find(const weights_file *f, const char *name); /* lent; NULL: none */
/* A safetensors file's; lent; NULL: none. */
const char *weights_metadata(const weights_file *f, const char *key);

/* Reads `count` elements from the first-th on, in row-major order, into `out` [count]. Pages of the
 * file that were read in one piece are let go. The tensor has a type; first + count <= its count.
 */
void weights_read(const weights_file *f, const weights_tensor *t, uint64_t first, uint64_t count,
                  float *out);

/* Text such as "F32 [64, 3, 3, 3]"; cut to fit. */
const char *weights_text(const weights_tensor *t, char *text, size_t size);

#endif
