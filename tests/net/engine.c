/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine around the stages: which buffers, which masks, which rows. What stages compute is
 * tested in tests/backend and tests/golden.
 */
#include "net/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"

enum { BATCH = 5, SIDE = 16, PIXELS = SIDE * SIDE, CLASSES = 10 };

typedef struct fixture {
  vgg_arch *arch;
  float *masters;
  engine *engine;
} fixture;

static fixture make_on(const char *name, bool training, double dropout) {
  fixture f = {0};
  vgg_error err;
  const vgg_arch_options options = {
      .input = {1, SIDE, SIDE}, .hidden = 24, .classes = CLASSES, .dropout = dropout};
  assert_int_equal(vgg_arch_from_text("1x4,2x8", &options, &f.arch, &err), VGG_OK);
  const vgg_run_options run = {.backend = name, .precision = "fp32", .batch = BATCH, .threads = 2};
  plan *p;
  assert_int_equal(plan_create(f.arch, &run, training ? PLAN_GRADIENTS : PLAN_INFERENCE, &p, &err),
                   VGG_OK);
  f.masters = mem_alloc(p->params.floats * sizeof *f.masters);
  net_init_d2l(&p->params, 3, f.masters);
  assert_int_equal(engine_create(p, f.masters, &f.engine, &err), VGG_OK);
  return f;
}

static fixture make(bool training, double dropout) { return make_on(NULL, training, dropout); }

static void drop(fixture *f) {
  engine_close(f->engine);
  mem_free(f->masters);
  vgg_arch_close(f->arch);
}

static void make_pixels(uint8_t pixels[BATCH * PIXELS]) {
  for (int i = 0; i < BATCH * PIXELS; i++) pixels[i] = (uint8_t)(i * 2654435761u >> 24);
}

/* An inference engine's two alternating edges give what a training engine's kept edges give; on one
 * backend, since the plan may choose another where there is no backward. */
static void test_inference_equals_training_forward(void **state) {
  (void)state;
  fixture a = make_on("reference", true, -1), b = make_on("reference", false, -1);
  uint8_t pixels[BATCH * PIXELS];
  make_pixels(pixels);
  for (int n = 1; n <= BATCH; n++) {
    engine_set_pixels(a.engine, n, pixels);
    engine_set_pixels(b.engine, n, pixels);
    assert_int_equal(engine_forward(a.engine, n, true, NULL), VGG_OK);
    assert_int_equal(engine_forward(b.engine, n, false, NULL), VGG_OK);
    assert_memory_equal(engine_logits(a.engine), engine_logits(b.engine),
                        (size_t)n * CLASSES * sizeof(float));
  }
  assert_null(engine_gradients(b.engine)[0]);
  drop(&a), drop(&b);
}

/* A mask belongs to (seed, epoch, picture), not to the picture's place in the batch. */
static void test_dropout_follows_the_picture(void **state) {
  (void)state;
  fixture f = make(true, 0.5);
  const int units = 24;
  uint8_t *mask = engine_dropout_mask(f.engine, 0);
  assert_non_null(engine_dropout_mask(f.engine, 1));
  assert_null(engine_dropout_mask(f.engine, 2));
  uint8_t first[24];
  engine_draw_dropout(f.engine, 2, 7, 0, (const uint32_t[]){41, 42});
  memcpy(first, mask + units, sizeof first);
  engine_draw_dropout(f.engine, 3, 7, 0, (const uint32_t[]){42, 1, 9});
  assert_memory_equal(mask, first, sizeof first);
  engine_draw_dropout(f.engine, 1, 7, 1, (const uint32_t[]){42});
  assert_memory_not_equal(mask, first, sizeof first);
  engine_draw_dropout(f.engine, 1, 8, 0, (const uint32_t[]){42});
  assert_memory_not_equal(mask, first, sizeof first);
  drop(&f);
}

/* Kept with probability 1 - p: within five standard deviations of the mean. */
static void test_dropout_rate(void **state) {
  (void)state;
  fixture f = make(true, 0.25);
  const int draws = 400, units = 24;
  int kept = 0;
  for (uint32_t id = 0; id < (uint32_t)draws; id++) {
    engine_draw_dropout(f.engine, 1, 1, 0, &id);
    for (int k = 0; k < units; k++) kept += engine_dropout_mask(f.engine, 0)[k];
  }
  const double count = draws * units, sigma = sqrt(count * .25 * .75);
  assert_true(fabs(kept - .75 * count) < 5 * sigma);
  drop(&f);
}

