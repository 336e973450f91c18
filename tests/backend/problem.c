/* SPDX-License-Identifier: Apache-2.0
 *
 * The oracle: src/op in double.
 *
 * Bounds. A sum of T products in fp32, in any order, errs by about sqrt(T) roundings of its largest
 * partial sum, which is at most M = sum |a b|; eps32 = 2^-23 is two roundings:
 *
 *   error = c eps32 sqrt(T) M  +  eps32 |y|  [+ u16 |y| for each rounding to bf16, u16 = 2^-8]
 *
 * c is the stage's own error_factor, 1 for direct sums. M comes from the same operation on absolute
 * values. */
#include "problem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bf16.h"
#include "op/op.h"

#define EPS32 0x1p-23
#define U16 0x1.02p-8 /* half a unit in the last place, and a little for rounding twice */

static double *doubles(size_t count) {
  double *p = calloc(count ? count : 1, sizeof *p);
  assert_non_null(p);
  return p;
}

static double *absolute(size_t count, const double *x) {
  double *y = doubles(count);
  for (size_t i = 0; i < count; i++) y[i] = fabs(x[i]);
  return y;
}

static answer answer_create(size_t count) {
  return (answer){.count = count,
                  .value = doubles(count),
                  .sum = doubles(count),
                  .tile = doubles(count),
                  .rest = doubles(count)};
}

static void answer_free(answer *a) { free(a->value), free(a->sum), free(a->tile), free(a->rest); }

static double random_unit(uint64_t *state) { /* splitmix64, -1 to 1 */
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
}

/* Box and Muller's. */
static double random_normal(uint64_t *state) {
  const double u = (random_unit(state) + 1) / 2 + 0x1p-53, v = random_unit(state);
  return sqrt(-2 * log(u)) * cos(3.14159265358979323846 * v);
}

static bool exact(const problem *p) { return p->values == VALUES_INTEGERS; }

static double *draw(const problem *p, size_t count, double scale, double offset, bool as_bf16,
                    uint64_t *state) {
  double *x = doubles(count);
  for (size_t i = 0; i < count; i++) {
    const double u = p->values == VALUES_NORMAL ? random_normal(state) : random_unit(state);
    const float f = exact(p) ? (float)lrint(1.5 * u) : (float)(offset + scale * u);
    x[i] = as_bf16 ? bf16_to_float(bf16_from_float(f)) : f;
  }
  return x;
}

static op_conv_dims conv_dims(const problem *p) {
  const stage_spec *s = &p->spec;
  return (op_conv_dims){.N = p->n,
                        .C = s->C,
                        .H = s->H,
                        .W = s->W,
                        .K = s->K,
                        .R = s->R,
                        .S = s->S,
                        .stride = s->stride,
                        .pad = s->pad,
                        .P = s->P,
                        .Q = s->Q};
}

/* A plane that tiles cover may be larger than the answer: algorithms of tiles round the sums beyond
 * its rim, too. */
typedef struct plane {
  int H, W, C, tiled_H, tiled_W;
} plane;

enum { TILE = 4 };

static int tiled(int size) { return (size + TILE - 1) / TILE * TILE; }

/* Error of sums of `terms` products whose absolute values add up to magnitude
 * [..][tiled_H][tiled_W][C], for the answer [..][H][W][C]. */
static void add_sum_error(const problem *p, double terms, const plane *d, const double *magnitude,
                          answer *a) {
  const double unit = EPS32 * sqrt(terms);
  const size_t area = (size_t)d->H * d->W;
  for (size_t i = 0; i < a->count && !exact(p); i++) {
    const size_t pixel = i / d->C, image = pixel / area;
    const size_t y = pixel % area / d->W, x = pixel % d->W;
    const double *whole = magnitude + image * d->tiled_H * d->tiled_W * d->C + i % d->C;
    a->sum[i] += unit * whole[(y * d->tiled_W + x) * d->C];
    a->rest[i] += EPS32 * fabs(a->value[i]);
    const size_t top = y / TILE * TILE, left = x / TILE * TILE;
    for (size_t v = top; v < top + TILE && v < (size_t)d->tiled_H; v++)
      for (size_t u = left; u < left + TILE && u < (size_t)d->tiled_W; u++)
        a->tile[i] = fmax(a->tile[i], unit * whole[(v * d->tiled_W + u) * d->C]);
  }
}

static void add_bf16_error(double roundings, const double *magnitude, answer *a) {
  for (size_t i = 0; i < a->count; i++) a->rest[i] += roundings * U16 * fabs(magnitude[i]);
}

