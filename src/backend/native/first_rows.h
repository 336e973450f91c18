/* SPDX-License-Identifier: Apache-2.0
 *
 * First-layer kernels, once for all instruction sets. Include it from a file that has included the
 * set's lanes header: one register is VEC output channels of one pixel.
 *
 * Forward: two windows of 2x2 outputs at a time. A line's value is broadcast and serves the output
 * row above and the one below it; the filters of one point serve both windows.
 *
 * Backward after a pool: of every window one output has the gradient, a different one in each
 * channel. Tap (r, s) meets the picture at (r, s) from there, one of the four values of a block,
 * and one permutation picks each lane's value by the place of its maximum:
 *
 *     block at column 2q + s of lines r, r + 1         place 0 1
 *                                                            2 3
 *
 * That is 9 permutations and 9 multiply-adds a window, where a gradient written out in full would
 * take 36.
 */
#ifndef NATIVE_FIRST_ROWS_H
#define NATIVE_FIRST_ROWS_H

#include <string.h>

#include "backend/native/first.h"

/* By how much F(2, 3) raises the rounding error of a sum, root mean square. An output is the sum
 * over three points of (G g) times (B' d), with norms of 1, sqrt(3)/2, sqrt(3)/2 and sqrt(2) each:
 * sqrt(5), where three direct products have sqrt(3). */
#define FIRST_ERROR 1.3

/* ---- lines ----------------------------------------------------------------------------------- */

enum { CACHE_LINE = 64, ROWS_AHEAD = 2, VALUES_AHEAD = 512, WORDS_AHEAD = 128 };

/* The bits of value i as a float. */
INLINE uint32_t bits_at(bool bf16, const void *x, int i) {
  if (bf16) return (uint32_t)((const uint16_t *)x)[i] << 16;
  uint32_t bits;
  memcpy(&bits, (const float *)x + i, sizeof bits);
  return bits;
}

INLINE uint32_t read_channel(bool bf16, const void *x, int C, int c, int W, float *to) {
  uint32_t largest = 0;
  for (int i = 0; i < W; i++) {
    const uint32_t bits = bits_at(bf16, x, i * C + c);
    const uint32_t magnitude = bits & 0x7fffffff; /* ordered; NaN is the largest */
    largest = magnitude > largest ? magnitude : largest;
    memcpy(to + i, &bits, sizeof bits);
  }
  return largest;
}

/* The next pair's rows are fetched meanwhile: too short a stream for the processor to foresee. */
static float read_row(const void *x, bool bf16, int C, int W, float *row, size_t stride) {
  const size_t bytes = (size_t)(W * C) * (bf16 ? sizeof(uint16_t) : sizeof(float));
  for (size_t i = 0; i < bytes; i += CACHE_LINE)
    __builtin_prefetch((const char *)x + ROWS_AHEAD * bytes + i);
  uint32_t largest = 0;
  for (int c = 0; c < C; c++) {
    float *to = row + (size_t)c * stride + 1;
    const uint32_t here = bf16     ? read_channel(true, x, C, c, W, to)
                          : C == 1 ? read_channel(false, x, 1, 0, W, to)
                                   : read_channel(false, x, C, c, W, to);
    largest = here > largest ? here : largest;
  }
  float magnitude;
  memcpy(&magnitude, &largest, sizeof magnitude);
  return magnitude;
}

static void make_points(const float *row, size_t stride, int C, int pairs, bool direct,
                        float *line) {
  for (int c = 0; c < C; c++, row += stride, line += 4 * pairs)
    for (int q = 0; q < pairs; q += VEC / 4) {
      const vec d = load(row + 2 * q);
      store(line + 4 * q, direct ? columns_of(d) : points_of(d));
    }
}

static void make_blocks(const float *a, const float *b, size_t stride, int C, float *line) {
  for (int c = 0; c < C; c++, a += stride, b += stride, line += 4 * stride)
    for (size_t x = 0; x + VEC <= stride; x += VEC / 4)
      store(line + 4 * x, blocks_of(load(a + x), load(b + x)));
}

