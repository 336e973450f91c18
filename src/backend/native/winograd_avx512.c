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

INLINE void multiply(int rows, int halves, int panels, int c16, const float *v, const float *u,
                     float *m, wg_ahead *ahead) {
  for (int panel = 0; panel < panels; panel++, m += rows * WIDE) {
    vec acc[PANEL][2];
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] = splat(0);
    const float *row = u;
    for (int c = 0; c < c16; c++, v += rows * WG_LANES) {
      wg_fetch(ahead);
#pragma GCC unroll 1
      for (int lane = 0; lane < WG_LANES; lane++, row += WIDE) {
        const vec u0 = load(row), u1 = halves == 2 ? load(row + VEC) : u0;
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
          const vec x = splat(v[i * WG_LANES + lane]);
          acc[i][0] = fmadd(x, u0, acc[i][0]);
          if (halves == 2) acc[i][1] = fmadd(x, u1, acc[i][1]);
        }
      }
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
      store(m + i * WIDE, acc[i][0]);
      if (halves == 2) store(m + i * WIDE + VEC, acc[i][1]);
    }
  }
}

#define ALL_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define DEFINE(rows, halves)                                                                 \
  static void product_##rows##_##halves(int panels, int c16, const float *v, const float *u, \
                                        float *m, wg_ahead *ahead) {                         \
    multiply(rows, halves, panels, c16, v, u, m, ahead);                                     \
  }
#define DEFINE_BOTH(rows) DEFINE(rows, 1) DEFINE(rows, 2)
#define NAME_BOTH(rows) {product_##rows##_1, product_##rows##_2},
ALL_ROWS(DEFINE_BOTH)
static const wg_product products[PANEL][2] = {ALL_ROWS(NAME_BOTH)};

/* 16 sums, half a line of V times two vectors or all of it times one: that leaves registers for
 * what is to come. */
INLINE void accumulate_halves(int halves, int tiles, int c16, bool fresh, const float *v,
                              const float *d, float *s, wg_ahead *ahead) {
  const int rows = WG_LANES / halves;
  for (int c = 0; c < c16; c++, v += (ptrdiff_t)tiles * WG_LANES, s += WG_LANES * WIDE) {
    wg_fetch(ahead);
    for (int i = 0; i < WG_LANES; i += rows)
      accumulate_rows(rows, halves, tiles, fresh, v + i, d, s + i * WIDE);
  }
}

static void accumulate_1(int tiles, int c16, bool fresh, const float *v, const float *d, float *s,
                         wg_ahead *ahead) {
  accumulate_halves(1, tiles, c16, fresh, v, d, s, ahead);
}

static void accumulate_2(int tiles, int c16, bool fresh, const float *v, const float *d, float *s,
                         wg_ahead *ahead) {
  accumulate_halves(2, tiles, c16, fresh, v, d, s, ahead);
}

extern const wg_kernels wg_avx512;
const wg_kernels wg_avx512 = {.name = "winograd_f4x4_fp32_avx512",
                              .isa = CPU_AVX512,
                              .error = WG_ERROR,
                              .panel = PANEL,
                              .wide = WIDE,
                              .input = input,
                              .gradient = gradient,
                              .product = products,
                              .output = output,
                              .accumulate = {accumulate_1, accumulate_2}};