/* A linear layer is a 1x1 convolution of 1x1 pictures. */
static answer convolve(const problem *p) {
  const op_conv_dims d = conv_dims(p);
  op_conv_dims t = d;
  if (d.R == 3) t.P = tiled(d.P), t.Q = tiled(d.Q);
  answer z = answer_create((size_t)p->n * d.P * d.Q * d.K);
  double *ax = absolute(p->x_count, p->x), *aw = absolute(p->w_count, p->w);
  double *ab = absolute((size_t)d.K, p->b);
  double *magnitude = doubles((size_t)p->n * t.P * t.Q * d.K);
  op_conv_forward_f64(&d, p->x, p->w, p->b, z.value);
  op_conv_forward_f64(&t, ax, aw, ab, magnitude);
  const plane shape = {d.P, d.Q, d.K, t.P, t.Q};
  add_sum_error(p, (double)d.R * d.S * d.C + 1, &shape, magnitude, &z);
  free(ax), free(aw), free(ab), free(magnitude);
  return z;
}

/* One window: its output, and whether a rounding could change the winner. Returns its place. */
static size_t pool_window(const problem *p, const answer *z, size_t first, size_t y, bool *unsure) {
  const stage_spec *s = &p->spec;
  size_t winner = first;
  double sum = 0, tile = 0, rest = 0;
  for (int i = 0; i < s->pool_size * s->pool_size; i++) {
    const size_t at = first + ((size_t)(i / s->pool_size) * s->Q + i % s->pool_size) * s->K;
    if (z->value[at] > z->value[winner]) winner = at;
    sum = fmax(sum, z->sum[at]);
    tile = fmax(tile, z->tile[at]);
    rest = fmax(rest, z->rest[at]);
  }
  p->y.value[y] = z->value[winner];
  p->y.sum[y] = sum;
  p->y.tile[y] = tile;
  p->y.rest[y] = rest;
  const double apart = 2 * answer_error(&p->y, y, p->error_factor);
  for (int i = 0; i < s->pool_size * s->pool_size; i++) {
    const size_t at = first + ((size_t)(i / s->pool_size) * s->Q + i % s->pool_size) * s->K;
    if (at != winner && z->value[winner] - z->value[at] < apart) *unsure = true;
  }
  return winner;
}

/* From z to y; source[i] is the place of y[i] in z. */
static void finish_forward(problem *p, answer *z, size_t *source) {
  const stage_spec *s = &p->spec;
  const bool to_bf16 = s->y_type == EDGE_BF16;
  for (size_t i = 0; i < p->y_count; i++) {
    bool unsure = false;
    size_t from = i;
    if (s->pool_size) {
      const size_t k = i % s->K, q = i / s->K % s->OQ, op = i / s->K / s->OQ;
      const size_t row = op / s->OP * s->P + op % s->OP * s->pool_stride;
      from = pool_window(p, z, (row * s->Q + q * s->pool_stride) * s->K + k, i, &unsure);
    } else {
      p->y.value[i] = z->value[i];
      p->y.sum[i] = z->sum[i];
      p->y.tile[i] = z->tile[i];
      p->y.rest[i] = z->rest[i];
    }
    source[i] = from;
    unsure = unsure || (s->relu && fabs(p->y.value[i]) < answer_error(&p->y, i, p->error_factor));
    if (unsure && !exact(p) && p->values != VALUES_ZEROS) p->dy[i] = 0;
    if (s->relu && p->y.value[i] < 0) p->y.value[i] = 0;
    if (!p->masked) continue;
    const double scale = p->mask[i] ? (double)s->dropout_scale : 0;
    p->y.value[i] *= scale;
    p->y.sum[i] *= scale;
    p->y.tile[i] *= scale;
    p->y.rest[i] *= scale;
  }
  if (to_bf16) add_bf16_error(p->masked && !exact(p) ? 2 : 1, p->y.value, &p->y);
}

/* The gradient of z, and the same of |dy|. */
static void gradient_of_z(const problem *p, const size_t *source, double *dz, double *magnitude) {
  const stage_spec *s = &p->spec;
  for (size_t i = 0; i < p->y_count; i++) {
    double g = p->dy[i];
    if (p->masked) g *= p->mask[i] ? (double)s->dropout_scale : 0;
    if (s->relu && p->y.value[i] <= 0) g = 0; /* a dropped unit: 0 anyway */
    dz[source[i]] += g;
    magnitude[source[i]] += fabs(g);
  }
}

