/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's transforms, once for all instruction sets. Include it from a file that has included
 * the set's lanes header, VEC values in a register, and has said what its products take:
 *
 *     enum { PANEL, WIDE };   tiles in a panel, output channels of a product; see wg_kernels
 *
 * Transforms load with masks: a column outside the picture, a channel beyond C and a place that the
 * pool or the ReLU has closed are all a zero in the mask, and so is a row outside.
 */
#ifndef NATIVE_WINOGRAD_ROWS_H
#define NATIVE_WINOGRAD_ROWS_H

#include <string.h>

#include "backend/native/winograd.h"

static const float half_points[2] = {0.70710678118654752440f, 1.41421356237309504880f};

/* ---- where a tile lies ----------------------------------------------------------------------- */

typedef struct place {
  int image, ty, tx;
} place;

static place place_of(const wg_grid *g, size_t tile) {
  const size_t per_image = (size_t)g->TY * (size_t)g->TX;
  const int in_image = (int)(tile % per_image);
  return (place){(int)(tile / per_image), in_image / g->TX, in_image % g->TX};
}

INLINE void next_place(const wg_grid *g, place *p) {
  if (++p->tx < g->TX) return;
  p->tx = 0;
  if (++p->ty < g->TY) return;
  p->ty = 0;
  p->image++;
}

/* A tile's values, one at a time: row i, column j from the corner (y0, x0), VEC channels. */
typedef struct tile_view {
  const wg_source *s;
  int y0, x0;
  ptrdiff_t corner;    /* plane: of (y0, x0), in values; may lie outside where the mask is 0 */
  ptrdiff_t row, cell; /* plane: from row to row and column to column, in values */
  lane_mask lanes, rows[6], columns[6];
  int PH, PW, words; /* pooled */
  ptrdiff_t image;
  int channel;
} tile_view;

INLINE tile_view view_tile(const wg_grid *g, const wg_source *s, bool pooled, int size, int image,
                           int y0, int x0, int channel) {
  tile_view v = {.s = s, .y0 = y0, .x0 = x0, .channel = channel};
  v.lanes = lanes_of(s->C, channel);
  if (pooled) {
    v.PH = g->H / 2, v.PW = g->W / 2, v.words = wg_round(s->C, WG_LANES) / WG_LANES;
    v.image = (ptrdiff_t)image * v.PH;
    return v;
  }
  v.cell = s->C;
  v.row = (ptrdiff_t)g->W * s->C;
  v.corner = ((ptrdiff_t)image * g->H + y0) * v.row + (ptrdiff_t)x0 * s->C + channel;
  for (int i = 0; i < size; i++) {
    v.rows[i] = (unsigned)(y0 + i) < (unsigned)g->H ? ALL_LANES : 0;
    v.columns[i] = (unsigned)(x0 + i) < (unsigned)g->W ? v.lanes : 0;
  }
  return v;
}

/* Of a full plane. */
INLINE vec value_at(const tile_view *v, bool bf16, int i, int j) {
  return load_masked(bf16, v->rows[i] & v->columns[j], v->s->values,
                     v->corner + i * v->row + j * v->cell);
}

/* Of a gradient that a pool has shrunk: every value has four places, at most one of them open. */
INLINE vec pooled_value_at(const tile_view *v, bool bf16, int i, int j) {
  const int y = v->y0 + i, x = v->x0 + j, py = y >> 1, px = x >> 1;
  if ((unsigned)py >= (unsigned)v->PH || (unsigned)px >= (unsigned)v->PW) return splat(0);
  const ptrdiff_t cell = (v->image + py) * v->PW + px;
  const uint16_t *words = v->s->masks + (cell * v->words + v->channel / WG_LANES) * 4;
  const lane_mask open = lanes_in(words + (y & 1) * 2 + (x & 1), v->channel);
  return load_open(bf16, open, v->lanes, v->s->values, cell * v->s->C + v->channel);
}

INLINE vec tile_value(const tile_view *v, bool bf16, bool pooled, int i, int j) {
  return pooled ? pooled_value_at(v, bf16, i, j) : value_at(v, bf16, i, j);
}

/* ---- transforms ------------------------------------------------------------------------------ */

/* B' d of one line; see winograd.h. */
INLINE void to_points(const vec d[6], int in_step, vec *v, int out_step) {
  const vec a = splat(half_points[0]), b = splat(half_points[1]);
  const vec d1 = d[in_step], d2 = d[2 * in_step], d3 = d[3 * in_step], d4 = d[4 * in_step];
  const vec even_a = fnmadd(splat(2), d2, d4), odd_a = fnmadd(splat(2), d1, d3);
  const vec even_b = fnmadd(splat(.5f), d2, d4);
  const vec odd_b = fnmadd(splat(.5f), d1, d3);
  v[0] = fnmadd(splat(2.5f), d2, d[0] + d4);
  v[out_step] = fmadd(a, odd_a, even_a);
  v[2 * out_step] = fnmadd(a, odd_a, even_a);
  v[3 * out_step] = fmadd(b, odd_b, even_b);
  v[4 * out_step] = fnmadd(b, odd_b, even_b);
  v[5 * out_step] = fnmadd(splat(2.5f), d3, d1 + d[5 * in_step]);
}

