/* SPDX-License-Identifier: Apache-2.0
 *
 * Safetensors files built by hand, for tests that want what no honest writer writes.
 */
#ifndef TESTS_ST_FILES_H
#define TESTS_ST_FILES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct st_bytes {
  uint8_t *bytes; /* a block of exactly `size`, so that a sanitizer sees a read beyond; free() */
  size_t size;
} st_bytes;

/* length (8 bytes, little-endian), the header as it is, data_size bytes 0, 1, 2, ... */
static inline st_bytes st_bytes_raw(uint64_t length, const char *header, size_t header_size,
                                    size_t data_size) {
  st_bytes f = {malloc(8 + header_size + data_size), 8 + header_size + data_size};
  if (!f.bytes) abort();
  for (int i = 0; i < 8; i++) f.bytes[i] = (uint8_t)(length >> 8 * i);
  memcpy(f.bytes + 8, header, header_size);
  for (size_t i = 0; i < data_size; i++) f.bytes[8 + header_size + i] = (uint8_t)i;
  return f;
}

static inline st_bytes st_bytes_of(const char *header, size_t data_size) {
  return st_bytes_raw(strlen(header), header, strlen(header), data_size);
}

#endif
