/* SPDX-License-Identifier: Apache-2.0
 *
 * Every backward against central differences of its forward, in double.
 *
 *   f(v) = sum of weight[i] * y[i](v)        df/dv ~ (f(v + STEP) - f(v - STEP)) / 2 STEP
 *
 * All operations but the loss and the norms are linear between kinks, and inputs stay 100 STEP away
 * from kinks, so the quotient errs by rounding alone: some units of 2^-53 |f| / STEP. The others
 * add STEP^2 / 6 times their third derivative: below 1 for the loss, below CURVED for the norms as
 * they are here (batch norm: its x spread over more than .1, so that derivatives are below 10^3
 * |f|; LRN: x below 3, all s from 1 up, derivatives below |x|^3). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "op/op.h"

#define STEP 1e-4
#define CURVED 100
#define EPS 1e-5
enum { MAX = 4096 };

typedef struct problem {
  op_conv_dims conv;
  op_pool_dims pool;
  op_linear_dims linear;
  op_average_dims average;
  op_norm_dims norm;
  op_lrn_dims lrn;
  size_t x_count, y_count, w_count, b_count;
  double x[MAX], w[MAX], b[MAX], y[MAX], weight[MAX];
  double dx[MAX], dw[MAX], db[MAX];
  uint8_t index[MAX], mask[MAX];
  int32_t labels[MAX];
} problem;

typedef double (*function)(problem *p);

static uint64_t state;

static double uniform(void) { /* 0 to 1 */
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (double)(state >> 33) * 0x1p-31;
}

/* Distinct values at least 0.02 from each other and 0.01 from 0, in random order. */
static void fill_apart(size_t count, double *x) {
  for (size_t i = 0; i < count; i++) x[i] = ((double)i - (double)(count / 2) + 0.5) * 0.02;
  for (size_t i = count; i-- > 1;) {
    const size_t j = (size_t)(uniform() * (double)(i + 1));
    const double t = x[i];
    x[i] = x[j];
    x[j] = t;
  }
}

static void fill(problem *p) {
  assert_true(p->x_count <= MAX && p->y_count <= MAX && p->w_count <= MAX && p->b_count <= MAX);
  fill_apart(p->x_count, p->x);
  for (size_t i = 0; i < p->w_count; i++) p->w[i] = 2 * uniform() - 1;
  for (size_t i = 0; i < p->b_count; i++) p->b[i] = 2 * uniform() - 1;
  for (size_t i = 0; i < p->y_count; i++) {
    p->weight[i] = 2 * uniform() - 1;
    p->mask[i] = uniform() < 0.6;
  }
  /* Backwards write; they do not add to what is there. */
  for (size_t i = 0; i < MAX; i++) p->dx[i] = p->dw[i] = p->db[i] = NAN;
}

static double weighted(const problem *p) {
  double sum = 0;
  for (size_t i = 0; i < p->y_count; i++) sum += p->weight[i] * p->y[i];
  return sum;
}

static void check(problem *p, function f, const char *name, size_t count, double *v,
                  const double *gradient, double truncation) {
  for (size_t i = 0; i < count; i++) {
    const double kept = v[i];
    v[i] = kept + STEP;
    const double above = f(p);
    v[i] = kept - STEP;
    const double below = f(p);
    v[i] = kept;
    const double quotient = (above - below) / (2 * STEP);
    const double allowed = truncation + 1e3 * 0x1p-53 * (fabs(above) + 1) / STEP;
    if (!(fabs(quotient - gradient[i]) <= allowed))
      fail_msg("%s[%zu]: %.12g, but the difference quotient is %.12g +- %.1g", name, i, gradient[i],
               quotient, allowed);
  }
}

/* ---- convolution ----------------------------------------------------------------------------- */

static double conv(problem *p) {
  op_conv_forward_f64(&p->conv, p->x, p->w, p->b, p->y);
  return weighted(p);
}

