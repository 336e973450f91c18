/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm [+ ReLU] [+ max-pool]
 *
 *   forward, training   moments of x by blocks of pixels, joined in double -> mean, variance
 *   forward             x -> (x - mean) factor + shift, ReLU, pool -> y, index
 *   backward            sums of dz and dz (x - mean); then x, dz -> dx, both by rows
 *
 * In a large batch a channel has millions of values. So sums are in float only over the few pixels
 * of a block or a row, and in double above; and squares are those of distances from a block's mean,
 * or a channel far from 0 would have no digits left (Chan, Golub & LeVeque 1983, eq. 2.1).
 *
 *   workspace  factor, level, slope [K] | sums of every share [2][K] double | scratch of threads:
 *              rows in front of the pool | two block sums [K]
 */
#include <math.h>
#include <string.h>

#include "backend/pass/stage.h"
#include "base/memory.h"

enum { SHARES = 64, BLOCK_VALUES = 8192, BLOCK_PIXELS = 64 };

static size_t channel_bytes(const pass_stage *s) {
  return mem_round((size_t)s->base.spec.K * sizeof(float));
}

static size_t share_bytes(const pass_stage *s) {
  return mem_round(2 * (size_t)s->base.spec.K * sizeof(double));
}

bool pass_norm_plan(pass_stage *s) {
  s->shared = 3 * channel_bytes(s) + SHARES * share_bytes(s);
  s->scratch = pass_row_bytes(s, s->pool.size) + 2 * channel_bytes(s);
  return true;
}

static float *channels(const pass_stage *s, const stage_io *io, int i) {
  return (float *)(void *)((char *)io->workspace + i * channel_bytes(s));
}

static double *share_of(const pass_stage *s, const stage_io *io, int share) {
  char *first = (char *)io->workspace + 3 * channel_bytes(s);
  return (double *)(void *)(first + share * share_bytes(s));
}

static float *block_sums(const pass_stage *s, const stage_io *io) {
  return (float *)(void *)((char *)pass_scratch(s, io) + pass_row_bytes(s, s->pool.size));
}

/* The first of `count` things that share i takes. */
static size_t share_begin(size_t count, int i) { return count * (size_t)i / SHARES; }

/* ---- forward --------------------------------------------------------------------------------- */

/* Joins the moments of `more` values to those of `count`: means apart by d add
 * d^2 count more / (count + more) to the squares. */
static void join(int K, double count, double *mean, double *squares, double more,
                 const float *block_mean, const float *block_squares) {
  const double part = more / (count + more), weight = count * part;
  for (int k = 0; k < K; k++) {
    const double apart = (double)block_mean[k] - mean[k];
    mean[k] += apart * part;
    squares[k] += (double)block_squares[k] + apart * apart * weight;
  }
}

static void share_moments(const pass_stage *s, const stage_io *io, int share) {
  const stage_spec *d = &s->base.spec;
  const size_t pixels = (size_t)io->n * d->P * d->Q, end = share_begin(pixels, share + 1);
  const int few = BLOCK_VALUES / d->K, block = few < 8              ? 8
                                               : few < BLOCK_PIXELS ? few
                                                                    : BLOCK_PIXELS;
  double *mean = share_of(s, io, share), *squares = mean + d->K, count = 0;
  float *block_mean = block_sums(s, io);
  float *block_squares = (float *)(void *)((char *)block_mean + channel_bytes(s));
  memset(mean, 0, 2 * (size_t)d->K * sizeof *mean);
  for (size_t at = share_begin(pixels, share); at < end; at += (size_t)block) {
    const int rows = end - at < (size_t)block ? (int)(end - at) : block;
    const char *x = (const char *)io->x + at * (size_t)d->K * edge_size(d->x_type);
    s->kernels->moments[d->x_type](rows, d->K, x, block_mean, block_squares);
    join(d->K, count, mean, squares, rows, block_mean, block_squares);
    count += rows;
  }
}

static void statistics(const pass_stage *s, const stage_io *io) {
  const int K = s->base.spec.K;
  const size_t pixels = (size_t)io->n * s->base.spec.P * s->base.spec.Q;
#pragma omp parallel for schedule(static) num_threads(s->base.env.threads)
  for (int i = 0; i < SHARES; i++) share_moments(s, io, i);
#pragma omp parallel for schedule(static) num_threads(s->base.env.threads)
  for (int k = 0; k < K; k++) {
    double mean = 0, squares = 0, count = 0;
    for (int i = 0; i < SHARES; i++) {
      const double more = (double)(share_begin(pixels, i + 1) - share_begin(pixels, i));
      if (more == 0) continue;
      const double *share = share_of(s, io, i);
      const double apart = share[k] - mean;
      mean += apart * more / (count + more);
      squares += share[K + k] + apart * apart * count * more / (count + more);
      count += more;
    }
    io->mean[k] = (float)mean;
    io->variance[k] = (float)(squares / count);
  }
}

