/* SPDX-License-Identifier: Apache-2.0
 *
 * The passes as plain loops that a compiler turns into vectors. Each instruction set's file
 * includes this once; the file's flags decide how wide the loops become.
 *
 * A ReLU's output has no sign to speak of, so its bits, shifted left by one, are ordered as
 * unsigned integers: -0 becomes 0, and NaN of either sign is above infinity. Comparing integers
 * lets bf16 be pooled without conversion and keeps NaN.
 */
#include <stdbool.h>
#include <string.h>

#include "backend/pass/pass.h"
#include "base/bf16.h"

enum { POOL_BLOCK = 64 }; /* channels a step: their running maxima stay in registers or L1 */

/* Pool, ReLU and dropout for one type. `bits` is the unsigned integer as wide as a value, INF2 the
 * shifted bits of infinity. */
#define POOL_ROW(name, bits, INF2)                                                       \
  static void name##_2x2(const pass_pool *d, const bits *x, bits *y, uint8_t *index) {   \
    const int K = d->K;                                                                  \
    const size_t row = (size_t)d->Q * K;                                                 \
    for (int q = 0; q < d->OQ; q++) {                                                    \
      const bits *a = x + (size_t)q * 2 * K, *c = a + row;                               \
      bits *to = y + (size_t)q * K;                                                      \
      uint8_t *at = index ? index + (size_t)q * K : NULL;                                \
      for (int k = 0; k < K; k++) {                                                      \
        bits m = (bits)(a[k] << 1), v = (bits)(a[K + k] << 1), i = 0;                    \
        i = v > m ? 1 : i, m = v > m ? v : m;                                            \
        v = (bits)(c[k] << 1);                                                           \
        i = v > m ? 2 : i, m = v > m ? v : m;                                            \
        v = (bits)(c[K + k] << 1);                                                       \
        i = v > m ? 3 : i, m = v > m ? v : m;                                            \
        to[k] = (bits)(m >> 1);                                                          \
        if (at) at[k] = (uint8_t)(m == 0 || m > INF2 ? PASS_DEAD : i);                   \
      }                                                                                  \
    }                                                                                    \
  }                                                                                      \
  static void name##_block(const pass_pool *d, int count, const bits *x, bits *y,        \
                           uint8_t *index) {                                             \
    bits m[POOL_BLOCK] = {0}, place[POOL_BLOCK] = {0};                                   \
    for (int r = 0; r < d->size; r++)                                                    \
      for (int s = 0; s < d->size; s++) {                                                \
        const bits *from = x + ((size_t)r * d->Q + s) * d->K;                            \
        const bits here = (bits)(r * d->size + s);                                       \
        for (int k = 0; k < count; k++) {                                                \
          const bits v = (bits)(from[k] << 1);                                           \
          place[k] = v > m[k] ? here : place[k];                                         \
          m[k] = v > m[k] ? v : m[k];                                                    \
        }                                                                                \
      }                                                                                  \
    for (int k = 0; k < count; k++) y[k] = (bits)(m[k] >> 1);                            \
    if (!index) return;                                                                  \
    for (int k = 0; k < count; k++)                                                      \
      index[k] = (uint8_t)(m[k] == 0 || m[k] > INF2 ? PASS_DEAD : place[k]);             \
  }                                                                                      \
  static void name(const pass_pool *d, const void *x, void *y, uint8_t *index) {         \
    if (d->size == 2 && d->stride == 2) {                                                \
      name##_2x2(d, x, y, index);                                                        \
      return;                                                                            \
    }                                                                                    \
    for (int q = 0; q < d->OQ; q++)                                                      \
      for (int k = 0; k < d->K; k += POOL_BLOCK) {                                       \
        const size_t to = (size_t)q * d->K + k;                                          \
        name##_block(d, d->K - k < POOL_BLOCK ? d->K - k : POOL_BLOCK,                   \
                     (const bits *)x + (size_t)q * d->stride * d->K + k, (bits *)y + to, \
                     index ? index + to : NULL);                                         \
      }                                                                                  \
  }

POOL_ROW(pool_row_f32, uint32_t, 0xff000000u)
POOL_ROW(pool_row_bf16, uint16_t, 0xff00u)

static inline float load_f32(const float *x) { return *x; }
static inline void store_f32(float *y, float v) { *y = v; }
static inline float load_bf16(const uint16_t *x) { return bf16_to_float(*x); }
static inline void store_bf16(uint16_t *y, float v) { *y = bf16_from_float(v); }

/* A pixel of dx collects from the windows that cover it: at most one where they do not overlap. */
static inline int first_window(int at, int size, int stride) {
  return at < size ? 0 : (at - size) / stride + 1;
}

static inline int last_window(int at, int stride, int count) {
  const int last = at / stride;
  return last < count ? last : count - 1;
}

/* "Where the mask is open, else 0" is written with bits: of `open ? x : 0` compilers make branches
 * or masked loads, and where a mask is all zero those are slow on AMD. */
