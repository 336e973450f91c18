/* SPDX-License-Identifier: Apache-2.0
 *
 * First-layer kernels for AVX-512: one register is 16 output channels of one pixel.
 *
 * Forward: the nine (times C) filters stay in registers or the nearest cache, each value of the
 * patch is broadcast by the multiply-add that uses it.
 *
 * Backward after a pool: of every 2x2 window one output has the gradient, a different one in each
 * channel. Lane k's output lies at (qi, qj) of the window, so its tap (r, s) met the picture at
 * (qi + r, qj + s) of the 4x4 patch. The patch is one register, and one permutation picks every
 * lane's value:
 *
 *     patch  0  1  2  3        index[k] = 4 (qi + r) + (qj + s)
 *            4  5  6  7
 *            8  9 10 11        9 permutations and 9 multiply-adds a window, where a gradient
 *           12 13 14 15        written out in full would take 36
 */
#include "backend/native/first.h"
#include "backend/native/lanes_avx512.h"

static const int offsets[4] = {0, 1, 4, 5}; /* of a window's four outputs in the patch */

/* The four outputs of a window before bias and ReLU. */
INLINE void window(const first_rows *r, int C, int x, const float *w, vec out[4]) {
  for (int c = 0; c < C; c++) {
    const float *patch = r->band + (size_t)c * 4 * r->stride + x;
#pragma GCC unroll 9
    for (int tap = 0; tap < FIRST_TAPS; tap++) {
      const vec filter = _mm512_loadu_ps(w + (c * FIRST_TAPS + tap) * FIRST_LANES);
      const float *at = patch + (size_t)(tap / 3) * r->stride + tap % 3;
      out[0] = _mm512_fmadd_ps(splat(at[0]), filter, out[0]);
      out[1] = _mm512_fmadd_ps(splat(at[1]), filter, out[1]);
      out[2] = _mm512_fmadd_ps(splat(at[r->stride]), filter, out[2]);
      out[3] = _mm512_fmadd_ps(splat(at[r->stride + 1]), filter, out[3]);
    }
  }
}

INLINE void forward_block(const first_rows *r, bool bf16, int C, const float *w, vec bias,
                          int channel) {
  const int words = (r->K + FIRST_LANES - 1) / FIRST_LANES;
  const __mmask16 lanes = lanes_of(r->K, channel);
  for (int x = 0; x < r->Q; x += 2) {
    vec y[4] = {bias, bias, bias, bias};
    window(r, C, x, w, y);
    if (r->relu)
      for (int i = 0; i < 4; i++) y[i] = _mm512_max_ps(_mm512_setzero_ps(), y[i]); /* NaN stays */
    if (!r->pool) {
      for (int i = 0; i < 4; i++)
        if (i / 2 < r->rows && x + i % 2 < r->Q)
          store_masked(bf16, lanes, r->values,
                       ((ptrdiff_t)(i / 2) * r->Q + x + i % 2) * r->K + channel, y[i]);
    } else if (x + 1 < r->Q) {
      const ptrdiff_t cell = x / 2;
      uint16_t *masks = r->masks ? r->masks + (cell * words + channel / FIRST_LANES) * 4 : NULL;
      store_masked(bf16, lanes, r->values, cell * r->K + channel, pool_window(y, masks, channel));
    }
  }
}

INLINE void forward_rows(const first_rows *r, bool bf16, int C, const float *w, const float *bias) {
  for (int channel = 0; channel < r->K; channel += FIRST_LANES)
    forward_block(r, bf16, C, w + (size_t)channel * (size_t)(C * FIRST_TAPS),
                  _mm512_loadu_ps(bias + channel), channel);
}

static void forward(const first_rows *r, const float *w, const float *bias) {
  if (r->C == 1 && r->bf16)
    forward_rows(r, true, 1, w, bias);
  else if (r->C == 1)
    forward_rows(r, false, 1, w, bias);
  else
    forward_rows(r, r->bf16, r->C, w, bias);
}

/* The 4x4 patch at column x as one register. */
INLINE vec load_patch(const float *plane, size_t stride, int x) {
  vec p = _mm512_castps128_ps512(_mm_loadu_ps(plane + x));
  p = _mm512_insertf32x4(p, _mm_loadu_ps(plane + stride + x), 1);
  p = _mm512_insertf32x4(p, _mm_loadu_ps(plane + 2 * stride + x), 2);
  return _mm512_insertf32x4(p, _mm_loadu_ps(plane + 3 * stride + x), 3);
}

