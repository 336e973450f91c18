/* SPDX-License-Identifier: Apache-2.0
 *
 * PyTorch's .pth files, as tests/golden/format/make_pth.py made them: every tensor is what PyTorch
 * says it is; whatever would run something, or lies, is refused with its name.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "format/safetensors.h"
#include "format/weights.h"

#define PTH TEST_DATA "/golden/format/pth/"

enum { MOST_FLOATS = 64 };

static weights_file *open_golden(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s%s", PTH, name);
  weights_file *f;
  vgg_error err;
  if (weights_open(path, &f, &err) != VGG_OK) fail_msg("%s", err.message);
  return f;
}

/* Bit for bit: infinities and the sign of zero count. */
static void assert_is_true(const st_file *truth, const weights_file *f, const weights_tensor *t) {
  const st_tensor *wanted = st_find(truth, t->name);
  if (!wanted) fail_msg("%s is not in the truth", t->name);
  float values[MOST_FLOATS];
  assert_int_equal(t->rank, wanted->rank);
  assert_memory_equal(t->shape, wanted->shape, sizeof t->shape[0] * (size_t)t->rank);
  assert_int_equal(t->count * sizeof(float), wanted->bytes);
  assert_true(t->count <= MOST_FLOATS);
  weights_read(f, t, 0, t->count, values);
  if (t->count > 0 && memcmp(values, wanted->data, wanted->bytes) != 0)
    fail_msg("%s differs", t->name);
  for (uint64_t i = 0; i < t->count; i++) { /* each part by itself */
    float one;
    weights_read(f, t, i, 1, &one);
    assert_memory_equal(&one, &values[i], sizeof one);
  }
}

static void test_every_tensor_is_pytorchs(void **state) {
  (void)state;
  static const struct {
    const char *name, *format;
    size_t count;
  } files[] = {
      {"types.pth", "PyTorch zip", 13},         {"types-legacy.pth", "PyTorch legacy", 13},
      {"types-zip64.pth", "PyTorch zip", 13},   {"types-nocrc.pth", "PyTorch zip", 13},
      {"views.pth", "PyTorch zip", 5},          {"views-legacy.pth", "PyTorch legacy", 5},
      {"nested.pth", "PyTorch zip", 2},         {"nested-legacy.pth", "PyTorch legacy", 2},
      {"parameters.pth", "PyTorch zip", 2},     {"parameters-legacy.pth", "PyTorch legacy", 2},
      {"python2.pth", "PyTorch legacy", 3},     {"small.pth", "PyTorch zip", 1},
      {"truth.safetensors", "safetensors", 26},
  };
  st_file *truth;
  assert_int_equal(st_open(PTH "truth.safetensors", &truth, NULL), VGG_OK);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    weights_file *f = open_golden(files[i].name);
    assert_string_equal(weights_format(f), files[i].format);
    assert_int_equal(weights_count(f), files[i].count);
    for (size_t k = 0; k < weights_count(f); k++) assert_is_true(truth, f, weights_at(f, k));
    assert_null(weights_at(f, weights_count(f)));
    weights_close(f);
  }
  st_close(truth);
}

static void test_types_have_their_names(void **state) {
  (void)state;
  static const char *const names[] = {"F32", "F64", "F16", "BF16", "I64",
                                      "I32", "I16", "I8",  "U8",   "BOOL"};
  weights_file *f = open_golden("types.pth");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    assert_string_equal(weights_at(f, i)->type_name, names[i]);
  char text[64];
  assert_string_equal(weights_text(weights_at(f, 3), text, sizeof text), "BF16 [3, 4]");
  assert_null(weights_metadata(f, "format"));
  weights_close(f);
}

static void assert_refused(const char *path, const char *why) {
  weights_file *f = NULL;
  vgg_error err = {0};
  if (weights_open(path, &f, &err) != VGG_BAD_CONTENT) fail_msg("%s: was not refused", path);
  assert_null(f);
  if (!strstr(err.message, why)) fail_msg("wanted '%s', found: %s", why, err.message);
}

static void test_what_would_run_is_refused_by_name(void **state) {
  (void)state;
  assert_refused(PTH "evil-system.pth", "names posix.system");
  assert_refused(PTH "evil-eval.pth", "names __builtin__.eval");
  assert_refused(PTH "evil-module.pth", "names torchvision.models.vgg.VGG");
  assert_refused(PTH "evil-protocol4.pth", "byte 0: is not of protocol 2");
  assert_refused(PTH "evil-inst.pth", "byte 7: opcode INST");
  assert_false(path_exists("/tmp/vgg-was-here"));
}

