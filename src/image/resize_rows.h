/* SPDX-License-Identifier: Apache-2.0
 *
 * The passes as plain loops. Each instruction set's file includes this once; the file's flags
 * decide how wide the loops become.
 */
#include "image/resize_kernels.h"

static inline uint8_t to_byte(uint32_t sum, int bits) {
  const uint32_t value = sum >> bits;
  return (uint8_t)(value < 255 ? value : 255);
}

/* Outputs from `x` to the end, inlined once for each usual (channels, taps), so that the inner
 * loops unroll. */
static inline void across_taps(const resize_axis *a, const uint8_t *in, int left, int x,
                               uint8_t *out, int channels, int taps) {
  const uint32_t half = 1u << (a->bits - 1);
  for (out += (size_t)x * (size_t)channels; x < a->out; x++) {
    const uint8_t *p = in + (size_t)(a->first[x] - left) * (size_t)channels;
    const uint32_t *weight = a->weight + (size_t)x * (size_t)taps;
    for (int c = 0; c < channels; c++) {
      uint32_t sum = half;
      for (int t = 0; t < taps; t++) sum += weight[t] * p[(size_t)t * (size_t)channels + (size_t)c];
      *out++ = to_byte(sum, a->bits);
    }
  }
}

static inline void across_from(const resize_axis *a, const uint8_t *in, int left, int x,
                               uint8_t *out, int channels) {
  if (channels == 1 && a->taps == 2)
    across_taps(a, in, left, x, out, 1, 2);
  else if (channels == 3 && a->taps == 2)
    across_taps(a, in, left, x, out, 3, 2);
  else if (channels == 1)
    across_taps(a, in, left, x, out, 1, a->taps);
  else if (channels == 3)
    across_taps(a, in, left, x, out, 3, a->taps);
  else
    across_taps(a, in, left, x, out, channels, a->taps);
}

/* Two rows whose weights sum to 2^bits, bits <= RESIZE_NARROW_BITS: no sum leaves 16 bits. */
static void down_narrow(const uint8_t *restrict p, const uint8_t *restrict q, uint16_t wp,
                        uint16_t wq, int bits, uint8_t *restrict out, size_t width) {
  const uint16_t half = (uint16_t)(1u << (bits - 1));
  for (size_t i = 0; i < width; i++)
    out[i] = (uint8_t)((uint16_t)(p[i] * wp + q[i] * wq + half) >> bits);
}

static void down_wide(const uint8_t *restrict rows, size_t stride, const uint32_t *restrict weight,
                      int taps, int bits, uint8_t *restrict out, size_t width) {
  enum { BLOCK = 256 }; /* sums that stay in the nearest cache */
  uint32_t sums[BLOCK];
  for (size_t at = 0; at < width; at += BLOCK) {
    const size_t count = width - at < BLOCK ? width - at : BLOCK;
    const uint8_t *row = rows + at;
    for (size_t i = 0; i < count; i++) sums[i] = 1u << (bits - 1);
    for (int t = 0; t < taps; t++, row += stride) {
      const uint32_t w = weight[t];
      if (w == 0) continue;
      for (size_t i = 0; i < count; i++) sums[i] += w * row[i];
    }
    for (size_t i = 0; i < count; i++) out[at + i] = to_byte(sums[i], bits);
  }
}