/* The loss and its gradient on logits that are known: all weights 0 give the logits of fc8's bias.
 */
static void test_loss_of_known_logits(void **state) {
  (void)state;
  fixture f = make(true, -1);
  const net_params *params = &engine_plan(f.engine)->params;
  memset(f.masters, 0, params->floats * sizeof *f.masters);
  const net_param *bias = &params->at[params->count - 1];
  for (int k = 0; k < CLASSES; k++) f.masters[bias->offset + k] = k == 3 ? 2.0f : 0.0f;
  assert_int_equal(engine_repack(f.engine, NULL), VGG_OK);
  uint8_t pixels[BATCH * PIXELS];
  make_pixels(pixels);
  engine_set_pixels(f.engine, 2, pixels);
  assert_int_equal(engine_forward(f.engine, 2, true, NULL), VGG_OK);
  double loss;
  int correct;
  engine_loss(f.engine, 2, (const int32_t[]){3, 0}, true, &loss, &correct);
  const double log_sum = log(9 + exp(2));
  assert_int_equal(correct, 1);
  assert_true(fabs(loss - (log_sum - 2) - log_sum) < 1e-12);
  assert_int_equal(engine_backward(f.engine, 2, NULL), VGG_OK);
  const float *db = engine_gradients(f.engine)[0] + bias->offset;
  const double p3 = exp(2 - log_sum), p0 = exp(-log_sum);
  assert_true(fabs(db[3] - (2 * p3 - 1) / 2) < 1e-6);
  assert_true(fabs(db[0] - (2 * p0 - 1) / 2) < 1e-6);
  assert_true(fabs(db[5] - p0) < 1e-6);
  drop(&f);
}

/* ---- batch norm ------------------------------------------------------------------------------ */

static fixture make_normed(plan_use use, const char *precision) {
  fixture f = {0};
  vgg_error err;
  const vgg_arch_options options = {.input = {1, SIDE, SIDE},
                                    .hidden = 24,
                                    .classes = CLASSES,
                                    .dropout = -1,
                                    .batch_norm = true};
  assert_int_equal(vgg_arch_from_text("1x4,2x24", &options, &f.arch, &err), VGG_OK);
  const vgg_run_options run = {.precision = precision, .batch = BATCH, .threads = 2};
  plan *p;
  assert_int_equal(plan_create(f.arch, &run, use, &p, &err), VGG_OK);
  f.masters = mem_alloc(p->params.floats * sizeof *f.masters);
  net_init_d2l(&p->params, 3, f.masters);
  for (int t = 0; t < p->params.count; t++) { /* a norm that does something */
    const net_param *at = &p->params.at[t];
    for (size_t i = 0; at->role >= NET_SCALE && i < at->count; i++)
      f.masters[at->offset + i] += 0.4f * (float)sin((double)(7 * t + 3 * (int)i));
  }
  assert_int_equal(engine_create(p, f.masters, &f.engine, &err), VGG_OK);
  return f;
}

static void normed_step(fixture *f) {
  uint8_t pixels[BATCH * PIXELS];
  make_pixels(pixels);
  const int32_t labels[BATCH] = {0, 1, 2, 3, 4};
  double loss;
  int correct;
  engine_set_pixels(f->engine, BATCH, pixels);
  assert_int_equal(engine_forward(f->engine, BATCH, true, NULL), VGG_OK);
  engine_loss(f->engine, BATCH, labels, true, &loss, &correct);
  assert_int_equal(engine_backward(f->engine, BATCH, NULL), VGG_OK);
}

/* Folded into the weights, and by the running statistics on a trainer's engine: the same logits but
 * for rounding, some 10 eps32 a layer of three. */
