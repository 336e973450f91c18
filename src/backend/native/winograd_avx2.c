/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd kernels for AVX2 and FMA: one register is 8 channels of one pixel or point.
 *
 * Products: 6 tiles x 16 output channels stay in 12 registers over a depth of 64 channels; two more
 * hold a row of U, one a broadcast of V:
 *
 *                 u0 [8]    u1 [8]
 *      v[0]  x    acc 0,0   acc 0,1         8 loads for 12 multiply-adds: the loads hide behind
 *      ...                                  the multipliers
 *      v[5]  x    acc 5,0   acc 5,1
 *
 * A greater depth is the sum of such parts. That costs little and nearly halves the rounding error
 * at 256 channels: oneDNN's AVX2 kernels sum in parts as well, and are what it is measured by.
 */
#include "backend/native/lanes_avx2.h"

enum { PANEL = 6, WIDE = 16, DEPTH = 4 };

#include "backend/native/winograd_rows.h"

INLINE void multiply(int rows, int panels, int c16, const float *v, const float *u, float *m,
                     wg_ahead *ahead) {
  for (int panel = 0; panel < panels; panel++, m += rows * WIDE) {
    const float *row = u;
    for (int begin = 0; begin < c16; begin += DEPTH) {
      const int end = begin + DEPTH < c16 ? begin + DEPTH : c16;
      vec acc[PANEL][2];
#pragma GCC unroll 6
      for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] = splat(0);
      for (int c = begin; c < end; c++, v += rows * WG_LANES) {
        wg_fetch(ahead);
        for (int lane = 0; lane < WG_LANES; lane++, row += WIDE) {
          const vec u0 = load(row), u1 = load(row + VEC);
#pragma GCC unroll 6
          for (int i = 0; i < rows; i++) {
            const vec x = splat(v[i * WG_LANES + lane]);
            acc[i][0] = fmadd(x, u0, acc[i][0]);
            acc[i][1] = fmadd(x, u1, acc[i][1]);
          }
        }
      }
#pragma GCC unroll 6
      for (int i = 0; i < rows; i++)
        for (int half = 0; half < 2; half++) {
          float *to = m + i * WIDE + half * VEC;
          if (begin) acc[i][half] = load(to) + acc[i][half];
          store(to, acc[i][half]);
        }
    }
  }
}

#define ALL_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define DEFINE(rows)                                                                        \
  static void product_##rows(int panels, int c16, const float *v, const float *u, float *m, \
                             wg_ahead *ahead) {                                             \
    multiply(rows, panels, c16, v, u, m, ahead);                                            \
  }
#define NAME(rows) {product_##rows},
ALL_ROWS(DEFINE)
static const wg_product products[PANEL][2] = {ALL_ROWS(NAME)};

/* The 16 rows of a line of V, as many at a time as there are registers for. */
static void accumulate(int tiles, int c16, bool fresh, const float *v, const float *d, float *s,
                       wg_ahead *ahead) {
  for (int c = 0; c < c16; c++, v += (ptrdiff_t)tiles * WG_LANES, s += WG_LANES * WIDE) {
    wg_fetch(ahead);
    accumulate_rows(6, 2, tiles, fresh, v, d, s);
    accumulate_rows(5, 2, tiles, fresh, v + 6, d, s + 6 * WIDE);
    accumulate_rows(5, 2, tiles, fresh, v + 11, d, s + 11 * WIDE);
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
                            .product = products,
                            .output = output,
                            .accumulate = {accumulate}};
