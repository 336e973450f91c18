/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd kernels for AVX2 and FMA: one register is 8 channels of one pixel or point.
 *
 * Products: 6 tiles x 16 output channels stay in 12 registers over the whole depth C; two more hold
 * a row of U, one a broadcast of V:
 *
 *                 u0 [8]    u1 [8]
 *      v[0]  x    acc 0,0   acc 0,1         8 loads for 12 multiply-adds: the loads hide behind
 *      ...                                  the multipliers
 *      v[5]  x    acc 5,0   acc 5,1
 */
#include "backend/native/lanes_avx2.h"

enum { PANEL = 6, WIDE = 16 };

#include "backend/native/winograd_rows.h"

static void product(int panels, int c16, const float *v, const float *u, float *m) {
  for (int panel = 0; panel < panels; panel++, m += PANEL * WIDE) {
    vec acc[PANEL][2];
#pragma GCC unroll 6
    for (int i = 0; i < PANEL; i++) acc[i][0] = acc[i][1] = splat(0);
    const float *row = u;
    for (int c = 0; c < c16; c++, v += PANEL * WG_LANES) {
      for (int lane = 0; lane < WG_LANES; lane++, row += WIDE) {
        const vec u0 = load(row), u1 = load(row + VEC);
#pragma GCC unroll 6
        for (int i = 0; i < PANEL; i++) {
          const vec x = splat(v[i * WG_LANES + lane]);
          acc[i][0] = fmadd(x, u0, acc[i][0]);
          acc[i][1] = fmadd(x, u1, acc[i][1]);
        }
      }
    }
#pragma GCC unroll 6
    for (int i = 0; i < PANEL; i++) {
      store(m + i * WIDE, acc[i][0]);
      store(m + i * WIDE + VEC, acc[i][1]);
    }
  }
}

/* `rows` input channels x 16 output channels stay in registers while the tiles go by. */
INLINE void accumulate_rows(int rows, int panels, const float *v, size_t v_step, const float *d,
                            size_t d_step, float *s) {
  vec acc[6][2];
#pragma GCC unroll 6
  for (int i = 0; i < rows; i++) {
    acc[i][0] = load(s + i * WIDE);
    acc[i][1] = load(s + i * WIDE + VEC);
  }
  for (int panel = 0; panel < panels; panel++, v += v_step, d += d_step) {
    const float *vp = v, *dp = d;
#pragma GCC unroll 1
    for (int t = 0; t < PANEL; t++, vp += WG_LANES, dp += WIDE) {
      const vec d0 = load(dp), d1 = load(dp + VEC);
#pragma GCC unroll 6
      for (int i = 0; i < rows; i++) {
        const vec x = splat(vp[i]);
        acc[i][0] = fmadd(x, d0, acc[i][0]);
        acc[i][1] = fmadd(x, d1, acc[i][1]);
      }
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < rows; i++) {
    store(s + i * WIDE, acc[i][0]);
    store(s + i * WIDE + VEC, acc[i][1]);
  }
}

/* The 16 rows of a line of V, as many at a time as there are registers for. */
static void accumulate(int panels, int c16, const float *v, const float *d, size_t d_step,
                       float *s) {
  const size_t v_step = (size_t)c16 * PANEL * WG_LANES;
  for (int c = 0; c < c16; c++, v += PANEL * WG_LANES, s += WG_LANES * WIDE) {
    accumulate_rows(6, panels, v, v_step, d, d_step, s);
    accumulate_rows(5, panels, v + 6, v_step, d, d_step, s + 6 * WIDE);
    accumulate_rows(5, panels, v + 11, v_step, d, d_step, s + 11 * WIDE);
  }
}

extern const wg_kernels wg_avx2;
const wg_kernels wg_avx2 = {.name = "winograd_f4x4_fp32_avx2",
                            .isa = CPU_AVX2,
                            .error = WG_ERROR,
                            .panel = PANEL,
                            .wide = WIDE,
                            .input = input,
                            .gradient = gradient,
                            .product = {product},
                            .output = output,
                            .accumulate = accumulate};
