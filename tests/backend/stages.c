/* SPDX-License-Identifier: Apache-2.0
 *
 * Every backend on every kind of stage against the double reference: forward, dx, dw, db; any
 * n <= max_n; fp32 and bf16; training and inference; guard bytes around every buffer.
 * A backend that declines a stage is no failure, but is printed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "op/op.h"
#include "run.h"

enum { MAX_N = 4, MAX_RUNNERS = 12, SEED = 20140904 };

/* ---- the stages ------------------------------------------------------------------------------ */

typedef struct test_case {
  const char *about;
  stage_kind kind;
  int C, H, W, K, R, stride, pad, pool_size, pool_stride;
  bool relu, dropout, first;
} test_case;

static const test_case cases[] = {
    {"first layer, odd picture", STAGE_CONV, 1, 13, 11, 5, 3, 1, 1, 2, 2, .relu = 1, .first = 1},
    {"first layer, colour", STAGE_CONV, 3, 12, 12, 16, 3, 1, 1, 0, 0, .relu = 1, .first = 1},
    {"first layer, two channels, pool", STAGE_CONV, 2, 9, 14, 33, 3, 1, 1, 2, 2, .relu = 1,
     .first = 1},
    {"first layer, colour, pool leaves a rim", STAGE_CONV, 3, 8, 7, 20, 3, 1, 1, 2, 2, .relu = 1,
     .first = 1},
    {"first layer, wide, pool", STAGE_CONV, 1, 4, 70, 32, 3, 1, 1, 2, 2, .relu = 1, .first = 1},
    {"first layer, no ReLU", STAGE_CONV, 1, 7, 5, 16, 3, 1, 1, 0, 0, .relu = 0, .first = 1},
    {"first layer, one pixel", STAGE_CONV, 3, 1, 1, 4, 3, 1, 1, 0, 0, .relu = 1, .first = 1},
    {"odd channels, no pool", STAGE_CONV, 3, 9, 10, 7, 3, 1, 1, 0, 0, .relu = 1},
    {"odd channels, pool leaves a rim", STAGE_CONV, 17, 7, 7, 33, 3, 1, 1, 2, 2, .relu = 1},
    {"even channels, pool", STAGE_CONV, 16, 8, 8, 32, 3, 1, 1, 2, 2, .relu = 1},
    {"more channels, pool", STAGE_CONV, 32, 10, 10, 48, 3, 1, 1, 2, 2, .relu = 1},
    {"odd channels and sizes, no pool", STAGE_CONV, 19, 11, 9, 35, 3, 1, 1, 0, 0, .relu = 1},
    {"few outputs", STAGE_CONV, 40, 9, 14, 16, 3, 1, 1, 2, 2, .relu = 1},
    {"many tiles, pool leaves a rim", STAGE_CONV, 32, 19, 23, 64, 3, 1, 1, 2, 2, .relu = 1},
    {"many tiles, no pool", STAGE_CONV, 64, 16, 24, 32, 3, 1, 1, 0, 0, .relu = 1},
    {"no ReLU", STAGE_CONV, 16, 6, 9, 20, 3, 1, 1, 0, 0, .relu = 0},
    {"11x11 stride 4", STAGE_CONV, 3, 31, 35, 10, 11, 4, 1, 3, 2, .relu = 1},
    {"11x11 stride 4, one channel", STAGE_CONV, 1, 43, 39, 12, 11, 4, 1, 3, 2, .relu = 1,
     .first = 1},
    {"5x5 pad 2, overlapping pool", STAGE_CONV, 6, 9, 9, 12, 5, 1, 2, 3, 2, .relu = 1},
    {"5x5 pad 2, no pool", STAGE_CONV, 16, 6, 5, 16, 5, 1, 2, 0, 0, .relu = 1},
    {"1x1 without ReLU", STAGE_CONV, 9, 5, 4, 8, 1, 1, 0, 0, 0, .relu = 0},
    {"pool without ReLU", STAGE_CONV, 4, 8, 6, 6, 3, 1, 1, 2, 2, .relu = 0},
    {"pool without ReLU, many channels, rim", STAGE_CONV, 18, 9, 13, 35, 3, 1, 1, 2, 2, .relu = 0},
    {"first layer, pool without ReLU", STAGE_CONV, 2, 9, 8, 16, 3, 1, 1, 2, 2, .relu = 0,
     .first = 1},
    {"3x3, overlapping pool", STAGE_CONV, 20, 13, 11, 24, 3, 1, 1, 3, 2, .relu = 1},
    {"one channel to one", STAGE_CONV, 1, 9, 7, 1, 3, 1, 1, 0, 0, .relu = 1},
    {"one pixel", STAGE_CONV, 8, 1, 1, 8, 3, 1, 1, 0, 0, .relu = 1},
    {"pooled to one pixel", STAGE_CONV, 8, 2, 3, 8, 3, 1, 1, 2, 2, .relu = 1},
    {"ReLU and dropout", STAGE_LINEAR, 128, 1, 1, 64, 1, 1, 0, 0, 0, .relu = 1, .dropout = 1},
    {"odd, ReLU and dropout", STAGE_LINEAR, 51, 1, 1, 13, 1, 1, 0, 0, 0, .relu = 1, .dropout = 1},
    {"ReLU", STAGE_LINEAR, 32, 1, 1, 48, 1, 1, 0, 0, 0, .relu = 1},
    {"dropout alone", STAGE_LINEAR, 20, 1, 1, 24, 1, 1, 0, 0, 0, .dropout = 1},
    {"logits", STAGE_LINEAR, 37, 1, 1, 10, 1, 1, 0, 0, 0, .relu = 0},
    {"one unit, first layer", STAGE_LINEAR, 1, 1, 1, 1, 1, 1, 0, 0, 0, .first = 1},
};

