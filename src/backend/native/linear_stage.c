/* SPDX-License-Identifier: Apache-2.0
 *
 * linear + bias [+ ReLU [+ dropout]] in fp32 products, straight from the masters: no pack.
 *
 *   workspace  the packed factor that all threads read | for every thread its blocks
 *
 * Threads divide the output: units in forward, columns of dx and dw. bf16 edges are rounded and
 * widened where factors are packed and results unpacked.
 */
#include "backend/native/linear_stage.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/error.h"
#include "base/memory.h"

enum {
  DEPTH = 256, /* of a block: a strip of b fits the nearest cache */
  STRIPS = 8,  /* of dx in a block, so that its part of the weights fits the second-level cache */
  MOST_IMAGES = 256 /* of x that forward takes at a time, for the same reason */
};

static float *scratch_of(const linear_stage *s, const stage_io *io) {
  return (float *)io->workspace + s->shared + (size_t)omp_get_thread_num() * s->scratch;
}

/* ---- forward, many images -------------------------------------------------------------------- */

/* One tile of w, depth first .. first + depth - 1, with all of x^T. `next`: the same of the tile
 * that follows, fetched meanwhile. */
static void forward_tile(const linear_stage *s, const float *w, const float *next, int rows,
                         size_t first, size_t depth, const float *xt, size_t strips, float *a,
                         float *yt) {
  const linear_kernels *k = s->kernels;
  const size_t C = (size_t)s->base.spec.C, wide = (size_t)k->wide;
  k->pack_a(false, rows, depth, w, C, a);
  for (size_t strip = 0; strip < strips; strip++) {
    const linear_tile t = {
        .rows = rows,
        .depth = (int)depth,
        .a = a,
        .b = xt + (strip * C + first) * wide,
        .c = yt + strip * wide,
        .c_step = strips * wide,
        .add = first > 0,
        .ahead = linear_share(s, next, (size_t)k->rows, depth, strip, strips, depth)};
    k->tile(&t);
  }
}

/* y^T [K][strips][wide] for this thread's units. */
static void forward_units(const linear_stage *s, const stage_io *io, const float *xt, size_t strips,
                          float *a, float *yt) {
  const size_t C = (size_t)s->base.spec.C, K = (size_t)s->base.spec.K;
  const size_t rows = (size_t)s->kernels->rows, row = strips * (size_t)s->kernels->wide;
  const linear_range tiles = linear_range_of(linear_parts(K, rows));
  for (size_t c = 0; c < C; c += DEPTH)
    for (size_t tile = tiles.begin; tile < tiles.end; tile++) {
      const size_t k = tile * rows;
      const float *w = io->w + k * C + c;
      const bool last = tile + 1 == tiles.end;
      const float *next = last ? io->w + tiles.begin * rows * C + c + DEPTH : w + rows * C;
      forward_tile(s, w, next, (int)linear_least(rows, K - k), c, linear_least(DEPTH, C - c), xt,
                   strips, a, yt + k * row);
    }
}

static void store_value(edge_type type, void *to, size_t at, float value) {
  if (type == EDGE_F32)
    ((float *)to)[at] = value;
  else
    ((bf16 *)to)[at] = bf16_from_float(value);
}

/* y [n][K], rows first .. first + n - 1, from y^T and the bias. */
static void finish_units(const linear_stage *s, const stage_io *io, size_t first, size_t n,
                         const float *yt, size_t row) {
  enum { BLOCK = 16 };
  const size_t K = (size_t)s->base.spec.K;
  const linear_range blocks = linear_range_of(linear_parts(K, BLOCK));
  for (size_t block = blocks.begin; block < blocks.end; block++)
    for (size_t i = 0; i < n; i++)
      for (size_t k = block * BLOCK; k < linear_least(K, (block + 1) * BLOCK); k++)
        store_value(s->base.spec.y_type, io->y, (first + i) * K + k, yt[k * row + i] + io->b[k]);
}