static void transform(const pass_stage *s, const stage_io *io, int pixels, const void *x, void *y) {
  const stage_spec *d = &s->base.spec;
  s->kernels->normalise[d->x_type](pixels, d->K, x, io->mean, channels(s, io, 0), io->b, d->relu,
                                   y);
}

/* 1 / sqrt(variance + eps) */
static double narrow(const pass_stage *s, const stage_io *io, int k) {
  return 1 / sqrt((double)io->variance[k] + (double)s->base.spec.eps);
}

static bool forward(stage *base, const stage_io *io) {
  const pass_stage *s = (const pass_stage *)base;
  if (io->batch_statistics) statistics(s, io);
  float *factor = channels(s, io, 0);
  for (int k = 0; k < base->spec.K; k++) factor[k] = (float)(io->w[k] * narrow(s, io, k));
  pass_forward_rows(s, io, transform);
  return true;
}

/* ---- backward -------------------------------------------------------------------------------- */

static const void *x_row(const pass_stage *s, const stage_io *io, size_t row) {
  const stage_spec *d = &s->base.spec;
  return (const char *)io->x + row * (size_t)d->Q * d->K * edge_size(d->x_type);
}

static void share_sums(const pass_stage *s, const stage_io *io, int share) {
  const stage_spec *d = &s->base.spec;
  const size_t rows = (size_t)io->n * d->P;
  double *sum = share_of(s, io, share), *apart = sum + d->K;
  float *row_sum = block_sums(s, io);
  float *row_apart = (float *)(void *)((char *)row_sum + channel_bytes(s));
  memset(sum, 0, 2 * (size_t)d->K * sizeof *sum);
  for (size_t r = share_begin(rows, share); r < share_begin(rows, share + 1); r++) {
    const void *dz =
        pass_gradient_row(s, io, (int)(r / d->P), (int)(r % d->P), pass_scratch(s, io));
    s->kernels->norm_sums[d->x_type](d->Q, d->K, x_row(s, io, r), dz, io->mean, row_sum, row_apart);
    for (int k = 0; k < d->K; k++) {
      sum[k] += (double)row_sum[k];
      apart[k] += (double)row_apart[k];
    }
  }
}

/* From the shares to dw, db and to what dx takes from them. */
static void gather(const pass_stage *s, const stage_io *io, int k) {
  const stage_spec *d = &s->base.spec;
  const double values = (double)io->n * d->P * d->Q, inverse = narrow(s, io, k);
  double sum = 0, apart = 0;
  for (int i = 0; i < SHARES; i++) {
    sum += share_of(s, io, i)[k];
    apart += share_of(s, io, i)[d->K + k];
  }
  if (io->dw) io->dw[k] = (float)(apart * inverse);
  if (io->db) io->db[k] = (float)sum;
  const double factor = io->w[k] * inverse;
  channels(s, io, 0)[k] = (float)factor;
  channels(s, io, 1)[k] = (float)(factor * sum / values);
  channels(s, io, 2)[k] = (float)(factor * inverse * inverse * apart / values);
}

static bool backward(stage *base, const stage_io *io) {
  const pass_stage *s = (const pass_stage *)base;
  const stage_spec *d = &base->spec;
#pragma omp parallel for schedule(static) num_threads(base->env.threads)
  for (int i = 0; i < SHARES; i++) share_sums(s, io, i);
#pragma omp parallel for schedule(static) num_threads(base->env.threads)
  for (int k = 0; k < d->K; k++) gather(s, io, k);
  if (!io->dx) return true;
#pragma omp parallel for schedule(static) num_threads(base->env.threads)
  for (int r = 0; r < io->n * d->P; r++) {
    const void *dz = pass_gradient_row(s, io, r / d->P, r % d->P, pass_scratch(s, io));
    char *dx = (char *)io->dx + (size_t)r * d->Q * d->K * edge_size(d->x_type);
    s->kernels->norm_gradient[d->x_type](d->Q, d->K, x_row(s, io, (size_t)r), dz, io->mean,
                                         channels(s, io, 0), channels(s, io, 1), channels(s, io, 2),
                                         dx);
  }
  return true;
}

const stage_ops pass_norm_ops = {
    .repack = pass_repack, .forward = forward, .backward = backward, .destroy = pass_destroy};
