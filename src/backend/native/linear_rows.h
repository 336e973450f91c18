/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear kernels, once for all instruction sets. Include it from a file that has included the set's
 * lanes header and has said how many rows of two vectors fit the registers, how VEC vectors are
 * transposed, and how one is stored past the caches:
 *
 *     enum { ROWS };
 *     static void transpose(vec m[VEC]);
 *     static void store_past(float *to, vec x);
 *
 * The sizes of the functions here are constants where they are called, so that all sums stay in
 * registers.
 */
#ifndef NATIVE_LINEAR_ROWS_H
#define NATIVE_LINEAR_ROWS_H

#include "backend/native/linear.h"

enum { WIDE = 2 * VEC, MOST_ROWS = 14, MOST_SUMS = 25 };

INLINE void fetch(linear_ahead *ahead) {
  enum { LINE = 64 };
  for (int i = ahead->rows < ahead->each ? ahead->rows : ahead->each; i > 0; i--) {
    for (int line = 0; line < ahead->lines; line++)
      __builtin_prefetch(ahead->at + line * LINE, 0, 2);
    ahead->at += ahead->jump;
    ahead->rows--;
  }
}

INLINE void copy_group(linear_copy *copy) {
  if (copy->groups-- <= 0) return;
  for (int i = 0; i < copy->rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < LINEAR_GROUP; j += VEC)
      store(copy->to + i * LINEAR_GROUP + j, load(copy->from + (size_t)i * copy->step + j));
  copy->from += LINEAR_GROUP;
  copy->to += ROWS * LINEAR_GROUP;
}

/* One step of the depth. */
INLINE void multiply(int rows, int vectors, const float *a, const float *b, vec acc[][2]) {
  vec y[2];
#pragma GCC unroll 2
  for (int v = 0; v < vectors; v++) y[v] = load(b + v * VEC);
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++) {
    const vec x = splat(a[i * LINEAR_GROUP]);
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) acc[i][v] = fmadd(x, y[v], acc[i][v]);
  }
}

INLINE void tile_of(int rows, int vectors, const linear_tile *t) {
  vec acc[MOST_ROWS][2];
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
      acc[i][v] = t->add ? load(t->c + (size_t)i * t->c_step + v * VEC) : splat(0);
  const float *a = t->a, *b = t->b;
  const size_t step = t->b_step;
  linear_ahead ahead = t->ahead;
  linear_copy copy = t->copy;
  int left = t->depth;
  for (; left >= LINEAR_GROUP; left -= LINEAR_GROUP, a += ROWS * LINEAR_GROUP) {
    fetch(&ahead);
    copy_group(&copy);
    for (int lane = 0; lane < LINEAR_GROUP; lane++, b += step)
      multiply(rows, vectors, a + lane, b, acc);
  }
  for (int lane = 0; lane < left; lane++, b += step) multiply(rows, vectors, a + lane, b, acc);
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) store(t->c + (size_t)i * t->c_step + v * VEC, acc[i][v]);
}

/* A value that several products share: loaded once, not by each of them. */
INLINE vec held(vec x) {
  __asm__("" : "+v"(x));
  return x;
}

/* One vector of the units in; `lanes`: those that exist. */
INLINE void dot_step(int images, int units, const linear_dot *d, int at, lane_mask lanes,
                     vec acc[MOST_SUMS]) {
  vec w[8];
#pragma GCC unroll 8
  for (int u = 0; u < units; u++) {
    const float *row = d->w + (size_t)u * d->w_step;
    w[u] = lanes == (lane_mask)ALL_LANES ? load(row + at) : load_masked(false, lanes, row, at);
  }
#pragma GCC unroll 8
  for (int i = 0; i < images; i++) {
    const vec x = held(load(d->x + (size_t)i * d->x_step + at));
#pragma GCC unroll 8
    for (int u = 0; u < units; u++) acc[u * images + i] = fmadd(w[u], x, acc[u * images + i]);
  }
}

INLINE void dot_of(int images, int units, const linear_dot *d) {
  vec acc[MOST_SUMS];
#pragma GCC unroll 25
  for (int i = 0; i < images * units; i++)
    acc[i] = load(d->sums + (size_t)(i / images) * d->sums_step + (size_t)(i % images) * VEC);
  int at = 0;
  for (; at + VEC <= d->count; at += VEC) {
    for (int r = 0; r < d->ahead_rows; r++)
      __builtin_prefetch(d->ahead + (size_t)r * d->w_step + at, 0, 2);
    dot_step(images, units, d, at, (lane_mask)ALL_LANES, acc);
  }
  if (at < d->count) dot_step(images, units, d, at, lanes_of(d->count, at), acc);
#pragma GCC unroll 25
  for (int i = 0; i < images * units; i++)
    store(d->sums + (size_t)(i / images) * d->sums_step + (size_t)(i % images) * VEC, acc[i]);
}

INLINE void combine_rows(int rows, const linear_combination *c, int first) {
  const float *w[4];
  vec x[4];
#pragma GCC unroll 4
  for (int i = 0; i < rows; i++) {
    w[i] = c->w + (size_t)c->rows[first + i] * c->w_step;
    x[i] = splat(c->factors[first + i]);
  }
  for (int u = 0; u < c->units; u += VEC) {
    vec y = load(c->y + u);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) y = fmadd(x[i], load(w[i] + u), y);
    store(c->y + u, y);
  }
}