static void forward_many(const linear_stage *s, const stage_io *io, size_t first, size_t n) {
  const linear_kernels *k = s->kernels;
  const stage_spec *d = &s->base.spec;
  const size_t C = (size_t)d->C, wide = (size_t)k->wide, strips = linear_parts(n, wide);
  float *xt = io->workspace, *yt = xt + strips * C * wide;
#pragma omp parallel num_threads(s->base.env.threads)
  {
#pragma omp for collapse(2) schedule(static)
    for (size_t strip = 0; strip < strips; strip++)
      for (size_t c = 0; c < C; c += DEPTH)
        k->pack_b_transposed(
            d->x_type == EDGE_BF16, linear_least(wide, n - strip * wide),
            linear_least(DEPTH, C - c),
            (const char *)io->x + ((first + strip * wide) * C + c) * edge_size(d->x_type), C,
            xt + (strip * C + c) * wide);
    forward_units(s, io, xt, strips, scratch_of(s, io), yt);
#pragma omp barrier
    finish_units(s, io, first, n, yt, strips * wide);
  }
}

/* ---- forward, few images --------------------------------------------------------------------- */

enum {
  FEW_UNITS = 64,  /* whose sums stay in the second-level cache */
  FEW_DEPTH = 512, /* of a block: a panel of x stays in the nearest cache */
  VERY_FEW = 4     /* so few that x waits in the second-level cache, and memory sets the pace */
};

/* Images are taken in equal panels, the last filled up with zeros. */
typedef struct few {
  const linear_stage *s;
  const stage_io *io;
  size_t panels, images; /* in a panel */
  size_t depth;          /* of a block */
  float *x, *sums;       /* [panels * images][depth], [FEW_UNITS][panels * images][lanes] */
} few;

static size_t few_depth(const linear_stage *s, size_t n) {
  const size_t C = linear_round((size_t)s->base.spec.C, LINEAR_GROUP);
  return n <= VERY_FEW || C < FEW_DEPTH ? C : FEW_DEPTH;
}

static void few_take_x(const few *f, size_t c, size_t depth) {
  const stage_spec *d = &f->s->base.spec;
  const size_t C = (size_t)d->C, step = f->depth;
  for (size_t i = 0; i < f->panels * f->images; i++) {
    float *row = f->x + i * step;
    memset(row, 0, step * sizeof *row);
    if (i >= (size_t)f->io->n) continue;
    if (d->x_type == EDGE_F32)
      memcpy(row, (const float *)f->io->x + i * C + c, depth * sizeof *row);
    else
      for (size_t j = 0; j < depth; j++)
        row[j] = bf16_to_float(((const bf16 *)f->io->x)[i * C + c + j]);
  }
}

/* Units first .. first + count - 1 with one block of x. `next`: the block of weights that follows,
 * of which every call fetches its share; with very few images it fetches on along its rows. */
static void few_block(const few *f, size_t first, size_t count, size_t c, size_t depth,
                      const float *next) {
  const linear_kernels *k = f->s->kernels;
  const size_t C = (size_t)f->s->base.spec.C, lanes = (size_t)k->lanes;
  const size_t row = f->panels * f->images * lanes, usual = k->dot_units[f->images - 1];
  const float *w = f->io->w + first * C + c;
  const bool along = f->depth >= C;
  for (size_t panel = 0; panel < f->panels; panel++)
    for (size_t u = 0, units; u < count; u += units) {
      units = count - u >= usual ? usual : 1;
      const linear_dot dot = {
          .images = (int)f->images,
          .units = (int)units,
          .count = (int)depth,
          .x = f->x + panel * f->images * f->depth,
          .w = w + u * C,
          .x_step = f->depth,
          .w_step = C,
          .sums = f->sums + u * row + panel * f->images * lanes,
          .sums_step = row,
          .ahead = along ? w + u * C + FEW_DEPTH : next + (panel * count + u) / f->panels * C,
          .ahead_rows = (int)(along ? units : linear_parts(units, f->panels))};
      k->dot(&dot);
    }
}

