/* SPDX-License-Identifier: Apache-2.0
 *
 * The norm of a weights' gradient that nobody has seen:
 *
 *     |dy^T x|^2  =  sum over images i, j of (x x^T)[i][j] (dy dy^T)[i][j]
 *
 * A panel of rows i is taken at a time, with all j from its first row on: both matrices are
 * symmetrical. Products are fp32, their sums double from a few hundred products on.
 */
#include <omp.h>
#include <string.h>

#include "backend/native/linear_stage.h"
#include "base/bf16.h"

enum { PARTS = 64, DEPTH = 1024 };

static double value_at(edge_type type, const void *values, size_t i) {
  return type == EDGE_F32 ? (double)((const float *)values)[i]
                          : (double)bf16_to_float(((const bf16 *)values)[i]);
}

static double sum_of_squares(edge_type type, const void *values, size_t begin, size_t end) {
  double sums[8] = {0};
  size_t i = begin;
  for (; i + 8 <= end; i += 8)
    for (size_t j = 0; j < 8; j++) {
      const double x = value_at(type, values, i + j);
      sums[j] += x * x;
    }
  for (; i < end; i++) sums[0] += value_at(type, values, i) * value_at(type, values, i);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

double linear_norm2(const linear_stage *s, edge_type type, size_t count, const void *values) {
  double parts[PARTS], sum = 0;
#pragma omp parallel for num_threads(s->base.env.threads) schedule(static)
  for (size_t i = 0; i < PARTS; i++)
    parts[i] = sum_of_squares(type, values, count * i / PARTS, count * (i + 1) / PARTS);
  for (size_t i = 0; i < PARTS; i++) sum += parts[i];
  return sum;
}

/* ---- Gram matrices --------------------------------------------------------------------------- */

static size_t tile_sums(const linear_stage *s) {
  return (size_t)(s->kernels->dot_images * s->kernels->dot_units[0] * s->kernels->lanes);
}

/* A panel, a tile of other rows, the sums of one tile; then G of x and G of dy, in double. */
size_t linear_norm_scratch(const linear_stage *s) {
  const size_t images = (size_t)s->kernels->dot_images, units = s->kernels->dot_units[0];
  const size_t n = (size_t)s->base.env.max_n;
  return (images + units) * DEPTH + tile_sums(s) +
         2 * n * images * (sizeof(double) / sizeof(float));
}

/* `rows` rows of m [..][width], columns c .. c + depth - 1, as fp32 and with zeros behind. */
static void take_rows(edge_type type, const void *m, size_t width, size_t row, size_t rows,
                      size_t c, size_t depth, float *to) {
  for (size_t r = 0; r < rows; r++, to += DEPTH)
    for (size_t i = 0; i < DEPTH; i++)
      to[i] = i < depth ? (float)value_at(type, m, (row + r) * width + c + i) : 0;
}

/* G [n - first][rows] = m m^T for rows first .. first + rows - 1 against the rows from first on. */
static void gram(const linear_stage *s, edge_type type, const void *m, size_t width, size_t n,
                 size_t first, size_t rows, float *scratch, double *G) {
  const linear_kernels *k = s->kernels;
  const size_t lanes = (size_t)k->lanes, usual = k->dot_units[rows - 1];
  float *panel = scratch, *others = panel + (size_t)k->dot_images * DEPTH;
  float *sums = others + (size_t)k->dot_units[0] * DEPTH;
  memset(G, 0, (n - first) * rows * sizeof *G);
  for (size_t c = 0; c < width; c += DEPTH) {
    const size_t depth = linear_least(DEPTH, width - c);
    take_rows(type, m, width, first, rows, c, depth, panel);
    for (size_t j = first, units; j < n; j += units) {
      units = n - j >= usual ? usual : 1;
      take_rows(type, m, width, j, units, c, depth, others);
      memset(sums, 0, units * rows * lanes * sizeof *sums);
      const linear_dot dot = {.images = (int)rows,
                              .units = (int)units,
                              .count = (int)depth,
                              .x = panel,
                              .w = others,
                              .x_step = DEPTH,
                              .w_step = DEPTH,
                              .sums = sums,
                              .sums_step = rows * lanes};
      k->dot(&dot);
      for (size_t i = 0; i < units * rows; i++)
        for (size_t lane = 0; lane < lanes; lane++)
          G[(j - first) * rows + i] += (double)sums[i * lanes + lane];
    }
  }
}

/* One panel's part of the norm: pairs outside the panel stand for two. */
static double panel_norm2(const linear_stage *s, const stage_io *io, size_t first, size_t rows,
                          float *scratch) {
  const stage_spec *d = &s->base.spec;
  const size_t n = (size_t)io->n, count = (n - first) * rows;
  double *gx = (double *)(void *)scratch, *gdy = gx + count, sum = 0;
  float *rest = scratch + 4 * count;
  gram(s, d->x_type, io->x, (size_t)d->C, n, first, rows, rest, gx);
  gram(s, d->y_type, io->dy, (size_t)d->K, n, first, rows, rest, gdy);
  for (size_t i = 0; i < count; i++) sum += (i < rows * rows ? 1 : 2) * gx[i] * gdy[i];
  return sum;
}

double linear_gradient_norm2(stage *base, const stage_io *io) {
  const linear_stage *s = (const linear_stage *)base;
  const size_t n = (size_t)io->n, images = (size_t)s->kernels->dot_images;
  const size_t panels = (n + images - 1) / images;
  double *parts = io->workspace, sum = 0;
#pragma omp parallel for num_threads(base->env.threads) schedule(dynamic)
  for (size_t panel = 0; panel < panels; panel++)
    parts[panel] =
        panel_norm2(s, io, panel * images, linear_least(images, n - panel * images),
                    (float *)io->workspace + s->shared + (size_t)omp_get_thread_num() * s->scratch);
  for (size_t panel = 0; panel < panels; panel++) sum += parts[panel];
  return sum > 0 ? sum : 0; /* rounding may leave less than nothing of almost nothing */
}
