/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors writer: the same bytes as huggingface's, and no file where something is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "format/safetensors.h"

static char folder[64], *path;

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/vgg-test-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  path = path_join(folder, "out.safetensors");
  return path ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(path);
  free(path);
  return rmdir(folder); /* fails if a temporary file was left behind */
}

/* Writes context[0] bytes of what follows it. */
static vgg_status emit_counted(const void *context, file_writer *w, vgg_error *err) {
  const uint8_t *bytes = context;
  return file_write(w, bytes + 1, bytes[0], err);
}

static vgg_status emit_failure(const void *context, file_writer *w, vgg_error *err) {
  (void)context;
  (void)w;
  return err_set(err, VGG_IO, "the disk is on fire");
}

static void assert_content(const char *file, const uint8_t *bytes, size_t size) {
  uint8_t *found;
  size_t found_size;
  assert_int_equal(file_read(file, SIZE_MAX, &found, &found_size, NULL), VGG_OK);
  assert_int_equal(found_size, size);
  assert_memory_equal(found, bytes, size);
  free(found);
}

static void test_every_byte(void **state) {
  (void)state;
  const st_output tensors[] = {
      {"b", "U8", 1, {3}, 3, emit_counted, "\3abc"},
      {"w", "F32", 2, {1, 2}, 8, emit_counted, "\10ABCDEFGH"},
      {"a", "F32", 0, {0}, 4, emit_counted, "\4IJKL"},
  };
  const st_pair pairs[] = {{"z", "\"\\\n\x1f\xc3\xa9/"}, {"k", ""}};
  const char header[] =
      "{\"__metadata__\":{\"format\":\"pt\",\"z\":\"\\\"\\\\\\n\\u001f\xc3\xa9/\",\"k\":\"\"},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[4,12]},"
      "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[12,15]}}";
  uint8_t wanted[512] = {0};
  const size_t length = (sizeof header - 1 + 7) / 8 * 8;
  wanted[0] = (uint8_t)length;
  wanted[1] = (uint8_t)(length >> 8);
  memset(wanted + 8, ' ', length);
  memcpy(wanted + 8, header, sizeof header - 1);
  memcpy(wanted + 8 + length, "IJKLABCDEFGHabc", 15);
  vgg_error err;
  if (st_write(path, tensors, 3, pairs, 2, &err) != VGG_OK) fail_msg("%s", err.message);
  assert_content(path, wanted, 8 + length + 15);

  st_file *f;
  assert_int_equal(st_open(path, &f, NULL), VGG_OK);
  assert_string_equal(st_metadata(f, "z"), pairs[0].value);
  assert_int_equal((uintptr_t)st_at(f, 0)->data % 8, 0);
  assert_memory_equal(st_find(f, "b")->data, "abc", 3);
  st_let_go(f, st_at(f, 0)->data, 15);
  assert_memory_equal(st_find(f, "b")->data, "abc", 3); /* read again from the file */
  st_close(f);
}

/* Whatever its length, a header is padded so that the data lies at a multiple of 8. */
static void test_alignment(void **state) {
  (void)state;
  const st_output tensor = {"a", "U8", 1, {1}, 1, emit_counted, "\1x"};
  for (size_t i = 0; i <= 8; i++) {
    const st_pair pair = {"k", &"12345678"[i]};
    assert_int_equal(st_write(path, &tensor, 1, &pair, 1, NULL), VGG_OK);
    uint8_t *bytes;
    size_t size;
    assert_int_equal(file_read(path, SIZE_MAX, &bytes, &size, NULL), VGG_OK);
    assert_int_equal(size % 8, 1);
    free(bytes);
    st_file *f;
    assert_int_equal(st_open(path, &f, NULL), VGG_OK);
    st_close(f);
  }
}

static vgg_status emit_tensor(const void *context, file_writer *w, vgg_error *err) {
  const st_tensor *t = context;
  return file_write(w, t->data, (size_t)t->bytes, err);
}

/* What huggingface's library wrote, read and handed to our writer in the reverse order, comes out
 * as the same file. */
