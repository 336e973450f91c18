/* SPDX-License-Identifier: Apache-2.0
 *
 * linear + bias [+ ReLU [+ dropout]] in fp32 products, straight from the masters; one image at a
 * time by the inputs that are not 0, from a pack: linear_by_input.c.
 *
 *   workspace  the packed factor that all threads read | for every thread its blocks
 *
 * Measured on two cores of Zen 4 with AVX-512, 6272 -> 4096 and 25088 -> 4096, GFLOP/s (peak 230):
 *
 *     images   forward     backward-data   gradient kept
 *     1        17 - 24     13 - 20         19 - 24          memory sets the pace: 30 to 50 GB/s;
 *                                                           of a single image see there
 *     16       150 - 180   140 - 170       125 - 145
 *     128      205 - 215   205 - 220       205 - 215
 *
 * Tried for the weights as factor b of backward-data: a copy of each block beforehand is as fast at
 * 128 images and a quarter slower at 16; a copy made meanwhile is 10 to 25 % slower at 128.
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
  DEPTH = 256,         /* of forward's blocks of few images: b fits the nearest cache; ... */
  MANY_DEPTH = 512,    /* ... of more: y^T comes and goes less often */
  DATA_DEPTH = 256,    /* of dx's, which are weights as they lie: ... */
  FEW_PANELS = 3,      /* ... of so many panels of dy, memory sets the pace, ... */
  FEW_DATA_DEPTH = 64, /* ... and what is fetched ahead has to stay in few sets of the cache */
  STRIPS = 8,          /* of dx in a block */
  MOST_IMAGES = 256    /* of x that forward takes at a time: they fit the second-level cache */
};

/* Units of a tile: so few that every thread has some. */
static size_t forward_rows(const linear_stage *s) {
  const size_t K = (size_t)s->base.spec.K, threads = (size_t)s->base.env.threads;
  return linear_least((size_t)s->kernels->rows, linear_parts(K, threads));
}

/* ---- forward, many images -------------------------------------------------------------------- */

/* x^T [strips][C][wide], the last strip half as wide where that is enough. */
typedef struct turned {
  size_t n, strips;
  bool half;
  float *xt, *yt; /* yt [K][strips][wide] */
} turned;

/* A thread's tiles of w, in order: some units change first, then the depth, then to other units. So
 * rows of w are read on and on, and x^T is read once for those units. */
typedef struct tile_walk {
  const linear_stage *s;
  const float *w;
  size_t end, rows, some;    /* units; of a tile; of tiles between two steps of the depth */
  size_t depth;              /* of a tile */
  size_t group, unit, first; /* the next tile's */
} tile_walk;

typedef struct walk_tile {
  const float *w;
  size_t first, depth, unit, rows; /* rows 0: behind the last */
} walk_tile;

static walk_tile walk_next(tile_walk *walk) {
  const size_t C = (size_t)walk->s->base.spec.C;
  if (walk->group >= walk->end) return (walk_tile){.w = walk->w};
  const walk_tile t = {.w = walk->w + walk->unit * C + walk->first,
                       .first = walk->first,
                       .depth = linear_least(walk->depth, C - walk->first),
                       .unit = walk->unit,
                       .rows = linear_least(walk->rows, walk->end - walk->unit)};
  walk->unit += walk->rows;
  if (walk->unit < linear_least(walk->group + walk->some, walk->end)) return t;
  walk->unit = walk->group;
  walk->first += walk->depth;
  if (walk->first < C) return t;
  walk->group += walk->some;
  walk->unit = walk->group;
  walk->first = 0;
  return t;
}

/* Groups begin .. of a tile that is to be packed. */
static linear_copy copy_of(const linear_stage *s, const walk_tile *t, size_t begin, size_t groups,
                           float *a) {
  return (linear_copy){.from = t->w + begin * LINEAR_GROUP,
                       .to = a + begin * LINEAR_GROUP * (size_t)s->kernels->rows,
                       .step = (size_t)s->base.spec.C,
                       .rows = (int)t->rows,
                       .groups = (int)groups};
}

/* One tile of w, packed in a[0], with all of x^T. Meanwhile the next is packed in a[1] and the one
 * after that fetched. */
