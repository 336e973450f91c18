/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages without products (batch norm, LRN, average) on every backend against src/op in double:
 * with and without ReLU and pools, fp32 and bf16, training and inference, any n; guard bytes around
 * every buffer; the same bits with any number of threads.
 *
 * Bounds. eps32 = 2^-23 is two roundings. Sums of many values are in float over at most 64 of them,
 * 8 eps32 of the mean magnitude, and in double above. So with h = (x - mean) / deviation:
 *
 *   mean            8 eps32 mean|x|            variance   that of h^2, relative
 *   y of a norm     C eps32 (|factor| (|x| + mean|x|) + |shift| + |y|)
 *   dx of a norm    C eps32 |factor| (|dz| + mean|dz| + |h| mean|dz h|)
 *   LRN             C eps32 of the sum of the terms' magnitudes
 *   average         C eps32 of the same on absolute values
 *
 * with C = 32, and u16 of what is rounded to bf16: y and dx, a plane in front of a pool (then the
 * winner too), and dz behind overlapping pools. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bf16.h"
#include "run.h"

enum { MAX_N = 3 };
#define C_EPS32 (32 * 0x1p-23)
#define U16 0x1.02p-8

typedef struct test_case {
  const char *about;
  stage_kind kind;
  int C, H, W, P, Q; /* P, Q: average's */
  int pool_size, pool_stride;
  bool relu;
  double level; /* added to x */
} test_case;

static const test_case cases[] = {
    {"norm", STAGE_NORM, 7, 5, 4, 0, 0, 0, 0, false, 0},
    {"norm, ReLU", STAGE_NORM, 16, 9, 6, 0, 0, 0, 0, true, 0},
    {"norm far from 0, ReLU", STAGE_NORM, 33, 8, 8, 0, 0, 0, 0, true, 100},
    {"norm, ReLU, pool", STAGE_NORM, 20, 8, 6, 0, 0, 2, 2, true, 0},
    {"norm, ReLU, pool leaves a rim", STAGE_NORM, 64, 7, 5, 0, 0, 2, 2, true, 1},
    {"norm, ReLU, overlapping pool", STAGE_NORM, 12, 9, 7, 0, 0, 3, 2, true, 0},
    {"norm, ReLU, pool leaves gaps", STAGE_NORM, 10, 11, 8, 0, 0, 2, 3, true, 0},
    {"norm of many pixels", STAGE_NORM, 3, 40, 50, 0, 0, 0, 0, true, 2},
    {"norm of few pixels, many channels", STAGE_NORM, 1030, 2, 2, 0, 0, 2, 2, true, 0},
    {"LRN", STAGE_LRN, 19, 3, 5, 0, 0, 0, 0, false, 0},
    {"LRN of fewer channels than a window", STAGE_LRN, 2, 3, 3, 0, 0, 0, 0, false, 0},
    {"LRN of more channels than a strip", STAGE_LRN, 600, 2, 3, 0, 0, 0, 0, false, 0},
    {"LRN, pool", STAGE_LRN, 32, 6, 7, 0, 0, 2, 2, false, 0},
    {"LRN, overlapping pool", STAGE_LRN, 8, 7, 7, 0, 0, 3, 2, false, 0},
    {"average of all", STAGE_AVERAGE, 10, 3, 4, 1, 1, 0, 0, false, 0},
    {"average that divides", STAGE_AVERAGE, 17, 6, 8, 3, 4, 0, 0, false, 0},
    {"average of overlapping windows", STAGE_AVERAGE, 5, 9, 10, 7, 7, 0, 0, false, 0},
    {"average that enlarges", STAGE_AVERAGE, 6, 1, 2, 7, 7, 0, 0, false, 0},
};