static stage_spec spec_of(const test_case *c, bool use_bf16, bool integers) {
  stage_spec s = {.kind = c->kind,
                  .C = c->C,
                  .H = c->H,
                  .W = c->W,
                  .K = c->K,
                  .R = c->R,
                  .S = c->R,
                  .stride = c->stride,
                  .pad = c->pad,
                  .P = op_out_size(c->H, c->R, c->stride, c->pad),
                  .Q = op_out_size(c->W, c->R, c->stride, c->pad),
                  .relu = c->relu,
                  .pool_size = c->pool_size,
                  .pool_stride = c->pool_stride,
                  .dropout = c->dropout,
                  .dropout_scale = integers ? 2.0f : (float)(1 / 0.7),
                  .need_dx = !c->first};
  s.OP = c->pool_size ? op_out_size(s.P, c->pool_size, c->pool_stride, 0) : s.P;
  s.OQ = c->pool_size ? op_out_size(s.Q, c->pool_size, c->pool_stride, 0) : s.Q;
  const bool logits = c->kind == STAGE_LINEAR && !c->relu && !c->dropout;
  s.x_type = use_bf16 ? EDGE_BF16 : EDGE_F32;
  s.y_type = use_bf16 && !logits ? EDGE_BF16 : EDGE_F32;
  return s;
}

/* VGG_TEST_ISA narrows it, as --isa does. */
static cpu_isa isa_wanted;

/* Who is tested: every backend, and what of our own kernels a faster way hides. */
typedef struct runner {
  const backend *backend;
  cpu_isa isa;
  bool no_winograd;
} runner;

static stage_env env_of(bool use_bf16, bool training, int threads, const runner *r) {
  return (stage_env){.max_n = MAX_N,
                     .threads = threads,
                     .training = training,
                     .bf16 = use_bf16,
                     .no_winograd = r->no_winograd,
                     .isa = r->isa};
}

/* Returns how many there are. */
static size_t list_runners(runner all[MAX_RUNNERS]) {
  size_t count = 0;
  for (size_t i = 0; backend_at(i); i++) all[count++] = (runner){backend_at(i), isa_wanted, false};
  if (backend_find("native") && isa_wanted > CPU_AVX2)
    all[count++] = (runner){backend_find("native"), CPU_AVX2, false};
  if (backend_find("native"))
    all[count++] = (runner){backend_find("native"), isa_wanted, .no_winograd = true};
  assert_in_range(count, 1, MAX_RUNNERS);
  return count;
}

/* ---- preparing ------------------------------------------------------------------------------- */

