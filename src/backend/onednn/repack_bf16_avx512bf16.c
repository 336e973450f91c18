/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "backend/onednn/repack.h"
#include "backend/onednn/transpose_avx512.h"

/* 16 pairs of neighbours in a row, bf16. */
static inline __m512i load_pairs(const float *w) {
  return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(w + 16), _mm512_loadu_ps(w));
}

/* Rows k .. k + 15, columns c .. c + 31 -> 16 lines: pairs of columns, 16 rows each. */
static inline void tile_forward(int C, const float *w, uint16_t *to) {
  __m512i r[16];
  for (int k = 0; k < 16; k++) {
    const float *row = w + (size_t)k * C;
    r[k] = load_pairs(row);
    _mm_prefetch((const char *)(row + OD_TILE), _MM_HINT_T0); /* the next tile's two lines */
    _mm_prefetch((const char *)(row + OD_TILE + 16), _MM_HINT_T0);
  }
  transpose_16x16(r);
  for (int pair = 0; pair < 16; pair++)
    _mm512_stream_si512((void *)(to + pair * 2 * OD_TILE), r[pair]);
}

/* Rows k and k + 1, 64 columns -> 4 lines: pairs of rows. */
static inline void tile_data(int C, const float *w, uint16_t *to) {
  const __m512i zip = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                       23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  for (int c = 0; c < OD_TILE; c += 16) {
    const __m512i both =
        (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(w + C + c), _mm512_loadu_ps(w + c));
    _mm512_stream_si512((void *)(to + 2 * c), _mm512_permutexvar_epi16(zip, both));
  }
}

void od_repack_bf16_avx512bf16(int K, int C, const float *w, void *forward, void *data,
                               int threads) {
  uint16_t *f = forward, *d = data;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
  for (int k = 0; k < K; k += OD_TILE)
    for (int c = 0; c < C; c += OD_TILE) {
      const float *tile = w + (size_t)k * C + c;
      for (int i = 0; i < OD_TILE; i += 16)
        for (int j = 0; j < OD_TILE; j += 32)
          tile_forward(C, tile + (size_t)i * C + j,
                       f + (size_t)k * C + ((size_t)(c + j) * OD_TILE) + 2 * i);
      if (d)
        for (int i = 0; i < OD_TILE; i += 2)
          tile_data(C, tile + (size_t)i * C, d + (size_t)c * K + (size_t)(k + i) * OD_TILE);
    }
  _mm_sfence();
}
