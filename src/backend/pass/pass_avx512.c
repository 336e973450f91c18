/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of pass_rows.h, and by hand the pool that every VGG net has: 2x2, stride 2. Compilers
 * need a long channel loop, but the largest pictures have the fewest channels. 32 bf16 fill a
 * vector; 16 channels are taken two windows at a time:
 *
 *   row       [pixel 0 | pixel 1] [pixel 2 | pixel 3]
 *   left      [pixel 0 | pixel 2]    right  [pixel 1 | pixel 3]     windows 0 and 1
 */
#include <immintrin.h>

#include "backend/pass/pass_rows.h"

enum { LOWER = 0x44, UPPER = 0xee }; /* halves of two vectors for _mm512_shuffle_i64x2 */

/* The maximum of four, and its place: see pass_rows.h for the shifted bits. */
static inline __m512i max4_bf16(__m512i a, __m512i b, __m512i c, __m512i d, __m256i *place) {
  __m512i m = _mm512_slli_epi16(a, 1), at = _mm512_setzero_si512();
  const __m512i v1 = _mm512_slli_epi16(b, 1), v2 = _mm512_slli_epi16(c, 1);
  const __m512i v3 = _mm512_slli_epi16(d, 1);
  at = _mm512_mask_mov_epi16(at, _mm512_cmpgt_epu16_mask(v1, m), _mm512_set1_epi16(1));
  m = _mm512_max_epu16(m, v1);
  at = _mm512_mask_mov_epi16(at, _mm512_cmpgt_epu16_mask(v2, m), _mm512_set1_epi16(2));
  m = _mm512_max_epu16(m, v2);
  at = _mm512_mask_mov_epi16(at, _mm512_cmpgt_epu16_mask(v3, m), _mm512_set1_epi16(3));
  m = _mm512_max_epu16(m, v3);
  /* 0 and NaN: one less is not below infinity's bits */
  const __mmask32 dead = _mm512_cmpge_epu16_mask(_mm512_sub_epi16(m, _mm512_set1_epi16(1)),
                                                 _mm512_set1_epi16((short)0xff00));
  *place = _mm512_cvtepi16_epi8(_mm512_mask_mov_epi16(at, dead, _mm512_set1_epi16(PASS_DEAD)));
  return _mm512_srli_epi16(m, 1);
}

static inline __m512i max4_f32(__m512i a, __m512i b, __m512i c, __m512i d, __m128i *place) {
  __m512i m = _mm512_slli_epi32(a, 1), at = _mm512_setzero_si512();
  const __m512i v1 = _mm512_slli_epi32(b, 1), v2 = _mm512_slli_epi32(c, 1);
  const __m512i v3 = _mm512_slli_epi32(d, 1);
  at = _mm512_mask_mov_epi32(at, _mm512_cmpgt_epu32_mask(v1, m), _mm512_set1_epi32(1));
  m = _mm512_max_epu32(m, v1);
  at = _mm512_mask_mov_epi32(at, _mm512_cmpgt_epu32_mask(v2, m), _mm512_set1_epi32(2));
  m = _mm512_max_epu32(m, v2);
  at = _mm512_mask_mov_epi32(at, _mm512_cmpgt_epu32_mask(v3, m), _mm512_set1_epi32(3));
  m = _mm512_max_epu32(m, v3);
  const __mmask16 dead = _mm512_cmpge_epu32_mask(_mm512_sub_epi32(m, _mm512_set1_epi32(1)),
                                                 _mm512_set1_epi32((int)0xff000000));
  *place = _mm512_cvtepi32_epi8(_mm512_mask_mov_epi32(at, dead, _mm512_set1_epi32(PASS_DEAD)));
  return _mm512_srli_epi32(m, 1);
}

/* The lanes of `left` channels that are still to do, at most a vector's. */
static inline __mmask32 lanes32(int left) { return left < 32 ? (1u << left) - 1 : ~0u; }
static inline __mmask16 lanes16(int left) { return (__mmask16)(left < 16 ? (1 << left) - 1 : ~0); }

