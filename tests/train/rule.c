/* SPDX-License-Identifier: Apache-2.0
 *
 * The optimiser's pass: every weight once, paddings never, infinities and NaN found anywhere.
 */
#include "train/rule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tiny.h"

typedef struct fixture {
  net_params params;
  float *w, *g;
  float *at[2 * NET_MAX_LAYERS]; /* every parameter's in g */
} fixture;

enum { SIDE = 16, CLASSES = 10 };

/* Tensors from 8 floats to over two chunks of a thread. */
static vgg_arch *arch_of(void) {
  const vgg_arch_options options = {.input = {1, SIDE, SIDE}, .classes = CLASSES, .hidden = 150};
  vgg_arch *arch;
  assert_int_equal(vgg_arch_from_text("1x8,1x12", &options, &arch, NULL), VGG_OK);
  return arch;
}

static void open(fixture *f) {
  vgg_arch *arch = arch_of();
  net_params_of(arch, &f->params);
  vgg_arch_close(arch);
  f->w = malloc(f->params.floats * sizeof(float));
  f->g = malloc(f->params.floats * sizeof(float));
  assert_true(f->w && f->g);
  for (size_t i = 0; i < f->params.floats; i++) f->w[i] = f->g[i] = NAN; /* paddings stay so */
  for (int p = 0; p < f->params.count; p++) f->at[p] = f->g + f->params.at[p].offset;
  for (int p = 0; p < f->params.count; p++)
    for (size_t i = 0; i < f->params.at[p].count; i++) {
      f->w[f->params.at[p].offset + i] = (float)i + 1;
      f->g[f->params.at[p].offset + i] = 2 * (float)(i % 1000) - 900;
    }
}

static void close(fixture *f) {
  free(f->w);
  free(f->g);
}

/* An engine for f's net on f's masters. */
static engine *engine_of(fixture *f, int threads) {
  const vgg_run_options run = {.precision = "fp32", .threads = threads, .batch = 1};
  vgg_arch *arch = arch_of();
  plan *p;
  engine *e;
  assert_int_equal(plan_create(arch, &run, PLAN_GRADIENTS, &p, NULL), VGG_OK);
  assert_int_equal(engine_create(p, f->w, &e, NULL), VGG_OK);
  vgg_arch_close(arch);
  return e;
}

static void put_gradients(const fixture *f, engine *e) {
  for (int p = 0; p < f->params.count; p++)
    memcpy(engine_gradients(e)[p], f->at[p], f->params.at[p].count * sizeof(float));
}

static void sgd(void **state) {
  (void)state;
  op_rule_args args[2 * NET_MAX_LAYERS];
  for (int p = 0; p < 2 * NET_MAX_LAYERS; p++) args[p] = op_rule_args_at(.25, 0, 0, 1, 1);
  for (int threads = 1; threads <= 4; threads++) {
    fixture f;
    open(&f);
    engine *e = engine_of(&f, threads);
    put_gradients(&f, e);
    assert_int_equal(engine_update(e, 1, op_rule_find("sgd"), args, NULL, NULL), VGG_OK);
    int wrong = 0;
    for (int p = 0; p < f.params.count; p++)
      for (size_t i = 0; i < f.params.at[p].count; i++) /* all of these are exact in fp32 */
        wrong += f.w[f.params.at[p].offset + i] != (float)i + 1 - .5f * (float)(i % 1000) + 225;
    assert_int_equal(wrong, 0);
    engine_close(e);
    close(&f);
  }
}

static void logits_of(engine *e, float logits[CLASSES]) {
  uint8_t pixels[SIDE * SIDE];
  for (int i = 0; i < SIDE * SIDE; i++) pixels[i] = (uint8_t)(37 * i);
  engine_set_pixels(e, 1, pixels);
  assert_int_equal(engine_forward(e, 1, false, NULL), VGG_OK);
  memcpy(logits, engine_logits(e), CLASSES * sizeof *logits);
}

/* The packs are those of the new weights. */
static void packs_follow(void **state) {
  (void)state;
  op_rule_args args[2 * NET_MAX_LAYERS];
  for (int p = 0; p < 2 * NET_MAX_LAYERS; p++) args[p] = op_rule_args_at(1e-3, 0, 0, 1, 1);
  fixture f;
  open(&f);
  engine *e = engine_of(&f, 2);
  float before[CLASSES], updated[CLASSES], packed[CLASSES];
  logits_of(e, before);
  put_gradients(&f, e);
  assert_int_equal(engine_update(e, 1, op_rule_find("sgd"), args, NULL, NULL), VGG_OK);
  logits_of(e, updated);
  assert_int_equal(engine_repack(e, NULL), VGG_OK);
  logits_of(e, packed);
  assert_memory_equal(updated, packed, sizeof packed);
  assert_memory_not_equal(updated, before, sizeof before);
  engine_close(e);
  close(&f);
}

/* The first, the last and a middle element of every tensor, and the largest number that is one. */
static void not_finite(void **state) {
  (void)state;
  const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
  fixture f;
  open(&f);
  assert_int_equal(rule_first_not_finite(&f.params, f.at, 2), -1);
  for (int p = 0; p < f.params.count; p++) {
    const size_t count = f.params.at[p].count, places[] = {0, count / 2, count - 1};
    for (int k = 0; k < 12; k++) {
      float *g = &f.g[f.params.at[p].offset + places[k % 3]], kept = *g;
      *g = bad[k / 3];
      for (int threads = 1; threads <= 3; threads++)
        assert_int_equal(rule_first_not_finite(&f.params, f.at, threads), p);
      *g = kept;
    }
  }
  f.g[0] = 3.4028235e38f;
  f.g[1] = -3.4028235e38f;
  assert_int_equal(rule_first_not_finite(&f.params, f.at, 2), -1);
  f.g[f.params.at[3].offset] = f.g[f.params.at[1].offset] = NAN;
  assert_int_equal(rule_first_not_finite(&f.params, f.at, 2), 1);
  close(&f);
}

/* The norm, and what clipping makes of it, with any number of threads the same bits. */
static void norm_and_clip(void **state) {
  (void)state;
  fixture f;
  open(&f);
  double norm2 = 0;
  for (int p = 0; p < f.params.count; p++)
    for (size_t i = 0; i < f.params.at[p].count; i++) { /* whole numbers: exact in any order */
      const double g = f.g[f.params.at[p].offset + i];
      norm2 += g * g;
    }
  for (int threads = 1; threads <= 4; threads++)
    assert_true(rule_norm2(&f.params, f.at, threads) == norm2);
  assert_true(rule_clip(norm2, 0) == 1);
  assert_true(rule_clip(16, 5) == 1);
  assert_true(fabs(rule_clip(16, 1) - .25) < 1e-6);
  close(&f);
}

static void names(void **state) {
  (void)state;
  assert_string_equal(op_rule_find("sgd")->name, "sgd");
  assert_string_equal(op_rule_at(0)->name, "sgd");
  assert_null(op_rule_find("nothing"));
  assert_string_equal(op_rule_names(), " sgd momentum nesterov caffe adamw");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sgd), cmocka_unit_test(packs_follow),
                                     cmocka_unit_test(not_finite), cmocka_unit_test(norm_and_clip),
                                     cmocka_unit_test(names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