static stage_spec spec_of(const test_case *c, edge_type type) {
  const bool average = c->kind == STAGE_AVERAGE;
  stage_spec s = {.kind = c->kind,
                  .C = c->C,
                  .H = c->H,
                  .W = c->W,
                  .K = c->C,
                  .R = 1,
                  .S = 1,
                  .stride = 1,
                  .P = average ? c->P : c->H,
                  .Q = average ? c->Q : c->W,
                  .relu = c->relu,
                  .pool_size = c->pool_size,
                  .pool_stride = c->pool_stride,
                  .eps = 1e-5f,
                  .lrn = {.C = c->C, .size = 5, .alpha = 0.3, .beta = 0.75, .k = 2},
                  .x_type = type,
                  .y_type = type,
                  .need_dx = true};
  s.OP = c->pool_size ? op_out_size(s.P, c->pool_size, c->pool_stride, 0) : s.P;
  s.OQ = c->pool_size ? op_out_size(s.Q, c->pool_size, c->pool_stride, 0) : s.Q;
  return s;
}

/* ---- the oracle ------------------------------------------------------------------------------ */

typedef struct values {
  size_t count;
  double *at, *error;
} values;

typedef struct plain_problem {
  stage_spec spec;
  int n;
  bool training;
  values x, y, dx, scale, shift, dscale, dshift, mean, variance, dy;
} plain_problem;

static double *doubles(size_t count) {
  double *p = calloc(count ? count : 1, sizeof *p);
  assert_non_null(p);
  return p;
}

static values values_create(size_t count) {
  return (values){count, doubles(count), doubles(count)};
}

static void values_free(values *v) { free(v->at), free(v->error); }

static uint64_t state;

static double uniform(void) { /* -1 to 1 */
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (double)(state >> 33) * 0x1p-30 - 1;
}

static double as_type(edge_type type, double v) {
  return type == EDGE_F32 ? (double)(float)v : (double)bf16_to_float(bf16_from_float((float)v));
}

static double u_of(edge_type type) { return type == EDGE_BF16 ? U16 : 0; }

static op_pool_dims pool_dims(const stage_spec *s, int n) {
  return (op_pool_dims){.N = n,
                        .C = s->K,
                        .H = s->P,
                        .W = s->Q,
                        .size = s->pool_size,
                        .stride = s->pool_stride,
                        .P = s->OP,
                        .Q = s->OQ};
}

static op_average_dims average_dims(const stage_spec *s, int n) {
  return (op_average_dims){.N = n, .C = s->C, .H = s->H, .W = s->W, .P = s->P, .Q = s->Q};
}

static double mean_abs(const double *x, size_t rows, int C, int c) {
  double sum = 0;
  for (size_t r = 0; r < rows; r++) sum += fabs(x[r * C + c]);
  return sum / (double)rows;
}

/* z and its error, without ReLU and pool. */
static void solve_norm(plain_problem *p, values *z) {
  const stage_spec *s = &p->spec;
  const op_norm_dims d = {.rows = p->x.count / s->C, .C = s->C};
  if (p->training) op_norm_statistics_f64(&d, p->x.at, p->mean.at, p->variance.at);
  op_norm_forward_f64(&d, p->x.at, p->mean.at, p->variance.at, s->eps, p->scale.at, p->shift.at,
                      z->at);
  for (int c = 0; c < s->C; c++) {
    const double factor = fabs(p->scale.at[c]) / sqrt(p->variance.at[c] + s->eps);
    const double level = fmax(mean_abs(p->x.at, d.rows, s->C, c), fabs(p->mean.at[c]));
    if (p->training) {
      p->mean.error[c] = C_EPS32 * level;
      p->variance.error[c] = C_EPS32 * (p->variance.at[c] + 1e-6 * level * level);
    }
    for (size_t i = c; i < z->count; i += s->C)
      z->error[i] =
          C_EPS32 * (factor * (fabs(p->x.at[i]) + level) + fabs(p->shift.at[c]) + fabs(z->at[i]));
  }
}