/* Four values as a cubic evaluated at the points (without G's factors 1 / N). */
INLINE void evaluate(const vec y[4], int in_step, vec *v, int out_step) {
  const vec a = splat(half_points[0]), b = splat(half_points[1]);
  const vec y0 = y[0], y1 = y[in_step], y2 = y[2 * in_step], y3 = y[3 * in_step];
  const vec even_a = fmadd(splat(.5f), y2, y0), odd_a = fmadd(splat(.5f), y3, y1);
  const vec even_b = fmadd(splat(2), y2, y0), odd_b = fmadd(splat(2), y3, y1);
  v[0] = y0;
  v[out_step] = fmadd(a, odd_a, even_a);
  v[2 * out_step] = fnmadd(a, odd_a, even_a);
  v[3 * out_step] = fmadd(b, odd_b, even_b);
  v[4 * out_step] = fnmadd(b, odd_b, even_b);
  v[5 * out_step] = y3;
}

/* A' m of one line. */
INLINE void from_points(const vec m[6], int in_step, vec *y, int out_step) {
  const vec a = splat(half_points[0]), b = splat(half_points[1]);
  const vec even_a = m[in_step] + m[2 * in_step];
  const vec odd_a = a * (m[in_step] - m[2 * in_step]);
  const vec even_b = m[3 * in_step] + m[4 * in_step];
  const vec odd_b = b * (m[3 * in_step] - m[4 * in_step]);
  y[0] = m[0] + (even_a + even_b);
  y[out_step] = odd_a + odd_b;
  y[2 * out_step] = fmadd(splat(2), even_b, splat(.5f) * even_a);
  y[3 * out_step] = fmadd(splat(2), odd_b, fmadd(splat(.5f), odd_a, m[5 * in_step]));
}

INLINE void input_tile(const wg_grid *g, const wg_source *s, bool bf16, bool pooled, place p,
                       int channel, float *V, size_t plane) {
  const tile_view view = view_tile(g, s, pooled, 6, p.image, 4 * p.ty - 1, 4 * p.tx - 1, channel);
  vec t[36];
#pragma GCC unroll 6
  for (int j = 0; j < 6; j++) {
    vec column[6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) column[i] = tile_value(&view, bf16, pooled, i, j);
    to_points(column, 1, t + j, 6);
  }
#pragma GCC unroll 6
  for (int i = 0; i < 6; i++) {
    vec v[6];
    to_points(t + 6 * i, 1, v, 1);
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) store(V + (size_t)(6 * i + j) * plane, v[j]);
  }
}

/* Zeros in place of the tiles that the last panel lacks. */
static void clear_tail(int count, int step, float *V, size_t plane, int blocks, size_t panel) {
  for (int t = count; t % PANEL != 0; t++)
    for (int block = 0; block < blocks; block++)
      for (int p = 0; p < WG_POINTS; p++)
        memset(V + p * plane + (size_t)(t / PANEL) * panel +
                   (size_t)(block * PANEL + t % PANEL) * step,
               0, (size_t)step * sizeof *V);
}

INLINE void input_tiles(const wg_grid *g, const wg_source *s, bool bf16, bool pooled, size_t first,
                        int count, float *V, size_t plane) {
  const int c16 = wg_round(s->C, WG_LANES) / WG_LANES;
  const size_t panel = (size_t)c16 * PANEL * WG_LANES;
  place p = place_of(g, first);
  for (int t = 0; t < count; t++) {
    float *to = V + (size_t)(t / PANEL) * panel + (size_t)(t % PANEL) * WG_LANES;
    for (int c = 0; c < c16 * WG_LANES; c += VEC)
      input_tile(g, s, bf16, pooled, p, c,
                 to + (size_t)(c / WG_LANES * PANEL) * WG_LANES + c % WG_LANES, plane);
    next_place(g, &p);
  }
  clear_tail(count, WG_LANES, V, plane, c16, panel);
}

static void input(const wg_grid *g, const wg_source *s, size_t first, int count, float *V,
                  size_t plane) {
  if (s->masks && s->bf16)
    input_tiles(g, s, true, true, first, count, V, plane);
  else if (s->masks)
    input_tiles(g, s, false, true, first, count, V, plane);
  else if (s->bf16)
    input_tiles(g, s, true, false, first, count, V, plane);
  else
    input_tiles(g, s, false, false, first, count, V, plane);
}

INLINE void gradient_tile(const wg_grid *g, const wg_source *s, bool bf16, bool pooled, place p,
                          int channel, float *D, size_t plane, float *sums) {
  const tile_view view = view_tile(g, s, pooled, 4, p.image, 4 * p.ty, 4 * p.tx, channel);
  vec t[24], sum = load(sums);
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    vec column[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) column[i] = tile_value(&view, bf16, pooled, i, j);
    sum = sum + ((column[0] + column[1]) + (column[2] + column[3]));
    evaluate(column, 1, t + j, 4);
  }
  store(sums, sum);
