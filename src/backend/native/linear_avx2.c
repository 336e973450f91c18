/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear kernels for AVX2 and FMA: 6 rows x 16 columns stay in 12 registers over the whole depth,
 * two more hold a row of b, one a broadcast of a: 8 loads for 12 multiply-adds.
 *
 * Dot products: 3 units x 4 images in 12 registers, 7 loads for 12 multiply-adds.
 */
#include "backend/native/lanes_avx2.h"

/* Past the caches; the other half of the line follows at once. */
INLINE void store_past(float *to, vec x) { _mm256_stream_ps(to, x); }

enum { ROWS = 6 };

/* Halves change places in pairs of rows 4, 2 and 1 apart. */
INLINE void transpose(vec m[VEC]) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const vec a = m[i], b = m[i + 4];
    m[i] = _mm256_permute2f128_ps(a, b, 0x20);
    m[i + 4] = _mm256_permute2f128_ps(a, b, 0x31);
  }
#pragma GCC unroll 2
  for (int half = 0; half < 8; half += 4)
#pragma GCC unroll 2
    for (int i = half; i < half + 2; i++) {
      const vec a = m[i], b = m[i + 2];
      m[i] = _mm256_shuffle_ps(a, b, 0x44);
      m[i + 2] = _mm256_shuffle_ps(a, b, 0xee);
    }
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    const vec a = m[i], b = m[i + 1];
    const vec even = _mm256_shuffle_ps(a, b, 0x88), odd = _mm256_shuffle_ps(a, b, 0xdd);
    m[i] = _mm256_shuffle_ps(even, even, 0xd8);
    m[i + 1] = _mm256_shuffle_ps(odd, odd, 0xd8);
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
    default:
      tile_of(ROWS, vectors, t);
      break;
  }
}

static void tile(const linear_tile *t) { t->half ? tile_rows(1, t) : tile_rows(2, t); }

static const unsigned char dot_units[] = {6, 4, 3, 3};

static void dot(const linear_dot *d) {
  const bool one = d->units == 1;
  switch (d->images) {
    case 1:
      one ? dot_of(1, 1, d) : dot_of(1, 6, d);
      break;
    case 2:
      one ? dot_of(2, 1, d) : dot_of(2, 4, d);
      break;
    case 3:
      one ? dot_of(3, 1, d) : dot_of(3, 3, d);
      break;
    default:
      one ? dot_of(4, 1, d) : dot_of(4, 3, d);
      break;
  }
}

extern const linear_kernels linear_avx2;
const linear_kernels linear_avx2 = {.name = "linear_fp32_avx2",
                                    .isa = CPU_AVX2,
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
