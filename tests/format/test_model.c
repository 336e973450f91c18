/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files: what was saved comes back, and what does not fit is refused by name.
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

static char folder[64];

static char *in_folder(const char *name) {
  char *path = path_join(folder, name);
  assert_non_null(path);
  return path;
}

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/vgg-test-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  char command[96];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  return system(command);
}

static vgg_model *make_model(const char *text, const vgg_arch_options *options, uint64_t seed) {
  vgg_arch *arch;
  vgg_model *model;
  vgg_error err;
  if (vgg_arch_from_text(text, options, &arch, &err) != VGG_OK) fail_msg("%s", err.message);
  assert_int_equal(vgg_model_create(arch, seed, &model, NULL), VGG_OK);
  vgg_arch_close(arch);
  return model;
}

static const vgg_arch_options tiny = {
    .ratio = 16, .input = {1, 32, 32}, .classes = 3, .hidden = 8, .dropout = 0.3};

static vgg_model *load(const char *path) {
  vgg_model *model = NULL;
  vgg_error err;
  if (vgg_model_load(path, &model, &err) != VGG_OK) fail_msg("%s", err.message);
  return model;
}

static void assert_same_model(const vgg_model *a, const vgg_model *b) {
  assert_string_equal(vgg_arch_title(a->arch), vgg_arch_title(b->arch));
  const vgg_arch_options *x = vgg_arch_get_options(a->arch), *y = vgg_arch_get_options(b->arch);
  assert_int_equal(x->ratio, y->ratio);
  assert_memory_equal(&x->input, &y->input, sizeof x->input);
  assert_int_equal(x->classes, y->classes);
  assert_int_equal(x->hidden, y->hidden);
  assert_true(x->dropout == y->dropout);
  assert_int_equal(a->params.floats, b->params.floats);
  assert_memory_equal(a->values, b->values, a->params.floats * sizeof(float));
  for (int i = 0; i < x->classes; i++)
    assert_string_equal(vgg_model_class_name(a, i), vgg_model_class_name(b, i));
  assert_memory_equal(&a->preprocess.input, &b->preprocess.input, sizeof a->preprocess.input);
  assert_int_equal(a->preprocess.invert, b->preprocess.invert);
  assert_int_equal(a->preprocess.ignore_exif, b->preprocess.ignore_exif);
  assert_int_equal(a->preprocess.reduced_jpeg, b->preprocess.reduced_jpeg);
  assert_int_equal(a->preprocess.channels, b->preprocess.channels);
  assert_string_equal(vgg_model_recipe(a), vgg_model_recipe(b));
}

static void assert_same_files(const char *a, const char *b) {
  uint8_t *x, *y;
  size_t x_size, y_size;
  assert_int_equal(file_read(a, SIZE_MAX, &x, &x_size, NULL), VGG_OK);
  assert_int_equal(file_read(b, SIZE_MAX, &y, &y_size, NULL), VGG_OK);
  assert_int_equal(x_size, y_size);
  assert_memory_equal(x, y, x_size);
  free(x);
  free(y);
}

/* The file's tensors are the canonical ones in the file's order, each turned in one piece. */
static void assert_file_order(const vgg_model *model, const char *path) {
  st_file *f;
  assert_int_equal(st_open(path, &f, NULL), VGG_OK);
  assert_int_equal(st_count(f), model->params.count);
  for (int i = 0; i < model->params.count; i++) {
    const net_param *p = &model->params.at[i];
    float *whole = malloc(p->count * sizeof *whole);
    assert_non_null(whole);
    net_param_to_file(p, model->values + p->offset, whole);
    assert_memory_equal(st_find(f, p->name)->data, whole, p->count * sizeof *whole);
    free(whole);
  }
  st_close(f);
}

static void round_trip(vgg_model *model) {
  char *first = in_folder("first.safetensors"), *second = in_folder("second.safetensors");
  vgg_error err;
  if (vgg_model_save(model, first, &err) != VGG_OK) fail_msg("%s", err.message);
  assert_file_order(model, first);
  vgg_model *copy = load(first);
  assert_same_model(model, copy);
  assert_int_equal(vgg_model_save(copy, second, NULL), VGG_OK);
  assert_same_files(first, second);
  vgg_model_close(copy);
  vgg_model_close(model);
  free(first);
  free(second);
}

