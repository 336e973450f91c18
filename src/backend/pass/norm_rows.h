/* SPDX-License-Identifier: Apache-2.0
 *
 * The passes of batch norm and LRN, likewise: included by pass_rows.h, once for each instruction
 * set. Pixels are rows of C channels.
 */
#include <math.h>

/* Mean and sum of squared distances from it, of few rows: they are found in the nearest cache the
 * second time. */
#define MOMENTS(name, type, load)                                                 \
  static void name(int rows, int C, const void *x, float *mean, float *squares) { \
    const type *v = x;                                                            \
    memset(mean, 0, (size_t)C * sizeof *mean);                                    \
    memset(squares, 0, (size_t)C * sizeof *squares);                              \
    for (int r = 0; r < rows; r++)                                                \
      for (int c = 0; c < C; c++) mean[c] += load(v + (size_t)r * C + c);         \
    for (int c = 0; c < C; c++) mean[c] /= (float)rows;                           \
    for (int r = 0; r < rows; r++)                                                \
      for (int c = 0; c < C; c++) {                                               \
        const float apart = load(v + (size_t)r * C + c) - mean[c];                \
        squares[c] += apart * apart;                                              \
      }                                                                           \
  }

MOMENTS(moments_f32, float, load_f32)
MOMENTS(moments_bf16, uint16_t, load_bf16)

#define NORMALISE(name, type, load, store)                                                 \
  static void name(int rows, int C, const void *x, const float *mean, const float *factor, \
                   const float *shift, bool positive, void *y) {                           \
    const type *from = x;                                                                  \
    type *to = y;                                                                          \
    for (int r = 0; r < rows; r++, from += C, to += C)                                     \
      if (positive)                                                                        \
        for (int c = 0; c < C; c++)                                                        \
          store(to + c, relu((load(from + c) - mean[c]) * factor[c] + shift[c]));          \
      else                                                                                 \
        for (int c = 0; c < C; c++)                                                        \
          store(to + c, (load(from + c) - mean[c]) * factor[c] + shift[c]);                \
  }

NORMALISE(normalise_f32, float, load_f32, store_f32)
NORMALISE(normalise_bf16, uint16_t, load_bf16, store_bf16)

#define NORM_SUMS(name, type, load)                                                               \
  static void name(int rows, int C, const void *x, const void *dy, const float *mean, float *sum, \
                   float *apart) {                                                                \
    const type *v = x, *g = dy;                                                                   \
    memset(sum, 0, (size_t)C * sizeof *sum);                                                      \
    memset(apart, 0, (size_t)C * sizeof *apart);                                                  \
    for (int r = 0; r < rows; r++, v += C, g += C)                                                \
      for (int c = 0; c < C; c++) {                                                               \
        sum[c] += load(g + c);                                                                    \
        apart[c] += load(g + c) * (load(v + c) - mean[c]);                                        \
      }                                                                                           \
  }

NORM_SUMS(norm_sums_f32, float, load_f32)
NORM_SUMS(norm_sums_bf16, uint16_t, load_bf16)

#define NORM_GRADIENT(name, type, load, store)                                                  \
  static void name(int rows, int C, const void *x, const void *dy, const float *mean,           \
                   const float *factor, const float *level, const float *slope, void *dx) {     \
    const type *v = x, *g = dy;                                                                 \
    type *to = dx;                                                                              \
    for (int r = 0; r < rows; r++, v += C, g += C, to += C)                                     \
      for (int c = 0; c < C; c++)                                                               \
        store(to + c, factor[c] * load(g + c) - level[c] - slope[c] * (load(v + c) - mean[c])); \
  }

NORM_GRADIENT(norm_gradient_f32, float, load_f32, store_f32)
NORM_GRADIENT(norm_gradient_bf16, uint16_t, load_bf16, store_bf16)

/* ---- LRN --------------------------------------------------------------------------------------
 *
 * A strip of channels at a time, with those around it that its sums reach:
 *
 *   | 2 half | strip | 2 half |   squares of x, 0 where there is no channel
 *     | half | strip | half |     s, and what dx takes from each neighbour
 */
enum { LRN_STRIP = 256, LRN_HALO = PASS_MAX_LRN - 1, LRN_ROOM = LRN_STRIP + 2 * LRN_HALO };

