/* SPDX-License-Identifier: Apache-2.0
 *
 * What the AVX-512 kernels share: 16 values in fp32 or bf16 under a mask, and the 2x2 max-pool.
 */
#ifndef NATIVE_LANES_AVX512_H
#define NATIVE_LANES_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { VEC = 16, ALL_LANES = 0xffff };

typedef __m512 vec; /* + - * work on it, too */
typedef __mmask16 lane_mask;

INLINE vec splat(float x) { return _mm512_set1_ps(x); }
INLINE vec load(const float *x) { return _mm512_loadu_ps(x); }
INLINE void store(float *to, vec x) { _mm512_storeu_ps(to, x); }
INLINE vec fmadd(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }   /* c + a b */
INLINE vec fnmadd(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); } /* c - a b */

/* max(least, x); NaN stays NaN. */
INLINE vec at_least(vec least, vec x) { return _mm512_max_ps(least, x); }
INLINE vec relu(vec x) { return at_least(splat(0), x); }

INLINE vec load_masked(bool bf16, lane_mask mask, const void *base, ptrdiff_t at) {
  if (!bf16) return _mm512_maskz_loadu_ps(mask, (const float *)base + at);
  const __m256i half = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)base + at);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* To nearest, ties to even; NaN stays NaN (quiet). */
INLINE __m256i to_bf16(vec x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const lane_mask nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __m512i kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
}

/* load_masked for a mask that is as good as random, of `lanes` that exist. */
INLINE vec load_open(bool bf16, lane_mask open, lane_mask lanes, const void *base, ptrdiff_t at) {
  (void)lanes;
  return load_masked(bf16, open, base, at);
}

INLINE void store_masked(bool bf16, lane_mask mask, void *base, ptrdiff_t at, vec x) {
  if (bf16)
    _mm256_mask_storeu_epi16((uint16_t *)base + at, mask, to_bf16(x));
  else
    _mm512_mask_storeu_ps((float *)base + at, mask, x);
}

/* Past the caches where `stream` asks for it: the line is whole, aligned, and not read again soon.
 */
INLINE void store_value(bool bf16, bool stream, lane_mask mask, void *base, ptrdiff_t at, vec x) {
  if (stream && !bf16)
    _mm512_stream_ps((float *)base + at, x);
  else
    store_masked(bf16, mask, base, at, x);
}

/* Streamed stores come before all that follow. */
INLINE void store_fence(void) { _mm_sfence(); }

/* Lanes that exist of C channels from `channel` on. */
INLINE lane_mask lanes_of(int C, int channel) {
  const int left = C - channel;
  return (lane_mask)(left >= VEC ? ALL_LANES : left <= 0 ? 0 : (1 << left) - 1);
}

/* x where a > 0, elsewhere 0. */
INLINE vec where_positive(vec a, vec x) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, splat(0), _CMP_GT_OQ), x);
}

INLINE vec max(vec a, vec b) { return _mm512_max_ps(a, b); } /* b where one is NaN */

/* a > b; not where one is NaN. */
INLINE lane_mask above(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }

/* max that a NaN on either side survives (maxps gives its second operand then). */
INLINE vec max_nan(vec a, vec b) {
  const lane_mask nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
  return _mm512_mask_mov_ps(_mm512_max_ps(a, b), nan, a);
}

/* The lanes from `channel` on of a word that has a bit for each of 16 channels. */
INLINE lane_mask lanes_in(const uint16_t *word, int channel) {
  (void)channel;
  return *word;
}

INLINE void set_lanes(uint16_t *word, int channel, lane_mask lanes) {
  (void)channel;
  *word = lanes;
}

/* ---- the first layer's, see first.h ---------------------------------------------------------- */

/* Four windows of columns, each two beyond the last, of ten columns. */
INLINE vec columns_of(vec d) {
  return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9),
                               d);
}

/* The same, as points: d0 - d2, d1 + d2, d2 - d1, d1 - d3. */
INLINE vec points_of(vec d) {
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8, 7);
  const __m512i second = _mm512_setr_epi32(2, 2, 1, 3, 4, 4, 3, 5, 6, 6, 5, 7, 8, 8, 7, 9);
  const vec sign = _mm512_setr4_ps(-1, 1, -1, -1);
  return fmadd(sign, _mm512_permutexvar_ps(second, d), _mm512_permutexvar_ps(first, d));
}

/* Four blocks of two rows: a0 a1 b0 b1, a1 a2 b1 b2, ... */
INLINE vec blocks_of(vec a, vec b) {
  return _mm512_permutex2var_ps(
      a, _mm512_setr_epi32(0, 1, 16, 17, 1, 2, 17, 18, 2, 3, 18, 19, 3, 4, 19, 20), b);
}

typedef __m512i lane_index;

/* Every lane's place in a block: 1 where its bit in the first word is set, plus 2 where it is in
 * the second. Both come by one load and are shifted to where they belong; masks would take longer.
 */
INLINE lane_index places_of(const uint16_t words[2], int channel) {
  (void)channel;
  uint32_t both;
  memcpy(&both, words, sizeof both);
  const __m512i bits = _mm512_set1_epi32((int)both);
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i right = _mm512_srlv_epi32(bits, lane);
  const __m512i lower = _mm512_srlv_epi32(bits, _mm512_add_epi32(lane, _mm512_set1_epi32(15)));
  enum { BITS_OF_FIRST_WHERE_THIRD = 0xe4 }; /* and of the second elsewhere */
  const __m512i place =
      _mm512_ternarylogic_epi32(right, lower, _mm512_set1_epi32(1), BITS_OF_FIRST_WHERE_THIRD);
  return _mm512_and_epi32(place, _mm512_set1_epi32(3));
}

/* One of four values for every lane. */
INLINE vec pick(const float *four, lane_index place) {
  return _mm512_permutexvar_ps(place, _mm512_castps128_ps512(_mm_loadu_ps(four)));
}

/* ---- pool ------------------------------------------------------------------------------------ */

/* Writes where v first has its maximum or, where that is NaN, its first NaN. */
INLINE void mark_places(const vec v[4], vec top, lane_mask left, uint16_t *words) {
  for (int i = 0; i < 4; i++) {
    const lane_mask nan = _mm512_cmp_ps_mask(v[i], v[i], _CMP_UNORD_Q);
    const lane_mask here = left & (_mm512_cmp_ps_mask(v[i], top, _CMP_EQ_OQ) | nan);
    words[i] = here;
    left &= (lane_mask)~here;
  }
}

/* One 2x2 window: its maximum, and in four words (see lanes_in; NULL: not wanted) where it was.
 * Where a ReLU in front has closed the output, no place is open. */
INLINE vec pool_window(const vec v[4], bool relu, uint16_t *words, int channel) {
  (void)channel;
  const vec top = max_nan(max_nan(v[0], v[1]), max_nan(v[2], v[3]));
  if (words) mark_places(v, top, relu ? above(top, splat(0)) : (lane_mask)ALL_LANES, words);
  return top;
}

#endif