#define UNPOOL_ROW(name, type, bits, load, store)                                                 \
  static void name##_one(int K, uint8_t place, const uint8_t *index, const bits *dy, bits *dx) {  \
    for (int k = 0; k < K; k++) dx[k] = dy[k] & (bits) - (index[k] == place);                     \
  }                                                                                               \
  static void name##_many(const pass_pool *d, int h, int w, const uint8_t *index, const type *dy, \
                          type *dx) {                                                             \
    const int p1 = last_window(h, d->stride, d->OP), q1 = last_window(w, d->stride, d->OQ);       \
    for (int k0 = 0; k0 < d->K; k0 += POOL_BLOCK) {                                               \
      const int count = d->K - k0 < POOL_BLOCK ? d->K - k0 : POOL_BLOCK;                          \
      float sum[POOL_BLOCK] = {0};                                                                \
      for (int p = first_window(h, d->size, d->stride); p <= p1; p++)                             \
        for (int q = first_window(w, d->size, d->stride); q <= q1; q++) {                         \
          const uint8_t place = (uint8_t)((h - p * d->stride) * d->size + w - q * d->stride);     \
          const size_t from = ((size_t)p * d->OQ + q) * d->K + k0;                                \
          for (int k = 0; k < count; k++)                                                         \
            sum[k] += index[from + k] == place ? load(dy + from + k) : 0.0f;                      \
        }                                                                                         \
      for (int k = 0; k < count; k++) store(dx + k0 + k, sum[k]);                                 \
    }                                                                                             \
  }                                                                                               \
  static void name(const pass_pool *d, int h, const uint8_t *index, const void *dy, void *dx) {   \
    const int K = d->K, p = h / d->stride;                                                        \
    const bool overlap = d->size > d->stride, row_out = p >= d->OP || h % d->stride >= d->size;   \
    for (int w = 0; w < d->Q; w++) {                                                              \
      type *to = (type *)dx + (size_t)w * K;                                                      \
      const int q = w / d->stride;                                                                \
      if (overlap) {                                                                              \
        name##_many(d, h, w, index, dy, to);                                                      \
      } else if (row_out || q >= d->OQ || w % d->stride >= d->size) {                             \
        memset(to, 0, (size_t)K * sizeof *to);                                                    \
      } else {                                                                                    \
        const size_t from = ((size_t)p * d->OQ + q) * K;                                          \
        name##_one(K, (uint8_t)(h % d->stride * d->size + w % d->stride), index + from,           \
                   (const bits *)dy + from, (bits *)to);                                          \
      }                                                                                           \
    }                                                                                             \
  }

UNPOOL_ROW(unpool_row_f32, float, uint32_t, load_f32, store_f32)
UNPOOL_ROW(unpool_row_bf16, uint16_t, uint16_t, load_bf16, store_bf16)

static void relu_mask_f32(size_t count, const void *y, float scale, void *dy) {
  const float *v = y;
  float *g = dy;
  for (size_t i = 0; i < count; i++) {
    const float scaled = g[i] * scale;
    uint32_t bits;
    memcpy(&bits, &scaled, sizeof bits);
    bits &= -(uint32_t)(v[i] > 0);
    memcpy(&g[i], &bits, sizeof bits);
  }
}

/* A bf16 is above 0 when its bits lie between 0 and infinity's. */
static void relu_mask_bf16(size_t count, const void *y, float scale, void *dy) {
  const uint16_t *v = y;
  uint16_t *g = dy;
  if (scale == 1.0f)
    for (size_t i = 0; i < count; i++) g[i] = (uint16_t)(v[i] - 1) < 0x7f80u ? g[i] : 0;
  else
    for (size_t i = 0; i < count; i++)
      g[i] = (uint16_t)(v[i] - 1) < 0x7f80u ? bf16_from_float(bf16_to_float(g[i]) * scale) : 0;
}

/* What a ReLU leaves: above 0, or NaN. */
static inline float relu(float v) { return v <= 0 ? 0.0f : v; }

static inline uint16_t relu_bits(uint16_t v) {
  return (uint16_t)(v - 1) < 0x7f80u || (v & 0x7fffu) > 0x7f80u ? v : 0;
}

static void activate_f32(size_t count, const uint8_t *mask, float scale, void *y) {
  float *v = y;
  if (!mask)
    for (size_t i = 0; i < count; i++) v[i] = relu(v[i]);
  else
    for (size_t i = 0; i < count; i++) v[i] = mask[i] ? relu(v[i]) * scale : 0.0f;
}

static void activate_bf16(size_t count, const uint8_t *mask, float scale, void *y) {
  uint16_t *v = y;
  if (!mask)
    for (size_t i = 0; i < count; i++) v[i] = relu_bits(v[i]);
  else
    for (size_t i = 0; i < count; i++)
      v[i] = mask[i] ? bf16_from_float(relu(bf16_to_float(v[i])) * scale) : 0;
}

static void add(size_t count, const float *x, float *sum) {
  for (size_t i = 0; i < count; i++) sum[i] += x[i];
}

static void to_bf16(size_t count, const float *x, uint16_t *y) {
  for (size_t i = 0; i < count; i++) y[i] = bf16_from_float(x[i]);
}

static void accumulate_f32(size_t count, const void *x, float *sum) { add(count, x, sum); }

static void accumulate_bf16(size_t count, const void *x, float *sum) {
  const uint16_t *v = x;
  for (size_t i = 0; i < count; i++) sum[i] += bf16_to_float(v[i]);
}

#include "backend/pass/norm_rows.h"

#define PASS_ROW(row, label, level)                    \
  const pass_kernels row = {                           \
      .name = label,                                   \
      .isa = level,                                    \
      .pool_row = {pool_row_f32, pool_row_bf16},       \
      .unpool_row = {unpool_row_f32, unpool_row_bf16}, \
      .relu_mask = {relu_mask_f32, relu_mask_bf16},    \
      .activate = {activate_f32, activate_bf16},       \
      .add = add,                                      \
      .to_bf16 = to_bf16,                              \
      .accumulate = {accumulate_f32, accumulate_bf16}, \
      NORM_ROW,                                        \
  }