INLINE void backward_pooled(const first_rows *r, bool bf16, int c, int channel, vec *acc,
                            vec *bias) {
  const int words = (r->K + FIRST_LANES - 1) / FIRST_LANES;
  const float *plane = r->band + (size_t)c * 4 * r->stride;
  for (ptrdiff_t cell = 0; cell < r->Q / 2; cell++) {
    const uint16_t *masks = r->masks + (cell * words + channel / FIRST_LANES) * 4;
    const __mmask16 open = (__mmask16)(masks[0] | masks[1] | masks[2] | masks[3]);
    const vec g = load_masked(bf16, open, r->values, cell * r->K + channel);
    __m512i index = _mm512_maskz_mov_epi32(masks[1], _mm512_set1_epi32(offsets[1]));
    index = _mm512_mask_mov_epi32(index, masks[2], _mm512_set1_epi32(offsets[2]));
    index = _mm512_mask_mov_epi32(index, masks[3], _mm512_set1_epi32(offsets[3]));
    const vec patch = load_patch(plane, r->stride, (int)(2 * cell));
#pragma GCC unroll 9
    for (int tap = 0; tap < FIRST_TAPS; tap++) {
      const __m512i at = _mm512_add_epi32(index, _mm512_set1_epi32(4 * (tap / 3) + tap % 3));
      acc[tap] = _mm512_fmadd_ps(_mm512_permutexvar_ps(at, patch), g, acc[tap]);
    }
    *bias = _mm512_add_ps(*bias, g);
  }
}

INLINE void backward_full(const first_rows *r, bool bf16, int c, int channel, vec *acc, vec *bias) {
  const __mmask16 lanes = lanes_of(r->K, channel);
  for (int y = 0; y < r->rows; y++) {
    const float *plane = r->band + (size_t)(c * 4 + y) * r->stride;
    for (int x = 0; x < r->Q; x++) {
      const vec g = load_masked(bf16, lanes, r->values, ((ptrdiff_t)y * r->Q + x) * r->K + channel);
#pragma GCC unroll 9
      for (int tap = 0; tap < FIRST_TAPS; tap++) {
        const float at = plane[(size_t)(tap / 3) * r->stride + x + tap % 3];
        acc[tap] = _mm512_fmadd_ps(splat(at), g, acc[tap]);
      }
      *bias = _mm512_add_ps(*bias, g);
    }
  }
}

INLINE void add_to(float *sums, vec x) {
  _mm512_storeu_ps(sums, _mm512_add_ps(_mm512_loadu_ps(sums), x));
}

/* The nine sums of one input channel and 16 output channels stay in registers for a pair of rows.
 */
INLINE void backward_rows(const first_rows *r, bool bf16, bool pool, float *sums) {
  for (int channel = 0; channel < r->K; channel += FIRST_LANES) {
    vec bias = _mm512_setzero_ps();
    for (int c = 0; c < r->C; c++, sums += FIRST_TAPS * FIRST_LANES) {
      vec acc[FIRST_TAPS];
      bias = _mm512_setzero_ps();
#pragma GCC unroll 9
      for (int i = 0; i < FIRST_TAPS; i++) acc[i] = _mm512_setzero_ps();
      if (pool)
        backward_pooled(r, bf16, c, channel, acc, &bias);
      else
        backward_full(r, bf16, c, channel, acc, &bias);
#pragma GCC unroll 9
      for (int i = 0; i < FIRST_TAPS; i++) add_to(sums + i * FIRST_LANES, acc[i]);
    }
    add_to(sums, bias);
    sums += FIRST_LANES;
  }
}

static void backward(const first_rows *r, float *sums) {
  if (r->pool && r->bf16)
    backward_rows(r, true, true, sums);
  else if (r->pool)
    backward_rows(r, false, true, sums);
  else if (r->bf16)
    backward_rows(r, true, false, sums);
  else
    backward_rows(r, false, false, sums);
}

extern const first_kernels first_avx512;
const first_kernels first_avx512 = {.name = "first3x3_fp32_avx512",
                                    .isa = CPU_AVX512,
                                    .error = 1,
                                    .forward = forward,
                                    .backward = backward};
