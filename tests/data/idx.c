/* SPDX-License-Identifier: Apache-2.0 */
#include "data/idx.h"

#include "idx_files.h"

static void assert_reads(bytes file, int rank, bytes plain) {
  vgg_error err;
  idx_array a;
  assert_int_equal(idx_parse("f", file.at, file.size, rank, &a, &err), VGG_OK);
  const size_t header = 4 + 4 * (size_t)rank;
  assert_int_equal(a.rank, rank);
  assert_int_equal(a.size, plain.size - header);
  assert_memory_equal(a.header, plain.at, header);
  assert_memory_equal(a.data, plain.at + header, a.size);
  free(a.data);
}

/* From a copy that ends where the file does, so that a sanitizer sees a read beyond. */
static vgg_status parse_copy(const uint8_t *at, size_t size, int rank, vgg_error *err) {
  uint8_t *copy = malloc(size ? size : 1);
  memcpy(copy, at, size);
  idx_array a = {0};
  const vgg_status status = idx_parse("the-file", copy, size, rank, &a, err);
  if (status != VGG_OK) assert_null(a.data);
  free(a.data);
  free(copy);
  return status;
}

static void assert_refused(bytes file, int rank, const char *because) {
  vgg_error err = {0};
  assert_int_equal(parse_copy(file.at, file.size, rank, &err), VGG_BAD_CONTENT);
  assert_int_equal(err.status, VGG_BAD_CONTENT);
  assert_memory_equal(err.message, "the-file: ", 10);
  if (!strstr(err.message, because)) fail_msg("\"%s\" lacks \"%s\"", err.message, because);
}

static void plain_and_gzipped(void **state) {
  (void)state;
  const bytes pictures = idx_pictures(3, 5, 7), labels = idx_labels(9, 5);
  const bytes packed_pictures = gzipped(pictures), packed_labels = gzipped(labels);
  assert_reads(pictures, 3, pictures);
  assert_reads(packed_pictures, 3, pictures);
  assert_reads(labels, 1, labels);
  assert_reads(packed_labels, 1, labels);
  free(pictures.at), free(labels.at), free(packed_pictures.at), free(packed_labels.at);
}

static void truncated_at_every_byte(void **state) {
  (void)state;
  bytes file = idx_pictures(3, 5, 7);
  bytes packed = gzipped(file);
  for (int gz = 0; gz < 2; gz++) {
    const bytes whole = gz ? packed : file;
    for (size_t size = 0; size < whole.size; size++) assert_refused((bytes){whole.at, size}, 3, "");
  }
  assert_refused((bytes){file.at, file.size - 1}, 3, "truncated");
  assert_refused((bytes){packed.at, packed.size / 2}, 3, "truncated");
  assert_refused((bytes){packed.at, packed.size - 1}, 3, "truncated");
  free(file.at), free(packed.at);
}

static void bytes_too_many(void **state) {
  (void)state;
  bytes file = idx_pictures(3, 5, 7);
  file.at = realloc(file.at, file.size + 1);
  file.at[file.size++] = 0;
  assert_refused(file, 3, "bytes after");
  bytes packed = gzipped(file);
  assert_refused(packed, 3, "bytes after");
  file.size--;
  free(packed.at);
  packed = gzipped(file);
  packed.at = realloc(packed.at, packed.size + 1);
  packed.at[packed.size++] = 0;
  assert_refused(packed, 3, "bytes after");
  free(file.at), free(packed.at);
}

static void wrong_beginning(void **state) {
  (void)state;
  const bytes pictures = idx_pictures(3, 5, 7), labels = idx_labels(9, 5);
  assert_refused(pictures, 1, "begins with 00000803, wanted 00000801");
  assert_refused(labels, 3, "begins with 00000801, wanted 00000803");
  for (int i = 0; i < 3; i++) {
    pictures.at[i] ^= 5;
    assert_refused(pictures, 3, "wanted 00000803");
    pictures.at[i] ^= 5;
  }
  assert_refused((bytes){(uint8_t *)"PNG", 3}, 3, "ends after 3 bytes");
  free(pictures.at), free(labels.at);
}

static void damaged_gzip(void **state) {
  (void)state;
  const bytes file = idx_pictures(3, 5, 7), packed = gzipped(file);
  packed.at[packed.size - 8] ^= 1; /* CRC */
  assert_refused(packed, 3, "damaged");
  packed.at[packed.size - 8] ^= 1;
  packed.at[packed.size - 1] ^= 1; /* length */
  assert_refused(packed, 3, "damaged");
  packed.at[packed.size - 1] ^= 1;
  packed.at[2] = 7; /* method */
  assert_refused(packed, 3, "damaged");
  free(file.at), free(packed.at);
}

/* None of these may lead to memory being asked for. */
static void absurd_sizes(void **state) {
  (void)state;
  static const struct {
    uint32_t dims[3];
    const char *because;
  } cases[] = {
      {{0xffffffffu, 0xffffffffu, 0xffffffffu}, "more than"},
      {{0xffffffffu, 28, 28}, "more than"},
      {{0x80000000u, 1, 1}, "more than"},
      {{65536, 16384, 16384}, "more than"},
      {{1, 0x10000u, 1}, "side"},
      {{1, 1, 16385}, "side"},
      {{0, 28, 28}, "holds nothing"},
      {{3, 0, 7}, "holds nothing"},
      {{60000, 28, 28}, "truncated"},
      {{0x7fffffffu, 1, 1}, "truncated"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const bytes file = idx_make(3, cases[i].dims, 20, 251), packed = gzipped(file);
    assert_refused(file, 3, cases[i].because);
    assert_refused(packed, 3, cases[i].because);
    free(file.at), free(packed.at);
  }
}

static void bomb(void **state) {
  (void)state;
  const size_t size = 96 << 20;
  bytes file = idx_make(3, (uint32_t[]){96, 1024, 1024}, 0, 1);
  file.at = realloc(file.at, file.size + size);
  memset(file.at + file.size, 0, size);
  file.size += size;
  const bytes packed = gzipped(file);
  assert_true(packed.size < size / 900);
  assert_refused(packed, 3, "unpack it first");
  free(file.at), free(packed.at);
}

/* Whatever a byte is turned into, the answer is a status. */
static void every_byte_changed(void **state) {
  (void)state;
  const bytes file = idx_pictures(3, 5, 7), packed = gzipped(file);
  for (int gz = 0; gz < 2; gz++) {
    const bytes whole = gz ? packed : file;
    for (size_t i = 0; i < whole.size; i++) {
      for (int bit = 0; bit < 8; bit++) {
        vgg_error err;
        whole.at[i] ^= (uint8_t)(1 << bit);
        const vgg_status status = parse_copy(whole.at, whole.size, 3, &err);
        if (i >= 16 && !gz)
          assert_int_equal(status, VGG_OK); /* another picture */
        else if (status != VGG_OK)
          assert_int_equal(status, VGG_BAD_CONTENT);
        whole.at[i] ^= (uint8_t)(1 << bit);
      }
    }
  }
  free(file.at), free(packed.at);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_and_gzipped),
      cmocka_unit_test(truncated_at_every_byte),
      cmocka_unit_test(bytes_too_many),
      cmocka_unit_test(wrong_beginning),
      cmocka_unit_test(damaged_gzip),
      cmocka_unit_test(absurd_sizes),
      cmocka_unit_test(bomb),
      cmocka_unit_test(every_byte_changed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