static void solve_plane(plain_problem *p, values *z) {
  const stage_spec *s = &p->spec;
  op_lrn_dims lrn = s->lrn;
  lrn.rows = p->x.count / s->C;
  const op_average_dims average = average_dims(s, p->n);
  if (s->kind == STAGE_NORM) {
    solve_norm(p, z);
    return;
  }
  if (s->kind == STAGE_LRN) {
    op_lrn_forward_f64(&lrn, p->x.at, z->at);
    for (size_t i = 0; i < z->count; i++) z->error[i] = C_EPS32 * fabs(z->at[i]);
    return;
  }
  double *absolute = doubles(p->x.count);
  for (size_t i = 0; i < p->x.count; i++) absolute[i] = fabs(p->x.at[i]);
  op_average_forward_f64(&average, p->x.at, z->at);
  op_average_forward_f64(&average, absolute, z->error);
  for (size_t i = 0; i < z->count; i++) z->error[i] *= C_EPS32;
  free(absolute);
}

/* From the plane to y. dy is made 0 where rounding may choose another winner or side of 0. */
static void solve_rest(plain_problem *p, values *z, uint8_t *index) {
  const stage_spec *s = &p->spec;
  const op_pool_dims pool = pool_dims(s, p->n);
  const double u = u_of(s->y_type);
  if (s->pool_size) {
    for (size_t i = 0; i < z->count; i++) z->error[i] += u * fabs(z->at[i]);
    op_maxpool_forward_f64(&pool, z->at, p->y.at, index);
  } else {
    memcpy(p->y.at, z->at, z->count * sizeof *z->at);
  }
  for (size_t i = 0; i < p->y.count; i++) {
    const size_t c = i % s->K, q = i / s->K % s->OQ, row = i / s->K / s->OQ;
    const size_t image = row / s->OP, top = image * s->P + row % s->OP * (size_t)s->pool_stride;
    const size_t first = s->pool_size ? (top * s->Q + q * s->pool_stride) * s->K + c : i;
    double error = z->error[i < z->count ? i : 0], second = -INFINITY;
    if (s->pool_size) error = 0;
    for (int k = 0; k < s->pool_size * s->pool_size; k++) {
      const size_t at =
          first + ((size_t)(k / s->pool_size) * s->Q + k % s->pool_size) * (size_t)s->K;
      error = fmax(error, z->error[at]);
      if (k != index[i]) second = fmax(second, z->at[at]);
    }
    if (p->y.at[i] - second < 2 * error) p->dy.at[i] = 0;
    if ((s->relu || s->pool_size) && fabs(p->y.at[i]) < 2 * error) p->dy.at[i] = 0;
    if (s->relu && p->y.at[i] < 0) p->y.at[i] = 0;
    p->y.error[i] = error + u * fabs(p->y.at[i]);
  }
}

static void bound_norm(plain_problem *p, const double *dz, double u) {
  const stage_spec *s = &p->spec;
  const size_t rows = p->x.count / s->C;
  for (int c = 0; c < s->C; c++) {
    const double narrow = 1 / sqrt(p->variance.at[c] + s->eps),
                 factor = fabs(p->scale.at[c]) * narrow;
    const double level = narrow * mean_abs(p->x.at, rows, s->C, c);
    double sum = 0, with_h = 0;
    for (size_t i = c; i < p->x.count; i += s->C) {
      sum += fabs(dz[i]);
      with_h += fabs(dz[i]) * (fabs(p->x.at[i] - p->mean.at[c]) * narrow + level);
    }
    const double unit = C_EPS32 + u;
    p->dshift.error[c] = unit * sum;
    p->dscale.error[c] = unit * with_h;
    for (size_t i = c; i < p->x.count; i += s->C) {
      const double h = fabs(p->x.at[i] - p->mean.at[c]) * narrow + level;
      p->dx.error[i] = unit * factor * (fabs(dz[i]) + (sum + h * with_h) / (double)rows) +
                       C_EPS32 * fabs(p->dx.at[i]);
    }
  }
}