static void test_round_trips(void **state) {
  (void)state;
  round_trip(make_model("vgg11", &tiny, 1));
  round_trip(
      make_model("((1, 1, 20), (2, 20, 40))",
                 &(vgg_arch_options){
                     .ratio = 3, .input = {1, 12, 9}, .classes = 2, .hidden = 5, .dropout = -1},
                 2));
  round_trip(make_model("1x20,2x40", &(vgg_arch_options){.input = {3, 8, 8}, .hidden = 7}, 3));
  round_trip(make_model("alexnet", &(vgg_arch_options){.ratio = 16, .hidden = 16}, 4));
  round_trip(make_model("vgg13_bn", &(vgg_arch_options){.ratio = 32, .hidden = 8}, 5));
  round_trip(make_model(
      "vgg11_lrn",
      &(vgg_arch_options){
          .ratio = 32, .hidden = 8, .lrn = VGG_LRN_MEAN, .head = VGG_HEAD_DENSE, .window = 5},
      6));
}

/* Larger pictures for the same weights, where they stand; what would need others is refused. */
static void test_reshape(void **state) {
  (void)state;
  vgg_model *model =
      make_model("1x5,1x6", &(vgg_arch_options){.input = {1, 12, 12}, .hidden = 5}, 7);
  const size_t bytes = model->params.floats * sizeof(float);
  float *before = malloc(bytes);
  assert_non_null(before);
  memcpy(before, model->values, bytes);
  model->preprocess.shorter_side = 14;
  vgg_error err;
  assert_int_equal(vgg_model_reshape(model, VGG_HEAD_DEFAULT, (vgg_shape){1, 16, 16}, &err),
                   VGG_BAD_VALUE);
  assert_string_equal(err.message,
                      "input 1x16x16, head flatten: is a net of other parameters than the model's, "
                      "wanted its 1 channel and head dense or adaptive");
  assert_int_equal(vgg_model_reshape(model, VGG_HEAD_DENSE, (vgg_shape){3, 16, 16}, &err),
                   VGG_BAD_VALUE);
  assert_int_equal(vgg_model_reshape(model, VGG_HEAD_DENSE, (vgg_shape){1, 8, 40}, &err),
                   VGG_BAD_VALUE); /* features of 2x10 for a window of 3x3 */
  assert_int_equal(vgg_model_reshape(model, VGG_HEAD_DENSE, (vgg_shape){1, 24, 36}, &err), VGG_OK);
  assert_int_equal(model->arch->options.window, 3);
  assert_int_equal(model->preprocess.input.w, 36);
  assert_int_equal(model->preprocess.shorter_side, 36); /* 28 would not cover it */
  const vgg_shape fc = model->arch->layers[vgg_arch_find(model->arch, "fc4")].out;
  assert_true(fc.h == 4 && fc.w == 7);
  assert_int_equal(vgg_model_reshape(model, VGG_HEAD_ADAPTIVE, (vgg_shape){1, 48, 48}, &err),
                   VGG_OK);
  assert_int_equal(model->preprocess.shorter_side, 72);
  assert_int_equal(vgg_model_reshape(model, VGG_HEAD_FLATTEN, (vgg_shape){1, 12, 12}, &err),
                   VGG_OK);
  assert_int_equal(model->params.floats * sizeof(float), bytes);
  assert_memory_equal(before, model->values, bytes);
  free(before);
  round_trip(model);
}

/* Tensors that pass in several blocks of rows, the last one short. */
static void test_large_tensors(void **state) {
  (void)state;
  const vgg_arch_options wide = {.input = {1, 16, 12}, .classes = 2, .hidden = 700};
  round_trip(make_model("1x13", &wide, 5));
  const vgg_arch_options rows_over_a_block = {
      .input = {1, 210, 201}, .classes = 2, .hidden = 2, .dropout = -1};
  round_trip(make_model("1x27", &rows_over_a_block, 6));
}

static void test_names_and_recipe(void **state) {
  (void)state;
  vgg_model *model = make_model("vgg11", &tiny, 1);
  assert_string_equal(vgg_model_class_name(model, 2), "2");
  assert_null(vgg_model_class_name(model, 3));
  assert_null(vgg_model_class_name(model, -1));
  assert_string_equal(vgg_model_recipe(model), "{}");
  const char *names[] = {"T-shirt/\"top\"", "\xe9\x9e\x8b", ""};
  assert_int_equal(vgg_model_set_classes(model, names, NULL), VGG_OK);
  const char *broken[] = {"a", "\xff", "c"};
  vgg_error err;
  assert_int_equal(vgg_model_set_classes(model, broken, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "class 1"));
  assert_string_equal(vgg_model_class_name(model, 1), names[1]);
  free(model->recipe);
  model->recipe = strdup("{\"lr\":0.05,\"recipe\":\"d2l\"}");
  model->preprocess.invert = true;
  model->preprocess.ignore_exif = true;
  model->preprocess.reduced_jpeg = true;
  model->preprocess.channels = VGG_CHANNELS_REPLICATE;
  round_trip(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trips),
      cmocka_unit_test(test_reshape),
      cmocka_unit_test(test_large_tensors),
      cmocka_unit_test(test_names_and_recipe),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