static void test_folded_norms_are_the_norms(void **state) {
  (void)state;
  fixture a = make_normed(PLAN_TRAINING, "fp32"), b = make_normed(PLAN_INFERENCE, "fp32");
  assert_int_equal(engine_plan(a.engine)->num_stages, engine_plan(b.engine)->num_stages + 3);
  uint8_t pixels[BATCH * PIXELS];
  make_pixels(pixels);
  engine_set_pixels(a.engine, BATCH, pixels);
  engine_set_pixels(b.engine, BATCH, pixels);
  assert_int_equal(engine_forward(a.engine, BATCH, false, NULL), VGG_OK);
  assert_int_equal(engine_forward(b.engine, BATCH, false, NULL), VGG_OK);
  const float *x = engine_logits(a.engine), *y = engine_logits(b.engine);
  float most = 0;
  for (int i = 0; i < BATCH * CLASSES; i++) most = fmaxf(most, fabsf(x[i]));
  for (int i = 0; i < BATCH * CLASSES; i++) assert_true(fabsf(x[i] - y[i]) <= 4e-6f * most);
  drop(&a), drop(&b);
}

/* Forward and backward leave the running statistics alone; the update moves them by a tenth. */
static void test_running_statistics(void **state) {
  (void)state;
  fixture f = make_normed(PLAN_TRAINING, "fp32");
  const net_params *params = &engine_plan(f.engine)->params;
  float *before = mem_alloc(params->floats * sizeof *before);
  memcpy(before, f.masters, params->floats * sizeof *before);
  normed_step(&f);
  assert_memory_equal(before, f.masters, params->floats * sizeof *before);
  engine_update_statistics(f.engine, BATCH);
  const size_t trained = params->at[params->trained].offset;
  assert_memory_equal(before, f.masters, trained * sizeof *before);
  assert_memory_not_equal(before + trained, f.masters + trained,
                          (params->floats - trained) * sizeof *before);
  for (int t = 0; t < params->count; t++)
    assert_int_equal(engine_gradients(f.engine)[t] == NULL && params->at[t].rank == 1,
                     t >= params->trained);
  /* Many times the same batch: a running mean becomes its mean, which shows where it no longer
   * moves. */
  for (int i = 0; i < 400; i++) engine_update_statistics(f.engine, BATCH);
  memcpy(before, f.masters, params->floats * sizeof *before);
  engine_update_statistics(f.engine, BATCH);
  for (size_t i = trained; i < params->floats; i++)
    assert_true(fabsf(before[i] - f.masters[i]) <= 1e-6f * fabsf(before[i]));
  mem_free(before);
  drop(&f);
}

/* What a bias adds goes with the mean. */
static void test_lost_biases(void **state) {
  (void)state;
  fixture f = make_normed(PLAN_TRAINING, "fp32");
  const net_params *params = &engine_plan(f.engine)->params;
  normed_step(&f);
  for (int t = 0; t < params->trained; t++) {
    const bool lost = params->at[t].role == NET_BIAS && params->at[t + 1].role == NET_SCALE;
    const float *g = engine_gradients(f.engine)[t];
    for (size_t i = 0; lost && i < params->at[t].count; i++) assert_true(g[i] == 0);
  }
  drop(&f);
}

/* ---- heads ----------------------------------------------------------------------------------- */

static fixture make_head(vgg_head head, int side, int window, const float *masters) {
  fixture f = {0};
  const vgg_arch_options options = {
      .input = {1, side, side}, .hidden = 8, .classes = CLASSES, .head = head, .window = window};
  assert_int_equal(vgg_arch_from_text("1x4,1x8", &options, &f.arch, NULL), VGG_OK);
  plan *p;
  const vgg_run_options run = {.precision = "fp32", .batch = 1, .threads = 2};
  assert_int_equal(plan_create(f.arch, &run, PLAN_GRADIENTS, &p, NULL), VGG_OK);
  f.masters = mem_alloc(p->params.floats * sizeof *f.masters);
  net_init_d2l(&p->params, 5, f.masters);
  if (masters) memcpy(f.masters, masters, p->params.floats * sizeof *masters);
  assert_int_equal(engine_create(p, f.masters, &f.engine, NULL), VGG_OK);
  return f;
}

static void run_pixels(fixture *f, const uint8_t *pixels, float logits[CLASSES]) {
  engine_set_pixels(f->engine, 1, pixels);
  assert_int_equal(engine_forward(f->engine, 1, false, NULL), VGG_OK);
  memcpy(logits, engine_logits(f->engine), CLASSES * sizeof *logits);
}