/* In pairs, so that the error grows with the logarithm. */
static float sum_lanes(const float *sums, size_t lanes) {
  float s[16];
  memcpy(s, sums, lanes * sizeof *s);
  for (size_t half = lanes / 2; half > 0; half /= 2)
    for (size_t i = 0; i < half; i++) s[i] += s[i + half];
  return s[0];
}

/* `begin`: the first unit of the thread. */
static void few_units(const few *f, size_t begin, size_t first, size_t count) {
  const stage_spec *d = &f->s->base.spec;
  const size_t C = (size_t)d->C, K = (size_t)d->K, lanes = (size_t)f->s->kernels->lanes;
  const size_t row = f->panels * f->images * lanes;
  memset(f->sums, 0, count * row * sizeof *f->sums);
  for (size_t c = 0; c < C; c += f->depth) {
    const size_t depth = linear_least(f->depth, C - c);
    if (f->depth < C || first == begin) few_take_x(f, c, depth);
    few_block(f, first, count, c, depth,
              f->io->w + (c + depth < C ? first * C + c + depth : (first + count) * C));
  }
  for (size_t u = 0; u < count; u++)
    for (size_t i = 0; i < (size_t)f->io->n; i++)
      store_value(d->y_type, f->io->y, i * K + first + u,
                  sum_lanes(f->sums + u * row + i * lanes, lanes) + f->io->b[first + u]);
}

static void forward_few(const linear_stage *s, const stage_io *io) {
  const size_t n = (size_t)io->n, panels = linear_parts(n, (size_t)s->kernels->dot_images);
#pragma omp parallel num_threads(s->base.env.threads)
  {
    few f = {.s = s,
             .io = io,
             .panels = panels,
             .images = linear_parts(n, panels),
             .depth = few_depth(s, n)};
    f.x = scratch_of(s, io);
    f.sums = f.x + f.panels * f.images * f.depth;
    const linear_range units = linear_range_of((size_t)s->base.spec.K);
    for (size_t u = units.begin; u < units.end; u += FEW_UNITS)
      few_units(&f, units.begin, u, linear_least(FEW_UNITS, units.end - u));
  }
}

static bool repack(stage *base, const float *w, const float *b, void *pack, void *workspace) {
  (void)base, (void)w, (void)b, (void)pack, (void)workspace;
  return true;
}

static bool forward(stage *base, const stage_io *io) {
  const linear_stage *s = (const linear_stage *)base;
  const stage_spec *d = &base->spec;
  if (io->n <= s->few)
    forward_few(s, io);
  else
    for (size_t i = 0; i < (size_t)io->n; i += MOST_IMAGES)
      forward_many(s, io, i, linear_least(MOST_IMAGES, (size_t)io->n - i));
  if (d->relu)
    pass_activate(s->pass, d->y_type, (size_t)io->n * (size_t)d->K, io->dropout, d->dropout_scale,
                  io->y, base->env.threads);
  return true;
}

/* ---- backward-data --------------------------------------------------------------------------- */

/* dy's rows in panels as equal as they come. */
static size_t panel_rows(const linear_stage *s, size_t n) {
  return linear_parts(n, linear_parts(n, (size_t)s->kernels->rows));
}

static size_t panel_floats(const linear_stage *s) {
  return linear_round((size_t)s->base.spec.K, LINEAR_GROUP) * (size_t)s->kernels->rows;
}

