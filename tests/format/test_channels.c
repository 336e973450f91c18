/* SPDX-License-Identifier: Apache-2.0
 *
 * A colour net's first filters summed: for grey pictures the same net.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* cmocka.h wants the headers above it */
#include <cmocka.h>

#include "format/model.h"
#include "vgg/infer.h"

enum { SIDE = 12, CLASSES = 5 };

static vgg_model *make_net(const char *text, int channels, bool batch_norm) {
  const vgg_arch_options net = {
      .input = {channels, SIDE, SIDE}, .classes = CLASSES, .hidden = 8, .batch_norm = batch_norm};
  vgg_arch *arch;
  vgg_model *model;
  assert_int_equal(vgg_arch_from_text(text, &net, &arch, NULL), VGG_OK);
  assert_int_equal(vgg_model_create(arch, 3, &model, NULL), VGG_OK);
  vgg_arch_close(arch);
  return model;
}

static vgg_model *make(const char *text, int channels) { return make_net(text, channels, false); }

/* The logits of a grey picture, put into the net as its own rule says. */
static void answer(const vgg_model *model, float logits[CLASSES]) {
  uint8_t grey[SIDE * SIDE], input[3 * SIDE * SIDE];
  for (int i = 0; i < SIDE * SIDE; i++) grey[i] = (uint8_t)(i * 37 + i / 5);
  const vgg_image image = {1, SIDE, SIDE, grey};
  const vgg_run_options options = {
      .backend = "reference", .precision = "fp32", .threads = 1, .batch = 1};
  vgg_predictor *p;
  assert_int_equal(vgg_predictor_create(model, &options, &p, NULL), VGG_OK);
  assert_int_equal(vgg_preprocess_apply(vgg_model_preprocess(model), &image, input, NULL), VGG_OK);
  assert_int_equal(vgg_predictor_logits(p, 1, input, logits, NULL), VGG_OK);
  vgg_predictor_close(p);
}

static void assert_same_answers(vgg_model *model) {
  float wide[CLASSES], narrow[CLASSES];
  const char *names[CLASSES] = {"a", "b", "c", "d", "e"};
  assert_int_equal(vgg_model_set_classes(model, names, NULL), VGG_OK);
  vgg_model_set_channels(model, VGG_CHANNELS_REPLICATE);
  answer(model, wide);
  assert_int_equal(vgg_model_sum_filters(model, NULL), VGG_OK);
  assert_int_equal(vgg_arch_get_options(vgg_model_arch(model))->input.c, 1);
  assert_int_equal(vgg_model_preprocess(model)->input.c, 1);
  assert_string_equal(vgg_model_class_name(model, 4), "e");
  answer(model, narrow);
  /* Sums of at most 9 * 3 and then 8 * 36 products in another order, logits below 2. */
  for (int k = 0; k < CLASSES; k++) assert_true(fabsf(wide[k] - narrow[k]) < 1e-5f);
  vgg_error err;
  assert_int_equal(vgg_model_sum_filters(model, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "takes 1, wanted 3"));
  vgg_model_close(model);
}

static void grey_pictures_see_the_same_net(void **state) {
  (void)state;
  assert_same_answers(make("1x4,1x8", 3));
  assert_same_answers(make_net("1x4,1x8", 3, true));
  vgg_model *model = make("1x4,1x8", 3);
  for (int c = 0; c < 3; c++) model->preprocess.mean[c] = .4, model->preprocess.std[c] = .2;
  assert_same_answers(model);
}

/* Means and deviations that differ: on a flat grey every filter gives what it gave, where it lies
 * within the picture. */
static void flat_grey(void **state) {
  (void)state;
  vgg_model *model = make("1x4", 3), *old = make("1x4", 3);
  static const double mean[] = {.485, .456, .406}, std[] = {.229, .224, .225};
  memcpy(model->preprocess.mean, mean, sizeof mean);
  memcpy(model->preprocess.std, std, sizeof std);
  assert_int_equal(vgg_model_sum_filters(model, NULL), VGG_OK);
  const vgg_preprocess *rule = vgg_model_preprocess(model);
  const float *w = model->values, *b = model->values + model->params.at[1].offset;
  const float *w3 = old->values, *b3 = old->values + old->params.at[1].offset;
  for (int k = 0; k < 4; k++)
    for (double u = 0; u <= 1; u += .25) {
      double one = b[k], three = b3[k];
      for (int i = 0; i < 9; i++) {
        one += w[k * 9 + i] * (u - rule->mean[0]) / rule->std[0];
        for (int c = 0; c < 3; c++) three += w3[(k * 9 + i) * 3 + c] * (u - mean[c]) / std[c];
      }
      assert_true(fabs(one - three) < 1e-5);
    }
  vgg_model_close(model);
  vgg_model_close(old);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(grey_pictures_see_the_same_net),
                                     cmocka_unit_test(flat_grey)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
