/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "backend/onednn/repack.h"
#include "backend/onednn/transpose_avx512.h"

/* Rows k .. k + 15, columns c .. c + 15 -> 16 lines: a column, 16 rows each. */
static inline void tile_forward(int C, const float *w, float *to) {
  __m512i r[16];
  for (int k = 0; k < 16; k++) r[k] = _mm512_loadu_si512(w + (size_t)k * C);
  transpose_16x16(r);
  for (int c = 0; c < 16; c++) _mm512_stream_si512((void *)(to + c * OD_TILE), r[c]);
}

void od_repack_f32_avx512(int K, int C, const float *w, void *forward, void *data, int threads) {
  float *f = forward, *d = data;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
  for (int k = 0; k < K; k += OD_TILE)
    for (int c = 0; c < C; c += OD_TILE) {
      const float *tile = w + (size_t)k * C + c;
      for (int i = 0; i < OD_TILE; i += 16)
        for (int j = 0; j < OD_TILE; j += 16)
          tile_forward(C, tile + (size_t)i * C + j,
                       f + (size_t)k * C + (size_t)(c + j) * OD_TILE + i);
      for (int i = 0; d && i < OD_TILE; i++)
        for (int j = 0; j < OD_TILE; j += 16)
          _mm512_stream_ps(d + (size_t)c * K + (size_t)(k + i) * OD_TILE + j,
                           _mm512_loadu_ps(tile + (size_t)i * C + j));
    }
  _mm_sfence();
}
