/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters to U and S to the filters' gradient: a thousandth of the work, in plain C that the
 * compiler vectorises over 32 output channels.
 */
#include "backend/native/winograd.h"

#include <omp.h>
#include <string.h>

#define SQRT1_2 0.70710678118654752440f
#define SQRT2 1.41421356237309504880f

typedef float wide[WG_WIDE];

/* e = G g: three rows become six. */
static void evaluate_filter(const wide g[3], wide e[6]) {
  for (int k = 0; k < WG_WIDE; k++) {
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

/* One input channel of 32 filters: 3x3 -> 6x6, stored at stride `step` from point to point. */
static void transform_filter(const wide g[3][3], float *u, size_t step) {
  wide columns[6][3], row[3], points[6];
  for (int s = 0; s < 3; s++) {
    wide column[3], e[6];
    for (int r = 0; r < 3; r++) memcpy(column[r], g[r][s], sizeof column[r]);
    evaluate_filter((const wide *)column, e);
    for (int i = 0; i < 6; i++) memcpy(columns[i][s], e[i], sizeof e[i]);
  }
  for (int i = 0; i < 6; i++) {
    for (int s = 0; s < 3; s++) memcpy(row[s], columns[i][s], sizeof row[s]);
    evaluate_filter((const wide *)row, points);
    for (int j = 0; j < 6; j++) memcpy(u + (size_t)(6 * i + j) * step, points[j], sizeof points[j]);
  }
}

void wg_filters(int C, int K, const float *w, bool flip, int threads, float *U) {
  const int ins = flip ? K : C, outs = flip ? C : K; /* of the product that reads U */
  const int in_pad = wg_round(ins, WG_LANES), out_blocks = wg_round(outs, WG_WIDE) / WG_WIDE;
  const size_t step = (size_t)in_pad * WG_WIDE; /* from point to point */
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
  for (int block = 0; block < out_blocks; block++) {
    for (int i = 0; i < in_pad; i++) {
      wide g[3][3];
      memset(g, 0, sizeof g);
      for (int o = 0; o < WG_WIDE && block * WG_WIDE + o < outs && i < ins; o++) {
        const int out = block * WG_WIDE + o;
        const int k = flip ? i : out, c = flip ? out : i;
        for (int rs = 0; rs < 9; rs++) {
          const int from = flip ? 8 - rs : rs;
          g[rs / 3][rs % 3][o] = w[((size_t)k * 9 + from) * C + c];
        }
      }
      transform_filter((const wide(*)[3])g,
                       U + (size_t)block * WG_POINTS * step + (size_t)i * WG_WIDE, step);
    }
  }
}

/* Six points become three taps; the points' factors 1 / N (see G) are applied here. */
static void interpolate_gradient(const wide e[6], wide g[3]) {
  for (int k = 0; k < WG_WIDE; k++) {
    const float even_a = (e[1][k] + e[2][k]) * (-2.0f / 3.0f);
    const float odd_a = (e[1][k] - e[2][k]) * (-2.0f / 3.0f);
    const float even_b = (e[3][k] + e[4][k]) * (1.0f / 6.0f);
    const float odd_b = (e[3][k] - e[4][k]) * (1.0f / 6.0f);
    g[0][k] = e[0][k] + even_a + even_b;
    g[1][k] = SQRT1_2 * odd_a + SQRT2 * odd_b;
    g[2][k] = 0.5f * even_a + 2.0f * even_b + e[5][k];
  }
}

static void gradient_of_channel(const float *points, size_t step, wide g[3][3]) {
  wide rows[6][3];
  for (int i = 0; i < 6; i++) {
    wide e[6];
    for (int j = 0; j < 6; j++) memcpy(e[j], points + (size_t)(6 * i + j) * step, sizeof e[j]);
    interpolate_gradient((const wide *)e, rows[i]);
  }
  for (int s = 0; s < 3; s++) {
    wide e[6], column[3];
    for (int i = 0; i < 6; i++) memcpy(e[i], rows[i][s], sizeof e[i]);
    interpolate_gradient((const wide *)e, column);
    for (int r = 0; r < 3; r++) memcpy(g[r][s], column[r], sizeof column[r]);
  }
}

void wg_filter_gradient(int C, int K, int groups, const float *S, int threads, float *dw) {
  const int c_pad = wg_round(C, WG_LANES), blocks = wg_round(K, WG_WIDE) / WG_WIDE;
  const size_t step = (size_t)c_pad * WG_WIDE, size = (size_t)blocks * WG_POINTS * step;
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
  for (int block = 0; block < blocks; block++) {
    for (int c = 0; c < C; c++) {
      wide points[WG_POINTS], g[3][3];
      const float *from = S + (size_t)block * WG_POINTS * step + (size_t)c * WG_WIDE;
      for (int p = 0; p < WG_POINTS; p++) memcpy(points[p], from + p * step, sizeof points[p]);
      for (int group = 1; group < groups; group++)
        for (int p = 0; p < WG_POINTS; p++)
          for (int k = 0; k < WG_WIDE; k++) points[p][k] += from[group * size + p * step + k];
      gradient_of_channel(points[0], WG_WIDE, g);
      for (int k = 0; k < WG_WIDE && block * WG_WIDE + k < K; k++)
        for (int rs = 0; rs < 9; rs++)
          dw[((size_t)(block * WG_WIDE + k) * 9 + rs) * C + c] = g[rs / 3][rs % 3][k];
    }
  }
}
