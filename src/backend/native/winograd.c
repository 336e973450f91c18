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

static void gradient_of_channel(const lanes points[WG_POINTS], lanes g[3][3]) {
  lanes rows[6][3];
  for (int i = 0; i < 6; i++) interpolate_gradient(points + 6 * i, rows[i]);
  for (int s = 0; s < 3; s++) {
    lanes e[6], column[3];
    for (int i = 0; i < 6; i++) memcpy(e[i], rows[i][s], sizeof e[i]);
    interpolate_gradient((const lanes *)e, column);
    for (int r = 0; r < 3; r++) memcpy(g[r][s], column[r], sizeof column[r]);
  }
}

void wg_filter_gradient(int wide, int C, int K, int groups, const float *S, int threads,
                        float *dw) {
  const size_t step = (size_t)wg_round(C, WG_LANES) * (size_t)wide; /* from point to point */
  const size_t size = (size_t)(wg_round(K, wide) / wide) * WG_POINTS * step;
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
  for (int first = 0; first < K; first += WG_LANES) {
    for (int c = 0; c < C; c++) {
      lanes points[WG_POINTS], g[3][3];
      const float *from =
          S + (size_t)(first / wide) * WG_POINTS * step + (size_t)(c * wide + first % wide);
      for (int p = 0; p < WG_POINTS; p++) memcpy(points[p], from + p * step, sizeof points[p]);
      for (int group = 1; group < groups; group++)
        for (int p = 0; p < WG_POINTS; p++)
          for (int k = 0; k < WG_LANES; k++) points[p][k] += from[group * size + p * step + k];
      gradient_of_channel((const lanes *)points, g);
      for (int k = 0; k < WG_LANES && first + k < K; k++)
        for (int rs = 0; rs < 9; rs++)
          dw[((size_t)(first + k) * 9 + rs) * C + c] = g[rs / 3][rs % 3][k];
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
