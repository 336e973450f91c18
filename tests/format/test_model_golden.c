/* SPDX-License-Identifier: Apache-2.0
 *
 * A model file that PyTorch wrote: its logits here are PyTorch's, and saved again its tensors are
 * the same bytes. The picture is not square and the last map is 2x3, so a wrong order of the first
 * linear layer's columns shows.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/model.h"
#include "vgg/infer.h"

#define GOLDEN TEST_DATA "/golden/format/"

enum { IMAGES = 3, CLASSES = 7 };

static vgg_model *load_golden(void) {
  vgg_model *model;
  vgg_error err;
  if (vgg_model_load(GOLDEN "model.safetensors", &model, &err) != VGG_OK)
    fail_msg("%s", err.message);
  return model;
}

static void test_logits_are_pytorchs(void **state) {
  (void)state;
  vgg_model *model = load_golden();
  assert_string_equal(vgg_arch_title(vgg_model_arch(model)), "vgg11");
  assert_string_equal(vgg_model_class_name(model, 6), "n\xc3\xbamero 6");
  st_file *truth;
  assert_int_equal(st_open(GOLDEN "truth.safetensors", &truth, NULL), VGG_OK);
  double wanted[IMAGES * CLASSES];
  assert_int_equal(st_find(truth, "logits")->bytes, sizeof wanted);
  memcpy(wanted, st_find(truth, "logits")->data, sizeof wanted);

  const vgg_run_options options = {.precision = "fp32", .threads = 2, .batch = IMAGES};
  vgg_predictor *predictor;
  vgg_error err;
  if (vgg_predictor_create(model, &options, &predictor, &err) != VGG_OK)
    fail_msg("%s", err.message);
  float logits[IMAGES * CLASSES];
  const uint8_t *pixels = st_find(truth, "pixels")->data;
  assert_int_equal(vgg_predictor_logits(predictor, IMAGES, pixels, logits, NULL), VGG_OK);
  double most = 0, error = 0;
  for (int i = 0; i < IMAGES * CLASSES; i++) {
    most = fmax(most, fabs(wanted[i]));
    error = fmax(error, fabs(logits[i] - wanted[i]));
  }
  if (!(error <= 1e-5 * most)) fail_msg("error %g of %g", error, most);
  vgg_predictor_close(predictor);
  st_close(truth);
  vgg_model_close(model);
}

static void test_saved_again_the_tensors_are_the_same(void **state) {
  (void)state;
  vgg_model *model = load_golden();
  char path[] = "/tmp/vgg-test-XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(vgg_model_save(model, path, NULL), VGG_OK);
  st_file *golden, *ours;
  assert_int_equal(st_open(GOLDEN "model.safetensors", &golden, NULL), VGG_OK);
  assert_int_equal(st_open(path, &ours, NULL), VGG_OK);
  assert_int_equal(st_count(ours), st_count(golden));
  for (size_t i = 0; i < st_count(golden); i++) {
    const st_tensor *a = st_at(golden, i), *b = st_at(ours, i);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->shape, b->shape, sizeof a->shape);
    assert_memory_equal(a->data, b->data, a->bytes);
  }
  assert_string_equal(st_metadata(ours, "format"), "pt");
  assert_string_equal(st_metadata(ours, "vgg.recipe"), "{\"recipe\": \"none\"}");
  st_close(golden);
  st_close(ours);
  vgg_model_close(model);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_logits_are_pytorchs),
      cmocka_unit_test(test_saved_again_the_tensors_are_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
