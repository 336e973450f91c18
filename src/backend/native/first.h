/* SPDX-License-Identifier: Apache-2.0
 *
 * The first layer: 3x3 convolution of one to three channels, pad 1, in fp32, with its ReLU and 2x2
 * max-pool. There are too few channels for a transform to pay, and nobody asks for the gradient of
 * the picture.
 *
 * Work goes by pairs of output rows. The four rows of the picture that a pair needs are copied to a
 * band of floats, with zeros around the picture, one plane a channel:
 *
 *     band [C][4][stride]      column x of the picture stands at x + 1
 *
 *     . a b c d e f .          a 4x4 patch at column 2 px: what one 2x2 window of outputs reads
 *     . g h i j k l .          (px = 0 here would start at the left dot)
 *     . m n o p q r .
 *     . s t u v w x .
 *
 *     weights [K/16][C][9][16], bias [K rounded up to 16]
 */
#ifndef NATIVE_FIRST_H
#define NATIVE_FIRST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum { FIRST_LANES = 16, FIRST_MAX_C = 3, FIRST_TAPS = 9 };

/* Two output rows of one image (or the pooled row that they become). */
typedef struct first_rows {
  const float *band;
  size_t stride;
  int C, K;
  int rows, Q; /* output rows here, 1 or 2; output columns before the pool */
  bool relu, pool;
  bool bf16;       /* of the outputs or their gradient */
  void *values;    /* [rows][Q][K], or pooled [Q / 2][K] */
  uint16_t *masks; /* pool: [Q / 2][ceil(K / 16)][4], as in winograd.h; NULL: not kept */
} first_rows;

typedef struct first_kernels {
  const char *name;
  cpu_isa isa;
  double error; /* bound of its sums, see error_factor in backend.h */
  void (*forward)(const first_rows *r, const float *w, const float *bias);
  /* sums [K/16][C * 9 + 1][16] += products of the rows' gradient with the band; the last vector is
   * the bias'. A full gradient must be masked by the ReLU already. */
  void (*backward)(const first_rows *r, float *sums);
} first_kernels;

/* The fastest row not beyond `isa`; NULL: there is none. */
const first_kernels *first_kernels_for(cpu_isa isa);
/* Rows of the table, fastest first; NULL after the last. */
const first_kernels *first_kernels_at(size_t i);

#endif