/* The same weights, bit for bit in the same places, give the same logits; a picture twice as large
 * whose features are the same everywhere gives them as well. */
static void test_heads_share_weights(void **state) {
  (void)state;
  enum { SMALL = 12, LARGE = 24 };
  static uint8_t flat[LARGE * LARGE], pixels[SMALL * SMALL];
  for (int i = 0; i < SMALL * SMALL; i++) pixels[i] = (uint8_t)(i * 2654435761u >> 24);
  fixture a = make_head(VGG_HEAD_FLATTEN, SMALL, 0, NULL);
  fixture b = make_head(VGG_HEAD_DENSE, SMALL, 0, a.masters);
  fixture c = make_head(VGG_HEAD_ADAPTIVE, SMALL, 3, a.masters);
  fixture d = make_head(VGG_HEAD_DENSE, LARGE, 3, a.masters);
  float x[4][CLASSES], y[2][CLASSES];
  run_pixels(&a, pixels, x[0]), run_pixels(&b, pixels, x[1]), run_pixels(&c, pixels, x[2]);
  run_pixels(&a, flat, y[0]), run_pixels(&d, flat, y[1]);
  for (int k = 0; k < CLASSES; k++) {
    assert_float_equal(x[1][k], x[0][k], 1e-5);
    assert_float_equal(x[2][k], x[0][k], 1e-5);
  }
  /* Black, and no biases: zero padding then changes nothing at the rims. */
  const net_params *params = &engine_plan(a.engine)->params;
  for (int t = 0; t < params->count; t++)
    if (params->at[t].role == NET_BIAS && params->at[t].layer < 6)
      for (size_t i = 0; i < params->at[t].count; i++)
        a.masters[params->at[t].offset + i] = d.masters[params->at[t].offset + i] = 0;
  engine_repack(a.engine, NULL), engine_repack(d.engine, NULL);
  run_pixels(&a, flat, y[0]), run_pixels(&d, flat, y[1]);
  for (int k = 0; k < CLASSES; k++) assert_float_equal(y[1][k], y[0][k], 1e-5);
  drop(&a), drop(&b), drop(&c), drop(&d);
}

/* The gradients of a dense head on a map of classes against differences of the loss. */
static void test_dense_gradients(void **state) {
  (void)state;
  enum { SIDE_OF = 20 };
  static uint8_t pixels[SIDE_OF * SIDE_OF];
  for (int i = 0; i < SIDE_OF * SIDE_OF; i++) pixels[i] = (uint8_t)(i * 2654435761u >> 24);
  fixture f = make_head(VGG_HEAD_DENSE, SIDE_OF, 3, NULL);
  const net_params *params = &engine_plan(f.engine)->params;
  const int32_t label = 3;
  double loss, above, below;
  int correct;
  engine_set_pixels(f.engine, 1, pixels);
  memset(engine_dropout_mask(f.engine, 0), 1, 8 * 3 * 3);
  memset(engine_dropout_mask(f.engine, 1), 1, 8 * 3 * 3);
  for (int i = 0; i < 9; i++) engine_dropout_mask(f.engine, 0)[8 * i + i % 8] = 0;
  engine_forward(f.engine, 1, true, NULL);
  engine_loss(f.engine, 1, &label, true, &loss, &correct);
  engine_backward(f.engine, 1, NULL);
  for (int t = 0; t < params->count; t++) {
    float *w = f.masters + params->at[t].offset, kept = *w, step = 1e-3f;
    const float g = *engine_gradients(f.engine)[t];
    *w = kept + step;
    engine_repack(f.engine, NULL), engine_forward(f.engine, 1, true, NULL);
    engine_loss(f.engine, 1, &label, false, &above, &correct);
    *w = kept - step;
    engine_repack(f.engine, NULL), engine_forward(f.engine, 1, true, NULL);
    engine_loss(f.engine, 1, &label, false, &below, &correct);
    *w = kept;
    assert_float_equal(g, (float)((above - below) / (2 * (double)step)), 1e-3);
  }
  drop(&f);
}

/* Smoothed, mixed and weighted targets, written out; with none of it the plain loss, bit for bit.
 */
