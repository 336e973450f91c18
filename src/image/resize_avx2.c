/* SPDX-License-Identifier: Apache-2.0
 *
 *   across, RGB: a pixel's three samples, and the next pixel's first, are four 32-bit lanes
 *
 *       memory   R0 G0 B0 R1 G1 B1 R2 ..
 *       tap 0    [R0 G0 B0 --] * w0
 *       tap 1             [R1 G1 B1 --] * w1      summed, the fourth lane dropped
 *
 *   down: 32 columns in four registers of eight, over all taps
 */
#include <immintrin.h>
#include <string.h>

#include "image/resize_rows.h"

static inline __m128i load_pixel(const uint8_t *p) {
  uint32_t four;
  memcpy(&four, p, sizeof four);
  return _mm_cvtepu8_epi32(_mm_cvtsi32_si128((int)four));
}

/* Outputs whose last tap is not the row's last pixel, and not the last output: reads and writes
 * reach one byte beyond a pixel. Returns how many were done. */
static inline int across_rgb(const resize_axis *a, const uint8_t *in, int left, uint8_t *out,
                             int taps) {
  const __m128i half = _mm_set1_epi32(1 << (a->bits - 1)), bits = _mm_cvtsi32_si128(a->bits);
  int x = 0;
  for (; x < a->out - 1 && a->first[x] + taps < a->in; x++) {
    const uint8_t *p = in + (size_t)(a->first[x] - left) * 3;
    const uint32_t *weight = a->weight + (size_t)x * (size_t)taps;
    __m128i sum = half;
    for (int t = 0; t < taps; t++) {
      const __m128i w = _mm_set1_epi32((int)weight[t]);
      sum = _mm_add_epi32(sum, _mm_mullo_epi32(w, load_pixel(p + 3 * t)));
    }
    sum = _mm_srl_epi32(sum, bits);
    sum = _mm_packus_epi32(sum, sum);
    const int four = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
    memcpy(out + 3 * (size_t)x, &four, sizeof four);
  }
  return x;
}

static void across(const resize_axis *a, const uint8_t *in, int left, uint8_t *out, int channels) {
  int x = 0;
  if (channels == 3) {
    if (a->taps == 2)
      x = across_rgb(a, in, left, out, 2);
    else
      x = across_rgb(a, in, left, out, a->taps);
  }
  across_from(a, in, left, x, out, channels);
}

static inline void down_32(const uint8_t *rows, size_t stride, const uint32_t *weight, int taps,
                           int bits, uint8_t *out) {
  __m256i sum[4];
  for (int i = 0; i < 4; i++) sum[i] = _mm256_set1_epi32(1 << (bits - 1));
  for (int t = 0; t < taps; t++, rows += stride) {
    const __m256i w = _mm256_set1_epi32((int)weight[t]);
    for (int i = 0; i < 4; i++) {
      const __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(rows + 8 * i)));
      sum[i] = _mm256_add_epi32(sum[i], _mm256_mullo_epi32(w, x));
    }
  }
  const __m128i by = _mm_cvtsi32_si128(bits);
  for (int i = 0; i < 4; i++) sum[i] = _mm256_srl_epi32(sum[i], by);
  const __m256i mixed =
      _mm256_packus_epi16(_mm256_packus_epi32(sum[0], sum[1]), _mm256_packus_epi32(sum[2], sum[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256((__m256i *)out, _mm256_permutevar8x32_epi32(mixed, order));
}

static void down(const uint8_t *rows, size_t stride, const uint32_t *weight, int taps, int bits,
                 uint8_t *out, size_t width) {
  if (taps == 2 && bits <= RESIZE_NARROW_BITS) {
    down_narrow(rows, rows + stride, (uint16_t)weight[0], (uint16_t)weight[1], bits, out, width);
    return;
  }
  size_t x = 0;
  for (; x + 32 <= width; x += 32) down_32(rows + x, stride, weight, taps, bits, out + x);
  down_wide(rows + x, stride, weight, taps, bits, out + x, width - x);
}

extern const resize_kernels resize_avx2;
const resize_kernels resize_avx2 = {"avx2", CPU_AVX2, across, down};
