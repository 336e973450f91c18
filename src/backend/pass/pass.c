/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/pass/pass.h"

#include <string.h>

#define PASS(row) extern const pass_kernels row;
#include "backend/pass/passes.def"
#undef PASS

static const pass_kernels *const rows[] = {
#define PASS(row) &row,
#include "backend/pass/passes.def"
#undef PASS
    NULL,
};

const pass_kernels *pass_kernels_at(size_t i) {
  return i < sizeof rows / sizeof *rows ? rows[i] : NULL;
}

const pass_kernels *pass_kernels_for(cpu_isa isa) {
  size_t i = 0;
  while (rows[i]->isa > isa) i++;
  return rows[i];
}

void pass_pool_forward(const pass_kernels *k, edge_type type, const pass_pool *d, int n,
                       const void *x, void *y, uint8_t *index, int threads) {
  const size_t size = edge_size(type);
  const size_t x_row = (size_t)d->Q * d->K, y_row = (size_t)d->OQ * d->K;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
  for (int i = 0; i < n; i++)
    for (int p = 0; p < d->OP; p++) {
      const size_t from = ((size_t)i * d->P + (size_t)p * d->stride) * x_row;
      const size_t to = ((size_t)i * d->OP + p) * y_row;
      k->pool_row[type](d, (const char *)x + from * size, (char *)y + to * size,
                        index ? index + to : NULL);
    }
}

void pass_pool_backward(const pass_kernels *k, edge_type type, const pass_pool *d, int n,
                        const uint8_t *index, const void *dy, void *dx, int threads) {
  const size_t size = edge_size(type);
  const size_t x_row = (size_t)d->Q * d->K, y_image = (size_t)d->OP * d->OQ * d->K;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
  for (int i = 0; i < n; i++)
    for (int h = 0; h < d->P; h++)
      k->unpool_row[type](d, h, index + i * y_image, (const char *)dy + i * y_image * size,
                          (char *)dx + ((size_t)i * d->P + h) * x_row * size);
}

/* Elementwise work goes out in pieces of a few pages, large enough to hide the call. */
enum { PIECE = 1 << 14 };

static inline size_t piece_count(size_t count) { return (count + PIECE - 1) / PIECE; }
static inline size_t piece_size(size_t count, size_t piece) {
  const size_t left = count - piece * PIECE;
  return left < PIECE ? left : PIECE;
}

void pass_relu_backward(const pass_kernels *k, edge_type type, size_t count, const void *y,
                        float scale, void *dy, int threads) {
  const size_t size = edge_size(type);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (size_t i = 0; i < piece_count(count); i++)
    k->relu_mask[type](piece_size(count, i), (const char *)y + i * PIECE * size, scale,
                       (char *)dy + i * PIECE * size);
}

void pass_activate(const pass_kernels *k, edge_type type, size_t count, const uint8_t *mask,
                   float scale, void *y, int threads) {
  const size_t size = edge_size(type);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (size_t i = 0; i < piece_count(count); i++)
    k->activate[type](piece_size(count, i), mask ? mask + i * PIECE : NULL, scale,
                      (char *)y + i * PIECE * size);
}

void pass_add(const pass_kernels *k, size_t count, const float *x, float *sum, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (size_t i = 0; i < piece_count(count); i++)
    k->add(piece_size(count, i), x + i * PIECE, sum + i * PIECE);
}

void pass_to_bf16(const pass_kernels *k, size_t count, const float *x, uint16_t *y, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (size_t i = 0; i < piece_count(count); i++)
    k->to_bf16(piece_size(count, i), x + i * PIECE, y + i * PIECE);
}

void pass_sum_rows(const pass_kernels *k, edge_type type, int n, size_t columns, const void *x,
                   float *sum, int threads) {
  enum { STRIP = 256 }; /* columns whose sums stay in the nearest cache */
#pragma omp parallel for schedule(static) num_threads(threads)
  for (size_t c = 0; c < columns; c += STRIP) {
    const size_t width = columns - c < STRIP ? columns - c : STRIP;
    memset(sum + c, 0, width * sizeof *sum);
    for (int i = 0; i < n; i++)
      k->accumulate[type](width, (const char *)x + ((size_t)i * columns + c) * edge_size(type),
                          sum + c);
  }
}
