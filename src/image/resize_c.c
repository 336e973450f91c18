/* SPDX-License-Identifier: Apache-2.0 */
#include "image/resize_rows.h"

static void across(const resize_axis *a, const uint8_t *in, int left, uint8_t *out, int channels) {
  across_from(a, in, left, 0, out, channels);
}

static void down(const uint8_t *rows, size_t stride, const uint32_t *weight, int taps, int bits,
                 uint8_t *out, size_t width) {
  if (taps == 2 && bits <= RESIZE_NARROW_BITS)
    down_narrow(rows, rows + stride, (uint16_t)weight[0], (uint16_t)weight[1], bits, out, width);
  else
    down_wide(rows, stride, weight, taps, bits, out, width);
}

extern const resize_kernels resize_c;
const resize_kernels resize_c = {"c", CPU_BASE, across, down};
