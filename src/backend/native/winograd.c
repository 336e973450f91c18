/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters to U and S to the filters' gradient: a thousandth of the work, in plain C that the
 * compiler vectorises over 16 output channels.
 */
#include "backend/native/winograd.h"

#include <omp.h>
#include <string.h>

#define SQRT1_2 0.70710678118654752440f
#define SQRT2 1.41421356237309504880f

typedef float lanes[WG_LANES];

/* e = G g: three rows become six. */
static void evaluate_filter(const lanes g[3], lanes e[6]) {
  for (int k = 0; k < WG_LANES; k++) {
    const float even_a = g[0][k] + 0.5f * g[2][k], odd_a = SQRT1_2 * g[1][k];
    const float even_b = g[0][k] + 2.0f * g[2][k], odd_b = SQRT2 * g[1][k];
    e[0][k] = g[0][k];
    e[1][k] = (even_a + odd_a) * (-2.0f / 3.0f);
    e[2][k] = (even_a - odd_a) * (-2.0f / 3.0f);
    e[3][k] = (even_b + odd_b) * (1.0f / 6.0f);
    e[4][k] = (even_b - odd_b) * (1.0f / 6.0f);
    e[5][k] = g[2][k];
  }
}

/* One input channel of 16 filters: 3x3 -> 6x6, stored at stride `step` from point to point. */
static void transform_filter(const lanes g[3][3], float *u, size_t step) {
  lanes columns[6][3], row[3], points[6];
  for (int s = 0; s < 3; s++) {
    lanes column[3], e[6];
    for (int r = 0; r < 3; r++) memcpy(column[r], g[r][s], sizeof column[r]);
    evaluate_filter((const lanes *)column, e);
    for (int i = 0; i < 6; i++) memcpy(columns[i][s], e[i], sizeof e[i]);
  }
  for (int i = 0; i < 6; i++) {
    for (int s = 0; s < 3; s++) memcpy(row[s], columns[i][s], sizeof row[s]);
    evaluate_filter((const lanes *)row, points);
    for (int j = 0; j < 6; j++) memcpy(u + (size_t)(6 * i + j) * step, points[j], sizeof points[j]);
  }
}

/* Input channel i of filters `out` and following, 0 where there are none; see wg_filters. */
static void gather_filter(int C, int K, const float *w, bool flip, int out, int i, lanes g[3][3]) {
  const int ins = flip ? K : C, outs = flip ? C : K; /* of the product that reads U */
  memset(g, 0, 9 * sizeof **g);
  for (int o = 0; o < WG_LANES && out + o < outs && i < ins; o++) {
    const int k = flip ? i : out + o, c = flip ? out + o : i;
    for (int rs = 0; rs < 9; rs++)
      g[rs / 3][rs % 3][o] = w[((size_t)k * 9 + (flip ? 8 - rs : rs)) * C + c];
  }
}

void wg_filters(int wide, int C, int K, const float *w, bool flip, int threads, float *U) {
  const int in_pad = wg_round(flip ? K : C, WG_LANES), strips = wg_round(flip ? C : K, wide) / wide;
  const size_t step = (size_t)in_pad * (size_t)wide; /* from point to point */
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
  for (int strip = 0; strip < strips; strip++) {
    for (int i = 0; i < in_pad; i++) {
      float *u = U + (size_t)strip * WG_POINTS * step + (size_t)(i * wide);
      for (int o = 0; o < wide; o += WG_LANES) {
        lanes g[3][3];
        gather_filter(C, K, w, flip, strip * wide + o, i, g);
        transform_filter((const lanes(*)[3])g, u + o, step);
      }
    }
  }
}

/* Six points become three taps; the points' factors 1 / N (see G) are applied here. */
static void interpolate_gradient(const lanes e[6], lanes g[3]) {
  for (int k = 0; k < WG_LANES; k++) {
    const float even_a = (e[1][k] + e[2][k]) * (-2.0f / 3.0f);
    const float odd_a = (e[1][k] - e[2][k]) * (-2.0f / 3.0f);
    const float even_b = (e[3][k] + e[4][k]) * (1.0f / 6.0f);
    const float odd_b = (e[3][k] - e[4][k]) * (1.0f / 6.0f);
    g[0][k] = e[0][k] + even_a + even_b;
    g[1][k] = SQRT1_2 * odd_a + SQRT2 * odd_b;
    g[2][k] = 0.5f * even_a + 2.0f * even_b + e[5][k];
  }
}