/* Output columns of `strips` strips, for depth first .. first + depth - 1 of the units. */
static void data_block(const linear_stage *s, const stage_io *io, size_t first, size_t depth,
                       size_t strips, const float *b, const float *next, float *out) {
  const linear_kernels *k = s->kernels;
  const size_t n = (size_t)io->n, rows = panel_rows(s, n), wide = (size_t)k->wide;
  const size_t panels = linear_parts(n, rows);
  for (size_t panel = 0; panel < panels; panel++)
    for (size_t strip = 0; strip < strips; strip++) {
      const linear_tile t = {
          .rows = (int)linear_least(rows, n - panel * rows),
          .depth = (int)depth,
          .a = (const float *)io->workspace + panel * panel_floats(s) + first * (size_t)k->rows,
          .b = b + strip * DEPTH * wide,
          .c = out + panel * rows * STRIPS * wide + strip * wide,
          .c_step = STRIPS * wide,
          .add = first > 0,
          .ahead = linear_share(s, next, depth, strips * wide, panel * strips + strip,
                                panels * strips, depth)};
      k->tile(&t);
    }
}

/* dx's columns c .. c + count - 1. */
static void data_columns(const linear_stage *s, const stage_io *io, size_t c, size_t count,
                         float *scratch) {
  const linear_kernels *k = s->kernels;
  const stage_spec *d = &s->base.spec;
  const size_t C = (size_t)d->C, K = (size_t)d->K, wide = (size_t)k->wide;
  const size_t strips = linear_parts(count, wide);
  float *b = scratch, *out = b + STRIPS * DEPTH * wide;
  for (size_t first = 0; first < K; first += DEPTH) {
    const size_t depth = linear_least(DEPTH, K - first);
    for (size_t strip = 0; strip < strips; strip++)
      k->pack_b(false, linear_least(wide, count - strip * wide), depth,
                io->w + first * C + c + strip * wide, C, b + strip * DEPTH * wide);
    const float *next = first + DEPTH < K ? io->w + (first + DEPTH) * C + c : io->w + c + count;
    data_block(s, io, first, depth, strips, b, next, out);
  }
  for (size_t i = 0; i < (size_t)io->n; i++) {
    const float *row = out + i * STRIPS * wide;
    if (d->x_type == EDGE_F32)
      memcpy((float *)io->dx + i * C + c, row, count * sizeof *row);
    else
      for (size_t j = 0; j < count; j++) store_value(EDGE_BF16, io->dx, i * C + c + j, row[j]);
  }
}

static void backward_data(const linear_stage *s, const stage_io *io) {
  const linear_kernels *k = s->kernels;
  const stage_spec *d = &s->base.spec;
  const size_t n = (size_t)io->n, rows = panel_rows(s, n), C = (size_t)d->C, K = (size_t)d->K;
  const size_t wide = (size_t)k->wide;
#pragma omp parallel num_threads(s->base.env.threads)
  {
#pragma omp for collapse(2) schedule(static)
    for (size_t panel = 0; panel < linear_parts(n, rows); panel++)
      for (size_t first = 0; first < K; first += DEPTH)
        k->pack_a(d->y_type == EDGE_BF16, (int)linear_least(rows, n - panel * rows),
                  linear_least(DEPTH, K - first),
                  (const char *)io->dy + (panel * rows * K + first) * edge_size(d->y_type), K,
                  (float *)io->workspace + panel * panel_floats(s) + first * (size_t)k->rows);
    const linear_range strips = linear_range_of(linear_parts(C, wide));
    for (size_t strip = strips.begin; strip < strips.end; strip += STRIPS) {
      const size_t c = strip * wide,
                   end = linear_least(linear_least(strip + STRIPS, strips.end) * wide, C);
      data_columns(s, io, c, end - c, scratch_of(s, io));
    }
  }
}