static void test_what_lies_is_refused(void **state) {
  (void)state;
  assert_refused(PTH "evil-short-storage.pth", "storage '0' has 8 bytes, its pickle says 16");
  assert_refused(PTH "evil-deflated.pth", "compressed");
  assert_refused(PTH "evil-big-endian.pth", "big-endian");
  static const struct {
    const char *file, *why;
  } lies[] = {
      {PTH "evil-outside.pth", "tensor 'w': reaches out of its storage"},
      {PTH "evil-repeats.pth", "tensor 'w': reaches out of its storage, or repeats"},
      {PTH "evil-overlaps.pth", "tensor 'w': reaches out of its storage, or repeats"},
      {PTH "evil-far.pth", "tensor 'w': reaches out of its storage"},
      {PTH "evil-offset.pth", "tensor 'w': reaches out of its storage"},
      {PTH "evil-negative.pth", "offset, shape and stride are no counts"},
      {PTH "evil-ranks.pth", "offset, shape and stride are no counts"},
      {PTH "evil-deep.pth", "offset, shape and stride are no counts, at most 8 each"},
      {PTH "evil-wraps.pth", "its shape is over 64 bits"},
      {PTH "evil-twice.pth", "tensor 'w': stands there twice"},
      {PTH "evil-more.pth", "with those before it is larger than the file"},
      {PTH "evil-count.pth", "storage '0': has another size than its pickle says"},
      {PTH "evil-unlisted.pth", "storage '0': is missing"},
      {PTH "evil-unknown.pth", "storage '1': listed, but no tensor's"},
      {PTH "evil-listed-twice.pth", "storage '0': listed twice"},
      {PTH "evil-tail.pth", "1 bytes follow its last storage"},
      {PTH "evil-types.pth", "storage '0': named with two types or sizes"},
      {PTH "evil-text.pth", "tensor 't': is a text, no tensor"},
      {PTH "evil-view.pth", "whose view is not inside it"},
      {PTH "evil-folders.pth", "entries of more than one folder"},
      {PTH "evil-leads-out.pth", "leads out of its folder"},
      {PTH "evil-no-pickle.pth", "a zip archive without data.pkl"},
      {PTH "evil-no-storage.pth", "storage '0' is missing"},
  };
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) assert_refused(lies[i].file, lies[i].why);
}

/* Cut short anywhere, or with a byte more, a file is none. */
static void test_cut_anywhere_it_is_refused(void **state) {
  (void)state;
  static const char *const names[] = {"types.pth",   "types-legacy.pth",  "types-zip64.pth",
                                      "nested.pth",  "nested-legacy.pth", "parameters-legacy.pth",
                                      "python2.pth", "views-legacy.pth"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s%s", PTH, names[i]);
    uint8_t *bytes;
    size_t size;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, NULL), VGG_OK);
    for (size_t cut = 0; cut <= size + 1; cut++) {
      if (cut == size) continue;
      uint8_t *copy = calloc(1, cut ? cut : 1);
      assert_non_null(copy);
      memcpy(copy, bytes, cut < size ? cut : size);
      weights_file *f = NULL;
      vgg_error err = {0};
      const vgg_status status = weights_open_bytes("cut", copy, cut, &f, &err);
      if (status != VGG_BAD_CONTENT) fail_msg("%s cut to %zu bytes: %d", names[i], cut, status);
      assert_memory_equal(err.message, "cut: ", 5);
      free(copy);
    }
    free(bytes);
  }
}

/* The sums of a zip file, and the counts of all, find what was damaged. */
static void test_a_damaged_byte_of_a_tensor_is_found(void **state) {
  (void)state;
  uint8_t *bytes;
  size_t size;
  assert_int_equal(file_read(PTH "small.pth", 1 << 20, &bytes, &size, NULL), VGG_OK);
  weights_file *f;
  assert_int_equal(weights_open_bytes("small", bytes, size, &f, NULL), VGG_OK);
  uint8_t *data = bytes + (weights_at(f, 0)->data - bytes);
  weights_close(f);
  data[5] ^= 1;
  vgg_error err;
  assert_int_equal(weights_open_bytes("small", bytes, size, &f, &err), VGG_BAD_CONTENT);
  assert_non_null(strstr(err.message, "'small/data/0': its CRC-32"));
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_tensor_is_pytorchs),
      cmocka_unit_test(test_types_have_their_names),
      cmocka_unit_test(test_what_would_run_is_refused_by_name),
      cmocka_unit_test(test_what_lies_is_refused),
      cmocka_unit_test(test_cut_anywhere_it_is_refused),
      cmocka_unit_test(test_a_damaged_byte_of_a_tensor_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
