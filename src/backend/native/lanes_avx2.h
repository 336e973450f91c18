/* SPDX-License-Identifier: Apache-2.0
 *
 * What lanes_avx512.h gives, for AVX2: 8 values, or half of a group of 16 channels.
 *
 * AVX2 has masks only as whole vectors, and some processors store under a mask very slowly. So
 * masks are bits here, too, and whole vectors, by far the most, go an unmasked way of their own.
 */
#ifndef NATIVE_LANES_AVX2_H
#define NATIVE_LANES_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { VEC = 8, ALL_LANES = 0xff };

typedef __m256 vec; /* + - * work on it, too */
typedef uint8_t lane_mask;

INLINE vec splat(float x) { return _mm256_set1_ps(x); }
INLINE vec load(const float *x) { return _mm256_loadu_ps(x); }
INLINE void store(float *to, vec x) { _mm256_storeu_ps(to, x); }
INLINE vec fmadd(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }   /* c + a b */
INLINE vec fnmadd(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); } /* c - a b */

/* max(least, x); NaN stays NaN. */
INLINE vec at_least(vec least, vec x) { return _mm256_max_ps(least, x); }
INLINE vec relu(vec x) { return at_least(splat(0), x); }

/* Every lane's bit of the mask in its sign. */
INLINE __m256i signs_of(lane_mask mask) {
  return _mm256_sllv_epi32(_mm256_set1_epi32(mask),
                           _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24));
}

INLINE vec bf16_values(__m128i half) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

INLINE vec load_masked(bool bf16, lane_mask mask, const void *base, ptrdiff_t at) {
  if (mask == 0) return splat(0); /* see load_open */
  if (!bf16) {
    const float *from = (const float *)base + at;
    return mask == ALL_LANES ? load(from) : _mm256_maskload_ps(from, signs_of(mask));
  }
  const uint16_t *from = (const uint16_t *)base + at;
  if (mask == ALL_LANES) return bf16_values(_mm_loadu_si128((const __m128i *)from));
  uint16_t some[VEC] = {0};
  for (int i = 0; i < VEC; i++)
    if (mask >> i & 1) some[i] = from[i];
  return bf16_values(_mm_loadu_si128((const __m128i *)some));
}

/* load_masked for a mask that is as good as random, of `lanes` that exist. Not by a masked load:
 * on AMD one whose mask is all zero costs tens of cycles. */
INLINE vec load_open(bool bf16, lane_mask open, lane_mask lanes, const void *base, ptrdiff_t at) {
  const __m256i keep = _mm256_srai_epi32(signs_of(open), 31);
  return _mm256_and_ps(_mm256_castsi256_ps(keep), load_masked(bf16, lanes, base, at));
}