/* ---- forward --------------------------------------------------------------------------------- */

enum { WINDOWS = 2 };

/* acc[window][row] += the products of one point. */
INLINE void sum_point(const first_rows *r, int C, int windows, int q, int point, const float *u,
                      vec acc[WINDOWS][2]) {
  const ptrdiff_t channel = 4 * (ptrdiff_t)((r->Q + 1) / 2);
  for (int c = 0; c < C; c++) {
    const float *filter = u + (c * FIRST_POINTS + point) * FIRST_LANES;
    const vec u0 = load(filter), u1 = load(filter + 4 * FIRST_LANES);
    const vec u2 = load(filter + 8 * FIRST_LANES);
#pragma GCC unroll 2
    for (int w = 0; w < windows; w++) {
      const ptrdiff_t at = c * channel + 4 * (q + w) + point;
      const vec v1 = splat(r->line[1][at]), v2 = splat(r->line[2][at]);
      vec *above = &acc[w][0], *below = &acc[w][1];
      *above = fmadd(splat(r->line[0][at]), u0, *above);
      *below = fmadd(v1, u0, *below);
      *above = fmadd(v1, u1, *above);
      *below = fmadd(v2, u1, *below);
      *above = fmadd(v2, u2, *above);
      *below = fmadd(splat(r->line[3][at]), u2, *below);
    }
  }
}

/* `windows` windows from the q-th on, before ReLU; out[window][place]. Each point goes to the
 * outputs as soon as it is summed: 12 sums at a time are in registers. */
INLINE void transformed(const first_rows *r, int C, int windows, int q, const float *u, vec bias,
                        vec out[WINDOWS][4]) {
  vec left[WINDOWS][2], right[WINDOWS][2], m[WINDOWS][2];
  for (int w = 0; w < windows; w++)
    for (int i = 0; i < 2; i++) left[w][i] = right[w][i] = splat(0), m[w][i] = bias;
  sum_point(r, C, windows, q, 0, u, left);
  sum_point(r, C, windows, q, 3, u, right);
  sum_point(r, C, windows, q, 1, u, m);
#pragma GCC unroll 2
  for (int w = 0; w < windows; w++)
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
      left[w][i] = left[w][i] + m[w][i];
      right[w][i] = m[w][i] - right[w][i];
      m[w][i] = splat(0);
    }
  sum_point(r, C, windows, q, 2, u, m);
#pragma GCC unroll 2
  for (int w = 0; w < windows; w++)
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
      out[w][2 * i] = left[w][i] + m[w][i];
      out[w][2 * i + 1] = right[w][i] - m[w][i];
    }
}

/* The same summed directly. */
INLINE void direct(const first_rows *r, int C, int windows, int q, const float *g, vec bias,
                   vec out[WINDOWS][4]) {
  const ptrdiff_t channel = 4 * (ptrdiff_t)((r->Q + 1) / 2);
#pragma GCC unroll 2
  for (int w = 0; w < windows; w++)
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) out[w][i] = bias;
  for (int c = 0; c < C; c++)
#pragma GCC unroll 9
    for (int tap = 0; tap < FIRST_TAPS; tap++, g += FIRST_LANES) {
      const vec filter = load(g);
#pragma GCC unroll 2
      for (int w = 0; w < windows; w++)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          const float at = r->line[tap / 3 + i / 2][c * channel + 4 * (q + w) + tap % 3 + i % 2];
          out[w][i] = fmadd(splat(at), filter, out[w][i]);
        }
    }
}

INLINE vec larger(bool finite, vec a, vec b) { return finite ? max(a, b) : max_nan(a, b); }

