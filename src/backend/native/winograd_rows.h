/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's transforms, once for all instruction sets. Include it from a file that has included
 * the set's lanes header, VEC values in a register, and has said what its products take:
 *
 *     enum { WIDE };   output channels of a product, two vectors; see wg_kernels
 *
 * Transforms load with masks: a column outside the picture, a channel beyond C and a place that the
 * pool or the ReLU has closed are all a zero in the mask, and so is a row outside.
 */
#ifndef NATIVE_WINOGRAD_ROWS_H
#define NATIVE_WINOGRAD_ROWS_H

#include <math.h>
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

/* A place that the compiler knows nothing about: else it would work out the distances of all of a
 * tile's values beforehand, keep them in memory and read them back one by one. */
INLINE const void *opaque(const void *p) {
  __asm__ volatile("" : "+r"(p));
  return p;
}

/* A tile's values, row by row from the corner (y0, x0), VEC channels. Most tiles are `whole`: all
 * that they read exists, so that nothing need be masked. Where a pool has shrunk the values, rows
 * and columns below are those of its windows, and the corner may lie `odd`, on the second row and
 * column of its window. */
typedef struct tile_view {
  bool whole, bf16, pooled;
  const char *values; /* of the corner, which may lie outside where the mask is 0 */
  const uint16_t *words;
  ptrdiff_t row, cell, words_row, words_cell; /* distances in bytes, and in words */
  int odd, channel;
  lane_mask lanes, rows[6], columns[6];
} tile_view;

/* bf16, pooled and size are constants where this is called. */
INLINE tile_view view_tile(const wg_grid *g, const wg_source *s, bool bf16, bool pooled, int size,
                           int image, int y0, int x0, int channel) {
  tile_view v = {.bf16 = bf16, .pooled = pooled, .channel = channel};
  int H = g->H, W = g->W, count = size;
  v.lanes = lanes_of(s->C, channel);
  if (pooled) {
    v.odd = size == 6;
    H /= 2, W /= 2, y0 >>= 1, x0 >>= 1, count = size / 2 + v.odd;
  }
  v.whole =
      v.lanes == (lane_mask)ALL_LANES && y0 >= 0 && x0 >= 0 && y0 + count <= H && x0 + count <= W;
  const ptrdiff_t corner = ((ptrdiff_t)image * H + y0) * W + x0, bytes = bf16 ? 2 : 4;
  v.cell = s->C * bytes;
  v.row = W * v.cell;
  v.values = (const char *)s->values + corner * v.cell + channel * bytes;
  if (pooled) {
    v.words_cell = wg_round(s->C, WG_LANES) / WG_LANES * 4;
    v.words_row = W * v.words_cell;
    v.words = s->masks + corner * v.words_cell + channel / WG_LANES * 4;
  }
  for (int i = 0; i < count && !v.whole; i++) {
    v.rows[i] = (unsigned)(y0 + i) < (unsigned)H ? ALL_LANES : 0;
    v.columns[i] = (unsigned)(x0 + i) < (unsigned)W ? v.lanes : 0;
  }
  return v;
}

/* Row i of a full plane. */
INLINE void read_plane_row(const tile_view *v, bool whole, int size, int i, vec *line) {
  const char *row = opaque(v->values + i * v->row);
#pragma GCC unroll 6
  for (int j = 0; j < size; j++)
    line[j] =
        load_masked(v->bf16, whole ? (lane_mask)ALL_LANES : v->columns[j], row + j * v->cell, 0);
}

/* Row i of a gradient that a pool has shrunk: every value has four places, at most one of them
 * open. */
INLINE void read_pooled_row(const tile_view *v, bool whole, int size, int i, vec *line) {
  const int y = i + v->odd;
  const char *row = opaque(v->values + y / 2 * v->row);
  const uint16_t *words = opaque(v->words + y / 2 * v->words_row);
#pragma GCC unroll 6
  for (int j = 0; j < size; j++) {
    const int x = j + v->odd, spot = y % 2 * 2 + x % 2;
    line[j] = splat(0);
    if (whole || v->columns[x / 2])
      line[j] = load_open(v->bf16, lanes_in(words + x / 2 * v->words_cell + spot, v->channel),
                          v->lanes, row + x / 2 * v->cell, 0);
  }
}

/* Row i of a tile of size x size values; zeros where it lies outside. */
INLINE void read_row(const tile_view *v, bool whole, int size, int i, vec *line) {
  if (!whole && !v->rows[v->pooled ? (i + v->odd) / 2 : i]) {
#pragma GCC unroll 6
    for (int j = 0; j < size; j++) line[j] = splat(0);
  } else if (v->pooled) {
    read_pooled_row(v, whole, size, i, line);
  } else {
    read_plane_row(v, whole, size, i, line);
  }
}