static void solve_gradient(plain_problem *p, const double *dz, double u) {
  const stage_spec *s = &p->spec;
  op_lrn_dims lrn = s->lrn;
  lrn.rows = p->x.count / s->C;
  const op_norm_dims norm = {.rows = lrn.rows, .C = s->C};
  const op_average_dims average = average_dims(s, p->n);
  double *absolute = doubles(p->y.count > p->x.count ? p->y.count : p->x.count);
  const size_t plane = (size_t)p->n * s->P * s->Q * s->K;
  for (size_t i = 0; i < plane; i++) absolute[i] = fabs(dz[i]);
  if (s->kind == STAGE_NORM) {
    op_norm_backward_f64(&norm, p->x.at, dz, p->mean.at, p->variance.at, s->eps, p->scale.at,
                         p->dx.at, p->dscale.at, p->dshift.at);
    bound_norm(p, dz, u);
  } else if (s->kind == STAGE_LRN) {
    op_lrn_backward_f64(&lrn, p->x.at, dz, p->dx.at);
    lrn.alpha = -lrn.alpha / 4; /* both terms with one sign, and s below its own: 2 - 5 x 0.075 */
    op_lrn_backward_f64(&lrn, p->x.at, absolute, p->dx.error);
    for (size_t i = 0; i < p->x.count; i++) p->dx.error[i] *= 4 * (C_EPS32 + u);
  } else {
    op_average_backward_f64(&average, dz, p->dx.at);
    op_average_backward_f64(&average, absolute, p->dx.error);
    for (size_t i = 0; i < p->x.count; i++) p->dx.error[i] *= C_EPS32;
  }
  for (size_t i = 0; i < p->x.count; i++) {
    p->dx.error[i] += u_of(s->x_type) * fabs(p->dx.at[i]);
    if (s->kind == STAGE_LRN && p->x.at[i] == 0) p->dx.error[i] = INFINITY; /* nobody asks */
  }
  free(absolute);
}

static void solve(plain_problem *p) {
  const stage_spec *s = &p->spec;
  values z = values_create((size_t)p->n * s->P * s->Q * s->K);
  double *dz = doubles(z.count), *dy = doubles(p->y.count);
  uint8_t *index = calloc(p->y.count, 1);
  assert_non_null(index);
  solve_plane(p, &z);
  solve_rest(p, &z, index);
  for (size_t i = 0; i < p->y.count; i++) dy[i] = s->relu && p->y.at[i] == 0 ? 0 : p->dy.at[i];
  const op_pool_dims pool = pool_dims(s, p->n);
  if (s->pool_size)
    op_maxpool_backward_f64(&pool, index, dy, dz);
  else
    memcpy(dz, dy, z.count * sizeof *dz);
  const bool twice = s->pool_size > s->pool_stride;
  if (p->training) solve_gradient(p, dz, twice ? u_of(s->y_type) : 0);
  values_free(&z);
  free(dz), free(dy), free(index);
}

static void fill(const values *v, double level, double spread, edge_type type) {
  for (size_t i = 0; i < v->count; i++) v->at[i] = as_type(type, level + spread * uniform());
}

static plain_problem problem_of(const test_case *c, edge_type type, int n, bool training) {
  plain_problem p = {.spec = spec_of(c, type), .n = n, .training = training};
  const stage_spec *s = &p.spec;
  const size_t x = (size_t)n * s->H * s->W * s->C, y = (size_t)n * s->OP * s->OQ * s->K;
  state = 7;
  values *const of_x[] = {&p.x, &p.dx}, *const of_y[] = {&p.y, &p.dy};
  values *const of_c[] = {&p.scale, &p.shift, &p.dscale, &p.dshift, &p.mean, &p.variance};
  for (int i = 0; i < 2; i++) *of_x[i] = values_create(x), *of_y[i] = values_create(y);
  for (int i = 0; i < 6; i++) *of_c[i] = values_create((size_t)s->C);
  fill(&p.x, c->level, 1, type);
  if (c->kind == STAGE_LRN)
    for (size_t i = 0; i < x; i++) p.x.at[i] = fmax(p.x.at[i], 0); /* behind a ReLU */
  fill(&p.dy, 0, 1, type);
  fill(&p.scale, 1, 0.5, EDGE_F32);
  fill(&p.shift, 0.2, 1, EDGE_F32);
  fill(&p.mean, c->level, 0.5, EDGE_F32);
  fill(&p.variance, 1, 0.5, EDGE_F32);
  solve(&p);
  return p;
}

static void problem_done(plain_problem *p) {
  values_free(&p->x), values_free(&p->y), values_free(&p->dx), values_free(&p->dy);
  values_free(&p->scale), values_free(&p->shift), values_free(&p->dscale);
  values_free(&p->dshift), values_free(&p->mean), values_free(&p->variance);
}