static void test_loss_of_soft_targets(void **state) {
  (void)state;
  fixture f = make(true, -1);
  const net_params *params = &engine_plan(f.engine)->params;
  memset(f.masters, 0, params->floats * sizeof *f.masters);
  const net_param *bias = &params->at[params->count - 1];
  f.masters[bias->offset + 3] = 2;
  assert_int_equal(engine_repack(f.engine, NULL), VGG_OK);
  uint8_t pixels[BATCH * PIXELS];
  make_pixels(pixels);
  engine_set_pixels(f.engine, 2, pixels);
  assert_int_equal(engine_forward(f.engine, 2, true, NULL), VGG_OK);
  const int32_t labels[] = {3, 0};
  double loss, plain;
  int correct;
  engine_targets targets = {.labels = labels, .share = 1};
  engine_loss(f.engine, 2, labels, true, &plain, &correct);
  engine_loss_part(f.engine, 2, &targets, 2, &loss, &correct);
  assert_true(loss == plain && correct == 1);
  assert_true(engine_counts(2, &targets) == 2);

  targets =
      (engine_targets){.labels = labels, .mixed = labels + 1, .share = .25f, .smoothing = .5f};
  engine_loss_part(f.engine, 2, &targets, 2, &loss, &correct);
  /* logits 2 for class 3 and 0 for the nine others; row 0: .05 each, .125 more for 3, .375 for 0 */
  const double log_sum = log(9 + exp(2));
  const double row0 = log_sum - 2 * (.05 + .125), row1 = log_sum - 2 * (.05 + .375);
  assert_true(fabs(loss - row0 - row1) < 1e-12);
  assert_int_equal(correct, 1); /* row 1 is mostly class 3 */
  assert_int_equal(engine_backward(f.engine, 2, NULL), VGG_OK);
  const float *db = engine_gradients(f.engine)[0] + bias->offset;
  const double p3 = exp(2 - log_sum), p0 = exp(-log_sum);
  assert_true(fabs(db[3] - (p3 - .05 - .25)) < 1e-6);
  assert_true(fabs(db[0] - (p0 - .05 - .25)) < 1e-6);
  assert_true(fabs(db[5] - (p0 - .05)) < 1e-6);

  /* Class 3 counts twice: its part of each target, and what the rows count. */
  float weights[CLASSES];
  for (int k = 0; k < CLASSES; k++) weights[k] = k == 3 ? 2 : 1;
  targets.weights = weights;
  assert_true(fabs(engine_counts(2, &targets) - (.25 * 2 + .75 + .25 + .75 * 2)) < 1e-12);
  engine_loss_part(f.engine, 2, &targets, 3, &loss, &correct);
  const double more = (.05 + .125 + .05 + .375) * (log_sum - 2);
  assert_true(fabs(loss - row0 - row1 - more) < 1e-12);
  assert_int_equal(engine_backward(f.engine, 2, NULL), VGG_OK);
  assert_true(fabs(db[5] - ((2 + .6) * p0 - .1) / 3) < 1e-6);
  assert_true(fabs(db[3] - ((2 + .6) * p3 - 1.2) / 3) < 1e-6);
  drop(&f);
}

