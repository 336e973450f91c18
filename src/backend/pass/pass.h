/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes: the cheap work between the products (max-pool, ReLU masks, dropout, norms, sums), each in
 * one walk over memory, for backends that run on the CPU.
 *
 * Activations [n][H][W][K] in float or bf16. Every version agrees bit for bit. `index` holds one
 * byte for a pooled value: the place of the maximum in its window, r * size + s, or PASS_DEAD where
 * the ReLU before the pool stopped it and no gradient flows.
 *
 * Functions split their work over `threads` OpenMP threads; no result depends on how many.
 */
#ifndef BACKEND_PASS_PASS_H
#define BACKEND_PASS_PASS_H

#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"

enum { PASS_DEAD = 255, PASS_MAX_WINDOW = 15, PASS_MAX_LRN = 15 };

typedef struct pass_pool {
  int P, Q, K;              /* before the pool */
  int size, stride, OP, OQ; /* size <= PASS_MAX_WINDOW */
} pass_pool;

/* The pool of a stage; size 0 where it has none. */
static inline pass_pool pass_pool_of(const stage_spec *d) {
  return (pass_pool){.P = d->P,
                     .Q = d->Q,
                     .K = d->K,
                     .size = d->pool_size,
                     .stride = d->pool_stride,
                     .OP = d->OP,
                     .OQ = d->OQ};
}

/* s = k + alpha * sum of squares over `size` channels around, size odd and at most PASS_MAX_LRN. */
typedef struct pass_lrn {
  int size;
  float alpha, k;
} pass_lrn;

/* One instruction set's versions; arrays are indexed by edge_type. */
typedef struct pass_kernels {
  const char *name;
  cpu_isa isa;
  /* One pooled row: x at its window's first row, y and index [OQ][K]; index may be NULL.
   * x is a ReLU's output: nothing negative, NaN allowed and wins, -0 counts as 0. */
  void (*pool_row[2])(const pass_pool *d, const void *x, void *y, uint8_t *index);
  /* One row h of dx [Q][K] from a whole image's index and dy [OP][OQ][K]. */
  void (*unpool_row[2])(const pass_pool *d, int h, const uint8_t *index, const void *dy, void *dx);
  /* dy = y > 0 ? dy * scale : 0 */
  void (*relu_mask[2])(size_t count, const void *y, float scale, void *dy);
  /* y = relu(y), NaN stays NaN; then y = mask ? y * scale : 0, unless mask is NULL */
  void (*activate[2])(size_t count, const uint8_t *mask, float scale, void *y);
  void (*add)(size_t count, const float *x, float *sum); /* sum += x */
  void (*to_bf16)(size_t count, const float *x, uint16_t *y);
  /* sum[i] += the f32 or bf16 x[i] */
  void (*accumulate[2])(size_t count, const void *x, float *sum);
  /* Of x [rows][C], each channel's mean and sum of squared distances from it; few rows. */
  void (*moments[2])(int rows, int C, const void *x, float *mean, float *squares);
  /* y = (x - mean) factor + shift, then relu where `positive` */
  void (*normalise[2])(int rows, int C, const void *x, const float *mean, const float *factor,
                       const float *shift, bool positive, void *y);
  /* sum = sums of dy, apart = sums of dy (x - mean); few rows */
  void (*norm_sums[2])(int rows, int C, const void *x, const void *dy, const float *mean,
                       float *sum, float *apart);
  /* dx = factor dy - level - slope (x - mean) */
  void (*norm_gradient[2])(int rows, int C, const void *x, const void *dy, const float *mean,
                           const float *factor, const float *level, const float *slope, void *dx);
  /* y = x s^-3/4, and its gradient: see op.h */
  void (*lrn[2])(const pass_lrn *d, int rows, int C, const void *x, void *y);
  void (*lrn_gradient[2])(const pass_lrn *d, int rows, int C, const void *x, const void *dy,
                          void *dx);
} pass_kernels;

/* The fastest set not beyond `isa`. */
const pass_kernels *pass_kernels_for(cpu_isa isa);
/* Rows of the table, fastest first; NULL after the last. For tests. */
const pass_kernels *pass_kernels_at(size_t i);

/* x [n][P][Q][K] -> y, index [n][OP][OQ][K] */
void pass_pool_forward(const pass_kernels *k, edge_type type, const pass_pool *d, int n,
                       const void *x, void *y, uint8_t *index, int threads);
/* dy, index [n][OP][OQ][K] -> dx [n][P][Q][K]: the winners' gradients, 0 elsewhere */
void pass_pool_backward(const pass_kernels *k, edge_type type, const pass_pool *d, int n,
                        const uint8_t *index, const void *dy, void *dx, int threads);
void pass_relu_backward(const pass_kernels *k, edge_type type, size_t count, const void *y,
                        float scale, void *dy, int threads);
void pass_activate(const pass_kernels *k, edge_type type, size_t count, const uint8_t *mask,
                   float scale, void *y, int threads);
void pass_add(const pass_kernels *k, size_t count, const float *x, float *sum, int threads);
void pass_to_bf16(const pass_kernels *k, size_t count, const float *x, uint16_t *y, int threads);
/* sum [columns] = the rows of x [rows][columns] added in order */
void pass_sum_rows(const pass_kernels *k, edge_type type, int rows, size_t columns, const void *x,
                   float *sum, int threads);

#endif