/* ---- a run ----------------------------------------------------------------------------------- */

typedef struct memory {
  buffer x, y, dy, dx, scale, shift, dscale, dshift, mean, variance, aux, workspace;
} memory;

static memory memory_of(const plain_problem *p, const stage *s) {
  const edge_type type = p->spec.x_type;
  const size_t channels = p->scale.count;
  return (memory){.x = buffer_of_values(type, p->x.count, p->x.at),
                  .y = buffer_create(p->y.count * edge_size(type)),
                  .dy = buffer_of_values(type, p->y.count, p->dy.at),
                  .dx = buffer_create(p->x.count * edge_size(type)),
                  .scale = buffer_of_values(EDGE_F32, channels, p->scale.at),
                  .shift = buffer_of_values(EDGE_F32, channels, p->shift.at),
                  .dscale = buffer_create(channels * sizeof(float)),
                  .dshift = buffer_create(channels * sizeof(float)),
                  .mean = buffer_of_values(EDGE_F32, channels, p->mean.at),
                  .variance = buffer_of_values(EDGE_F32, channels, p->variance.at),
                  .aux = buffer_create(s->sizes.aux_per_image * p->n),
                  .workspace = buffer_create(s->sizes.workspace)};
}

static void memory_done(memory *m) {
  buffer_close(&m->x, "x"), buffer_close(&m->y, "y"), buffer_close(&m->dy, "dy");
  buffer_close(&m->dx, "dx"), buffer_close(&m->scale, "scale"), buffer_close(&m->shift, "shift");
  buffer_close(&m->dscale, "dscale"), buffer_close(&m->dshift, "dshift");
  buffer_close(&m->mean, "mean"), buffer_close(&m->variance, "variance");
  buffer_close(&m->aux, "aux"), buffer_close(&m->workspace, "workspace");
}

static float *floats(const buffer *b) { return (float *)(void *)b->data; }

/* Backward in one call, or the gradients of weights and of data one after the other. */
static void run(stage *s, const plain_problem *p, memory *m, bool apart) {
  const bool norm = p->spec.kind == STAGE_NORM;
  stage_io io = {.n = p->n,
                 .x = m->x.data,
                 .y = m->y.data,
                 .aux = p->training ? m->aux.data : NULL,
                 .w = norm ? floats(&m->scale) : NULL,
                 .b = norm ? floats(&m->shift) : NULL,
                 .mean = norm ? floats(&m->mean) : NULL,
                 .variance = norm ? floats(&m->variance) : NULL,
                 .batch_statistics = p->training,
                 .workspace = m->workspace.data};
  assert_true(s->ops->repack(s, io.w, io.b, NULL, io.workspace));
  assert_true(s->ops->forward(s, &io));
  if (!p->training) return;
  for (int part = 0; part <= apart; part++) {
    stage_io back = io;
    back.dy = m->dy.data;
    back.dx = apart && part == 0 ? NULL : m->dx.data;
    back.dw = norm && part == 0 ? floats(&m->dscale) : NULL;
    back.db = norm && part == 0 ? floats(&m->dshift) : NULL;
    memset(m->workspace.data, 0xFF, m->workspace.size);
    assert_true(s->ops->backward(s, &back));
  }
}

static void judge(const stage *s, const char *about, const char *name, const values *want,
                  edge_type type, const buffer *got) {
  for (size_t i = 0; i < want->count; i++) {
    const double v = buffer_at(type, got, i);
    if (!(fabs(v - want->at[i]) <= want->error[i]) && want->error[i] != INFINITY)
      fail_msg("%s (%s), %s: %s[%zu] of %zu: %.9g, wanted %.9g +- %.3g", s->backend, s->detail,
               about, name, i, want->count, v, want->at[i], want->error[i]);
  }
}