/* ---- transforms ------------------------------------------------------------------------------
 *
 * Both transforms to points go along the rows, then along the columns. The input's takes three
 * points of six at a time, so that what stands between the two, 18 vectors for 36, stays in
 * registers where there are 32 of them: nothing is computed twice, only read. The gradient's 24 do
 * so at once.
 */

/* B' d of one line: points 0, a and -a, or b, -b and infinity; see winograd.h. */
INLINE void to_points(bool last, const vec *d, int in_step, vec *v, int out_step) {
  const vec d1 = d[in_step], d2 = d[2 * in_step], d3 = d[3 * in_step], d4 = d[4 * in_step];
  const vec c = splat(last ? .5f : 2), point = splat(half_points[last]);
  const vec even = fnmadd(c, d2, d4), odd = fnmadd(c, d1, d3);
  if (!last) v[0] = fnmadd(splat(2.5f), d2, d[0] + d4);
  v[last ? 0 : out_step] = fmadd(point, odd, even);
  v[last ? out_step : 2 * out_step] = fnmadd(point, odd, even);
  if (last) v[2 * out_step] = fnmadd(splat(2.5f), d3, d1 + d[5 * in_step]);
}

/* Four values as a cubic evaluated at the same points (without G's factors 1 / N). */
INLINE void evaluate(bool last, const vec *y, int in_step, vec *v, int out_step) {
  const vec y0 = y[0], y1 = y[in_step], y2 = y[2 * in_step], y3 = y[3 * in_step];
  const vec c = splat(last ? 2 : .5f), point = splat(half_points[last]);
  const vec even = fmadd(c, y2, y0), odd = fmadd(c, y3, y1);
  if (!last) v[0] = y0;
  v[last ? 0 : out_step] = fmadd(point, odd, even);
  v[last ? out_step : 2 * out_step] = fnmadd(point, odd, even);
  if (last) v[2 * out_step] = y3;
}

/* Stores a column of points, `step` floats apart. */
INLINE void store_points(float *to, ptrdiff_t step, const vec v[6]) {
#pragma GCC unroll 6
  for (int i = 0; i < 6; i++) {
    store(to, v[i]);
    to = (float *)opaque(to + step);
  }
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

INLINE void transform_input(const tile_view *view, bool whole, float *V, size_t plane) {
#pragma GCC unroll 2
  for (int last = 0; last < 2; last++) {
    vec t[6 * 3];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
      vec line[6];
      read_row(view, whole, 6, i, line);
      to_points(last, line, 1, t + 3 * i, 1);
    }
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++, V += plane) {
      vec v[6];
      to_points(false, t + j, 3, v, 1);
      to_points(true, t + j, 3, v + 3, 1);
      store_points(V, 6 * (ptrdiff_t)plane, v);
    }
  }
}

/* The values of a tile of size x size, as they are. */
INLINE void copy_values(const tile_view *view, int size, float *V, size_t plane) {
  for (int i = 0; i < size; i++) {
    vec line[6];
    read_row(view, view->whole, size, i, line);
    for (int j = 0; j < size; j++, V += plane) store(V, line[j]);
  }
}

INLINE void input_tile(const wg_grid *g, const wg_source *s, bool bf16, bool pooled,
                       bool transformed, place p, int channel, float *V, size_t plane) {
  const tile_view view =
      view_tile(g, s, bf16, pooled, 6, p.image, 4 * p.ty - 1, 4 * p.tx - 1, channel);
  if (!transformed)
    copy_values(&view, 6, V, plane);
  else if (view.whole)
    transform_input(&view, true, V, plane);
  else
    transform_input(&view, false, V, plane);
}

INLINE void input_tiles(const wg_grid *g, const wg_source *s, bool bf16, bool pooled,
                        bool transformed, size_t first, int count, int rows, float *V,
                        size_t plane) {
  const int C = wg_round(s->C, WG_LANES);
  const ptrdiff_t panel = (ptrdiff_t)C * rows, block = (ptrdiff_t)rows * WG_LANES;
  place p = place_of(g, first);
  for (int t = 0, row = 0; t < count; t++) {
    float *to = V + row * WG_LANES;
    for (int c = 0; c < C; c += VEC)
      input_tile(g, s, bf16, pooled, transformed, p, c, to + c / WG_LANES * block + c % WG_LANES,
                 plane);
    next_place(g, &p);
    if (++row == rows) row = 0, V += panel;
  }
}

static void input(const wg_grid *g, const wg_source *s, size_t first, int count, int rows,
                  bool transformed, float *V, size_t plane) {
  if (!transformed)
    input_tiles(g, s, s->bf16, s->masks != NULL, false, first, count, rows, V, plane);
  else if (s->masks && s->bf16)
    input_tiles(g, s, true, true, true, first, count, rows, V, plane);
  else if (s->masks)
    input_tiles(g, s, false, true, true, first, count, rows, V, plane);
  else if (s->bf16)
    input_tiles(g, s, true, false, true, first, count, rows, V, plane);
  else
    input_tiles(g, s, false, false, true, first, count, rows, V, plane);
}

