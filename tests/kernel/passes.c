/* SPDX-License-Identifier: Apache-2.0
 *
 * Every instruction set's passes against plain definitions, bit for bit: channel counts around the
 * vector lengths, pools that overlap, leave gaps and leave a rim, ties, zeros of both signs, NaN of
 * both signs, infinity.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/pass/pass.h"
#include "base/bf16.h"
#include "checkkernel.h"

enum { MAX_VALUES = 1 << 15, GUARD = 64, GUARD_BYTE = 0x5A };

static uint32_t state;
static uint32_t draw(void) { return (state = state * 1664525u + 1013904223u) >> 8; }

static float get(edge_type type, const void *p, size_t i) {
  return type == EDGE_F32 ? ((const float *)p)[i] : bf16_to_float(((const bf16 *)p)[i]);
}

static void set(edge_type type, void *p, size_t i, float v) {
  if (type == EDGE_F32)
    ((float *)p)[i] = v;
  else
    ((bf16 *)p)[i] = bf16_from_float(v);
}

/* Mostly ties and zeros, now and then something special. */
static float relu_like(void) {
  const uint32_t r = draw() % 64;
  if (r == 0) return NAN;
  if (r == 1) return -NAN;
  if (r == 2) return INFINITY;
  if (r < 6) return -0.0f;
  return r < 24 ? 0.0f : (float)(draw() % 8) * 0.25f;
}

static float gradient(void) { return (float)(int32_t)(draw() % 4001) * 0.125f - 250.0f; }

/* Buffers with a guard behind them. */
static void *fresh(size_t bytes) {
  uint8_t *p = malloc(bytes + GUARD);
  assert_non_null(p);
  memset(p, 0xFF, bytes);
  memset(p + bytes, GUARD_BYTE, GUARD);
  return p;
}

static void finish(void *p, size_t bytes) {
  for (int i = 0; i < GUARD; i++) assert_int_equal(((uint8_t *)p)[bytes + i], GUARD_BYTE);
  free(p);
}

/* A maximum by the words of op.h: the first one wins, NaN wins; then what ReLU' makes of it. */
static float window_max(const pass_pool *d, edge_type type, const void *x, int p, int q, int k,
                        uint8_t *place) {
  float best = -1;
  for (int r = 0; r < d->size; r++)
    for (int s = 0; s < d->size; s++) {
      const size_t at = ((size_t)(p * d->stride + r) * d->Q + q * d->stride + s) * (size_t)d->K + k;
      const float v = get(type, x, at);
      if (isnan(best) || !(v > best || isnan(v))) continue;
      best = v;
      *place = (uint8_t)(r * d->size + s);
    }
  if (!(best > 0)) *place = PASS_DEAD;
  return best;
}

static void check_pool(const pass_kernels *kernels, edge_type type, const pass_pool *d, int n) {
  const size_t in = (size_t)d->P * d->Q * d->K, out = (size_t)d->OP * d->OQ * d->K;
  const size_t size = edge_size(type);
  void *x = fresh(n * in * size), *y = fresh(n * out * size);
  void *dy = fresh(n * out * size), *dx = fresh(n * in * size);
  uint8_t *index = fresh(n * out);
  float *sum = calloc(n * in, sizeof *sum);
  for (size_t i = 0; i < n * in; i++) set(type, x, i, relu_like());
  for (size_t i = 0; i < n * out; i++) set(type, dy, i, gradient());
  pass_pool_forward(kernels, type, d, n, x, y, index, 2);
  pass_pool_backward(kernels, type, d, n, index, dy, dx, 2);
  for (size_t i = 0; i < n * out; i++) {
    const int k = (int)(i % d->K), q = (int)(i / d->K % d->OQ);
    const int p = (int)(i / d->K / d->OQ % d->OP), image = (int)(i / out);
    uint8_t place = 0;
    const char *picture = (const char *)x + image * in * size;
    const float best = window_max(d, type, picture, p, q, k, &place);
    assert_int_equal(index[i], place);
    assert_true(isnan(best) ? isnan(get(type, y, i)) : get(type, y, i) == best);
    assert_true(isnan(best) || !signbit(get(type, y, i)));
    if (place == PASS_DEAD) continue;
    const int h = p * d->stride + place / d->size, w = q * d->stride + place % d->size;
    sum[image * in + ((size_t)h * d->Q + w) * d->K + k] += get(type, dy, i);
  }
  for (size_t i = 0; i < n * in; i++) {
    float expected = sum[i];
    if (type == EDGE_BF16) expected = bf16_to_float(bf16_from_float(expected));
    assert_true(get(type, dx, i) == expected);
  }
  pass_pool_forward(kernels, type, d, n, x, y, NULL, 1); /* inference keeps no index */
  finish(x, n * in * size), finish(y, n * out * size), finish(dy, n * out * size);
  finish(dx, n * in * size), finish(index, n * out);
  free(sum);
}