/* NULL: declined, which was printed. */
static stage *prepare(const backend *b, const test_case *c, const stage_spec *spec,
                      const stage_env *env) {
  stage *s = NULL;
  char why[160] = "";
  vgg_error err;
  if (b->prepare(spec, env, &s, why, sizeof why, &err) != VGG_OK)
    fail_msg("%s: %s: %s", b->name, c->about, err.message);
  if (!s) {
    assert_true(why[0]);
    print_message("%s: %s, %s: declined: %s\n", b->name, c->about, env->bf16 ? "bf16" : "fp32",
                  why);
  }
  return s;
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* A backend's stages of one case; NULL where it declined. Training: whether the plan trains. A
 * trainer's engine evaluates as well, so both kinds run forward alone. */
typedef struct candidate {
  stage *inference, *training;
  double worst;
} candidate;

/* Integers leave no room for rounding, so only direct sums can take them, and F(2, 3), whose
 * filters are made of halves. */
enum { EXACT_FACTOR = 2 };

static bool takes(const stage *s, const problem *p) {
  return s && (p->values != VALUES_INTEGERS || stage_error_factor(s) <= EXACT_FACTOR);
}

/* All passes of one case. Solving a problem costs more than running it: all backends share it. */
static void check_passes(candidate *all, size_t count, const stage_spec *spec, const stage_env *env,
                         problem_values values) {
  static const struct {
    int n;
    bool backward;
  } passes[] = {{MAX_N, true}, {1, true}, {MAX_N - 1, true}, {MAX_N - 2, false}};
  double factor = 1;
  for (size_t i = 0; i < count; i++)
    if (all[i].training) factor = fmax(factor, stage_error_factor(all[i].training));
  for (size_t k = 0; k < sizeof passes / sizeof *passes; k++) {
    const bool backward = passes[k].backward;
    problem *p = problem_create(spec, env, factor, passes[k].n, values, backward, SEED + k);
    for (candidate *a = all; a < all + count; a++) {
      if (takes(a->training, p)) a->worst = fmax(a->worst, check_stage(a->training, p, backward));
      if (!backward && takes(a->inference, p))
        a->worst = fmax(a->worst, check_stage(a->inference, p, false));
    }
    problem_free(p);
  }
}

static void check_case(const test_case *c, bool use_bf16, problem_values values) {
  const stage_spec spec = spec_of(c, use_bf16, values == VALUES_INTEGERS);
  runner runners[MAX_RUNNERS];
  candidate all[MAX_RUNNERS] = {0};
  const size_t count = list_runners(runners);
  for (size_t i = 0; i < count; i++) {
    const stage_env training = env_of(use_bf16, true, 2, &runners[i]);
    const stage_env inference = env_of(use_bf16, false, 2, &runners[i]);
    all[i].training = prepare(runners[i].backend, c, &spec, &training);
    all[i].inference = prepare(runners[i].backend, c, &spec, &inference);
  }
  const stage_env env = env_of(use_bf16, true, 2, &runners[0]);
  check_passes(all, count, &spec, &env, values);
  for (size_t i = 0; i < count; i++) {
    stage *const both[] = {all[i].training, all[i].inference};
    if (both[0])
      print_message("%s, %s: %s: %.2f of the error allowed\n", both[0]->backend,
                    cpu_isa_name(runners[i].isa), c->about, all[i].worst);
    for (int k = 0; k < 2; k++)
      if (both[k]) both[k]->ops->destroy(both[k]);
  }
}

static void check_all(bool use_bf16, problem_values values) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i], use_bf16, values);
}

static void random_fp32(void **state) { (void)state, check_all(false, VALUES_RANDOM); }
static void random_bf16(void **state) { (void)state, check_all(true, VALUES_RANDOM); }
static void integers_fp32(void **state) { (void)state, check_all(false, VALUES_INTEGERS); }
static void integers_bf16(void **state) { (void)state, check_all(true, VALUES_INTEGERS); }
static void offset_fp32(void **state) { (void)state, check_all(false, VALUES_OFFSET); }
static void large_fp32(void **state) { (void)state, check_all(false, VALUES_LARGE); }

static void check_threads(const runner *r, const test_case *c, bool use_bf16) {
  const stage_spec spec = spec_of(c, use_bf16, false);
  const stage_env env[2] = {env_of(use_bf16, true, 1, r), env_of(use_bf16, true, 3, r)};
  problem *p = problem_create(&spec, &env[0], 1, MAX_N, VALUES_RANDOM, true, SEED);
  buffers m[2];
  for (int t = 0; t < 2; t++) {
    stage *s = prepare(r->backend, c, &spec, &env[t]);
    if (!s) break;
    m[t] = buffers_create(p, s);
    run_stage(s, p, &m[t], true);
    s->ops->destroy(s);
    if (t == 0) continue;
    assert_memory_equal(m[0].y.data, m[1].y.data, m[0].y.size);
    assert_memory_equal(m[0].dx.data, m[1].dx.data, m[0].dx.size);
    assert_memory_equal(m[0].dw.data, m[1].dw.data, m[0].dw.size);
    assert_memory_equal(m[0].db.data, m[1].db.data, m[0].db.size);
    buffers_close(&m[0], p), buffers_close(&m[1], p);
  }
  problem_free(p);
}