/* Windows q .. q + 1 of 16 channels. */
static inline void pool_pair_bf16(const uint16_t *x, const uint16_t *below, uint16_t *y,
                                  uint8_t *index) {
  const __m512i t0 = _mm512_loadu_si512(x), t1 = _mm512_loadu_si512(x + 32);
  const __m512i u0 = _mm512_loadu_si512(below), u1 = _mm512_loadu_si512(below + 32);
  __m256i place;
  const __m512i m =
      max4_bf16(_mm512_shuffle_i64x2(t0, t1, LOWER), _mm512_shuffle_i64x2(t0, t1, UPPER),
                _mm512_shuffle_i64x2(u0, u1, LOWER), _mm512_shuffle_i64x2(u0, u1, UPPER), &place);
  _mm512_storeu_si512(y, m);
  if (index) _mm256_storeu_si256((__m256i *)index, place);
}

static void pool_row_bf16_512(const pass_pool *d, const void *input, void *output, uint8_t *index) {
  if (d->size != 2 || d->stride != 2) {
    pool_row_bf16(d, input, output, index);
    return;
  }
  const int K = d->K;
  const size_t row = (size_t)d->Q * K;
  int q = 0;
  for (; K == 16 && q + 1 < d->OQ; q += 2) {
    const uint16_t *x = (const uint16_t *)input + (size_t)q * 2 * K;
    pool_pair_bf16(x, x + row, (uint16_t *)output + (size_t)q * K,
                   index ? index + (size_t)q * K : NULL);
  }
  for (; q < d->OQ; q++)
    for (int k = 0; k < K; k += 32) {
      const uint16_t *x = (const uint16_t *)input + (size_t)q * 2 * K + k;
      const __mmask32 in = lanes32(K - k);
      __m256i place;
      const __m512i m = max4_bf16(
          _mm512_maskz_loadu_epi16(in, x), _mm512_maskz_loadu_epi16(in, x + K),
          _mm512_maskz_loadu_epi16(in, x + row), _mm512_maskz_loadu_epi16(in, x + row + K), &place);
      const size_t to = (size_t)q * K + k;
      _mm512_mask_storeu_epi16((uint16_t *)output + to, in, m);
      if (index) _mm256_mask_storeu_epi8(index + to, in, place);
    }
}

static void pool_row_f32_512(const pass_pool *d, const void *input, void *output, uint8_t *index) {
  if (d->size != 2 || d->stride != 2) {
    pool_row_f32(d, input, output, index);
    return;
  }
  const int K = d->K;
  const size_t row = (size_t)d->Q * K;
  for (int q = 0; q < d->OQ; q++)
    for (int k = 0; k < K; k += 16) {
      const float *x = (const float *)input + (size_t)q * 2 * K + k;
      const __mmask16 in = lanes16(K - k);
      __m128i place;
      const __m512i m = max4_f32(
          _mm512_maskz_loadu_epi32(in, x), _mm512_maskz_loadu_epi32(in, x + K),
          _mm512_maskz_loadu_epi32(in, x + row), _mm512_maskz_loadu_epi32(in, x + row + K), &place);
      const size_t to = (size_t)q * K + k;
      _mm512_mask_storeu_epi32((float *)output + to, in, m);
      if (index) _mm_mask_storeu_epi8(index + to, in, place);
    }
}