/* Four rows at a time keep memory busy; y stays in the nearest cache. */
static void combine(const linear_combination *c) {
  int i = 0;
  for (; i + 4 <= c->count; i += 4) combine_rows(4, c, i);
  for (; i < c->count; i++) combine_rows(1, c, i);
}

/* VEC units at a time; their weights for VEC inputs are turned in registers. */
static void combine_columns(const linear_combination *c) {
  for (int u = 0; u < c->units; u += VEC) {
    const float *from = c->w + (size_t)u * c->w_step;
    vec y = load(c->y + u);
    for (int t = 0; t < c->count; t += VEC) {
      const lane_mask lanes = lanes_of(c->count, t);
      vec m[VEC];
#pragma GCC unroll 16
      for (int i = 0; i < VEC; i++)
        m[i] = load_masked(false, u + i < c->units ? lanes : 0, from,
                           (ptrdiff_t)((size_t)i * c->w_step) + t);
      transpose(m);
#pragma GCC unroll 16
      for (int i = 0; i < VEC; i++)
        if (t + i < c->count) y = fmadd(splat(c->factors[t + i]), m[i], y);
    }
    store(c->y + u, y);
  }
}

static void stream(size_t count, const float *from, float *to) {
  size_t i = 0;
  if ((uintptr_t)to % sizeof(vec) == 0)
    for (; i + VEC <= count; i += VEC) store_past(to + i, load(from + i));
  memcpy(to + i, from + i, (count - i) * sizeof *to);
}

/* ---- packing --------------------------------------------------------------------------------- */

INLINE void copy_row(bool bf16, size_t count, const void *from, size_t at, float *to, size_t jump) {
  size_t i = 0;
  for (; i + LINEAR_GROUP <= count; i += LINEAR_GROUP, to += jump)
#pragma GCC unroll 2
    for (size_t j = 0; j < LINEAR_GROUP; j += VEC)
      store(to + j, load_masked(bf16, (lane_mask)ALL_LANES, from, (ptrdiff_t)(at + i + j)));
  for (size_t j = 0; i + j < count; j += VEC)
    store(to + j,
          load_masked(bf16, lanes_of((int)(count - i), (int)j), from, (ptrdiff_t)(at + i + j)));
}

static void pack_a(bool bf16, int rows, size_t depth, const void *from, size_t step, float *a) {
  for (int r = 0; r < rows; r++) {
    const size_t row = (size_t)r * step;
    float *to = a + r * LINEAR_GROUP;
    if (bf16)
      copy_row(true, depth, from, row, to, ROWS * LINEAR_GROUP);
    else
      copy_row(false, depth, from, row, to, ROWS * LINEAR_GROUP);
  }
}

INLINE void pack_rows(bool bf16, size_t columns, size_t depth, const void *from, size_t step,
                      float *b) {
  const lane_mask low = lanes_of((int)columns, 0), high = lanes_of((int)columns, VEC);
  for (size_t t = 0; t < depth; t++, b += WIDE) {
    store(b, load_masked(bf16, low, from, (ptrdiff_t)(t * step)));
    store(b + VEC, load_masked(bf16, high, from, (ptrdiff_t)(t * step + VEC)));
  }
}

static void pack_b(bool bf16, size_t columns, size_t depth, const void *from, size_t step,
                   float *b) {
  if (bf16)
    pack_rows(true, columns, depth, from, step, b);
  else if (columns >= WIDE)
    pack_rows(false, WIDE, depth, from, step, b);
  else
    pack_rows(false, columns, depth, from, step, b);
}

/* VEC rows and columns at a time; `wide`: rows with the zeros behind them. */
INLINE void turn_rows(bool bf16, size_t rows, size_t wide, size_t depth, const void *from,
                      size_t step, float *to, size_t to_step) {
  for (size_t t = 0; t < depth; t += VEC)
    for (size_t r = 0; r < wide; r += VEC) {
      const lane_mask lanes = lanes_of((int)(depth - t), 0);
      vec m[VEC];
#pragma GCC unroll 16
      for (size_t i = 0; i < VEC; i++)
        m[i] = load_masked(bf16, r + i < rows ? lanes : 0, from, (ptrdiff_t)((r + i) * step + t));
      transpose(m);
#pragma GCC unroll 16
      for (size_t i = 0; i < VEC; i++)
        if (t + i < depth) store(to + (t + i) * to_step + r, m[i]);
    }
}

static void pack_b_transposed(bool bf16, size_t rows, size_t depth, const void *from, size_t step,
                              float *b) {
  const size_t wide = rows > VEC ? WIDE : VEC;
  if (bf16)
    turn_rows(true, rows, wide, depth, from, step, b, wide);
  else
    turn_rows(false, rows, wide, depth, from, step, b, wide);
}

static void turn(size_t rows, size_t depth, const float *from, size_t step, float *to,
                 size_t to_step) {
  const size_t wide = (rows + LINEAR_GROUP - 1) / LINEAR_GROUP * LINEAR_GROUP;
  turn_rows(false, rows, wide, depth, from, step, to, to_step);
}

#endif