/* To nearest, ties to even; NaN stays NaN (quiet). */
INLINE __m128i to_bf16(vec x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256 quiet = _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x400000)));
  const __m256 kept =
      _mm256_blendv_ps(_mm256_castsi256_ps(rounded), quiet, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i high = _mm256_srli_epi32(_mm256_castps_si256(kept), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
}

INLINE void store_masked(bool bf16, lane_mask mask, void *base, ptrdiff_t at, vec x) {
  if (!bf16) {
    float *to = (float *)base + at;
    if (mask == ALL_LANES)
      store(to, x);
    else
      _mm256_maskstore_ps(to, signs_of(mask), x);
    return;
  }
  uint16_t *to = (uint16_t *)base + at;
  if (mask == ALL_LANES) {
    _mm_storeu_si128((__m128i *)to, to_bf16(x));
    return;
  }
  uint16_t all[VEC];
  _mm_storeu_si128((__m128i *)all, to_bf16(x));
  for (int i = 0; i < VEC; i++)
    if (mask >> i & 1) to[i] = all[i];
}

/* Half a line is never streamed: its other half comes too late to join it. */
INLINE void store_value(bool bf16, bool stream, lane_mask mask, void *base, ptrdiff_t at, vec x) {
  (void)stream;
  store_masked(bf16, mask, base, at, x);
}

INLINE void store_fence(void) {}

/* Lanes that exist of C channels from `channel` on. */
INLINE lane_mask lanes_of(int C, int channel) {
  const int left = C - channel;
  return (lane_mask)(left >= VEC ? ALL_LANES : left <= 0 ? 0 : (1 << left) - 1);
}

/* x where a > 0, elsewhere 0. */
INLINE vec where_positive(vec a, vec x) {
  return _mm256_and_ps(_mm256_cmp_ps(a, splat(0), _CMP_GT_OQ), x);
}

INLINE vec max(vec a, vec b) { return _mm256_max_ps(a, b); } /* b where one is NaN */

/* a > b; not where one is NaN. */
INLINE lane_mask above(vec a, vec b) {
  return (lane_mask)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

/* max that a NaN on either side survives (maxps gives its second operand then). */
INLINE vec max_nan(vec a, vec b) {
  return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

/* The lanes from `channel` on of a word that has a bit for each of 16 channels. */
INLINE lane_mask lanes_in(const uint16_t *word, int channel) {
  return ((const lane_mask *)word)[channel / VEC % 2];
}

INLINE void set_lanes(uint16_t *word, int channel, lane_mask lanes) {
  ((lane_mask *)word)[channel / VEC % 2] = lanes;
}

/* ---- the first layer's, see first.h ---------------------------------------------------------- */

/* Two windows of columns, each two beyond the last, of six columns. */
INLINE vec columns_of(vec d) {
  return _mm256_permutevar8x32_ps(d, _mm256_setr_epi32(0, 1, 2, 3, 2, 3, 4, 5));
}

/* The same, as points: d0 - d2, d1 + d2, d2 - d1, d1 - d3. */
INLINE vec points_of(vec d) {
  const __m256i first = _mm256_setr_epi32(0, 1, 2, 1, 2, 3, 4, 3);
  const __m256i second = _mm256_setr_epi32(2, 2, 1, 3, 4, 4, 3, 5);
  const vec sign = _mm256_setr_ps(-1, 1, -1, -1, -1, 1, -1, -1);
  return fmadd(sign, _mm256_permutevar8x32_ps(d, second), _mm256_permutevar8x32_ps(d, first));
}

/* Two blocks of two rows: a0 a1 b0 b1, a1 a2 b1 b2. */
INLINE vec blocks_of(vec a, vec b) {
  const __m256i pairs = _mm256_setr_epi32(0, 1, 0, 1, 1, 2, 1, 2);
  return _mm256_blend_ps(_mm256_permutevar8x32_ps(a, pairs), _mm256_permutevar8x32_ps(b, pairs),
                         0xcc);
}

typedef __m256i lane_index;

/* Every lane's place in a block, in its two lowest bits: 1 where its bit in the first word is set,
 * plus 2 where it is in the second. Both come by one load and are shifted to where they belong. */
INLINE lane_index places_of(const uint16_t words[2], int channel) {
  int both;
  memcpy(&both, words, sizeof both);
  const __m256i bits = _mm256_set1_epi32(both), one = _mm256_set1_epi32(1);
  const __m256i lane = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                        _mm256_set1_epi32(channel % (2 * VEC)));
  const __m256i right = _mm256_srlv_epi32(bits, lane);
  const __m256i lower = _mm256_srlv_epi32(bits, _mm256_add_epi32(lane, _mm256_set1_epi32(15)));
  return _mm256_or_si256(_mm256_and_si256(one, right), _mm256_andnot_si256(one, lower));
}

/* One of four values for every lane. */
INLINE vec pick(const float *four, lane_index place) {
  return _mm256_permutevar_ps(_mm256_broadcast_ps((const __m128 *)four), place);
}

/* ---- pool ------------------------------------------------------------------------------------ */

/* Writes where v first has its maximum or, where that is NaN, its first NaN. */
INLINE void mark_places(const vec v[4], vec top, vec left, lane_mask *words) {
  for (int i = 0; i < 4; i++) {
    const vec nan = _mm256_cmp_ps(v[i], v[i], _CMP_UNORD_Q);
    const vec here = _mm256_and_ps(left, _mm256_or_ps(_mm256_cmp_ps(v[i], top, _CMP_EQ_OQ), nan));
    words[2 * i] = (lane_mask)_mm256_movemask_ps(here);
    left = _mm256_andnot_ps(here, left);
  }
}

/* One 2x2 window: its maximum, and in four words (see lanes_in; NULL: not wanted) where it was.
 * Where a ReLU in front has closed the output, no place is open. */
INLINE vec pool_window(const vec v[4], bool relu, uint16_t *words, int channel) {
  const vec top = max_nan(max_nan(v[0], v[1]), max_nan(v[2], v[3]));
  if (words) {
    const vec all = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    mark_places(v, top, relu ? _mm256_cmp_ps(top, splat(0), _CMP_GT_OQ) : all,
                (lane_mask *)words + channel / VEC % 2);
  }
  return top;
}

#endif
