/* SPDX-License-Identifier: Apache-2.0
 *
 * The first layer: 3x3 convolution of one to three channels, pad 1, in fp32, with its ReLU and 2x2
 * max-pool. Nobody asks for the gradient of the picture.
 *
 * Work goes by pairs of output rows. A pair at 2p reads four rows of the picture, 2p - 1 to 2p + 2;
 * kernels make a line of each, so that what a window needs stands together, zeros around the
 * picture included. The next pair reads two of the lines again.
 *
 *     row     [C][stride]        column x of the picture stands at x + 1
 *     points  [C][pairs][4]      of columns d0 d1 d2 d3 = row[2q] .. row[2q + 3], which the outputs
 *                                2q and 2q + 1 read: d0 - d2, d1 + d2, d2 - d1, d1 - d3
 *     columns [C][pairs][4]      d0 d1 d2 d3 themselves
 *     blocks  [C][stride][4]     of two rows a, b: a[x], a[x + 1], b[x], b[x + 1]
 *
 * Forward is Winograd's F(2, 3) along x, the three rows summed before the way back: 12 products for
 * two outputs where the direct way takes 18,
 *
 *     m[i] = sum over rows of points[i] u[i]       u = g0, (g0 + g1 + g2)/2, (g0 - g1 + g2)/2, g2
 *     y[2q] = m0 + m1 + m2     y[2q + 1] = m1 - m2 - m3
 *
 *     filters [K/16][C][9 direct, 12 Winograd][16], bias [K rounded up to 16]
 *
 * Where the pool follows, the place of every maximum is kept in three bits, each in a word of 16
 * channels: right column, lower row, open (the ReLU lets it through; NaN is closed).
 */
#ifndef NATIVE_FIRST_H
#define NATIVE_FIRST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum { FIRST_LANES = 16, FIRST_MAX_C = 3, FIRST_TAPS = 9, FIRST_POINTS = 12 };
enum { FIRST_RIGHT, FIRST_LOWER, FIRST_OPEN, FIRST_WORDS };

/* Two output rows of one image (or the pooled row that they become). */
typedef struct first_rows {
  const float *line[4]; /* forward: points or columns; backward: three blocks, or rows if no pool */
  size_t stride;        /* of rows and blocks */
  int C, K;
  int rows, Q; /* output rows here, 1 or 2; output columns before the pool */
  bool relu, pool;
  bool direct; /* forward: lines are columns, filters are direct */
  bool finite; /* forward: the results surely are; else NaN must be watched for */
  bool stream; /* forward: past the caches; K is a multiple of 16, values are aligned to 64 bytes */
  bool bf16;   /* of the outputs or their gradient */
  void *values;    /* [rows][Q][K], or pooled [Q / 2][K] */
  const void *y;   /* backward without a pool: the outputs, for ReLU's mask; NULL: no ReLU */
  uint16_t *words; /* pool: [Q / 2][ceil(K / 16)][FIRST_WORDS]; NULL: not kept */
} first_rows;

typedef struct first_kernels {
  const char *name;
  cpu_isa isa;
  double error; /* bound of F(2, 3), see error_factor in backend.h; 1 when summed directly */
  /* row of C channels from x [W][C]; returns the largest magnitude, NaN if there is one. */
  float (*read)(const void *x, bool bf16, int C, int W, float *row, size_t stride);
  /* points, or columns, [C][pairs][4]; may write up to 16 floats beyond */
  void (*points)(const float *row, size_t stride, int C, int pairs, bool direct, float *line);
  void (*blocks)(const float *a, const float *b, size_t stride, int C, float *line);
  void (*forward)(const first_rows *r, const float *filters, const float *bias);
  /* sums [K/16][C * 9 + 1][16] += products of the rows' gradient with the picture; the last vector
   * is the bias'. */
  void (*backward)(const first_rows *r, float *sums);
} first_kernels;

/* The fastest row not beyond `isa`; NULL: there is none. */
const first_kernels *first_kernels_for(cpu_isa isa);
/* Rows of the table, fastest first; NULL after the last. */
const first_kernels *first_kernels_at(size_t i);

#endif
