/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear layers in fp32, straight from the masters w [K][C].
 *
 * Many images: all three directions are one product, tile by tile:
 *
 *     c [rows][wide]  (+)=  sum over t of  a[t][row] * b[t][column]
 *
 *     forward        y^T [K][n]   a: rows of w        b: x transposed       t: units in
 *     backward-data  dx  [n][C]   a: rows of dy       b: w as it lies       t: units out
 *     gradient       dw  [K][C]   a: dy transposed    b: rows of x          t: images
 *
 *     a [depth / 16][rows of a whole tile][16]    lines of a row, so that packing w only copies
 *     b [depth][wide], or rows that lie further apart
 *
 * Few images: every weight is used once or twice, so nothing pays that moves it first. Forward then
 * takes dot products along the rows as they lie, a register holding as many partial sums as it has
 * lanes:
 *
 *     sums [K][images][lanes]  +=  w [K][c ...] * x [images][c ...]
 *
 * Few units, ten classes for instance: likewise, and w and x change places.
 *
 * One image at a time, for inference: memory sets the pace, and many inputs are zeros that a ReLU
 * left. So weights are turned by and by, w^T [C][K], and rows of those zeros never read:
 *
 *     y [K]  +=  x[i] * w^T[i]    for all i where x[i] is not 0
 *
 * Every sum has one order, given by the shape: no result depends on threads.
 */
#ifndef NATIVE_LINEAR_H
#define NATIVE_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum { LINEAR_GROUP = 16 }; /* steps of the depth whose factors a lie together */

/* What the caller will read next, fetched meanwhile: with every group of the depth the `lines`
 * first lines of `each` rows, until there were `rows`, which lie `jump` bytes apart. */
typedef struct linear_ahead {
  const char *at;
  size_t jump;
  int rows, lines, each;
} linear_ahead;

/* A factor a that is packed meanwhile: with every group of the depth the next of `groups` groups,
 * of each of `rows` rows, which lie `step` floats apart. */
typedef struct linear_copy {
  const float *from;
  float *to;
  size_t step;
  int rows, groups;
} linear_copy;

typedef struct linear_tile {
  int rows;  /* at most a whole tile's */
  bool half; /* only the first half of the columns */
  int depth;
  const float *a, *b;
  float *c;
  size_t b_step, c_step; /* floats from row to row; of a packed b: wide */
  bool add;              /* to what c holds */
  linear_ahead ahead;
  linear_copy copy;
} linear_tile;

typedef struct linear_dot {
  int images; /* at most kernels->dot_images */
  int units;  /* kernels->dot_units[images - 1], or 1 */
  int count;  /* of units in */
  const float *x, *w;
  size_t x_step, w_step; /* floats from row to row; x rows end in zeros up to whole vectors */
  float *sums;           /* [units][images][lanes] */
  size_t sums_step;      /* floats from unit to unit */
  const float *ahead;    /* rows like w's that will be read later, fetched meanwhile */
  int ahead_rows;
} linear_dot;

/* What is added to y [units], in order: each of `count` factors times a row of w^T, or a column of
 * w. Floats of y up to a multiple of LINEAR_GROUP may change. */
typedef struct linear_combination {
  int count;
  const float *factors; /* [count] */
  const int32_t *rows;  /* [count] of w^T; of columns, all are taken */
  const float *w;
  size_t w_step; /* floats from row to row; of w^T a multiple of LINEAR_GROUP */
  int units;
  float *y;
} linear_combination;

typedef struct linear_kernels {
  const char *name;
  cpu_isa isa;
  double error;   /* bound of its sums, see error_factor in backend.h */
  int rows, wide; /* of a whole tile; wide is a multiple of LINEAR_GROUP */
  int lanes, dot_images;
  const unsigned char *dot_units; /* [dot_images] */
  void (*tile)(const linear_tile *t);
  void (*dot)(const linear_dot *d);
  void (*combine)(const linear_combination *c);
  void (*combine_columns)(const linear_combination *c); /* the same bits */
  /* Copies past the caches. */
  void (*stream)(size_t count, const float *from, float *to);
  /* Packing, from fp32 or bf16, `step` values from row to row of the source: a of `rows` rows,
   * `depth` columns of each; b of `columns` columns, zeros up to a whole strip's; b of rows,
   * turned, where half a strip is enough half as wide. */
  void (*pack_a)(bool bf16, int rows, size_t depth, const void *from, size_t step, float *a);
  void (*pack_b)(bool bf16, size_t columns, size_t depth, const void *from, size_t step, float *b);
  void (*pack_b_transposed)(bool bf16, size_t rows, size_t depth, const void *from, size_t step,
                            float *b);
  /* to [depth][to_step] from the rows of fp32, turned; zeros up to a multiple of LINEAR_GROUP. */
  void (*turn)(size_t rows, size_t depth, const float *from, size_t step, float *to,
               size_t to_step);
} linear_kernels;

/* The fastest row not beyond `isa`; NULL: there is none. */
const linear_kernels *linear_kernels_for(cpu_isa isa);
/* Rows of the table, fastest first; NULL after the last. */
const linear_kernels *linear_kernels_at(size_t i);

#endif
