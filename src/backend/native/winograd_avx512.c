/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd kernels for AVX-512: one register is 16 channels of one pixel or point.
 *
 * Products: 14 tiles x 32 output channels stay in 28 registers over the whole depth C; two more
 * hold a row of U, one a broadcast of V:
 *
 *                 u0 [16]   u1 [16]
 *      v[0]  x    acc 0,0   acc 0,1         16 loads for 28 multiply-adds: the loads hide
 *      ...                                  behind the multipliers
 *      v[13] x    acc 13,0  acc 13,1
 */
#include "backend/native/lanes_avx512.h"

enum { PANEL = 14, WIDE = 32 };

#include "backend/native/winograd_rows.h"

static void product_half(int panels, int c16, const float *v, const float *u, float *m) {
  for (int panel = 0; panel < panels; panel++, m += PANEL * WIDE) {
    vec acc[PANEL];
#pragma GCC unroll 14
    for (int i = 0; i < PANEL; i++) acc[i] = _mm512_setzero_ps();
    const float *row = u;
    for (int c = 0; c < c16; c++, v += PANEL * WG_LANES) {
      for (int lane = 0; lane < WG_LANES; lane++, row += WIDE) {
        const vec u0 = _mm512_load_ps(row);
#pragma GCC unroll 14
        for (int i = 0; i < PANEL; i++)
          acc[i] = _mm512_fmadd_ps(splat(v[i * WG_LANES + lane]), u0, acc[i]);
      }
    }
#pragma GCC unroll 14
    for (int i = 0; i < PANEL; i++) _mm512_store_ps(m + i * WIDE, acc[i]);
  }
}

static void product(int panels, int c16, const float *v, const float *u, float *m) {
  for (int panel = 0; panel < panels; panel++, m += PANEL * WIDE) {
    vec acc[PANEL][2];
#pragma GCC unroll 14
    for (int i = 0; i < PANEL; i++) acc[i][0] = acc[i][1] = _mm512_setzero_ps();
    const float *row = u;
    for (int c = 0; c < c16; c++, v += PANEL * WG_LANES) {
      for (int lane = 0; lane < WG_LANES; lane++, row += WIDE) {
        const vec u0 = _mm512_load_ps(row), u1 = _mm512_load_ps(row + WG_LANES);
#pragma GCC unroll 14
        for (int i = 0; i < PANEL; i++) {
          const vec x = splat(v[i * WG_LANES + lane]);
          acc[i][0] = _mm512_fmadd_ps(x, u0, acc[i][0]);
          acc[i][1] = _mm512_fmadd_ps(x, u1, acc[i][1]);
        }
      }
    }
#pragma GCC unroll 14
    for (int i = 0; i < PANEL; i++) {
      _mm512_store_ps(m + i * WIDE, acc[i][0]);
      _mm512_store_ps(m + i * WIDE + WG_LANES, acc[i][1]);
    }
  }
}

/* 8 input channels x 32 output channels stay in 16 registers while the tiles go by. */
static void accumulate(int panels, int c16, const float *v, const float *d, size_t d_step,
                       float *s) {
  enum { ROWS = 8 };
  const size_t v_step = (size_t)c16 * PANEL * WG_LANES;
  for (int block = 0; block < 2 * c16; block++, s += ROWS * WIDE) {
    const float *vb = v + (size_t)(block / 2) * PANEL * WG_LANES + (block % 2) * ROWS;
    vec acc[ROWS][2];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
      acc[i][0] = _mm512_load_ps(s + i * WIDE);
      acc[i][1] = _mm512_load_ps(s + i * WIDE + WG_LANES);
    }
    for (int panel = 0; panel < panels; panel++) {
      const float *vp = vb + (size_t)panel * v_step, *dp = d + (size_t)panel * d_step;
      for (int t = 0; t < PANEL; t++, vp += WG_LANES, dp += WIDE) {
        const vec d0 = _mm512_load_ps(dp), d1 = _mm512_load_ps(dp + WG_LANES);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
          const vec x = splat(vp[i]);
          acc[i][0] = _mm512_fmadd_ps(x, d0, acc[i][0]);
          acc[i][1] = _mm512_fmadd_ps(x, d1, acc[i][1]);
        }
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
      _mm512_store_ps(s + i * WIDE, acc[i][0]);
      _mm512_store_ps(s + i * WIDE + WG_LANES, acc[i][1]);
    }
  }
}

extern const wg_kernels wg_avx512;
const wg_kernels wg_avx512 = {.name = "winograd_f4x4_fp32_avx512",
                              .isa = CPU_AVX512,
                              .error = WG_ERROR,
                              .panel = PANEL,
                              .wide = WIDE,
                              .input = input,
                              .gradient = gradient,
                              .product = {product_half, product},
                              .output = output,
                              .accumulate = accumulate};