INLINE void transform_gradient(const tile_view *view, bool whole, float *D, size_t plane,
                               float *sums) {
  vec t[4 * 6], sum = splat(0);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    vec line[4];
    read_row(view, whole, 4, i, line);
    sum = sum + ((line[0] + line[1]) + (line[2] + line[3]));
    evaluate(false, line, 1, t + 6 * i, 1);
    evaluate(true, line, 1, t + 6 * i + 3, 1);
  }
  store(sums, load(sums) + sum);
#pragma GCC unroll 6
  for (int j = 0; j < 6; j++, D += plane) {
    vec v[6];
    evaluate(false, t + j, 6, v, 1);
    evaluate(true, t + j, 6, v + 3, 1);
    store_points(D, 6 * (ptrdiff_t)plane, v);
  }
}

/* The bias' gradient alone. */
INLINE void add_values(const tile_view *view, float *sums) {
  vec sum = load(sums);
  for (int i = 0; i < 4; i++) {
    vec line[4];
    read_row(view, view->whole, 4, i, line);
    sum = sum + ((line[0] + line[1]) + (line[2] + line[3]));
  }
  store(sums, sum);
}

INLINE void gradient_tile(const wg_grid *g, const wg_source *s, bool bf16, bool pooled,
                          bool transformed, place p, int channel, float *D, size_t plane,
                          float *sums) {
  const tile_view view = view_tile(g, s, bf16, pooled, 4, p.image, 4 * p.ty, 4 * p.tx, channel);
  if (!transformed) {
    copy_values(&view, 4, D, plane);
    add_values(&view, sums);
  } else if (view.whole)
    transform_gradient(&view, true, D, plane, sums);
  else
    transform_gradient(&view, false, D, plane, sums);
}

INLINE void gradient_tiles(const wg_grid *g, const wg_source *s, bool bf16, bool pooled,
                           bool transformed, size_t first, int count, int tiles, float *D,
                           size_t plane, float *sums) {
  const ptrdiff_t group = (ptrdiff_t)tiles * WIDE;
  place p = place_of(g, first);
  for (int t = 0; t < count; t++, D += WIDE) {
    for (int c = 0; c < wg_round(s->C, WG_LANES); c += VEC)
      gradient_tile(g, s, bf16, pooled, transformed, p, c, D + c / WIDE * group + c % WIDE, plane,
                    sums + c);
    next_place(g, &p);
  }
}

static void gradient(const wg_grid *g, const wg_source *s, size_t first, int count, int tiles,
                     bool transformed, float *D, size_t plane, float *sums) {
  if (!transformed)
    gradient_tiles(g, s, s->bf16, s->masks != NULL, false, first, count, tiles, D, plane, sums);
  else if (s->masks && s->bf16)
    gradient_tiles(g, s, true, true, true, first, count, tiles, D, plane, sums);
  else if (s->masks)
    gradient_tiles(g, s, false, true, true, first, count, tiles, D, plane, sums);
  else if (s->bf16)
    gradient_tiles(g, s, true, false, true, first, count, tiles, D, plane, sums);
  else
    gradient_tiles(g, s, false, false, true, first, count, tiles, D, plane, sums);
}

/* Row i of windows of a tile. */
INLINE void store_pooled(const wg_grid *g, const wg_target *t, bool bf16, bool whole, place p,
                         int channel, int i, const vec y[8]) {
  const int PH = g->H / 2, PW = g->W / 2, words = wg_round(t->C, WG_LANES) / WG_LANES;
  const lane_mask lanes = whole ? (lane_mask)ALL_LANES : lanes_of(t->C, channel);
#pragma GCC unroll 2
  for (int j = 0; j < 2; j++) {
    const int py = 2 * p.ty + i, px = 2 * p.tx + j;
    if (!whole && (py >= PH || px >= PW)) continue;
    const ptrdiff_t cell = ((ptrdiff_t)p.image * PH + py) * PW + px;
    const vec window[4] = {y[2 * j], y[2 * j + 1], y[2 * j + 4], y[2 * j + 5]};
    uint16_t *masks = t->masks ? t->masks + (cell * words + channel / WG_LANES) * 4 : NULL;
    store_value(bf16, whole && t->stream, lanes, t->values, cell * t->C + channel,
                pool_window(window, t->relu, masks, channel));
  }
}