/* The window's maximum after the ReLU. */
INLINE vec pool(const vec y[4], bool finite, uint16_t *words, int channel) {
  const vec upper = larger(finite, y[0], y[1]), lower = larger(finite, y[2], y[3]);
  const vec top = relu(larger(finite, upper, lower));
  if (words) {
    const lane_mask low = above(lower, upper);
    set_lanes(words + FIRST_RIGHT, channel,
              (lane_mask)((above(y[1], y[0]) & ~low) | (above(y[3], y[2]) & low)));
    set_lanes(words + FIRST_LOWER, channel, low);
    set_lanes(words + FIRST_OPEN, channel, above(top, splat(0)));
  }
  return top;
}

INLINE void put(const first_rows *r, lane_mask lanes, ptrdiff_t at, vec x) {
  store_value(r->bf16, r->stream, lanes, r->values, at, x);
}

INLINE void finish(const first_rows *r, bool finite, int q, int channel, const vec y[4]) {
  const lane_mask lanes = lanes_of(r->K, channel);
  if (r->pool) {
    if (2 * q + 1 >= r->Q) return;
    const int blocks = (r->K + FIRST_LANES - 1) / FIRST_LANES;
    uint16_t *words =
        r->words ? r->words + (q * (ptrdiff_t)blocks + channel / FIRST_LANES) * FIRST_WORDS : NULL;
    put(r, lanes, (ptrdiff_t)q * r->K + channel, pool(y, finite, words, channel));
    return;
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    if (i / 2 < r->rows && 2 * q + i % 2 < r->Q)
      put(r, lanes, ((ptrdiff_t)(i / 2) * r->Q + 2 * q + i % 2) * r->K + channel,
          r->relu ? relu(y[i]) : y[i]);
}

INLINE void windows_at(const first_rows *r, int C, bool summed, bool finite, int windows, int q,
                       int channel, const float *filters, vec bias) {
  vec y[WINDOWS][4];
  if (summed)
    direct(r, C, windows, q, filters, bias, y);
  else
    transformed(r, C, windows, q, filters, bias, y);
#pragma GCC unroll 2
  for (int w = 0; w < windows; w++) finish(r, finite, q + w, channel, y[w]);
}

INLINE void forward_rows(const first_rows *r, int C, bool summed, bool finite, const float *filters,
                         const float *bias) {
  const ptrdiff_t block = C * (summed ? FIRST_TAPS : FIRST_POINTS) * FIRST_LANES;
  const int pairs = (r->Q + 1) / 2;
  for (int channel = 0; channel < r->K; channel += VEC) {
    const float *u = filters + channel / FIRST_LANES * block + channel % FIRST_LANES;
    const vec b = load(bias + channel);
    int q = 0;
    for (; q + WINDOWS <= pairs; q += WINDOWS)
      windows_at(r, C, summed, finite, WINDOWS, q, channel, u, b);
    if (q < pairs) windows_at(r, C, summed, finite, 1, q, channel, u, b);
  }
}

static void forward(const first_rows *r, const float *filters, const float *bias) {
  if (r->direct)
    forward_rows(r, r->C, true, false, filters, bias);
  else if (r->C == 1 && r->finite)
    forward_rows(r, 1, false, true, filters, bias);
  else if (r->C == 3 && r->finite)
    forward_rows(r, 3, false, true, filters, bias);
  else
    forward_rows(r, r->C, false, false, filters, bias);
  if (r->stream) store_fence();
}

/* ---- backward -------------------------------------------------------------------------------- */

INLINE void add_to(float *sums, vec x) { store(sums, load(sums) + x); }

/* The nine sums of one input channel stay in registers for a pair of rows. */
INLINE void pooled_channel(const first_rows *r, bool bf16, int c, int channel, float *sums,
                           vec *bias) {
  const int blocks = (r->K + FIRST_LANES - 1) / FIRST_LANES;
  const lane_mask lanes = lanes_of(r->K, channel);
  const ptrdiff_t plane = c * (ptrdiff_t)r->stride * 4;
  const float *line[3] = {r->line[0] + plane, r->line[1] + plane, r->line[2] + plane};
  vec acc[FIRST_TAPS];
#pragma GCC unroll 9
  for (int i = 0; i < FIRST_TAPS; i++) acc[i] = splat(0);
  for (ptrdiff_t q = 0; q < r->Q / 2; q++) {
    const uint16_t *words = r->words + (q * blocks + channel / FIRST_LANES) * FIRST_WORDS;
    const ptrdiff_t at = q * r->K + channel;
    __builtin_prefetch((const char *)r->values + (at + VALUES_AHEAD) * (bf16 ? 2 : 4));
    __builtin_prefetch(words + 4 * 32);
    const vec g = load_open(bf16, lanes_in(words + FIRST_OPEN, channel), lanes, r->values, at);
    const lane_index place = places_of(words, channel);
#pragma GCC unroll 9
    for (int tap = 0; tap < FIRST_TAPS; tap++)
      acc[tap] = fmadd(pick(line[tap / 3] + 8 * q + 4 * (tap % 3), place), g, acc[tap]);
    *bias = *bias + g;
  }
#pragma GCC unroll 9
  for (int i = 0; i < FIRST_TAPS; i++) add_to(sums + i * FIRST_LANES, acc[i]);
}

/* The gradient of one output, behind ReLU. */
INLINE vec gradient_at(const first_rows *r, bool bf16, lane_mask lanes, ptrdiff_t at) {
  if (!r->y) return load_masked(bf16, lanes, r->values, at);
  const lane_mask open = above(load_masked(bf16, lanes, r->y, at), splat(0));
  return load_open(bf16, open, lanes, r->values, at);
}

INLINE void full_channel(const first_rows *r, bool bf16, int c, int channel, float *sums,
                         vec *bias) {
  const lane_mask lanes = lanes_of(r->K, channel);
  vec acc[FIRST_TAPS];
#pragma GCC unroll 9
  for (int i = 0; i < FIRST_TAPS; i++) acc[i] = splat(0);
  for (int y = 0; y < r->rows; y++) {
    const ptrdiff_t plane = c * (ptrdiff_t)r->stride;
    const float *row[3] = {r->line[y] + plane, r->line[y + 1] + plane, r->line[y + 2] + plane};
    for (ptrdiff_t x = 0; x < r->Q; x++) {
      const vec g = gradient_at(r, bf16, lanes, (y * (ptrdiff_t)r->Q + x) * r->K + channel);
#pragma GCC unroll 9
      for (int tap = 0; tap < FIRST_TAPS; tap++)
        acc[tap] = fmadd(splat(row[tap / 3][x + tap % 3]), g, acc[tap]);
      *bias = *bias + g;
    }
  }
#pragma GCC unroll 9
  for (int i = 0; i < FIRST_TAPS; i++) add_to(sums + i * FIRST_LANES, acc[i]);
}

INLINE void backward_rows(const first_rows *r, bool bf16, bool pooled, float *sums) {
  const int vectors = FIRST_TAPS * r->C + 1;
  for (int channel = 0; channel < r->K; channel += VEC) {
    float *to = sums + channel / FIRST_LANES * vectors * FIRST_LANES + channel % FIRST_LANES;
    vec bias = splat(0);
    for (int c = 0; c < r->C; c++, to += FIRST_TAPS * FIRST_LANES) {
      bias = splat(0);
      if (pooled)
        pooled_channel(r, bf16, c, channel, to, &bias);
      else
        full_channel(r, bf16, c, channel, to, &bias);
    }
    add_to(to, bias);
  }
}

static void backward(const first_rows *r, float *sums) {
  if (r->pool && r->bf16)
    backward_rows(r, true, true, sums);
  else if (r->pool)
    backward_rows(r, false, true, sums);
  else if (r->bf16)
    backward_rows(r, true, false, sums);
  else
    backward_rows(r, false, false, sums);
}

#endif
