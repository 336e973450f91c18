/* SPDX-License-Identifier: Apache-2.0
 *
 * The two passes of a resize, a row each, in versions for instruction sets. All sums are of
 * integers: every version gives the same bytes.
 */
#ifndef IMAGE_RESIZE_KERNELS_H
#define IMAGE_RESIZE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* The weights of one axis. Every output has the same number of taps, padded with zero weights, and
 * its taps lie inside the input, so that the loops have no edges. */
typedef struct resize_axis {
  int in, out, taps;
  int bits;         /* weights are multiples of 2^-bits; an output's sum to 2^bits, nearly */
  int32_t *first;   /* [out] first input of each output */
  uint32_t *weight; /* [out][taps] */
} resize_axis;

enum { RESIZE_NARROW_BITS = 8 }; /* 255 * 2^8 + 2^7 still fits 16 bits */

typedef struct resize_kernels {
  const char *name;
  cpu_isa isa;
  /* out[a->out][channels] from one row; `in` begins at its column `left`. Of an output whose taps
   * end before the row does, one byte beyond them may be read. */
  void (*across)(const resize_axis *a, const uint8_t *in, int left, uint8_t *out, int channels);
  /* out[width] from weight[taps] and rows[taps][width], which lie `stride` apart. */
  void (*down)(const uint8_t *rows, size_t stride, const uint32_t *weight, int taps, int bits,
               uint8_t *out, size_t width);
} resize_kernels;

/* The fastest set not beyond `isa`. */
const resize_kernels *resize_kernels_for(cpu_isa isa);
/* Rows of the table, fastest first; NULL after the last. For tests. */
const resize_kernels *resize_kernels_at(size_t i);

#endif
