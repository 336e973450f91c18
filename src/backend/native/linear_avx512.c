/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear kernels for AVX-512: 14 rows x 32 columns stay in 28 registers over the whole depth, two
 * more hold a row of b, one a broadcast of a: 16 loads for 28 multiply-adds.
 *
 * Dot products: 3 units x 8 images in 24 registers, 11 loads for 24 multiply-adds.
 */
#include "backend/native/lanes_avx512.h"

/* Past the caches. */
INLINE void store_past(float *to, vec x) { _mm512_stream_ps(to, x); }

enum { ROWS = 14 };

/* Halves change places in pairs of rows 8, 4, 2 and 1 apart. */
INLINE void transpose(vec m[VEC]) {
#pragma GCC unroll 4
  for (int apart = VEC / 2; apart > 0; apart /= 2) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i bit = _mm512_set1_epi32(apart);
    const lane_mask odd = _mm512_test_epi32_mask(lane, bit);
    const __m512i second = _mm512_set1_epi32(VEC); /* places of the second vector begin here */
    const __m512i low = _mm512_mask_add_epi32(lane, odd, _mm512_sub_epi32(lane, bit), second);
    const __m512i high = _mm512_mask_add_epi32(_mm512_add_epi32(lane, bit), odd, lane, second);
#pragma GCC unroll 16
    for (int i = 0; i < VEC; i++) {
      if (i & apart) continue;
      const vec a = m[i], b = m[i + apart];
      m[i] = _mm512_permutex2var_ps(a, low, b);
      m[i + apart] = _mm512_permutex2var_ps(a, high, b);
    }
  }
}

#include "backend/native/linear_rows.h"

INLINE void tile_rows(int vectors, const linear_tile *t) {
  switch (t->rows) {
    case 1:
      tile_of(1, vectors, t);
      break;
    case 2:
      tile_of(2, vectors, t);
      break;
    case 3:
      tile_of(3, vectors, t);
      break;
    case 4:
      tile_of(4, vectors, t);
      break;
    case 5:
      tile_of(5, vectors, t);
      break;
    case 6:
      tile_of(6, vectors, t);
      break;
    case 7:
      tile_of(7, vectors, t);
      break;
    case 8:
      tile_of(8, vectors, t);
      break;
    case 9:
      tile_of(9, vectors, t);
      break;
    case 10:
      tile_of(10, vectors, t);
      break;
    case 11:
      tile_of(11, vectors, t);
      break;
    case 12:
      tile_of(12, vectors, t);
      break;
    case 13:
      tile_of(13, vectors, t);
      break;
    default:
      tile_of(ROWS, vectors, t);
      break;
  }
}

static void tile(const linear_tile *t) { t->half ? tile_rows(1, t) : tile_rows(2, t); }

static const unsigned char dot_units[] = {8, 8, 7, 6, 5, 4, 3, 3};

static void dot(const linear_dot *d) {
  const bool one = d->units == 1;
  switch (d->images) {
    case 1:
      one ? dot_of(1, 1, d) : dot_of(1, 8, d);
      break;
    case 2:
      one ? dot_of(2, 1, d) : dot_of(2, 8, d);
      break;
    case 3:
      one ? dot_of(3, 1, d) : dot_of(3, 7, d);
      break;
    case 4:
      one ? dot_of(4, 1, d) : dot_of(4, 6, d);
      break;
    case 5:
      one ? dot_of(5, 1, d) : dot_of(5, 5, d);
      break;
    case 6:
      one ? dot_of(6, 1, d) : dot_of(6, 4, d);
      break;
    case 7:
      one ? dot_of(7, 1, d) : dot_of(7, 3, d);
      break;
    default:
      one ? dot_of(8, 1, d) : dot_of(8, 3, d);
      break;
  }
}

extern const linear_kernels linear_avx512;
const linear_kernels linear_avx512 = {.name = "linear_fp32_avx512",
                                      .isa = CPU_AVX512,
                                      .error = 1,
                                      .rows = ROWS,
                                      .wide = WIDE,
                                      .lanes = VEC,
                                      .dot_images = sizeof dot_units,
                                      .dot_units = dot_units,
                                      .tile = tile,
                                      .dot = dot,
                                      .combine = combine,
                                      .combine_columns = combine_columns,
                                      .stream = stream,
                                      .pack_a = pack_a,
                                      .pack_b = pack_b,
                                      .pack_b_transposed = pack_b_transposed,
                                      .turn = turn};