static bool backward(stage *base, const stage_io *io) {
  const linear_stage *s = (const linear_stage *)base;
  const stage_spec *d = &base->spec;
  const size_t count = (size_t)io->n * (size_t)d->K;
  /* y > 0 says it all: a dropped unit's y is 0. */
  if (d->relu)
    pass_relu_backward(s->pass, d->y_type, count, io->y, io->dropout ? d->dropout_scale : 1.0f,
                       io->dy, base->env.threads);
  if (io->db)
    pass_sum_rows(s->pass, d->y_type, io->n, (size_t)d->K, io->dy, io->db, base->env.threads);
  if (io->dx) backward_data(s, io);
  if (io->dw) linear_weight_gradient(s, io);
  return true;
}

static void destroy(stage *base) { free(base); }

static const stage_ops ops = {.repack = repack,
                              .forward = forward,
                              .backward = backward,
                              .destroy = destroy,
                              .gradient_finite = linear_gradient_finite,
                              .gradient_norm2 = linear_gradient_norm2,
                              .update = linear_update};

/* ---- preparing ------------------------------------------------------------------------------- */

static const char *reason_to_decline(const stage_spec *d, const stage_env *env) {
  if (!linear_kernels_for(env->isa)) return "needs AVX2 and FMA";
  if (env->bf16 && env->isa >= CPU_AVX512BF16) return "bf16 products are faster here";
  if (d->dropout && !d->relu) return "dropout without a ReLU before it";
  return NULL;
}

static void measure(linear_stage *s) {
  const linear_kernels *k = s->kernels;
  const stage_spec *d = &s->base.spec;
  const size_t n = (size_t)s->base.env.max_n, C = (size_t)d->C, K = (size_t)d->K;
  const size_t wide = (size_t)k->wide, images = linear_round(linear_least(n, MOST_IMAGES), wide);
  const size_t panel = linear_least(n, (size_t)s->few) + (size_t)k->dot_images;
  const size_t block = linear_most(panel * few_depth(s, panel), 2 * VERY_FEW * few_depth(s, 1));
  s->scratch = block + FEW_UNITS * panel * (size_t)k->lanes;
  if (n > (size_t)s->few) {
    s->scratch = linear_most(s->scratch, DEPTH * (size_t)k->rows);
    s->shared = images * (C + K);
  }
  if (s->base.env.training) {
    if (d->need_dx) {
      s->scratch = linear_most(s->scratch, STRIPS * wide * (DEPTH + n));
      s->shared = linear_most(s->shared, linear_parts(n, (size_t)k->rows) * panel_floats(s));
    }
    s->scratch = linear_most(s->scratch, linear_gradient_scratch(s));
    s->shared = linear_most(s->shared, linear_gradient_shared(s));
    if (s->base.fuses_update) {
      s->scratch = linear_most(s->scratch, linear_norm_scratch(s));
      s->shared = linear_most(s->shared, n * (sizeof(double) / sizeof(float)));
    }
  }
  s->scratch = linear_round(s->scratch, LINEAR_GROUP);
  s->shared = linear_round(s->shared, LINEAR_GROUP);
  s->base.sizes.workspace = (s->shared + (size_t)s->base.env.threads * s->scratch) * sizeof(float);
}

vgg_status linear_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                          size_t size, vgg_error *err) {
  *out = NULL;
  const char *reason = reason_to_decline(spec, env);
  if (reason) {
    snprintf(why, size, "%s", reason);
    return VGG_OK;
  }
  linear_stage *s = calloc(1, sizeof *s);
  if (!s) return err_no_memory(err, "linear stage", sizeof *s);
  s->base = (stage){.ops = &ops,
                    .backend = NATIVE_NAME,
                    .spec = *spec,
                    .env = *env,
                    .fuses_update = env->training && env->fuse_updates};
  s->kernels = linear_kernels_for(env->isa);
  s->base.error_factor = s->kernels->error;
  s->pass = pass_kernels_for(env->isa);
  s->few = 3 * s->kernels->dot_images; /* measured: from here on the other way is faster */
  measure(s);
  snprintf(s->base.detail, sizeof s->base.detail, "%s", s->kernels->name);
  *out = &s->base;
  return VGG_OK;
}