/* 16 input x 16 output channels of S at one point, all groups added in order. */
static void sum_groups(const float *from, size_t wide, int groups, size_t size,
                       lanes sum[WG_LANES]) {
  for (int c = 0; c < WG_LANES; c++, from += wide) {
    __builtin_prefetch(from + WG_LANES * wide, 0, 2); /* the next block's: runs are too short for */
    memcpy(sum[c], from, sizeof sum[c]);              /* the processor to see where they lead */
    for (int group = 1; group < groups; group++)
      for (int k = 0; k < WG_LANES; k++) sum[c][k] += from[(size_t)group * size + (size_t)k];
  }
}

/* Likewise from all points to the nine taps. S is read line after line, six streams at a time. */
static void gradient_of_block(const float *from, size_t step, size_t wide, int groups, size_t size,
                              lanes taps[9][WG_LANES]) {
  lanes rows[6][3][WG_LANES], points[6][WG_LANES], e[6], g[3];
  for (int i = 0; i < 6; i++) {
    for (int j = 0; j < 6; j++, from += step) sum_groups(from, wide, groups, size, points[j]);
    for (int c = 0; c < WG_LANES; c++) {
      for (int j = 0; j < 6; j++) memcpy(e[j], points[j][c], sizeof e[j]);
      interpolate_gradient((const lanes *)e, g);
      for (int t = 0; t < 3; t++) memcpy(rows[i][t][c], g[t], sizeof g[t]);
    }
  }
  for (int t = 0; t < 3; t++) {
    for (int c = 0; c < WG_LANES; c++) {
      for (int i = 0; i < 6; i++) memcpy(e[i], rows[i][t][c], sizeof e[i]);
      interpolate_gradient((const lanes *)e, g);
      for (int r = 0; r < 3; r++) memcpy(taps[3 * r + t][c], g[r], sizeof g[r]);
    }
  }
}

void wg_filter_gradient(int wide, int C, int K, int groups, const float *S, int threads,
                        float *dw) {
  const size_t strip = (size_t)wg_round(C, WG_LANES) * (size_t)wide;
  const size_t step = (size_t)(wg_round(K, wide) / wide) * strip; /* from point to point */
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
  for (int k0 = 0; k0 < K; k0 += WG_LANES) {
    for (int c0 = 0; c0 < C; c0 += WG_LANES) {
      lanes taps[9][WG_LANES];
      const float *from = S + (size_t)(k0 / wide) * strip + (size_t)(c0 * wide + k0 % wide);
      gradient_of_block(from, step, (size_t)wide, groups, WG_POINTS * step, taps);
      const int ks = K - k0 < WG_LANES ? K - k0 : WG_LANES;
      const int cs = C - c0 < WG_LANES ? C - c0 : WG_LANES;
      for (int k = 0; k < ks; k++)
        for (int rs = 0; rs < 9; rs++)
          for (int c = 0; c < cs; c++)
            dw[((size_t)(k0 + k) * 9 + (size_t)rs) * (size_t)C + (size_t)(c0 + c)] = taps[rs][c][k];
    }
  }
}

#define WG(row) extern const wg_kernels row;
#include "backend/native/winograd.def"
#undef WG

static const wg_kernels *const rows[] = {
#define WG(row) &row,
#include "backend/native/winograd.def"
#undef WG
};

enum { ROWS = sizeof rows / sizeof *rows };

const wg_kernels *wg_kernels_at(size_t i) { return i < ROWS ? rows[i] : NULL; }

const wg_kernels *wg_kernels_for(cpu_isa isa) {
  size_t i = 0;
  while (i < ROWS && rows[i]->isa > isa) i++;
  return wg_kernels_at(i);
}