/* Two rows of a tile from row i. */
INLINE void store_rows(const wg_grid *g, const wg_target *t, bool bf16, bool whole, place p,
                       int channel, int i, const vec y[8]) {
  const lane_mask lanes = whole ? (lane_mask)ALL_LANES : lanes_of(t->C, channel);
  const ptrdiff_t cell = t->C, row = (ptrdiff_t)g->W * t->C;
  const ptrdiff_t corner = ((ptrdiff_t)p.image * g->H + 4 * p.ty) * row + 4 * p.tx * cell + channel;
#pragma GCC unroll 2
  for (int r = 0; r < 2; r++) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      if (!whole && (4 * p.ty + i + r >= g->H || 4 * p.tx + j >= g->W)) continue;
      const ptrdiff_t at = corner + (i + r) * row + j * cell;
      vec v = y[4 * r + j];
      if (t->positive) v = where_positive(load_masked(bf16, lanes, t->positive, at), v);
      store_value(bf16, whole && t->stream, lanes, t->values, at, v);
    }
  }
}

INLINE void transform_output(const wg_grid *g, const wg_target *t, bool bf16, bool pool, bool whole,
                             place p, int channel, const float *M, size_t plane) {
  vec rows[24];
#pragma GCC unroll 6
  for (int j = 0; j < 6; j++) {
    const float *from = opaque(M + (size_t)j * plane);
    vec m[6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) m[i] = load(from + (size_t)(6 * i) * plane);
    from_points(m, 1, rows + j, 6);
  }
  const vec bias = t->bias ? load(t->bias + channel) : splat(0);
  const vec floor = splat(t->relu ? 0 : -INFINITY);
#pragma GCC unroll 2
  for (int i = 0; i < 4; i += 2) {
    vec y[8];
    from_points(rows + 6 * i, 1, y, 1);
    from_points(rows + 6 * i + 6, 1, y + 4, 1);
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) y[k] = at_least(floor, y[k] + bias);
    if (pool)
      store_pooled(g, t, bf16, whole, p, channel, i / 2, y);
    else
      store_rows(g, t, bf16, whole, p, channel, i, y);
  }
}

INLINE void output_tile(const wg_grid *g, const wg_target *t, bool bf16, bool pool, place p,
                        int channel, const float *M, size_t plane) {
  const bool whole = channel + VEC <= t->C && 4 * p.ty + 4 <= g->H && 4 * p.tx + 4 <= g->W;
  if (whole)
    transform_output(g, t, bf16, pool, true, p, channel, M, plane);
  else
    transform_output(g, t, bf16, pool, false, p, channel, M, plane);
}

INLINE void output_tiles(const wg_grid *g, const wg_target *t, bool bf16, bool pool, size_t first,
                         int count, int k, const float *M, size_t plane) {
  place p = place_of(g, first);
  for (int i = 0; i < count; i++) {
    for (int c = 0; c < WIDE && k * WIDE + c < wg_round(t->C, WG_LANES); c += VEC)
      output_tile(g, t, bf16, pool, p, k * WIDE + c, M + (size_t)i * WIDE + c, plane);
    next_place(g, &p);
  }
}

static void output(const wg_grid *g, const wg_target *t, size_t first, int count, int k,
                   const float *M, size_t plane) {
  if (t->pool && t->bf16)
    output_tiles(g, t, true, true, first, count, k, M, plane);
  else if (t->pool)
    output_tiles(g, t, false, true, first, count, k, M, plane);
  else if (t->bf16)
    output_tiles(g, t, true, false, first, count, k, M, plane);
  else
    output_tiles(g, t, false, false, first, count, k, M, plane);
  if (t->stream) store_fence();
}

/* ---- the filters' gradient ------------------------------------------------------------------- */

/* `rows` input channels and one or two `vectors` of output channels stay in registers while the
 * tiles go by. */
INLINE void accumulate_rows(int rows, int vectors, int tiles, bool fresh, const float *v,
                            const float *d, float *s) {
  vec acc[16][2];
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    acc[i][0] = fresh ? splat(0) : load(s + i * WIDE);
    if (vectors == 2) acc[i][1] = fresh ? splat(0) : load(s + i * WIDE + VEC);
  }
  for (int i = rows * WIDE; i < 2 * rows * WIDE; i += WG_LANES)
    __builtin_prefetch(s + i, 1, 3); /* the next rows': S comes from far, and in short bursts */
#pragma GCC unroll 1
  for (int t = 0; t < tiles; t++, v += WG_LANES, d += WIDE) {
    const vec d0 = load(d), d1 = vectors == 2 ? load(d + VEC) : d0;
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
      const vec x = splat(v[i]);
      acc[i][0] = fmadd(x, d0, acc[i][0]);
      if (vectors == 2) acc[i][1] = fmadd(x, d1, acc[i][1]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    store(s + i * WIDE, acc[i][0]);
    if (vectors == 2) store(s + i * WIDE + VEC, acc[i][1]);
  }
}

#endif
