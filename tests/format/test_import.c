/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights from elsewhere, as tests/golden/format/make_pth.py made them: the net is recognised, its
 * logits are PyTorch's, and what does not fit is refused by name.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/model.h"
#include "vgg/infer.h"

#define PTH TEST_DATA "/golden/format/pth/"

enum { IMAGES = 2, MOST_CLASSES = 10 };

static vgg_model *load(const char *path) {
  vgg_model *model;
  vgg_error err;
  if (vgg_model_load(path, &model, &err) != VGG_OK) fail_msg("%s", err.message);
  return model;
}

/* What one file holds. */
typedef struct wanted_net {
  const char *file, *name, *title;
  int ratio, hidden;
  vgg_shape input;
  int classes, shorter_side;
  const char *origin;
} wanted_net;

static const wanted_net nets[] = {
    {PTH "net-torchvision.pth",
     "torchvision",
     "vgg13",
     32,
     24,
     {3, 64, 64},
     7,
     73,
     "{\"imported\":\"net-torchvision.pth\",\"format\":\"PyTorch zip\","
     "\"naming\":\"torchvision's names\"}"},
    {PTH "net-timm.pth",
     "timm",
     "vgg11",
     32,
     24,
     {3, 64, 64},
     7,
     73,
     "{\"imported\":\"net-timm.pth\",\"format\":\"PyTorch zip\",\"naming\":\"timm's names\"}"},
    {PTH "net-book.pth",
     "book",
     "vgg11",
     32,
     24,
     {1, 32, 32},
     10,
     0,
     "{\"imported\":\"net-book.pth\",\"format\":\"PyTorch legacy\","
     "\"naming\":\"the book's names\"}"},
    {PTH "net-alexnet.pth",
     "alexnet",
     "alexnet",
     32,
     16,
     {1, 65, 65},
     10,
     0,
     "{\"imported\":\"net-alexnet.pth\",\"format\":\"PyTorch zip\","
     "\"naming\":\"the book's names\"}"},
};
enum { NUM_NETS = sizeof nets / sizeof *nets };

static void assert_logits(const vgg_model *model, const wanted_net *n) {
  st_file *truth;
  char name[64];
  double wanted[IMAGES * MOST_CLASSES];
  float logits[IMAGES * MOST_CLASSES];
  assert_int_equal(st_open(PTH "nets.safetensors", &truth, NULL), VGG_OK);
  snprintf(name, sizeof name, "%s.logits", n->name);
  memcpy(wanted, st_find(truth, name)->data, st_find(truth, name)->bytes);
  snprintf(name, sizeof name, "%s.pixels", n->name);
  const vgg_run_options options = {.precision = "fp32", .threads = 2, .batch = IMAGES};
  vgg_predictor *predictor;
  vgg_error err;
  if (vgg_predictor_create(model, &options, &predictor, &err) != VGG_OK)
    fail_msg("%s", err.message);
  assert_int_equal(
      vgg_predictor_logits(predictor, IMAGES, st_find(truth, name)->data, logits, NULL), VGG_OK);
  double most = 0, error = 0;
  for (int i = 0; i < IMAGES * n->classes; i++) {
    most = fmax(most, fabs(wanted[i]));
    error = fmax(error, fabs(logits[i] - wanted[i]));
  }
  if (!(error <= 1e-5 * most)) fail_msg("%s: error %g of %g", n->name, error, most);
  vgg_predictor_close(predictor);
  st_close(truth);
}

static void assert_is_net(const vgg_model *model, const wanted_net *n) {
  const vgg_arch_options *o = vgg_arch_get_options(vgg_model_arch(model));
  const vgg_preprocess *rule = vgg_model_preprocess(model);
  assert_string_equal(vgg_arch_title(vgg_model_arch(model)), n->title);
  assert_int_equal(o->ratio, n->ratio);
  assert_int_equal(o->hidden, n->hidden);
  assert_int_equal(o->classes, n->classes);
  assert_memory_equal(&o->input, &n->input, sizeof n->input);
  assert_memory_equal(&rule->input, &n->input, sizeof n->input);
  assert_int_equal(rule->shorter_side, n->shorter_side);
  assert_true(rule->std[2] == (n->shorter_side ? 0.225 : 0));
  assert_string_equal(vgg_model_recipe(model), n->origin);
  assert_logits(model, n);
}

static void test_nets_are_recognised_and_answer_as_pytorch(void **state) {
  (void)state;
  for (int i = 0; i < NUM_NETS; i++) {
    vgg_model *model = load(nets[i].file);
    assert_is_net(model, &nets[i]);
    vgg_model_close(model);
  }
}