/* The gradients of weights and of data, asked for apart, are those of one call. */
static void check_parts(const runner *r, const test_case *c, bool use_bf16) {
  const stage_spec spec = spec_of(c, use_bf16, false);
  const stage_env env = env_of(use_bf16, true, 1, r);
  stage *s = prepare(r->backend, c, &spec, &env);
  if (!s) return;
  problem *p = problem_create(&spec, &env, 1, MAX_N, VALUES_RANDOM, true, SEED);
  buffers whole = buffers_create(p, s), parts = buffers_create(p, s);
  run_stage(s, p, &whole, true);
  run_stage(s, p, &parts, true);
  memset(parts.dw.data, 0, parts.dw.size), memset(parts.db.data, 0, parts.db.size);
  memset(parts.dx.data, 0, parts.dx.size);
  if (spec.need_dx) run_backward(s, p, &parts, false, true);
  run_backward(s, p, &parts, true, false);
  if (spec.need_dx) assert_memory_equal(whole.dx.data, parts.dx.data, whole.dx.size);
  assert_memory_equal(whole.dw.data, parts.dw.data, whole.dw.size);
  assert_memory_equal(whole.db.data, parts.db.data, whole.db.size);
  buffers_close(&whole, p), buffers_close(&parts, p);
  problem_free(p);
  s->ops->destroy(s);
}

typedef void (*case_check)(const runner *r, const test_case *c, bool use_bf16);

static void check_runners(case_check check_one, bool own) {
  runner all[MAX_RUNNERS];
  const size_t count = list_runners(all);
  for (size_t i = 0; i < count; i++) {
    if (own && strcmp(all[i].backend->name, "onednn") == 0) continue;
    for (size_t j = 0; j < sizeof cases / sizeof *cases; j++)
      for (int use_bf16 = 0; use_bf16 <= 1; use_bf16++) check_one(&all[i], &cases[j], use_bf16);
  }
}

static void check_own(case_check check_one) { check_runners(check_one, true); }

static void gradients_can_be_asked_for_apart(void **state) {
  (void)state;
  check_runners(check_parts, false);
}

/* Our own kernels give the same bits with any number of threads. */
static void own_kernels_do_not_depend_on_threads(void **state) {
  (void)state;
  check_own(check_threads);
}

static buffers forward(stage *s, const problem *p) {
  buffers m = buffers_create(p, s);
  run_stage(s, p, &m, false);
  return m;
}

enum { IMAGES = 2 }; /* the first one has the value, the second one must not */

static void check_value_in_x(const runner *r, const test_case *c, bool use_bf16, double value) {
  const stage_spec spec = spec_of(c, use_bf16, true);
  const stage_env env = env_of(use_bf16, false, 1, r);
  stage *s = prepare(r->backend, c, &spec, &env);
  if (!s) return;
  stage *truth = prepare(backend_find("reference"), c, &spec, &env);
  problem *p = problem_create(&spec, &env, 1, IMAGES, VALUES_INTEGERS, false, SEED);
  p->x[p->x_count / IMAGES / 2] = value;
  buffers got = forward(s, p), want = forward(truth, p);
  print_message("%s, %s: %s, %g\n", s->backend, cpu_isa_name(r->isa), c->about, value);
  assert_not_lost("y", spec.y_type, &got.y, &want.y, IMAGES);
  buffers_close(&got, p), buffers_close(&want, p);
  problem_free(p);
  s->ops->destroy(s), truth->ops->destroy(truth);
}

/* A NaN or an infinity goes through ReLU and pool to where it can be seen. (oneDNN's ReLU behind a
 * convolution makes NaN 0.) */
static void check_values_in_x(const runner *r, const test_case *c, bool use_bf16) {
  check_value_in_x(r, c, use_bf16, NAN);
  check_value_in_x(r, c, use_bf16, INFINITY);
  check_value_in_x(r, c, use_bf16, -INFINITY);
}

static void own_kernels_keep_nan_and_infinity(void **state) {
  (void)state;
  check_own(check_values_in_x);
}

/* Where a gradient surely passes ReLU and pool; y_count: nowhere. */
static size_t open_place(const problem *p) {
  for (size_t i = 0; i < p->y_count / IMAGES; i++)
    if (p->dy[i] != 0 && p->y.value[i] > 0) return i;
  return p->y_count;
}