/* s^-3/4 */
static inline float lrn_power(float s) { return 1.0f / (sqrtf(s) * sqrtf(sqrtf(s))); }

/* sum[i] = x[i] + ... + x[i + size - 1] */
static void slide(int count, int size, const float *x, float *sum) {
  for (int i = 0; i < count; i++) sum[i] = x[i];
  for (int j = 1; j < size; j++)
    for (int i = 0; i < count; i++) sum[i] += x[i + j];
}

#define LRN_ROWS(suffix, type, load, store)                                                      \
  /* out[i] = x of channel first + i */                                                          \
  static void lrn_load_##suffix(int C, const type *x, int first, int count, float *out) {        \
    for (int i = 0; i < count; i++) {                                                            \
      const int c = first + i;                                                                   \
      out[i] = c >= 0 && c < C ? load(x + c) : 0.0f;                                             \
    }                                                                                            \
  }                                                                                              \
  /* x of the channels that s of first .. first + count - 1 reaches, and that s */               \
  static void lrn_scales_##suffix(const pass_lrn *d, int C, const type *x, int first, int count, \
                                  float *values, float *s) {                                     \
    float squares[LRN_ROOM];                                                                     \
    const int reach = count + d->size - 1;                                                       \
    lrn_load_##suffix(C, x, first - d->size / 2, reach, values);                                 \
    for (int i = 0; i < reach; i++) squares[i] = values[i] * values[i];                          \
    slide(count, d->size, squares, s);                                                           \
    for (int i = 0; i < count; i++) s[i] = d->k + d->alpha * s[i];                               \
  }                                                                                              \
  static void lrn_rows_##suffix(const pass_lrn *d, int rows, int C, const void *input,           \
                                void *output) {                                                  \
    const type *x = input;                                                                       \
    type *y = output;                                                                            \
    float values[LRN_ROOM], s[LRN_ROOM];                                                         \
    for (int r = 0; r < rows; r++, x += C, y += C)                                               \
      for (int c = 0; c < C; c += LRN_STRIP) {                                                   \
        const int count = C - c < LRN_STRIP ? C - c : LRN_STRIP;                                 \
        lrn_scales_##suffix(d, C, x, c, count, values, s);                                       \
        for (int i = 0; i < count; i++)                                                          \
          store(y + c + i, values[i + d->size / 2] * lrn_power(s[i]));                           \
      }                                                                                          \
  }                                                                                              \
  static void lrn_gradient_##suffix(const pass_lrn *d, int rows, int C, const void *input,       \
                                    const void *gradient, void *output) {                        \
    const type *x = input, *dy = gradient;                                                       \
    type *dx = output;                                                                           \
    const int half = d->size / 2;                                                                \
    float values[LRN_ROOM], s[LRN_ROOM], g[LRN_ROOM], share[LRN_ROOM], sum[LRN_STRIP];           \
    for (int r = 0; r < rows; r++, x += C, dy += C, dx += C)                                     \
      for (int c = 0; c < C; c += LRN_STRIP) {                                                   \
        const int count = C - c < LRN_STRIP ? C - c : LRN_STRIP, wide = count + 2 * half;        \
        lrn_scales_##suffix(d, C, x, c - half, wide, values, s);                                 \
        lrn_load_##suffix(C, dy, c - half, wide, g);                                             \
        for (int i = 0; i < wide; i++) g[i] *= lrn_power(s[i]);                                  \
        for (int i = 0; i < wide; i++) share[i] = g[i] * values[i + half] / s[i];                \
        slide(count, d->size, share, sum);                                                       \
        for (int i = 0; i < count; i++)                                                          \
          store(dx + c + i, g[i + half] - 1.5f * d->alpha * values[i + 2 * half] * sum[i]);      \
      }                                                                                          \
  }

LRN_ROWS(f32, float, load_f32, store_f32)
LRN_ROWS(bf16, uint16_t, load_bf16, store_bf16)

#define NORM_ROW                                                                                  \
  .moments = {moments_f32, moments_bf16}, .normalise = {normalise_f32, normalise_bf16},           \
  .norm_sums = {norm_sums_f32, norm_sums_bf16},                                                   \
  .norm_gradient = {norm_gradient_f32, norm_gradient_bf16}, .lrn = {lrn_rows_f32, lrn_rows_bf16}, \
  .lrn_gradient = {lrn_gradient_f32, lrn_gradient_bf16}
