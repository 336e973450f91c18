/* SPDX-License-Identifier: Apache-2.0
 *
 * Small IDX files for tests, in memory and in folders of their own.
 */
#ifndef TESTS_DATA_IDX_FILES_H
#define TESTS_DATA_IDX_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

typedef struct bytes {
  uint8_t *at; /* owned */
  size_t size;
} bytes;

/* An IDX file of `rank` dims whose data are 0, 1, 2 ... modulo `modulus`, times 7. */
static inline bytes idx_make(int rank, const uint32_t *dims, size_t data, int modulus) {
  bytes b = {malloc(16 + data), 4 + 4 * (size_t)rank};
  assert_non_null(b.at);
  memcpy(b.at, (uint8_t[]){0, 0, 8, (uint8_t)rank}, 4);
  for (int i = 0; i < rank; i++)
    for (int k = 0; k < 4; k++) b.at[4 + 4 * i + k] = (uint8_t)(dims[i] >> (24 - 8 * k));
  for (size_t i = 0; i < data; i++) b.at[b.size++] = (uint8_t)(i * 7 % (size_t)modulus);
  return b;
}

static inline bytes idx_pictures(uint32_t n, uint32_t h, uint32_t w) {
  return idx_make(3, (uint32_t[]){n, h, w}, (size_t)n * h * w, 251);
}
/* Labels below `classes`, a prime other than 7. */
static inline bytes idx_labels(uint32_t n, int classes) { return idx_make(1, &n, n, classes); }

static inline bytes gzipped(bytes plain) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  const uLong bound = deflateBound(&z, plain.size);
  bytes b = {malloc(bound), 0};
  z.next_in = plain.at;
  z.avail_in = (uInt)plain.size;
  z.next_out = b.at;
  z.avail_out = (uInt)bound;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  b.size = z.total_out;
  deflateEnd(&z);
  return b;
}

static inline void folder_make(char dir[64]) {
  strcpy(dir, "/tmp/vgg-test-XXXXXX");
  assert_non_null(mkdtemp(dir));
}

static inline void folder_remove(const char *dir) {
  static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                      "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
  char path[128];
  for (int i = 0; i < 8; i++) {
    snprintf(path, sizeof path, "%s/%s%s", dir, names[i / 2], i % 2 ? ".gz" : "");
    remove(path);
  }
  assert_int_equal(rmdir(dir), 0);
}

/* Writes DIR/NAME and frees the bytes; gzips them first when NAME ends in .gz. */
static inline void file_put(const char *dir, const char *name, bytes b) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  if (strstr(name, ".gz")) {
    const bytes packed = gzipped(b);
    free(b.at);
    b = packed;
  }
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(b.at, 1, b.size, f), b.size);
  assert_int_equal(fclose(f), 0);
  free(b.at);
}

/* A folder of `train` and `test` pictures of h x w; the labels stay below 5 and 11. */
static inline void folder_fill(char dir[64], uint32_t train, uint32_t test, uint32_t h, uint32_t w,
                               bool gz) {
  folder_make(dir);
  file_put(dir, gz ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte",
           idx_pictures(train, h, w));
  file_put(dir, gz ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte",
           idx_labels(train, 5));
  file_put(dir, gz ? "t10k-images-idx3-ubyte.gz" : "t10k-images-idx3-ubyte",
           idx_pictures(test, h, w));
  file_put(dir, gz ? "t10k-labels-idx1-ubyte.gz" : "t10k-labels-idx1-ubyte", idx_labels(test, 11));
}

#endif