#pragma GCC unroll 6
  for (int i = 0; i < 6; i++) {
    vec v[6];
    evaluate(t + 4 * i, 1, v, 1);
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) store(D + (size_t)(6 * i + j) * plane, v[j]);
  }
}

INLINE void gradient_tiles(const wg_grid *g, const wg_source *s, bool bf16, bool pooled,
                           size_t first, int count, float *D, size_t plane, float *sums) {
  const int blocks = wg_round(s->C, WIDE) / WIDE;
  const size_t panel = (size_t)blocks * PANEL * WIDE;
  place p = place_of(g, first);
  for (int t = 0; t < count; t++) {
    for (int channel = 0; channel < wg_round(s->C, WG_LANES); channel += VEC) {
      float *to = D + (size_t)(t / PANEL) * panel +
                  (size_t)(channel / WIDE * PANEL + t % PANEL) * WIDE + channel % WIDE;
      gradient_tile(g, s, bf16, pooled, p, channel, to, plane, sums + channel);
    }
    next_place(g, &p);
  }
  clear_tail(count, WIDE, D, plane, blocks, panel);
}

static void gradient(const wg_grid *g, const wg_source *s, size_t first, int count, float *D,
                     size_t plane, float *sums) {
  if (s->masks && s->bf16)
    gradient_tiles(g, s, true, true, first, count, D, plane, sums);
  else if (s->masks)
    gradient_tiles(g, s, false, true, first, count, D, plane, sums);
  else if (s->bf16)
    gradient_tiles(g, s, true, false, first, count, D, plane, sums);
  else
    gradient_tiles(g, s, false, false, first, count, D, plane, sums);
}

INLINE void store_pooled(const wg_grid *g, const wg_target *t, bool bf16, place p, int channel,
                         lane_mask lanes, const vec y[16]) {
  const int PH = g->H / 2, PW = g->W / 2, words = wg_round(t->C, WG_LANES) / WG_LANES;
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 2; j++) {
      const int py = 2 * p.ty + i, px = 2 * p.tx + j;
      if (py >= PH || px >= PW) continue;
      const ptrdiff_t cell = ((ptrdiff_t)p.image * PH + py) * PW + px;
      const vec *corner = y + 8 * i + 2 * j;
      const vec window[4] = {corner[0], corner[1], corner[4], corner[5]};
      uint16_t *masks = t->masks ? t->masks + (cell * words + channel / WG_LANES) * 4 : NULL;
      store_masked(bf16, lanes, t->values, cell * t->C + channel,
                   pool_window(window, masks, channel));
    }
  }
}

INLINE void store_plane(const wg_grid *g, const wg_target *t, bool bf16, place p, int channel,
                        lane_mask lanes, const vec y[16]) {
  for (int i = 0; i < 4 && 4 * p.ty + i < g->H; i++) {
    const ptrdiff_t row =
        (((ptrdiff_t)p.image * g->H + 4 * p.ty + i) * g->W + 4 * p.tx) * t->C + channel;
    for (int j = 0; j < 4 && 4 * p.tx + j < g->W; j++)
      store_masked(bf16, lanes, t->values, row + (ptrdiff_t)j * t->C, y[4 * i + j]);
  }
}

INLINE void output_tile(const wg_grid *g, const wg_target *t, bool bf16, place p, int channel,
                        const float *M, size_t plane) {
  vec m[36], rows[24], y[16];
#pragma GCC unroll 36
  for (int i = 0; i < 36; i++) m[i] = load(M + (size_t)i * plane);
#pragma GCC unroll 6
  for (int j = 0; j < 6; j++) from_points(m + j, 6, rows + j, 6);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) from_points(rows + 6 * i, 1, y + 4 * i, 1);
  if (t->bias) {
    const vec bias = load(t->bias + channel);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) y[i] = y[i] + bias;
  }
  if (t->relu) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) y[i] = relu(y[i]); /* NaN stays */
  }
  const lane_mask lanes = lanes_of(t->C, channel);
  if (t->pool)
    store_pooled(g, t, bf16, p, channel, lanes, y);
  else
    store_plane(g, t, bf16, p, channel, lanes, y);
}

static void output(const wg_grid *g, const wg_target *t, size_t first, int count, int k,
                   const float *M, size_t plane) {
  place p = place_of(g, first);
  for (int i = 0; i < count; i++) {
    for (int c = 0; c < WIDE && k * WIDE + c < wg_round(t->C, WG_LANES); c += VEC) {
      const float *from = M + (size_t)i * WIDE + c;
      if (t->bf16)
        output_tile(g, t, true, p, k * WIDE + c, from, plane);
      else
        output_tile(g, t, false, p, k * WIDE + c, from, plane);
    }
    next_place(g, &p);
  }
}

#endif
