/* SPDX-License-Identifier: Apache-2.0
 *
 * What linear layers need beside their kernels.
 */
#include <omp.h>
#include <string.h>

#include "backend/native/linear_stage.h"
#include "base/bf16.h"

linear_range linear_range_of(size_t count) {
  const size_t thread = (size_t)omp_get_thread_num(), all = (size_t)omp_get_num_threads();
  return (linear_range){count * thread / all, count * (thread + 1) / all};
}

float *linear_scratch(const linear_stage *s, const stage_io *io) {
  return (float *)io->workspace + s->shared + (size_t)omp_get_thread_num() * s->scratch;
}

linear_ahead linear_share(const linear_stage *s, const float *at, size_t rows, size_t width,
                          size_t call, size_t calls, size_t depth) {
  enum { LINE = 16 };
  const size_t C = (size_t)s->base.spec.C, share = linear_parts(rows, calls), first = call * share;
  const size_t mine = first < rows ? linear_least(share, rows - first) : 0;
  return (linear_ahead){.at = (const char *)(at + first * C),
                        .jump = C * sizeof *at,
                        .rows = (int)mine,
                        .lines = (int)linear_parts(width, LINE),
                        .each = (int)linear_parts(mine, linear_parts(depth, LINEAR_GROUP))};
}

/* `count` values from the place `at` on. */
static inline void read(edge_type type, size_t count, const void *from, size_t at, float *to) {
  if (type == EDGE_F32) {
    memcpy(to, (const float *)from + at, count * sizeof *to);
    return;
  }
  const bf16 *half = (const bf16 *)from + at;
  for (size_t i = 0; i < count; i++) to[i] = bf16_to_float(half[i]);
}

void linear_pack_a_transposed(const linear_kernels *k, edge_type type, int rows, size_t depth,
                              const void *from, size_t step, float *a) {
  for (size_t t = 0; t < depth; t++) {
    float line[16],
        *to = a + t / LINEAR_GROUP * (size_t)(k->rows * LINEAR_GROUP) + t % LINEAR_GROUP;
    read(type, (size_t)rows, from, t * step, line);
    for (int r = 0; r < rows; r++) to[r * LINEAR_GROUP] = line[r];
  }
}

#define LINEAR(row) extern const linear_kernels row;
#include "backend/native/linear.def"
#undef LINEAR

static const linear_kernels *const rows[] = {
#define LINEAR(row) &row,
#include "backend/native/linear.def"
#undef LINEAR
};

enum { ROWS = sizeof rows / sizeof *rows };

const linear_kernels *linear_kernels_at(size_t i) { return i < ROWS ? rows[i] : NULL; }

const linear_kernels *linear_kernels_for(cpu_isa isa) {
  size_t i = 0;
  while (i < ROWS && rows[i]->isa > isa) i++;
  return linear_kernels_at(i);
}
