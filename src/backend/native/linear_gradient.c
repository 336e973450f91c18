/* SPDX-License-Identifier: Apache-2.0
 *
 * The weights' gradient of a linear layer, dw = dy^T x, a block of columns at a time:
 *
 *     x [n][columns], packed once          stays in the second-level cache
 *     dy^T, a tile of units at a time      stays in the nearest
 *     tile of dw [units][columns]          likewise, until it is used: written to dw, or applied to
 *                                          the masters by a rule, or looked at
 */
#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "backend/native/linear_stage.h"
#include "base/finite.h"
#include "base/memory.h"

/* Strips of x in a block: so many that 256 KB hold them. */
static size_t block_strips(const linear_stage *s, size_t n) {
  enum { FLOATS = 1 << 16, MOST = 8 };
  const size_t fit = FLOATS / (n * (size_t)s->kernels->wide);
  return fit < 1 ? 1 : linear_least(fit, MOST);
}

/* Floats of dy^T for one tile of units. */
static size_t panel_floats(const linear_stage *s, size_t n) {
  return linear_round(n, LINEAR_GROUP) * (size_t)s->kernels->rows;
}

size_t linear_gradient_shared(const linear_stage *s) {
  const size_t n = (size_t)s->base.env.max_n;
  return linear_parts((size_t)s->base.spec.K, (size_t)s->kernels->rows) * panel_floats(s, n);
}

size_t linear_gradient_scratch(const linear_stage *s) {
  enum { MOST = 8 };
  const size_t n = (size_t)s->base.env.max_n, wide = (size_t)s->kernels->wide;
  /* Fewer images than max_n may take more strips, of the same size together. */
  const size_t x = n * wide * block_strips(s, n) > (1 << 16) ? n * wide : 1 << 16;
  return x + (size_t)s->kernels->rows * MOST * wide;
}

/* What a tile is for: dw, else an update, else whether all is finite. */
typedef struct purpose {
  float *dw;
  const stage_update *update;
  op_rule_update *rule;
} purpose;

/* A row of a tile, the weights at `at` and following. */
static bool use_row(const linear_kernels *k, const purpose *p, const float *row, size_t at,
                    size_t count) {
  if (p->dw) {
    k->stream(count, row, p->dw + at);
    return true;
  }
  if (!p->update) return finite_all(row, count);
  const stage_update *u = p->update;
  float *state[OP_RULE_MAX_STATES];
  for (int i = 0; i < u->rule->states; i++) state[i] = u->state[i] + at;
  p->rule(u->w + at, row, state, count, u->args);
  return true;
}

/* Columns c .. c + count - 1. False if they were looked at and are not finite. */
static bool gradient_columns(const linear_stage *s, const stage_io *io, const purpose *p, size_t c,
                             size_t count, float *scratch) {
  const linear_kernels *k = s->kernels;
  const stage_spec *d = &s->base.spec;
  const size_t n = (size_t)io->n, C = (size_t)d->C, K = (size_t)d->K;
  const size_t wide = (size_t)k->wide, rows = (size_t)k->rows, strips = linear_parts(count, wide);
  float *x = scratch, *tile = x + strips * n * wide;
  bool finite = true;
  for (size_t strip = 0; strip < strips; strip++)
    k->pack_b(d->x_type == EDGE_BF16, linear_least(wide, count - strip * wide), n,
              (const char *)io->x + (c + strip * wide) * edge_size(d->x_type), C,
              x + strip * n * wide);
  for (size_t unit = 0; unit < K; unit += rows) {
    const size_t units = linear_least(rows, K - unit);
    for (size_t strip = 0; strip < strips; strip++) {
      const linear_tile t = {.rows = (int)units,
                             .depth = (int)n,
                             .a = (const float *)io->workspace + unit / rows * panel_floats(s, n),
                             .b = x + strip * n * wide,
                             .b_step = wide,
                             .c = tile + strip * wide,
                             .c_step = strips * wide,
                             .ahead = linear_share(s, io->w + (unit + rows) * C + c,
                                                   p->dw ? 0 : rows, count, strip, strips, n)};
      k->tile(&t);
    }
    for (size_t u = 0; u < units; u++)
      finite &= use_row(k, p, tile + u * strips * wide, (unit + u) * C + c, count);
  }
  return finite;
}

static bool gradient(const linear_stage *s, const stage_io *io, const purpose *p) {
  const linear_kernels *k = s->kernels;
  const stage_spec *d = &s->base.spec;
  const size_t n = (size_t)io->n, C = (size_t)d->C, K = (size_t)d->K;
  const size_t wide = (size_t)k->wide, rows = (size_t)k->rows, block = block_strips(s, n);
  float *dyt = io->workspace;
  bool finite = true;
#pragma omp parallel num_threads(s->base.env.threads) reduction(&& : finite)
  {
#pragma omp for schedule(static)
    for (size_t tile = 0; tile < linear_parts(K, rows); tile++)
      linear_pack_a_transposed(k, d->y_type, (int)linear_least(rows, K - tile * rows), n,
                               (const char *)io->dy + tile * rows * edge_size(d->y_type), K,
                               dyt + tile * panel_floats(s, n));
    float *scratch = dyt + s->shared + (size_t)omp_get_thread_num() * s->scratch;
    const linear_range strips = linear_range_of(linear_parts(C, wide));
    for (size_t strip = strips.begin; strip < strips.end; strip += block) {
      const size_t c = strip * wide,
                   end = linear_least(linear_least(strip + block, strips.end) * wide, C);
      finite &= gradient_columns(s, io, p, c, end - c, scratch);
    }
    atomic_thread_fence(memory_order_seq_cst); /* what went past the caches comes before all else */
  }
  return finite;
}

void linear_weight_gradient(const linear_stage *s, const stage_io *io) {
  gradient(s, io, &(purpose){.dw = io->dw});
}

bool linear_update(stage *base, const stage_io *io, const stage_update *u) {
  const purpose p = {.update = u, .rule = op_rule_fastest(u->rule, base->env.isa)};
  return gradient((const linear_stage *)base, io, &p);
}

/* |dw| <= |x| |dy|, row by row and so for every sum on the way, too: where the norms of the whole
 * are small enough, nobody need look. */
bool linear_gradient_finite(stage *base, const stage_io *io) {
  const linear_stage *s = (const linear_stage *)base;
  const stage_spec *d = &base->spec;
  const size_t n = (size_t)io->n;
  const double x2 = linear_norm2(s, d->x_type, n * (size_t)d->C, io->x);
  const double dy2 = linear_norm2(s, d->y_type, n * (size_t)d->K, io->dy);
  if (sqrt(x2) * sqrt(dy2) < FLT_MAX / 2) return true;
  return gradient(s, io, &(purpose){0});
}
