/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files that are not what they say: the golden one with a piece of its header exchanged, cut
 * short, or in the wrong place. Every refusal names the file and what is wrong in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "format/model.h"

static char folder[64], *path;
static uint8_t *golden;
static size_t golden_size;

static int set_up(void **state) {
  (void)state;
  strcpy(folder, "/tmp/vgg-test-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  path = path_join(folder, "some.safetensors");
  if (!path) return -1;
  return (int)file_read(TEST_DATA "/golden/format/model.safetensors", SIZE_MAX, &golden,
                        &golden_size, NULL);
}

static int tear_down(void **state) {
  (void)state;
  free(golden);
  free(path);
  char command[96];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  return system(command);
}

static size_t header_length(void) { return (size_t)golden[0] | (size_t)golden[1] << 8; }

/* Writes the golden file with `from` in its header exchanged for `to`. */
static void write_changed(const char *from, const char *to) {
  const char *header = (const char *)golden + 8;
  const size_t length = header_length();
  const char *found = memmem(header, length, from, strlen(from));
  if (!found) fail_msg("'%s' is not in the golden file", from);
  const size_t before = (size_t)(found - header), after = length - before - strlen(from);
  const uint64_t changed = before + strlen(to) + after;
  file_writer *w;
  assert_int_equal(file_begin(path, &w, NULL), VGG_OK);
  assert_int_equal(file_write(w, &changed, sizeof changed, NULL), VGG_OK);
  assert_int_equal(file_write(w, header, before, NULL), VGG_OK);
  assert_int_equal(file_write(w, to, strlen(to), NULL), VGG_OK);
  assert_int_equal(
      file_write(w, found + strlen(from), golden_size - 8 - before - strlen(from), NULL), VGG_OK);
  assert_int_equal(file_commit(w, NULL), VGG_OK);
}

static void expect_refusal(const char *file, vgg_status wanted, const char *message) {
  vgg_model *model = NULL;
  vgg_error err = {0};
  const vgg_status status = vgg_model_load(file, &model, &err);
  if (status != wanted || model || !strstr(err.message, message) || !strstr(err.message, folder))
    fail_msg("status %d, '%s' lacks '%s'", (int)status, err.message, message);
}

#define ARCH "\"vgg.arch\":\"{\\\"text\\\": \\\"vgg11\\\""

static void test_exchanged_pieces(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *message;
  } changes[] = {
      /* tensors */
      {"\"classifier.3.bias\"", "\"classifier.4.bias\"", "tensor 'classifier.3.bias' is missing"},
      {",\"classifier.0.bias\":",
       ",\"x\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\"classifier.0.bias\":",
       "tensor 'x' has no place in the net"},
      {"\"shape\":[24,96]", "\"shape\":[96,24]",
       "tensor 'classifier.0.weight' is F32 [96, 24], the net wants F32 [24, 96]"},
      {"\"shape\":[24,96]", "\"shape\":[2304]", "is F32 [2304], the net wants F32 [24, 96]"},
      {"\"dtype\":\"F32\",\"shape\":[7]", "\"dtype\":\"I32\",\"shape\":[7]",
       "tensor 'classifier.6.bias' is I32 [7], the net wants F32 [7]"},
      /* architecture */
      {"\"vgg.arch\"", "\"vgg.arcx\"", "no metadata vgg.arch: not a model that vgg saved"},
      {ARCH, "\"vgg.arch\":\"{\\\"text\\\": \\\"vgg13\\\"",
       "tensor 'features.2.weight' is missing"},
      {ARCH, "\"vgg.arch\":\"{\\\"text\\\": \\\"vgg12\\\"", "metadata vgg.arch"},
      {ARCH, "\"vgg.arch\":\"{\\\"text\\\": 11", "wanted text, ratio, input"},
      {ARCH, "\"vgg.arch\":\"{\\\"tex\\\": \\\"vgg11\\\"", "wanted text, ratio, input"},
      {ARCH, "\"vgg.arch\":\"{\\\"depth\\\": 11, \\\"text\\\": \\\"vgg11\\\"", "no more"},
      {ARCH, "\"vgg.arch\":\"{\\\"ratio\\\": 2, \\\"text\\\": \\\"vgg11\\\"", "metadata vgg.arch"},
      {ARCH, "\"vgg.arch\":\"[\\\"text\\\": \\\"vgg11\\\"", "metadata vgg.arch"},
      {"\\\"ratio\\\": 32", "\\\"ratio\\\": 0", "counts from 1 on"},
      {"\\\"ratio\\\": 32", "\\\"ratio\\\": 4294967328", "counts from 1 on"},
      {"\\\"ratio\\\": 32", "\\\"ratio\\\": 65", "metadata vgg.arch"},
      {"\\\"ratio\\\": 32", "\\\"ratio\\\": 16", "is F32 [2, 1, 3, 3], the net wants F32 [4,"},
      {"[1, 64, 96], \\\"classes", "[1, 64], \\\"classes", "counts from 1 on"},
      {"[1, 64, 96], \\\"classes", "[1, 16, 96], \\\"classes", "metadata vgg.arch"},
      {"[1, 64, 96], \\\"classes", "[1, 96, 64], \\\"classes",
       "input 1x64x96, the net takes 1x96x64"},
      {"\\\"hidden\\\": 24", "\\\"hidden\\\": 2147483647", "metadata vgg.arch: hidden 2147483647"},
      {"\\\"hidden\\\": 24", "\\\"hidden\\\": 65536", "tensor 'classifier.0.weight'"},
      {"\\\"dropout\\\": 0.25", "\\\"dropout\\\": 1.0", "dropout"},
      {"\\\"dropout\\\": 0.25", "\\\"dropout\\\": null", "counts from 1 on"},
      /* classes */
      {"\"vgg.classes\"", "\"vgg.clasess\"", "no metadata vgg.classes"},
      {"\\\"classes\\\": 7", "\\\"classes\\\": 8", "7 names for 8 classes"},
      {"\\\"n\\\\u00famero 3\\\"", "3", "holds something besides names"},
      {"\\\"n\\\\u00famero 3\\\", ", "", "6 names for 7 classes"},
      /* preprocessing and recipe */
      {"\"vgg.preprocess\"", "\"vgg.preprocesx\"", "no metadata vgg.preprocess"},
      {"pillow-L", "opencv", "grey is 'opencv', this vgg does 'pillow-L' only"},
      {"\\\"exif\\\"", "\\\"exof\\\"", "exif is neither 'apply' nor 'ignore'"},
      {"\\\"invert\\\": false", "\\\"invert\\\": 0", "wanted input, invert"},
      {"\\\"scale\\\": \\\"1/255\\\"", "\\\"scale\\\": \\\"1/255\\\", \\\"mean\\\": 0", "no more"},
      {"\"vgg.recipe\"", "\"vgg.recipx\"", "no metadata vgg.recipe"},
      {"{\\\"recipe\\\": \\\"none\\\"}", "[]", "metadata vgg.recipe: wanted an object"},
      {"{\\\"recipe\\\": \\\"none\\\"}", "{", "metadata vgg.recipe"},
  };
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    write_changed(changes[i].from, changes[i].to);
    expect_refusal(path, VGG_BAD_CONTENT, changes[i].message);
  }
}