static void forward_tile(const tile_walk *walk, const turned *x, const walk_tile t[3],
                         float *const a[2]) {
  const linear_stage *s = walk->s;
  const linear_kernels *k = s->kernels;
  const size_t C = (size_t)s->base.spec.C, wide = (size_t)k->wide, strips = x->strips;
  const size_t groups = linear_least(t[0].depth, t[1].depth) / LINEAR_GROUP;
  const size_t each = linear_parts(groups, strips);
  for (size_t strip = 0, done = 0; strip < strips; strip++, done += each) {
    const bool half = x->half && strip + 1 == strips;
    const size_t step = half ? wide / 2 : wide;
    const linear_tile tile = {
        .rows = (int)t[0].rows,
        .half = half,
        .depth = (int)t[0].depth,
        .a = a[0],
        .b = x->xt + strip * C * wide + t[0].first * step,
        .b_step = step,
        .c = x->yt + t[0].unit * strips * wide + strip * wide,
        .c_step = strips * wide,
        .add = t[0].first > 0,
        .ahead = linear_share(s, t[2].w, t[2].rows, t[2].depth, strip, strips, t[0].depth),
        .copy =
            copy_of(s, &t[1], done, done < groups ? linear_least(each, groups - done) : 0, a[1])};
    k->tile(&tile);
  }
  const size_t rest = t[1].depth - groups * LINEAR_GROUP;
  if (rest) {
    const linear_copy c = copy_of(s, &t[1], groups, 0, a[1]);
    k->pack_a(false, c.rows, rest, c.from, c.step, c.to);
  }
}

/* Measured: one tile after the other is best for memory, two where x^T has to come from the third
 * cache, more where it does not fit that. */
static size_t tiles_between(const turned *x, size_t C) {
  enum { KEPT = 1 << 20 };
  return x->strips == 1 ? 1 : x->n * C <= KEPT ? 2 : 16;
}

/* This thread's units. */
static void forward_units(const linear_stage *s, const stage_io *io, const turned *x,
                          float *scratch) {
  const size_t C = (size_t)s->base.spec.C, K = (size_t)s->base.spec.K, rows = forward_rows(s);
  const linear_range tiles = linear_range_of(linear_parts(K, rows));
  if (tiles.begin == tiles.end) return;
  tile_walk walk = {.s = s,
                    .w = io->w,
                    .end = linear_least(tiles.end * rows, K),
                    .rows = rows,
                    .some = tiles_between(x, C) * rows,
                    .depth = x->strips > 1 ? MANY_DEPTH : DEPTH,
                    .group = tiles.begin * rows,
                    .unit = tiles.begin * rows};
  float *a[2] = {scratch, scratch + MANY_DEPTH * (size_t)s->kernels->rows};
  walk_tile t[3] = {walk_next(&walk), walk_next(&walk), walk_next(&walk)};
  s->kernels->pack_a(false, (int)t[0].rows, t[0].depth, t[0].w, C, a[0]);
  while (t[0].rows) {
    forward_tile(&walk, x, t, a);
    float *const packed = a[1];
    a[1] = a[0], a[0] = packed;
    t[0] = t[1], t[1] = t[2], t[2] = walk_next(&walk);
  }
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
        linear_store(s->base.spec.y_type, io->y, (first + i) * K + k, yt[k * row + i] + io->b[k]);
}