/* Row h of dx meets one row of windows; its pixels take places `left` and left + 1 in them. */
static void unpool_pairs_bf16(int K, int count, uint8_t left, const uint8_t *index,
                              const uint16_t *dy, uint16_t *dx) {
  const __m256i place0 = _mm256_set1_epi8((char)left), place1 = _mm256_set1_epi8((char)(left + 1));
  int q = 0;
  for (; K == 16 && q + 1 < count; q += 2, index += 32, dy += 32, dx += 64) {
    const __m256i at = _mm256_loadu_si256((const __m256i *)index);
    const __m512i g = _mm512_loadu_si512(dy);
    const __m512i a = _mm512_maskz_mov_epi16(_mm256_cmpeq_epi8_mask(at, place0), g);
    const __m512i b = _mm512_maskz_mov_epi16(_mm256_cmpeq_epi8_mask(at, place1), g);
    _mm512_storeu_si512(dx, _mm512_shuffle_i64x2(a, b, LOWER));
    _mm512_storeu_si512(dx + 32, _mm512_shuffle_i64x2(a, b, UPPER));
  }
  for (; q < count; q++, index += K, dy += K, dx += 2 * (size_t)K)
    for (int k = 0; k < K; k += 32) {
      const __mmask32 in = lanes32(K - k);
      const __m256i at = _mm256_maskz_loadu_epi8(in, index + k);
      const __m512i g = _mm512_maskz_loadu_epi16(in, dy + k);
      _mm512_mask_storeu_epi16(dx + k, in,
                               _mm512_maskz_mov_epi16(_mm256_cmpeq_epi8_mask(at, place0), g));
      _mm512_mask_storeu_epi16(dx + K + k, in,
                               _mm512_maskz_mov_epi16(_mm256_cmpeq_epi8_mask(at, place1), g));
    }
}

static void unpool_pairs_f32(int K, int count, uint8_t left, const uint8_t *index, const float *dy,
                             float *dx) {
  const __m128i place0 = _mm_set1_epi8((char)left), place1 = _mm_set1_epi8((char)(left + 1));
  for (int q = 0; q < count; q++, index += K, dy += K, dx += 2 * (size_t)K)
    for (int k = 0; k < K; k += 16) {
      const __mmask16 in = lanes16(K - k);
      const __m128i at = _mm_maskz_loadu_epi8(in, index + k);
      const __m512 g = _mm512_maskz_loadu_ps(in, dy + k);
      _mm512_mask_storeu_ps(dx + k, in, _mm512_maskz_mov_ps(_mm_cmpeq_epi8_mask(at, place0), g));
      _mm512_mask_storeu_ps(dx + K + k, in,
                            _mm512_maskz_mov_ps(_mm_cmpeq_epi8_mask(at, place1), g));
    }
}

static bool in_plain_window(const pass_pool *d, int h) {
  return d->size == 2 && d->stride == 2 && h < 2 * d->OP;
}

static void unpool_row_bf16_512(const pass_pool *d, int h, const uint8_t *index, const void *dy,
                                void *dx) {
  if (!in_plain_window(d, h)) {
    unpool_row_bf16(d, h, index, dy, dx);
    return;
  }
  const size_t from = (size_t)(h / 2) * d->OQ * d->K, done = (size_t)d->OQ * 2 * d->K;
  unpool_pairs_bf16(d->K, d->OQ, (uint8_t)(h % 2 * 2), index + from, (const uint16_t *)dy + from,
                    dx);
  memset((uint16_t *)dx + done, 0, ((size_t)d->Q * d->K - done) * sizeof(uint16_t));
}

static void unpool_row_f32_512(const pass_pool *d, int h, const uint8_t *index, const void *dy,
                               void *dx) {
  if (!in_plain_window(d, h)) {
    unpool_row_f32(d, h, index, dy, dx);
    return;
  }
  const size_t from = (size_t)(h / 2) * d->OQ * d->K, done = (size_t)d->OQ * 2 * d->K;
  unpool_pairs_f32(d->K, d->OQ, (uint8_t)(h % 2 * 2), index + from, (const float *)dy + from, dx);
  memset((float *)dx + done, 0, ((size_t)d->Q * d->K - done) * sizeof(float));
}

extern const pass_kernels pass_avx512;
const pass_kernels pass_avx512 = {
    .name = "avx512",
    .isa = CPU_AVX512,
    .pool_row = {pool_row_f32_512, pool_row_bf16_512},
    .unpool_row = {unpool_row_f32_512, unpool_row_bf16_512},
    .relu_mask = {relu_mask_f32, relu_mask_bf16},
    .activate = {activate_f32, activate_bf16},
    .add = add,
    .to_bf16 = to_bf16,
    .accumulate = {accumulate_f32, accumulate_bf16},
    NORM_ROW,
};