/* What another writer may do and we accept. */
static void test_exchanged_pieces_that_are_legal(void **state) {
  (void)state;
  static const struct {
    const char *from, *to;
  } changes[] = {
      {"{\\\"recipe\\\": \\\"none\\\"}", "{\\\"lr\\\":\\n\\t0.05}"},
      {"\\\"dropout\\\": 0.25", "\\\"dropout\\\": 0"},
      {",\"classifier.0.bias\":",
       ",\"state.x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\"classifier.0."
       "bias\":"},
      {"\"vgg.version\":\"0.1.0\"", "\"vgg.version\":\"9.9\",\"else\":\"\""},
      {"{\"__metadata__\"", "{ \"__metadata__\""}, /* and all the tensors lie unaligned */
  };
  vgg_model *original;
  assert_int_equal(vgg_model_load(TEST_DATA "/golden/format/model.safetensors", &original, NULL),
                   VGG_OK);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    write_changed(changes[i].from, changes[i].to);
    vgg_model *model;
    vgg_error err;
    if (vgg_model_load(path, &model, &err) != VGG_OK) fail_msg("%s", err.message);
    assert_memory_equal(model->values, original->values, model->params.floats * sizeof(float));
    assert_null(strpbrk(vgg_model_recipe(model), "\n\t"));
    if (i == 1) assert_true(vgg_arch_get_options(model->arch)->dropout < 0);
    vgg_model_close(model);
  }
  vgg_model_close(original);
}

/* Cut at every fourth byte of the header and a thousand places of the data. */
static void test_truncation(void **state) {
  (void)state;
  assert_int_equal(file_replace(path, golden, golden_size, NULL), VGG_OK);
  const size_t header_end = 8 + header_length(), step = (golden_size - header_end) / 1000;
  for (size_t cut = golden_size - 1; cut > 0; cut -= cut > header_end + step ? step : 1) {
    if (cut <= header_end && cut % 4 != 0) continue;
    assert_int_equal(truncate(path, (off_t)cut), 0);
    expect_refusal(path, VGG_BAD_CONTENT, "some.safetensors");
  }
  assert_int_equal(truncate(path, 0), 0);
  expect_refusal(path, VGG_BAD_CONTENT, "is empty");
}

static void test_places(void **state) {
  (void)state;
  char *missing = path_join(folder, "missing"), *best = path_join(folder, "best.safetensors");
  assert_true(missing && best);
  expect_refusal(missing, VGG_NO_INPUT, "missing");
  expect_refusal(folder, VGG_NO_INPUT, "holds no best.safetensors");
  assert_int_equal(file_replace(best, golden, golden_size, NULL), VGG_OK);
  vgg_model *model = NULL;
  assert_int_equal(vgg_model_load(folder, &model, NULL), VGG_OK);

  vgg_error err;
  char *nowhere = path_join(missing, "x.safetensors");
  assert_int_equal(vgg_model_save(model, nowhere, &err), VGG_NO_OUTPUT);
  assert_non_null(strstr(err.message, nowhere));
  assert_int_equal(vgg_model_save(model, folder, &err), VGG_NO_OUTPUT);
  vgg_model_close(model);
  vgg_model_close(NULL);

  assert_int_equal(file_replace(best, "<html>", 6, NULL), VGG_OK);
  expect_refusal(folder, VGG_BAD_CONTENT, "HTML");
  free(nowhere);
  free(missing);
  free(best);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_exchanged_pieces),
      cmocka_unit_test(test_exchanged_pieces_that_are_legal),
      cmocka_unit_test(test_truncation),
      cmocka_unit_test(test_places),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