static void test_as_huggingface_writes(void **state) {
  (void)state;
  static const char golden[] = TEST_DATA "/golden/format/dtypes.safetensors";
  st_file *f;
  vgg_error err;
  if (st_open(golden, &f, &err) != VGG_OK) fail_msg("%s", err.message);
  st_output outputs[16];
  const size_t count = st_count(f);
  assert_int_equal(count, 9);
  for (size_t i = 0; i < count; i++) {
    const st_tensor *t = st_at(f, count - 1 - i);
    outputs[i] = (st_output){t->name, t->dtype, t->rank, {0}, t->bytes, emit_tensor, t};
    memcpy(outputs[i].shape, t->shape, sizeof t->shape);
  }
  assert_int_equal(st_write(path, outputs, count, NULL, 0, NULL), VGG_OK);
  uint8_t *wanted;
  size_t size;
  assert_int_equal(file_read(golden, SIZE_MAX, &wanted, &size, NULL), VGG_OK);
  assert_content(path, wanted, size);
  free(wanted);

  float values[6];
  memcpy(values, st_find(f, "f32")->data, sizeof values);
  assert_true(values[0] == 1.5f && values[1] == -2 && values[5] == 0x1p-149f);
  assert_string_equal(st_find(f, "a.f32")->dtype, "F32");
  assert_int_equal(st_find(f, "a.f32")->rank, 0);
  assert_int_equal(st_find(f, "empty \"quoted\" \xe9\x9e\x8b\n\x01")->bytes, 0);
  st_close(f);
}

static void expect_refusal(const st_output *tensors, size_t count, const st_pair *pairs,
                           size_t num_pairs, vgg_status wanted, const char *message) {
  vgg_error err = {0};
  assert_int_equal(file_replace(path, "old", 3, NULL), VGG_OK);
  assert_int_equal(st_write(path, tensors, count, pairs, num_pairs, &err), wanted);
  if (!strstr(err.message, message)) fail_msg("'%s' lacks '%s'", err.message, message);
  assert_content(path, (const uint8_t *)"old", 3);
}

static void test_refusals_leave_the_old_file(void **state) {
  (void)state;
  const st_output good = {"a", "U8", 1, {1}, 1, emit_counted, "\1x"};
  st_output bad = good;
  bad.dtype = "U9";
  expect_refusal(&bad, 1, NULL, 0, VGG_BUG, "tensor 'a'");
  bad = good;
  bad.bytes = 2;
  expect_refusal(&bad, 1, NULL, 0, VGG_BUG, "tensor 'a'");
  bad = good;
  bad.rank = ST_MAX_RANK + 1;
  expect_refusal(&bad, 1, NULL, 0, VGG_BUG, "tensor 'a'");
  bad = good;
  bad.name = "__metadata__";
  expect_refusal(&bad, 1, NULL, 0, VGG_BUG, "__metadata__");
  bad = good;
  bad.context = "\2xy";
  expect_refusal(&bad, 1, NULL, 0, VGG_BUG, "came as 2 bytes, not 1");
  bad.emit = emit_failure;
  expect_refusal(&bad, 1, NULL, 0, VGG_IO, "on fire");
  const st_output twice[] = {good,
                             {"b", "U8", 1, {1}, 1, emit_counted, "\1x"},
                             {"a", "F32", 1, {0}, 0, emit_counted, "\0"}};
  expect_refusal(twice, 3, NULL, 0, VGG_BUG, "'a' comes twice");
  const st_pair pairs[] = {{"k", ""}, {"l", ""}, {"k", "x"}}, format[] = {{"format", "np"}};
  expect_refusal(&good, 1, pairs, 3, VGG_BUG, "'k' comes twice");
  expect_refusal(&good, 1, format, 1, VGG_BUG, "'format' comes twice");
  vgg_error err;
  assert_int_equal(st_write("/nonexistent/x", &good, 1, NULL, 0, &err), VGG_NO_OUTPUT);
  assert_int_equal(st_write(folder, &good, 1, NULL, 0, &err), VGG_NO_OUTPUT);
}

static void test_nothing_to_write(void **state) {
  (void)state;
  assert_int_equal(st_write(path, NULL, 0, NULL, 0, NULL), VGG_OK);
  st_file *f;
  assert_int_equal(st_open(path, &f, NULL), VGG_OK);
  assert_int_equal(st_count(f), 0);
  assert_null(st_find(f, "a"));
  assert_string_equal(st_metadata(f, "format"), "pt");
  st_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_byte),
      cmocka_unit_test(test_alignment),
      cmocka_unit_test(test_as_huggingface_writes),
      cmocka_unit_test(test_refusals_leave_the_old_file),
      cmocka_unit_test(test_nothing_to_write),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