/* Roundings of dz to bf16 on its way to the products. */
static double dz_roundings(const problem *p) {
  const stage_spec *s = &p->spec;
  if (!p->env.bf16 || exact(p)) return 0;
  return (s->y_type == EDGE_F32) + p->masked + (s->pool_size > s->pool_stride);
}

/* The gradients of the absolute values; a bf16 gradient's roundings count in them. */
static void bound_backward(problem *p, const double *adz) {
  const op_conv_dims d = conv_dims(p);
  const double places = (double)p->n * d.P * d.Q, roundings = dz_roundings(p);
  op_conv_dims t = d;
  if (d.R == 3) t.H = tiled(d.H), t.W = tiled(d.W);
  double *ax = absolute(p->x_count, p->x), *aw = absolute(p->w_count, p->w);
  double *adx = doubles(p->x_count), *adw = doubles(p->w_count), *adb = doubles((size_t)d.K);
  double *tiled_adx = doubles((size_t)p->n * t.H * t.W * d.C);
  op_conv_backward_data_f64(&d, adz, aw, adx);
  op_conv_backward_data_f64(&t, adz, aw, tiled_adx);
  op_conv_backward_weights_f64(&d, ax, adz, adw, adb);
  add_sum_error(p, (double)d.R * d.S * d.K, &(plane){d.H, d.W, d.C, t.H, t.W}, tiled_adx, &p->dx);
  add_sum_error(p, places, &(plane){d.R, d.S, d.C, d.R, d.S}, adw, &p->dw);
  add_sum_error(p, places, &(plane){1, 1, d.K, 1, 1}, adb, &p->db);
  add_bf16_error(roundings, adx, &p->dx);
  add_bf16_error(roundings, adw, &p->dw);
  add_bf16_error(roundings, adb, &p->db);
  if (p->spec.x_type == EDGE_BF16) add_bf16_error(1, p->dx.value, &p->dx);
  free(ax), free(aw), free(adx), free(adw), free(adb), free(tiled_adx);
}

static void solve_backward(problem *p, size_t z_count, const size_t *source) {
  const op_conv_dims d = conv_dims(p);
  double *dz = doubles(z_count), *adz = doubles(z_count);
  gradient_of_z(p, source, dz, adz);
  op_conv_backward_data_f64(&d, dz, p->w, p->dx.value);
  op_conv_backward_weights_f64(&d, p->x, dz, p->dw.value, p->db.value);
  bound_backward(p, adz);
  free(dz), free(adz);
}

problem *problem_create(const stage_spec *spec, const stage_env *env, double error_factor, int n,
                        problem_values values, bool backward, uint64_t seed) {
  problem *p = calloc(1, sizeof *p);
  assert_non_null(p);
  *p =
      (problem){.spec = *spec, .env = *env, .n = n, .values = values, .error_factor = error_factor};
  p->masked = backward && spec->dropout;
  p->x_count = (size_t)n * spec->H * spec->W * spec->C;
  p->y_count = (size_t)n * spec->OP * spec->OQ * spec->K;
  p->w_count = (size_t)spec->K * spec->R * spec->S * spec->C;
  const double scale = values == VALUES_LARGE ? 1e15 : values == VALUES_ZEROS ? 0 : 1;
  const double offset = values == VALUES_OFFSET ? 1e4 : 0;
  p->x = draw(p, p->x_count, scale, offset, env->bf16, &seed);
  p->w = draw(p, p->w_count, 1, 0, env->bf16, &seed);
  p->b = draw(p, (size_t)spec->K, 1, 0, false, &seed);
  p->dy = draw(p, p->y_count, 1, offset, spec->y_type == EDGE_BF16, &seed);
  p->mask = malloc(p->y_count);
  assert_non_null(p->mask);
  for (size_t i = 0; i < p->y_count; i++) p->mask[i] = random_unit(&seed) > 0;
  p->y = answer_create(p->y_count);
  p->dx = answer_create(p->x_count);
  p->dw = answer_create(p->w_count);
  p->db = answer_create((size_t)spec->K);

  answer z = convolve(p);
  /* A backend may round z to bf16 in front of its pool. */
  if (env->bf16 && !exact(p)) add_bf16_error(spec->pool_size > 0, z.value, &z);
  size_t *source = calloc(p->y_count, sizeof *source);
  assert_non_null(source);
  finish_forward(p, &z, source);
  if (backward) solve_backward(p, z.count, source);
  answer_free(&z);
  free(source);
  return p;
}

void problem_free(problem *p) {
  answer_free(&p->y), answer_free(&p->dx), answer_free(&p->dw), answer_free(&p->db);
  free(p->x), free(p->w), free(p->b), free(p->dy), free(p->mask);
  free(p);
}