static void test_saved_as_a_model_they_are_the_same(void **state) {
  (void)state;
  char path[] = "/tmp/vgg-test-XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  for (int i = 0; i < NUM_NETS; i++) {
    vgg_model *model = load(nets[i].file);
    assert_int_equal(vgg_model_save(model, path, NULL), VGG_OK);
    vgg_model *again = load(path);
    assert_is_net(again, &nets[i]);
    assert_memory_equal(model->values, again->values, model->params.floats * sizeof(float));
    vgg_model_close(model);
    vgg_model_close(again);
  }
  unlink(path);
}

static void assert_refused(const char *path, const char *why) {
  vgg_model *model = NULL;
  vgg_error err = {0};
  if (vgg_model_load(path, &model, &err) != VGG_BAD_CONTENT) fail_msg("%s: not refused", path);
  assert_null(model);
  if (!strstr(err.message, why)) fail_msg("wanted '%s', found: %s", why, err.message);
}

static void test_what_does_not_fit_is_refused_by_name(void **state) {
  (void)state;
  assert_refused(PTH "net-missing.pth",
                 "nearest to vgg13 in torchvision's names: tensor 'features.0.bias' is missing");
  assert_refused(PTH "net-extra.pth", "tensor 'fc.bias' has no place");
  assert_refused(PTH "net-wrong-shape.pth",
                 "tensor 'features.0.bias' is F32 [3], wanted a floating-point type [2]");
  assert_refused(PTH "small.pth", "no tensor has a name that a vgg net has");
}

static void test_a_new_head_keeps_the_rest(void **state) {
  (void)state;
  vgg_model *model = load(nets[0].file), *old = load(nets[0].file), *same = load(nets[0].file);
  assert_int_equal(vgg_model_new_head(model, 5, 1, NULL), VGG_OK);
  assert_int_equal(vgg_model_new_head(same, 5, 1, NULL), VGG_OK);
  assert_int_equal(vgg_arch_get_options(vgg_model_arch(model))->classes, 5);
  assert_string_equal(vgg_model_class_name(model, 4), "4");
  assert_null(vgg_model_class_name(model, 5));
  const int count = model->params.count;
  const size_t kept = model->params.at[count - 2].offset;
  assert_int_equal(kept, old->params.at[count - 2].offset);
  assert_memory_equal(model->values, old->values, kept * sizeof(float));
  assert_memory_equal(model->values, same->values, model->params.floats * sizeof(float));
  assert_string_equal(vgg_model_recipe(model), nets[0].origin);
  assert_int_equal(vgg_model_preprocess(model)->shorter_side, 73);
  vgg_error err;
  assert_int_equal(vgg_model_new_head(model, 0, 1, &err), VGG_BAD_VALUE);
  assert_int_equal(vgg_model_new_head(model, 65537, 1, &err), VGG_BAD_VALUE);
  assert_int_equal(vgg_arch_get_options(vgg_model_arch(model))->classes, 5);
  vgg_model_close(model);
  vgg_model_close(old);
  vgg_model_close(same);
}

/* Resized to the shorter side, then the middle, as torchvision's Resize and CenterCrop: of an odd
 * rest's half the even neighbour. */
static void test_the_shorter_side_comes_before_the_crop(void **state) {
  (void)state;
  enum { H = 100, W = 150, SIDE = 73, LONG = 109, OUT = 64, TOP = 4, LEFT = 22 };
  vgg_image image = {.channels = 1, .height = H, .width = W, .pixels = malloc((size_t)H * W)};
  assert_non_null(image.pixels);
  for (int i = 0; i < H * W; i++) image.pixels[i] = (uint8_t)((i * 31) ^ (i >> 4));
  static uint8_t resized[SIDE * LONG], found[OUT * OUT];
  assert_int_equal(vgg_resize_bilinear(image.pixels, H, W, 1, resized, SIDE, LONG, NULL), VGG_OK);
  vgg_preprocess rule = {.input = {1, OUT, OUT}, .shorter_side = SIDE};
  assert_int_equal(vgg_preprocess_apply(&rule, &image, found, NULL), VGG_OK);
  for (int y = 0; y < OUT; y++)
    assert_memory_equal(found + y * OUT, resized + (y + TOP) * LONG + LEFT, OUT);
  rule.shorter_side = OUT - 1;
  assert_int_equal(vgg_preprocess_apply(&rule, &image, found, NULL), VGG_BAD_VALUE);
  vgg_image_free(&image);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nets_are_recognised_and_answer_as_pytorch),
      cmocka_unit_test(test_saved_as_a_model_they_are_the_same),
      cmocka_unit_test(test_what_does_not_fit_is_refused_by_name),
      cmocka_unit_test(test_a_new_head_keeps_the_rest),
      cmocka_unit_test(test_the_shorter_side_comes_before_the_crop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
