/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors header from the inside: what its reader and its writer share.
 *
 *   {"__metadata__":{"key":"value",...},
 *    "name":{"dtype":"F32","shape":[64,3,3,3],"data_offsets":[0,6912]},...}
 *
 * data_offsets [begin, end) count from the first byte after the header.
 */
#ifndef FORMAT_ST_HEADER_H
#define FORMAT_ST_HEADER_H

#include <stdbool.h>

#include "format/safetensors.h"

/* Bounds that keep what a hostile header makes us allocate below its own size. */
enum { ST_MAX_HEADER = 100000000, ST_MAX_TENSORS = 1 << 18, ST_MAX_METADATA = 1 << 16 };

/* Bits of one element and the dtype's place in the format's order, in which a writer sorts (the
 * highest first). False when the format has no such dtype. */
bool st_dtype_find(const char *name, unsigned *bits, int *order);

/* *bytes = product of shape[rank] times the element's size; false if that wraps or does not end on
 * a byte. The factors are multiplied from left to right, as the format's reference does. */
bool st_shape_bytes(unsigned bits, int rank, const uint64_t *shape, uint64_t *bytes);

typedef struct st_header {
  st_tensor *tensors; /* [count], in the header's order; each inside the data, not yet tiled */
  size_t count;
  st_pair *metadata; /* [num_metadata], sorted by key */
  size_t num_metadata;
  char *strings; /* what all the names, keys and values point into */
} st_header;

/* Scans a header in one pass, building no tree.
 *   file  stands in messages
 *   json  [length], the header's bytes without the 8 of the length
 *   data  [data_size], what follows it; the tensors point into it
 *   out   on success free with st_header_free
 * Fails with VGG_BAD_CONTENT, VGG_NO_MEMORY. */
vgg_status st_header_scan(const char *file, const uint8_t *json, size_t length, const uint8_t *data,
                          uint64_t data_size, st_header *out, vgg_error *err);
void st_header_free(st_header *h);

/* Orders st_pairs by key, for qsort and bsearch. */
int st_pair_compare(const void *a, const void *b);

#endif