static void forward_many(const linear_stage *s, const stage_io *io, size_t first, size_t n) {
  const linear_kernels *k = s->kernels;
  const stage_spec *d = &s->base.spec;
  const size_t C = (size_t)d->C, wide = (size_t)k->wide;
  turned x = {.n = n, .strips = linear_parts(n, wide), .xt = io->workspace};
  x.yt = x.xt + x.strips * C * wide;
  x.half = x.strips * wide - n >= wide / 2;
#pragma omp parallel num_threads(s->base.env.threads)
  {
#pragma omp for collapse(2) schedule(static)
    for (size_t strip = 0; strip < x.strips; strip++)
      for (size_t c = 0; c < C; c += DEPTH)
        k->pack_b_transposed(
            d->x_type == EDGE_BF16, linear_least(wide, n - strip * wide),
            linear_least(DEPTH, C - c),
            (const char *)io->x + ((first + strip * wide) * C + c) * edge_size(d->x_type), C,
            x.xt + strip * C * wide + c * (x.half && strip + 1 == x.strips ? wide / 2 : wide));
    forward_units(s, io, &x, linear_scratch(s, io));
#pragma omp barrier
    finish_units(s, io, first, n, x.yt, x.strips * wide);
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
      linear_store(d->y_type, f->io->y, i * K + first + u,
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
    f.x = linear_scratch(s, io);
    f.sums = f.x + f.panels * f.images * f.depth;
    const linear_range units = linear_range_of((size_t)s->base.spec.K);
    for (size_t u = units.begin; u < units.end; u += FEW_UNITS)
      few_units(&f, units.begin, u, linear_least(FEW_UNITS, units.end - u));
  }
}

/* ---- forward, few units ---------------------------------------------------------------------- */

/* So few units that a copy of x would take longer than the products: x and w change places, both
 * are read as they lie. */
static bool narrow(const linear_stage *s) {
  const stage_spec *d = &s->base.spec;
  return d->K < FEW_UNITS && d->x_type == EDGE_F32 && d->C % s->kernels->lanes == 0;
}

/* Units first .. first + rows - 1 of images i .. i + n - 1. */
static void narrow_block(const linear_stage *s, const stage_io *io, size_t first, size_t rows,
                         size_t i, size_t n, float *sums) {
  const stage_spec *d = &s->base.spec;
  const size_t C = (size_t)d->C, K = (size_t)d->K, lanes = (size_t)s->kernels->lanes;
  memset(sums, 0, n * rows * lanes * sizeof *sums);
  s->kernels->dot(&(linear_dot){.images = (int)rows,
                                .units = (int)n,
                                .count = d->C,
                                .x = io->w + first * C,
                                .w = (const float *)io->x + i * C,
                                .x_step = C,
                                .w_step = C,
                                .sums = sums,
                                .sums_step = rows * lanes});
  for (size_t image = 0; image < n; image++)
    for (size_t u = 0; u < rows; u++)
      linear_store(d->y_type, io->y, (i + image) * K + first + u,
                   sum_lanes(sums + (image * rows + u) * lanes, lanes) + io->b[first + u]);
}

static void forward_narrow(const linear_stage *s, const stage_io *io) {
  const size_t K = (size_t)s->base.spec.K, most = (size_t)s->kernels->dot_images;
  const size_t rows = linear_parts(K, linear_parts(K, most));
#pragma omp parallel num_threads(s->base.env.threads)
  {
    const linear_range images = linear_range_of((size_t)io->n);
    for (size_t u = 0; u < K; u += rows) {
      const size_t here = linear_least(rows, K - u), usual = s->kernels->dot_units[here - 1];
      for (size_t i = images.begin, n; i < images.end; i += n) {
        n = images.end - i >= usual ? usual : 1;
        narrow_block(s, io, u, here, i, n, linear_scratch(s, io));
      }
    }
  }
}

static bool repack(stage *base, const float *w, const float *b, void *pack, void *workspace) {
  (void)w, (void)b, (void)pack, (void)workspace;
  linear_by_input_reset((linear_stage *)base);
  return true;
}

static bool forward(stage *base, const stage_io *io) {
  linear_stage *s = (linear_stage *)base;
  const stage_spec *d = &base->spec;
  if (base->sizes.pack)
    linear_forward_by_input(s, io);
  else if (io->n <= s->few)
    forward_few(s, io);
  else if (narrow(s))
    forward_narrow(s, io);
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

/* A block of weights w: `depth` units from `first` on, `count` columns. `next`: the block that
 * follows. */
typedef struct data_part {
  const float *w, *next;
  size_t first, depth, count;
} data_part;

/* Factor b is a strip of weights as they lie; only one that is not whole is copied, for its zeros.
 */
static void data_block(const linear_stage *s, const stage_io *io, const data_part *part,
                       float *copy, float *out) {
  const linear_kernels *k = s->kernels;
  const size_t n = (size_t)io->n, rows = panel_rows(s, n), C = (size_t)s->base.spec.C;
  const size_t wide = (size_t)k->wide, strips = linear_parts(part->count, wide);
  const size_t panels = linear_parts(n, rows), calls = panels * strips;
  for (size_t call = 0; call < calls; call++) {
    const size_t strip = call / panels, panel = call % panels;
    const size_t columns = linear_least(wide, part->count - strip * wide);
    const float *w = part->w + strip * wide;
    if (columns < wide && panel == 0) k->pack_b(false, columns, part->depth, w, C, copy);
    const linear_tile t = {
        .rows = (int)linear_least(rows, n - panel * rows),
        .depth = (int)part->depth,
        .a = (const float *)io->workspace + panel * panel_floats(s) + part->first * (size_t)k->rows,
        .b = columns < wide ? copy : w,
        .b_step = columns < wide ? wide : C,
        .c = out + panel * rows * STRIPS * wide + strip * wide,
        .c_step = STRIPS * wide,
        .add = part->first > 0,
        .ahead = linear_share(s, part->next, part->depth, part->count, call, calls, part->depth)};
    k->tile(&t);
  }
}

/* dx's columns c .. c + count - 1. */
static void data_columns(const linear_stage *s, const stage_io *io, size_t c, size_t count,
                         float *scratch) {
  const stage_spec *d = &s->base.spec;
  const size_t C = (size_t)d->C, K = (size_t)d->K, wide = (size_t)s->kernels->wide;
  const bool scarce = (size_t)io->n <= FEW_PANELS * (size_t)s->kernels->rows;
  const size_t depth = scarce ? FEW_DATA_DEPTH : DATA_DEPTH;
  float *copy = scratch, *out = copy + DATA_DEPTH * wide;
  for (size_t first = 0; first < K; first += depth) {
    const float *w = io->w + first * C + c;
    const data_part part = {.w = w,
                            .next = first + depth < K ? w + depth * C : io->w + c + count,
                            .first = first,
                            .depth = linear_least(depth, K - first),
                            .count = count};
    data_block(s, io, &part, copy, out);
  }
  for (size_t i = 0; i < (size_t)io->n; i++) {
    const float *row = out + i * STRIPS * wide;
    if (d->x_type == EDGE_F32)
      memcpy((float *)io->dx + i * C + c, row, count * sizeof *row);
    else
      for (size_t j = 0; j < count; j++) linear_store(EDGE_BF16, io->dx, i * C + c + j, row[j]);
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
      data_columns(s, io, c, end - c, linear_scratch(s, io));
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

/* So few units that dot products are as good have no pack. */
static bool by_input(const linear_stage *s) {
  return !s->base.env.training && s->base.env.max_n == 1 && s->base.spec.K >= FEW_UNITS;
}

static void measure(linear_stage *s) {
  const linear_kernels *k = s->kernels;
  const stage_spec *d = &s->base.spec;
  const size_t n = (size_t)s->base.env.max_n, C = (size_t)d->C, K = (size_t)d->K;
  const size_t wide = (size_t)k->wide, images = linear_round(linear_least(n, MOST_IMAGES), wide);
  const size_t panel = linear_least(n, (size_t)s->few) + (size_t)k->dot_images;
  const size_t block = linear_most(panel * few_depth(s, panel), 2 * VERY_FEW * few_depth(s, 1));
  s->scratch = block + FEW_UNITS * panel * (size_t)k->lanes;
  if (by_input(s)) { /* and nothing else */
    s->scratch = linear_by_input_scratch(s);
    s->shared = linear_by_input_shared(s);
    s->base.sizes.pack = linear_by_input_pack(s) * sizeof(float);
    s->base.warm_passes = LINEAR_WARM_PASSES;
  }
  if (n > (size_t)s->few) {
    s->scratch = linear_most(s->scratch, 2 * MANY_DEPTH * (size_t)k->rows);
    s->shared = images * (C + K);
  }
  if (s->base.env.training) {
    if (d->need_dx) {
      s->scratch = linear_most(s->scratch, DATA_DEPTH * wide + STRIPS * wide * n);
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
  /* Measured: from here on the other way is faster, if there are units for some tiles. */
  s->few = spec->K < FEW_UNITS ? 3 * s->kernels->dot_images : 8;
  measure(s);
  snprintf(s->base.detail, sizeof s->base.detail, "%s%s", s->kernels->name,
           s->base.sizes.pack ? ", by inputs that are not 0" : "");
  *out = &s->base;
  return VGG_OK;
}