static void check_value_in_dy(const runner *r, const test_case *c, bool use_bf16, double value) {
  const stage_spec spec = spec_of(c, use_bf16, false);
  const stage_env env = env_of(use_bf16, true, 1, r);
  stage *s = prepare(r->backend, c, &spec, &env);
  if (!s) return;
  stage *truth = prepare(backend_find("reference"), c, &spec, &env);
  problem *p =
      problem_create(&spec, &env, stage_error_factor(s), IMAGES, VALUES_RANDOM, true, SEED);
  const size_t at = open_place(p);
  if (at < p->y_count) {
    p->dy[at] = value;
    memset(p->mask, 1, p->y_count);
    buffers got = buffers_create(p, s), want = buffers_create(p, truth);
    run_stage(s, p, &got, true), run_stage(truth, p, &want, true);
    print_message("%s, %s: %s, %g in dy\n", s->backend, cpu_isa_name(r->isa), c->about, value);
    if (spec.need_dx) assert_not_lost("dx", spec.x_type, &got.dx, &want.dx, IMAGES);
    assert_not_lost("dw", EDGE_F32, &got.dw, &want.dw, 1);
    assert_not_lost("db", EDGE_F32, &got.db, &want.db, 1);
    buffers_close(&got, p), buffers_close(&want, p);
  }
  problem_free(p);
  s->ops->destroy(s), truth->ops->destroy(truth);
}

static void check_values_in_dy(const runner *r, const test_case *c, bool use_bf16) {
  check_value_in_dy(r, c, use_bf16, NAN);
  check_value_in_dy(r, c, use_bf16, INFINITY);
}

static void own_kernels_keep_them_in_gradients(void **state) {
  (void)state;
  check_own(check_values_in_dy);
}

static void assert_dx_as_truth(const stage *s, const problem *p, const buffers *got,
                               const buffers *want) {
  for (size_t i = 0; i < p->x_count; i++) {
    const double is = buffer_at(EDGE_F32, &got->dx, i), was = buffer_at(EDGE_F32, &want->dx, i);
    if (!(fabs(is - was) <= 2 * answer_error(&p->dx, i, stage_error_factor(s))))
      fail_msg("%s: dx[%zu] is %g, the reference has %g", s->detail, i, is, was);
  }
}

/* Without a ReLU every window of a pool has a place that its gradient goes to, the first NaN if
 * there is one. The NaN in the corner of 5x5 pixels reaches but one value of its tile, the last of
 * a window; one in a bias reaches all. */
static void nan_has_a_place(const runner *r, const test_case *c, bool in_bias) {
  const stage_spec spec = spec_of(c, false, false);
  const stage_env env = env_of(false, true, 1, r);
  stage *s = prepare(r->backend, c, &spec, &env);
  if (!s) return;
  stage *truth = prepare(backend_find("reference"), c, &spec, &env);
  problem *p =
      problem_create(&spec, &env, stage_error_factor(s), IMAGES, VALUES_RANDOM, true, SEED);
  *(in_bias ? p->b : p->x + 24 * c->C) = NAN;
  buffers got = buffers_create(p, s), want = buffers_create(p, truth);
  run_stage(s, p, &got, true), run_stage(truth, p, &want, true);
  assert_not_lost("y", EDGE_F32, &got.y, &want.y, in_bias ? 1 : IMAGES);
  assert_dx_as_truth(s, p, &got, &want);
  buffers_close(&got, p), buffers_close(&want, p);
  problem_free(p);
  s->ops->destroy(s), truth->ops->destroy(truth);
}

static void pools_without_relu_give_nan_a_place(void **state) {
  (void)state;
  static const test_case c = {
      "pool without ReLU", STAGE_CONV, 16, 5, 5, 16, 3, 1, 1, 2, 2, .relu = 0};
  runner all[MAX_RUNNERS];
  const size_t count = list_runners(all);
  for (size_t i = 0; i < count; i++) {
    nan_has_a_place(&all[i], &c, false);
    nan_has_a_place(&all[i], &c, true);
  }
}

int main(void) {
  if (cpu_isa_from_name(getenv("VGG_TEST_ISA"), &isa_wanted, NULL) != VGG_OK) {
    printf("skipped: this processor has no %s\n", getenv("VGG_TEST_ISA"));
    return 0;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_fp32),
      cmocka_unit_test(integers_bf16),
      cmocka_unit_test(random_fp32),
      cmocka_unit_test(random_bf16),
      cmocka_unit_test(offset_fp32),
      cmocka_unit_test(large_fp32),
      cmocka_unit_test(gradients_can_be_asked_for_apart),
      cmocka_unit_test(own_kernels_do_not_depend_on_threads),
      cmocka_unit_test(own_kernels_keep_nan_and_infinity),
      cmocka_unit_test(own_kernels_keep_them_in_gradients),
      cmocka_unit_test(pools_without_relu_give_nan_a_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