static void conv_gradients(void **unused) {
  (void)unused;
  static const struct {
    int N, C, H, W, K, R, S, stride, pad;
  } sizes[] = {
      {2, 3, 5, 4, 2, 3, 3, 1, 1},   {1, 1, 14, 15, 2, 11, 11, 4, 1}, {1, 2, 5, 6, 3, 5, 5, 1, 2},
      {2, 2, 6, 5, 2, 3, 3, 2, 0},   {1, 3, 4, 3, 2, 1, 1, 1, 0},     {1, 2, 4, 5, 2, 2, 3, 3, 2},
      {1, 17, 1, 1, 19, 3, 3, 1, 1},
  };
  static problem p;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const int P = op_out_size(sizes[i].H, sizes[i].R, sizes[i].stride, sizes[i].pad);
    const int Q = op_out_size(sizes[i].W, sizes[i].S, sizes[i].stride, sizes[i].pad);
    const op_conv_dims d = {sizes[i].N,   sizes[i].C, sizes[i].H, sizes[i].W,
                            sizes[i].K,   sizes[i].R, sizes[i].S, sizes[i].stride,
                            sizes[i].pad, P,          Q};
    p.conv = d;
    p.x_count = (size_t)d.N * d.H * d.W * d.C;
    p.y_count = (size_t)d.N * P * Q * d.K;
    p.w_count = (size_t)d.K * d.R * d.S * d.C;
    p.b_count = (size_t)d.K;
    fill(&p);
    op_conv_backward_data_f64(&d, p.weight, p.w, p.dx);
    op_conv_backward_weights_f64(&d, p.x, p.weight, p.dw, p.db);
    check(&p, conv, "conv dx", p.x_count, p.x, p.dx, 0);
    check(&p, conv, "conv dw", p.w_count, p.w, p.dw, 0);
    check(&p, conv, "conv db", p.b_count, p.b, p.db, 0);
  }
}

/* ---- linear ---------------------------------------------------------------------------------- */

static double linear(problem *p) {
  op_linear_forward_f64(&p->linear, p->x, p->w, p->b, p->y);
  return weighted(p);
}

static void linear_gradients(void **unused) {
  (void)unused;
  static const op_linear_dims sizes[] = {{3, 5, 4}, {1, 1, 1}, {2, 35, 7}};
  static problem p;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const op_linear_dims d = p.linear = sizes[i];
    p.x_count = (size_t)d.N * d.C;
    p.y_count = (size_t)d.N * d.K;
    p.w_count = (size_t)d.K * d.C;
    p.b_count = (size_t)d.K;
    fill(&p);
    op_linear_backward_data_f64(&d, p.weight, p.w, p.dx);
    op_linear_backward_weights_f64(&d, p.x, p.weight, p.dw, p.db);
    check(&p, linear, "linear dx", p.x_count, p.x, p.dx, 0);
    check(&p, linear, "linear dw", p.w_count, p.w, p.dw, 0);
    check(&p, linear, "linear db", p.b_count, p.b, p.db, 0);
  }
}

/* ---- ReLU, dropout, pool --------------------------------------------------------------------- */

static double relu(problem *p) {
  op_relu_forward_f64(p->x_count, p->x, p->y);
  return weighted(p);
}

static double dropout(problem *p) {
  op_dropout_f64(p->x_count, p->mask, 1 / 0.6, p->x, p->y);
  return weighted(p);
}

static double pool(problem *p) {
  op_maxpool_forward_f64(&p->pool, p->x, p->y, NULL);
  return weighted(p);
}

static void pointwise_gradients(void **unused) {
  (void)unused;
  static problem p;
  p.x_count = p.y_count = 101;
  fill(&p);
  op_relu_forward_f64(p.x_count, p.x, p.y);
  op_relu_backward_f64(p.x_count, p.y, p.weight, p.dx);
  check(&p, relu, "relu dx", p.x_count, p.x, p.dx, 0);
  op_dropout_f64(p.x_count, p.mask, 1 / 0.6, p.weight, p.dx);
  check(&p, dropout, "dropout dx", p.x_count, p.x, p.dx, 0);
}

static void pool_gradients(void **unused) {
  (void)unused;
  static const op_pool_dims sizes[] = {
      {.N = 2, .C = 3, .H = 6, .W = 4, .size = 2, .stride = 2},
      {.N = 1, .C = 2, .H = 7, .W = 5, .size = 2, .stride = 2},
      {.N = 2, .C = 2, .H = 7, .W = 8, .size = 3, .stride = 2},
      {.N = 1, .C = 1, .H = 5, .W = 6, .size = 3, .stride = 1},
      {.N = 1, .C = 2, .H = 8, .W = 8, .size = 2, .stride = 3},
  };
  static problem p;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    p.pool = sizes[i];
    p.pool.P = op_out_size(p.pool.H, p.pool.size, p.pool.stride, 0);
    p.pool.Q = op_out_size(p.pool.W, p.pool.size, p.pool.stride, 0);
    p.x_count = (size_t)p.pool.N * p.pool.H * p.pool.W * p.pool.C;
    p.y_count = (size_t)p.pool.N * p.pool.P * p.pool.Q * p.pool.C;
    p.w_count = p.b_count = 0;
    fill(&p);
    op_maxpool_forward_f64(&p.pool, p.x, p.y, p.index);
    op_maxpool_backward_f64(&p.pool, p.index, p.weight, p.dx);
    check(&p, pool, "pool dx", p.x_count, p.x, p.dx, 0);
  }
}

static double average(problem *p) {
  op_average_forward_f64(&p->average, p->x, p->y);
  return weighted(p);
}