static void pools(const pass_kernels *kernels) {
  static const int channels[] = {1, 5, 15, 16, 17, 31, 32, 33, 64, 100};
  static const pass_pool shapes[] = {
      {.P = 6, .Q = 8, .size = 2, .stride = 2},   {.P = 7, .Q = 5, .size = 2, .stride = 2},
      {.P = 9, .Q = 7, .size = 3, .stride = 2},   {.P = 8, .Q = 8, .size = 2, .stride = 3},
      {.P = 5, .Q = 6, .size = 2, .stride = 1},   {.P = 3, .Q = 3, .size = 3, .stride = 3},
      {.P = 15, .Q = 15, .size = 15, .stride = 1}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (size_t c = 0; c < sizeof channels / sizeof *channels; c++) {
      pass_pool d = shapes[s];
      d.K = channels[c];
      d.OP = (d.P - d.size) / d.stride + 1;
      d.OQ = (d.Q - d.size) / d.stride + 1;
      check_pool(kernels, EDGE_F32, &d, 2);
      check_pool(kernels, EDGE_BF16, &d, 2);
    }
}

static void check_elementwise(const pass_kernels *kernels, edge_type type, size_t count,
                              float scale) {
  const size_t size = edge_size(type);
  void *y = fresh(count * size), *dy = fresh(count * size), *before = fresh(count * size);
  uint8_t *mask = fresh(count);
  for (size_t i = 0; i < count; i++) {
    set(type, y, i, i % 7 == 3 ? -relu_like() : relu_like());
    set(type, dy, i, gradient());
    mask[i] = draw() & 1;
  }
  memcpy(before, dy, count * size);
  pass_relu_backward(kernels, type, count, y, scale, dy, 2);
  for (size_t i = 0; i < count; i++) {
    float expected = get(type, y, i) > 0 ? get(type, before, i) * scale : 0;
    if (type == EDGE_BF16) expected = bf16_to_float(bf16_from_float(expected));
    assert_true(get(type, dy, i) == expected);
  }
  for (int masked = 0; masked < 2; masked++) {
    memcpy(before, y, count * size);
    pass_activate(kernels, type, count, masked ? mask : NULL, scale, before, 2);
    for (size_t i = 0; i < count; i++) {
      float expected = get(type, y, i);
      if (expected <= 0) expected = 0;
      if (masked) expected = mask[i] ? expected * scale : 0;
      if (type == EDGE_BF16) expected = bf16_to_float(bf16_from_float(expected));
      const float found = get(type, before, i);
      assert_true(isnan(expected) ? isnan(found) : found == expected);
    }
  }
  finish(y, count * size), finish(dy, count * size), finish(before, count * size);
  finish(mask, count);
}

static void check_sums(const pass_kernels *kernels, edge_type type, int rows, size_t columns) {
  const size_t count = rows * columns;
  void *x = fresh(count * edge_size(type));
  float *sum = fresh(columns * sizeof *sum), *twice = fresh(columns * sizeof *twice);
  uint16_t *narrow = fresh(columns * sizeof *narrow);
  for (size_t i = 0; i < count; i++) set(type, x, i, gradient());
  pass_sum_rows(kernels, type, rows, columns, x, sum, 2);
  memcpy(twice, sum, columns * sizeof *sum);
  pass_add(kernels, columns, sum, twice, 2);
  pass_to_bf16(kernels, columns, sum, narrow, 2);
  for (size_t c = 0; c < columns; c++) {
    float expected = 0;
    for (int r = 0; r < rows; r++) expected += get(type, x, r * columns + c);
    assert_true(sum[c] == expected);
    assert_true(twice[c] == 2 * expected);
    assert_int_equal(narrow[c], bf16_from_float(expected));
  }
  finish(x, count * edge_size(type)), finish(sum, columns * sizeof *sum);
  finish(twice, columns * sizeof *twice), finish(narrow, columns * sizeof *narrow);
}

static void elementwise(const pass_kernels *kernels) {
  static const size_t counts[] = {1, 7, 16, 63, 64, 65, 1000, MAX_VALUES + 3};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
    for (int type = EDGE_F32; type <= EDGE_BF16; type++) {
      check_elementwise(kernels, (edge_type)type, counts[c], 1.0f);
      check_elementwise(kernels, (edge_type)type, counts[c], 1.25f);
      check_sums(kernels, (edge_type)type, 3, counts[c]);
    }
}

void check_passes(const check_options *o) {
  for (size_t i = 0; pass_kernels_at(i); i++) {
    const pass_kernels *k = pass_kernels_at(i);
    if (!check_wants(o, k->name, k->isa)) continue;
    state = (uint32_t)o->seed;
    pools(k);
    elementwise(k);
    printf("%s: pools, masks and sums, bit for bit\n", k->name);
  }
  for (int isa = CPU_BASE; isa <= CPU_AMX; isa++)
    assert_true(pass_kernels_for((cpu_isa)isa)->isa <= (cpu_isa)isa);
  assert_ptr_equal(pass_kernels_for(CPU_AMX), pass_kernels_at(0));
}
