/* SPDX-License-Identifier: Apache-2.0
 *
 * The run against train_ch6 written down again: order, dropout, loss, update and running means in
 * plain loops around the engine. Every weight must agree bit for bit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "data/loader.h"
#include "format/model.h"
#include "net/engine.h"
#include "tiny.h"

enum { PICTURES = 23, TESTS = 5, PIXELS = 64, SEED = 5 };

/* Dropout .5: a unit stays when its draw is in the upper half. */
static void draw_masks(engine *e, const vgg_arch *arch, int n, const uint32_t *ids,
                       uint32_t epoch) {
  int k = 0;
  for (int i = 0; i < vgg_arch_num_layers(arch); i++) {
    if (vgg_arch_layer(arch, i)->type != VGG_LAYER_DROPOUT) continue;
    uint8_t *mask = engine_dropout_mask(e, k++);
    for (int row = 0; row < n; row++)
      for (uint32_t unit = 0; unit < TINY_HIDDEN; unit++) {
        uint32_t draw[4];
        philox(SEED, PHILOX_DROPOUT, epoch, ids[row], ((uint32_t)i << 16) + unit / 4, draw);
        mask[(size_t)row * TINY_HIDDEN + unit] = draw[unit % 4] >= 1u << 31;
      }
  }
  assert_int_equal(k, 2);
}

static double plain_step(engine *e, vgg_model *model, const tiny *t, int n, const uint32_t *ids,
                         uint32_t epoch, int *correct) {
  uint8_t pixels[TINY_BATCH * PIXELS];
  int32_t labels[TINY_BATCH];
  for (int i = 0; i < n; i++) {
    memcpy(pixels + (size_t)i * PIXELS, vgg_dataset_pixels(t->train, ids[i]), PIXELS);
    labels[i] = vgg_dataset_label(t->train, ids[i]);
  }
  double loss;
  engine_set_pixels(e, n, pixels);
  draw_masks(e, model->arch, n, ids, epoch);
  assert_int_equal(engine_forward(e, n, true, NULL), VGG_OK);
  engine_loss(e, n, labels, true, &loss, correct);
  assert_int_equal(engine_backward(e, n, NULL), VGG_OK);
  const float *g = engine_gradients(e)[0], lr = .05f;
  for (size_t i = 0; i < model->params.floats; i++) model->values[i] -= lr * g[i];
  assert_int_equal(engine_repack(e, NULL), VGG_OK);
  return loss;
}

static void same_as_plain_loops(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  const vgg_train_options options = tiny_options(NULL);
  vgg_model *model;
  plan *p;
  engine *e;
  assert_int_equal(vgg_model_create(t.arch, SEED, &model, NULL), VGG_OK);
  assert_int_equal(plan_create(t.arch, &options.run, PLAN_GRADIENTS, &p, NULL), VGG_OK);
  assert_int_equal(engine_create(p, model->values, &e, NULL), VGG_OK);

  double loss = 0, right = 0;
  for (uint32_t epoch = 0; epoch < (uint32_t)options.epochs; epoch++) {
    uint32_t order[PICTURES];
    sampler_order(SEED, epoch, order, PICTURES);
    loss = right = 0;
    for (int first = 0; first < PICTURES; first += TINY_BATCH) {
      const int n = PICTURES - first < TINY_BATCH ? PICTURES - first : TINY_BATCH;
      int correct;
      loss += plain_step(e, model, &t, n, order + first, epoch, &correct);
      right += correct;
    }
  }

  vgg_trainer *trainer = tiny_create(&t, "run", options);
  vgg_train_state final;
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &final, NULL), VGG_OK);
  assert_true(final.train_loss == loss / PICTURES);
  assert_true(final.train_acc == right / PICTURES);
  assert_memory_equal(vgg_trainer_model(trainer)->values, model->values,
                      model->params.floats * sizeof(float));
  vgg_trainer_close(trainer);
  engine_close(e);
  vgg_model_close(model);
  tiny_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_plain_loops)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