static void average_gradients(void **unused) {
  (void)unused;
  static const op_average_dims sizes[] = {
      {.N = 2, .C = 3, .H = 6, .W = 4, .P = 3, .Q = 2},
      {.N = 1, .C = 2, .H = 7, .W = 5, .P = 3, .Q = 4},
      {.N = 2, .C = 2, .H = 1, .W = 2, .P = 7, .Q = 7},
      {.N = 1, .C = 5, .H = 4, .W = 3, .P = 1, .Q = 1},
      {.N = 1, .C = 1, .H = 9, .W = 10, .P = 7, .Q = 7},
  };
  static problem p;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const op_average_dims d = p.average = sizes[i];
    p.x_count = (size_t)d.N * d.H * d.W * d.C;
    p.y_count = (size_t)d.N * d.P * d.Q * d.C;
    p.w_count = p.b_count = 0;
    fill(&p);
    op_average_backward_f64(&d, p.weight, p.dx);
    check(&p, average, "average dx", p.x_count, p.x, p.dx, 0);
  }
}

/* ---- norms ----------------------------------------------------------------------------------- */

static double norm(problem *p) {
  double mean[8], variance[8];
  op_norm_statistics_f64(&p->norm, p->x, mean, variance);
  op_norm_forward_f64(&p->norm, p->x, mean, variance, EPS, p->w, p->b, p->y);
  return weighted(p);
}

static void norm_gradients(void **unused) {
  (void)unused;
  static const op_norm_dims sizes[] = {{12, 3}, {50, 1}, {5, 8}, {2, 2}};
  static problem p;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const op_norm_dims d = p.norm = sizes[i];
    p.x_count = p.y_count = d.rows * (size_t)d.C;
    p.w_count = p.b_count = (size_t)d.C;
    fill(&p);
    for (size_t j = 0; j < p.x_count; j++) p.x[j] = 3 * p.x[j] + 10 * (double)(j % (size_t)d.C);
    double mean[8], variance[8];
    op_norm_statistics_f64(&d, p.x, mean, variance);
    op_norm_backward_f64(&d, p.x, p.weight, mean, variance, EPS, p.w, p.dx, p.dw, p.db);
    check(&p, norm, "norm dx", p.x_count, p.x, p.dx, CURVED * STEP * STEP);
    check(&p, norm, "norm dscale", p.w_count, p.w, p.dw, 0);
    check(&p, norm, "norm dshift", p.b_count, p.b, p.db, 0);
  }
}

static double lrn(problem *p) {
  op_lrn_forward_f64(&p->lrn, p->x, p->y);
  return weighted(p);
}

static void lrn_gradients(void **unused) {
  (void)unused;
  static const op_lrn_dims sizes[] = {
      {.rows = 3, .C = 9, .size = 5, .alpha = 0.3, .beta = 0.75, .k = 2},
      {.rows = 2, .C = 3, .size = 5, .alpha = 1, .beta = 0.5, .k = 1},
      {.rows = 2, .C = 7, .size = 4, .alpha = 0.5, .beta = 0.75, .k = 1},
      {.rows = 4, .C = 1, .size = 3, .alpha = 2, .beta = 1, .k = 1},
  };
  static problem p;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const op_lrn_dims d = p.lrn = sizes[i];
    p.x_count = p.y_count = d.rows * (size_t)d.C;
    p.w_count = p.b_count = 0;
    fill(&p);
    for (size_t j = 0; j < p.x_count; j++) p.x[j] *= 8;
    op_lrn_backward_f64(&d, p.x, p.weight, p.dx);
    check(&p, lrn, "lrn dx", p.x_count, p.x, p.dx, CURVED * STEP * STEP);
  }
}

/* ---- loss ------------------------------------------------------------------------------------ */

static double loss(problem *p) {
  const op_linear_dims *d = &p->linear;
  return 0.25 * op_softmax_loss_f64(d->N, d->K, p->x, p->labels, 0.25, NULL);
}

static void loss_gradients(void **unused) {
  (void)unused;
  static problem p;
  p.linear = (op_linear_dims){.N = 4, .K = 10};
  p.x_count = 40;
  p.y_count = p.w_count = p.b_count = 0;
  fill(&p);
  for (size_t i = 0; i < p.x_count; i++) p.x[i] *= 8;
  for (int n = 0; n < 4; n++) p.labels[n] = (n * 7) % 10;
  op_softmax_loss_f64(4, 10, p.x, p.labels, 0.25, p.dx);
  check(&p, loss, "loss dlogits", p.x_count, p.x, p.dx, STEP * STEP / 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conv_gradients),      cmocka_unit_test(linear_gradients),
      cmocka_unit_test(pointwise_gradients), cmocka_unit_test(pool_gradients),
      cmocka_unit_test(average_gradients),   cmocka_unit_test(norm_gradients),
      cmocka_unit_test(lrn_gradients),       cmocka_unit_test(loss_gradients),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