static void test_options_are_refused_with_the_reason(void **state) {
  (void)state;
  fixture f = make(false, -1);
  const struct {
    vgg_run_options options;
    vgg_status status;
    const char *message;
  } cases[] = {
      {{.device = "cuda"}, VGG_ABSENT, "--device cuda: this build has no CUDA"},
      {{.device = "cuda:1"}, VGG_ABSENT, "--device cuda:1: this build has no CUDA"},
      {{.device = "tpu"}, VGG_BAD_VALUE, "--device tpu: unknown, wanted auto, cpu or cuda[:i]"},
      {{.precision = "fp16"},
       VGG_BAD_VALUE,
       "--precision fp16: unknown, wanted auto, fp32 or bf16"},
      {{.backend = "mkl"},
       VGG_ABSENT,
       "--backend mkl: this build does not have it, see `vgg info`"},
      {{.winograd = "maybe"}, VGG_BAD_VALUE, "--winograd maybe: unknown, wanted auto, on or off"},
      {{.threads = -1}, VGG_BAD_VALUE, "--threads -1: wanted 1 to 1024"},
      {{.batch = -1}, VGG_BAD_VALUE, "--batch -1: wanted 1 to 65536"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    plan *p = NULL;
    vgg_error err = {0};
    assert_int_equal(plan_create(f.arch, &cases[i].options, PLAN_INFERENCE, &p, &err),
                     cases[i].status);
    assert_string_equal(err.message, cases[i].message);
    assert_null(p);
  }
  drop(&f);
}

static vgg_arch *two_convs(void) {
  vgg_arch *arch;
  const vgg_arch_options options = {.input = {1, SIDE, SIDE}, .hidden = 24, .classes = CLASSES};
  assert_int_equal(vgg_arch_from_text("1x16,1x32", &options, &arch, NULL), VGG_OK);
  return arch;
}

static plan *plan_of(const vgg_arch *arch, const vgg_run_options *options) {
  plan *p;
  assert_int_equal(plan_create(arch, options, PLAN_INFERENCE, &p, NULL), VGG_OK);
  return p;
}

/* Whoever does not run a stage is named, with the reason or with what it was expected to take. */
static void test_every_other_backend_is_named(void **state) {
  (void)state;
  if (!backend_find("native") || !backend_find("onednn") || cpu_best_isa() < CPU_AVX2) skip();
  vgg_arch *arch = two_convs();
  plan *p = plan_of(arch, &(vgg_run_options){.precision = "fp32"});
  assert_string_equal(p->stages[1].impl->backend, "native");
  assert_non_null(strstr(p->stages[1].others, "onednn: expected to take "));
  assert_non_null(strstr(p->stages[1].others, "; reference: expected to take "));
  plan_close(p);
  p = plan_of(arch, &(vgg_run_options){.precision = "fp32", .winograd = "off"});
  assert_string_equal(p->stages[1].impl->backend, "onednn");
  assert_non_null(strstr(p->stages[1].others, "native: --winograd off"));
  plan_close(p);
  vgg_arch_close(arch);
}

/* `on` leaves no way but the own kernels; where they cannot run, the plan says so and ends. */
static void test_winograd_on_is_an_order(void **state) {
  (void)state;
  if (!backend_find("native") || !backend_find("onednn") || cpu_best_isa() < CPU_AVX2) skip();
  vgg_arch *arch = two_convs();
  plan *p = plan_of(arch, &(vgg_run_options){.winograd = "on", .precision = "bf16"});
  assert_string_equal(p->stages[1].impl->backend, "native");
  plan_close(p);
  vgg_error err = {0};
  const vgg_run_options impossible = {.winograd = "on", .backend = "onednn"};
  p = NULL;
  assert_int_equal(plan_create(arch, &impossible, PLAN_INFERENCE, &p, &err), VGG_ABSENT);
  assert_non_null(strstr(err.message, "no backend runs it: onednn: --winograd on"));
  assert_null(p);
  vgg_arch_close(arch);
}

/* True fp32 where own kernels run without AMX; bf16 where only the library can be fast. */
static void test_auto_precision(void **state) {
  (void)state;
  const bool own = backend_find("native");
  assert_true(plan_prefers_bf16(CPU_AMX, NULL, false));
  assert_int_equal(plan_prefers_bf16(CPU_AVX512BF16, NULL, false), !own);
  assert_true(plan_prefers_bf16(CPU_AVX512BF16, "onednn", false));
  assert_true(plan_prefers_bf16(CPU_AVX512BF16, "auto", true));
  assert_false(plan_prefers_bf16(CPU_AVX512, NULL, true));
  assert_false(plan_prefers_bf16(CPU_AVX2, "onednn", false));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_inference_equals_training_forward),
      cmocka_unit_test(test_dropout_follows_the_picture),
      cmocka_unit_test(test_dropout_rate),
      cmocka_unit_test(test_loss_of_known_logits),
      cmocka_unit_test(test_loss_of_soft_targets),
      cmocka_unit_test(test_folded_norms_are_the_norms),
      cmocka_unit_test(test_running_statistics),
      cmocka_unit_test(test_lost_biases),
      cmocka_unit_test(test_heads_share_weights),
      cmocka_unit_test(test_dense_gradients),
      cmocka_unit_test(test_options_are_refused_with_the_reason),
      cmocka_unit_test(test_every_other_backend_is_named),
      cmocka_unit_test(test_winograd_on_is_an_order),
      cmocka_unit_test(test_auto_precision),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
