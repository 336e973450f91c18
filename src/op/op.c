/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations for float and for double: the .inc files are written for a type `real` and a
 * name OP(x), and are read once for each. */
#include "op/op.h"

#include <math.h>
#include <string.h>

int op_out_size(int in, int window, int stride, int pad) {
  const int64_t room = (int64_t)in + 2 * (int64_t)pad - window;
  return room < 0 ? 0 : (int)(room / stride + 1);
}

/* The place of x under filter tap (r, s) of output (n, p, q), in pixels; -1 in the padding. */
static ptrdiff_t conv_pixel(const op_conv_dims *d, int n, int p, int q, int r, int s) {
  const int h = p * d->stride + r - d->pad, w = q * d->stride + s - d->pad;
  if (h < 0 || h >= d->H || w < 0 || w >= d->W) return -1;
  return ((ptrdiff_t)n * d->H + h) * d->W + w;
}

void op_average_window(int i, int size, int count, int *begin, int *end) {
  *begin = (int)((int64_t)i * size / count);
  *end = (int)((((int64_t)i + 1) * size + count - 1) / count);
}

#define real float
#define OP(name) op_##name##_f32
#define LOCAL(name) name##_f32
#include "op/conv.inc"
#include "op/linear.inc"
#include "op/lrn.inc"
#include "op/norm.inc"
#include "op/pointwise.inc"
#include "op/pool.inc"
#undef real
#undef OP
#undef LOCAL

#define real double
#define OP(name) op_##name##_f64
#define LOCAL(name) name##_f64
#include "op/conv.inc"
#include "op/linear.inc"
#include "op/lrn.inc"
#include "op/norm.inc"
#include "op/pointwise.inc"
#include "op/pool.inc"
#undef real
#undef OP
#undef LOCAL