static void check_answers(const stage *s, const char *about, const plain_problem *p,
                          const memory *m) {
  const edge_type type = p->spec.x_type;
  judge(s, about, "y", &p->y, type, &m->y);
  if (!p->training) return;
  judge(s, about, "dx", &p->dx, type, &m->dx);
  if (p->spec.kind != STAGE_NORM) return;
  judge(s, about, "mean", &p->mean, EDGE_F32, &m->mean);
  judge(s, about, "variance", &p->variance, EDGE_F32, &m->variance);
  judge(s, about, "dscale", &p->dscale, EDGE_F32, &m->dscale);
  judge(s, about, "dshift", &p->dshift, EDGE_F32, &m->dshift);
}

static stage *prepare(const backend *b, const stage_spec *spec, const stage_env *env) {
  stage *s = NULL;
  char why[160] = "";
  vgg_error err;
  if (b->prepare(spec, env, &s, why, sizeof why, &err) != VGG_OK) fail_msg("%s", err.message);
  if (!s) fail_msg("%s declined: %s", b->name, why);
  assert_string_equal(s->backend, b->name);
  return s;
}

static cpu_isa isa_at(size_t i) {
  static const cpu_isa all[] = {CPU_BASE, CPU_AVX2, CPU_AVX512};
  return all[i] <= cpu_best_isa() ? all[i] : cpu_best_isa();
}

static void check_case(const backend *b, const test_case *c, edge_type type, cpu_isa isa) {
  static const int sizes[] = {MAX_N, 1, MAX_N};
  for (int pass = 0; pass < 3; pass++) {
    const bool training = pass < 2;
    plain_problem p = problem_of(c, type, sizes[pass], training);
    stage_env env = {
        .max_n = MAX_N, .threads = 2, .training = training, .bf16 = type == EDGE_BF16, .isa = isa};
    stage *s = prepare(b, &p.spec, &env);
    memory m = memory_of(&p, s);
    run(s, &p, &m, false);
    check_answers(s, c->about, &p, &m);
    env.threads = 3;
    stage *more = prepare(b, &p.spec, &env);
    memory apart = memory_of(&p, more);
    run(more, &p, &apart, true);
    assert_memory_equal(m.y.data, apart.y.data, m.y.size);
    if (training) assert_memory_equal(m.dx.data, apart.dx.data, m.dx.size);
    if (training) assert_memory_equal(m.dscale.data, apart.dscale.data, m.dscale.size);
    memory_done(&m), memory_done(&apart);
    s->ops->destroy(s), more->ops->destroy(more);
    problem_done(&p);
  }
}

static void check_all(edge_type type) {
  for (size_t i = 0; backend_at(i); i++)
    for (size_t k = 0; k < 3; k++)
      for (size_t j = 0; j < sizeof cases / sizeof *cases; j++)
        check_case(backend_at(i), &cases[j], type, isa_at(k));
}

static void fp32(void **unused) { (void)unused, check_all(EDGE_F32); }
static void bf16_edges(void **unused) { (void)unused, check_all(EDGE_BF16); }

/* The classes' map of a dense head is averaged to logits, which are fp32 always. */
static void bf16_to_fp32_average(void **unused) {
  (void)unused;
  const test_case c = {"average to logits", STAGE_AVERAGE, 10, 3, 2, 1, 1, 0, 0, false, 0};
  for (size_t i = 0; backend_at(i); i++) {
    plain_problem p = problem_of(&c, EDGE_BF16, 2, false);
    p.spec.y_type = EDGE_F32;
    const stage_env env = {.max_n = 2, .threads = 1, .bf16 = true, .isa = cpu_best_isa()};
    stage *s = prepare(backend_at(i), &p.spec, &env);
    memory m = memory_of(&p, s);
    buffer y = buffer_create(p.y.count * sizeof(float));
    stage_io io = {.n = 2, .x = m.x.data, .y = y.data, .workspace = m.workspace.data};
    assert_true(s->ops->forward(s, &io));
    judge(s, c.about, "y", &p.y, EDGE_F32, &y);
    buffer_close(&y, "y"), memory_done(&m);
    s->ops->destroy(s);
    problem_done(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fp32),
      cmocka_unit_test(bf16_edges),
      cmocka_unit_test(bf16_to_fp32_average),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
