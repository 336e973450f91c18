/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors: u64 little-endian N, N bytes of JSON padded with spaces, then the tensors' bytes.
 * The reader accepts what huggingface/safetensors accepts, less duplicate names, unknown keys,
 * names with a NUL, ranks over ST_MAX_RANK and more than 262,144 tensors. The writer sorts by
 * element size and then name, and pads so that the data is 8-byte aligned: the same bytes that
 * huggingface's writes.
 */
#ifndef FORMAT_SAFETENSORS_H
#define FORMAT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "vgg/status.h"

enum { ST_MAX_RANK = 8 };

typedef struct st_tensor {
  const char *name;
  char dtype[12]; /* "F32", "BF16", "U8", "I64", ... */
  int rank;
  uint64_t shape[ST_MAX_RANK];
  const uint8_t *data; /* in the mapped file; may be unaligned */
  uint64_t bytes;
} st_tensor;

typedef struct st_file st_file;

/* Maps and checks a file, which nobody may shorten until st_close: replace it by renaming, as
 * st_write does. Fails with VGG_NO_INPUT, VGG_BAD_CONTENT, VGG_NO_MEMORY. */
vgg_status st_open(const char *path, st_file **out, vgg_error *err);
/* The same on bytes in memory, borrowed until st_close; `name` stands in messages. */
vgg_status st_open_bytes(const char *name, const uint8_t *bytes, size_t size, st_file **out,
                         vgg_error *err);
void st_close(st_file *f);
size_t st_count(const st_file *f);
const st_tensor *st_at(const st_file *f, size_t i);           /* lent; in file order */
const st_tensor *st_find(const st_file *f, const char *name); /* lent; NULL: none */
const char *st_metadata(const st_file *f, const char *key);   /* lent; NULL: none */

/* Lets the pages of [from, from + bytes) go, a part of a tensor's data that has been read, so that
 * a big file does not stay in memory beside its copy. Reading them again is allowed, but slow. */
void st_let_go(const st_file *f, const uint8_t *from, size_t bytes);

/* One tensor to be written. emit writes exactly `bytes` bytes with file_write, so that a tensor
 * in another order needs no second copy in memory. */
typedef struct st_output {
  const char *name, *dtype;
  int rank;
  uint64_t shape[ST_MAX_RANK];
  uint64_t bytes;
  vgg_status (*emit)(const void *context, file_writer *w, vgg_error *err);
  const void *context;
} st_output;

typedef struct st_pair {
  const char *key, *value;
} st_pair;

/* Writes a file atomically; its metadata are {"format":"pt"} and then the pairs, in their order.
 * Fails with VGG_NO_OUTPUT, VGG_IO, VGG_NO_MEMORY, and with VGG_BUG if a name or key comes twice, a
 * dtype is unknown, a size is not that of its shape or emit writes another one. */
vgg_status st_write(const char *path, const st_output *tensors, size_t num_tensors,
                    const st_pair *metadata, size_t num_pairs, vgg_error *err);

#endif
