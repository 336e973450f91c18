/* SPDX-License-Identifier: Apache-2.0
 *
 * The first layer, pair of rows by pair of rows; see first.h.
 *
 *   pack       filters | bias, padded to 16 | the largest safe value of a picture
 *   workspace  rows and lines of a thread | sums [K/16][9 C + 1][16] a group
 *
 * Backward sums over pairs of rows in a fixed number of groups, each in order, and adds the groups
 * in order: the result does not depend on threads.
 */
#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/native/first.h"
#include "backend/native/native.h"
#include "base/error.h"
#include "base/memory.h"

enum { GROUPS = 16 };

#define FIRST(row) extern const first_kernels row;
#include "backend/native/first.def"
#undef FIRST

static const first_kernels *const kernel_rows[] = {
#define FIRST(row) &row,
#include "backend/native/first.def"
#undef FIRST
};

enum { ROWS = sizeof kernel_rows / sizeof *kernel_rows };

const first_kernels *first_kernels_at(size_t i) { return i < ROWS ? kernel_rows[i] : NULL; }

const first_kernels *first_kernels_for(cpu_isa isa) {
  size_t i = 0;
  while (i < ROWS && kernel_rows[i]->isa > isa) i++;
  return first_kernels_at(i);
}

typedef struct first_stage {
  stage base;
  const first_kernels *kernels;
  int pairs;                     /* of output rows in an image */
  size_t stride, row, line;      /* floats: of a channel's row, of a picture row, of a line */
  size_t filters, scratch, sums; /* floats: in the pack, of a thread, of a group */
} first_stage;

static int blocks_of(int K) { return (K + FIRST_LANES - 1) / FIRST_LANES; }

/* ---- the pack -------------------------------------------------------------------------------- */

/* The filters of one row as they are multiplied; see first.h. */
static int filter_row(const float *g, int step, bool direct, float u[4]) {
  const float g0 = g[0], g1 = g[step], g2 = g[2 * step];
  if (direct) {
    u[0] = g0, u[1] = g1, u[2] = g2;
    return 3;
  }
  u[0] = g0, u[1] = 0.5f * (g0 + g2 + g1), u[2] = 0.5f * (g0 + g2 - g1), u[3] = g2;
  return 4;
}

/* No value of a picture beyond this can make a result, or anything on its way, infinite: a partial
 * sum is at most four times the sum of |x g|, and |bias|. Negative if nothing is sure. */
static float largest_safe(const stage_spec *d, const float *w, const float *b) {
  double most = 0, bias = 0;
  for (int k = 0; k < d->K; k++) {
    double sum = 0;
    for (int i = 0; i < FIRST_TAPS * d->C; i++) sum += fabs((double)w[k * FIRST_TAPS * d->C + i]);
    if (!isfinite(sum) || !isfinite(b[k])) return -1;
    most = fmax(most, sum);
    bias = fmax(bias, fabs((double)b[k]));
  }
  return (float)((FLT_MAX / 2.0 - bias) / (4 * most + 2));
}

/* filters | bias | largest_safe */
static bool repack(stage *base, const float *w, const float *b, void *pack, void *workspace) {
  (void)workspace;
  const first_stage *s = (const first_stage *)base;
  const stage_spec *d = &base->spec;
  float *to = pack;
  memset(to, 0, base->sizes.pack);
  for (int k = 0; k < d->K; k++)
    for (int c = 0; c < d->C; c++)
      for (int r = 0; r < 3; r++) {
        float u[4];
        const int n =
            filter_row(w + (k * FIRST_TAPS + 3 * r) * d->C + c, d->C, base->env.no_winograd, u);
        for (int i = 0; i < n; i++)
          to[(((k / FIRST_LANES * d->C + c) * 3 + r) * n + i) * FIRST_LANES + k % FIRST_LANES] =
              u[i];
      }
  memcpy(to + s->filters, b, (size_t)d->K * sizeof *b);
  to[base->sizes.pack / sizeof *to - 1] = largest_safe(d, w, b);
  return true;
}

/* ---- rows and lines -------------------------------------------------------------------------- */

/* What a thread keeps of the picture: the last four rows, and lines made of them. Row y is in slot
 * y % 4. */
typedef struct band {
  float *rows, *lines;
  float largest[4]; /* magnitude in each row */
  int image, next;  /* the row to be read next; image < 0: none yet */
} band;

static band band_at(const first_stage *s, float *scratch) {
  memset(scratch, 0, 4 * s->row * sizeof *scratch);
  return (band){.rows = scratch, .lines = scratch + 4 * s->row, .image = -1};
}

static size_t slot(int y) { return (size_t)(y + 4) % 4; }

static float *row_at(const first_stage *s, const band *b, int y) {
  return b->rows + slot(y) * s->row;
}

static float *line_at(const first_stage *s, const band *b, int y) {
  return b->lines + slot(y) * s->line;
}

/* What lies outside the picture is 0. */
static void read_row(const first_stage *s, const void *x, band *b, int y) {
  const stage_spec *d = &s->base.spec;
  float *row = row_at(s, b, y);
  b->largest[slot(y)] = 0;
  if (y < 0 || y >= d->H) {
    memset(row, 0, s->row * sizeof *row);
    return;
  }
  const size_t at = ((size_t)b->image * d->H + (size_t)y) * (size_t)(d->W * d->C);
  b->largest[slot(y)] = s->kernels->read((const char *)x + at * edge_size(d->x_type),
                                         d->x_type == EDGE_BF16, d->C, d->W, row, s->stride);
}

/* Rows 2 pair - 1 .. 2 pair + 2 and their lines; the first two may be there already. */
static void advance(const first_stage *s, const void *x, band *b, int image, int pair,
                    bool backward) {
  const stage_spec *d = &s->base.spec;
  const bool fresh = b->image != image || b->next != 2 * pair + 1;
  b->image = image;
  for (int y = fresh ? 2 * pair - 1 : b->next; y <= 2 * pair + 2; y++) {
    read_row(s, x, b, y);
    if (!backward)
      s->kernels->points(row_at(s, b, y), s->stride, d->C, (d->Q + 1) / 2, s->base.env.no_winograd,
                         line_at(s, b, y));
    else if (d->pool_size && !(fresh && y == 2 * pair - 1))
      s->kernels->blocks(row_at(s, b, y - 1), row_at(s, b, y), s->stride, d->C,
                         line_at(s, b, y - 1));
  }
  b->next = 2 * pair + 3;
}

/* The pair of output rows `pair` of an image, in y and aux or in their gradient. */
static first_rows rows_of(const first_stage *s, const stage_io *io, void *values, int image,
                          int pair, const band *b) {
  const stage_spec *d = &s->base.spec;
  const bool pool = d->pool_size != 0;
  const size_t row = (size_t)image * d->OP + (size_t)(pool ? pair : 2 * pair);
  const size_t cells = row * (size_t)d->OQ;
  first_rows rows = {.stride = s->stride,
                     .C = d->C,
                     .K = d->K,
                     .rows = 2 * pair + 1 < d->P ? 2 : 1,
                     .Q = d->Q,
                     .relu = d->relu,
                     .pool = pool,
                     .direct = s->base.env.no_winograd,
                     .bf16 = d->y_type == EDGE_BF16,
                     .values = (char *)values + cells * (size_t)d->K * edge_size(d->y_type),
                     .words = pool && io->aux ? (uint16_t *)io->aux +
                                                    cells * (size_t)(blocks_of(d->K) * FIRST_WORDS)
                                              : NULL};
  for (int i = 0; i < 4; i++) rows.line[i] = line_at(s, b, 2 * pair - 1 + i);
  return rows;
}

/* ---- forward --------------------------------------------------------------------------------- */

/* What a pool leaves is too little to be waited for. */
static bool streams(const stage_spec *d, const stage_io *io) {
  const size_t bytes = (size_t)io->n * (size_t)(d->OP * d->OQ) * (size_t)d->K * sizeof(float);
  return !d->pool_size && native_streams(d->y_type, io->y, d->K, bytes);
}

static bool forward(stage *base, const stage_io *io) {
  const first_stage *s = (const first_stage *)base;
  const float *filters = io->pack, *bias = filters + s->filters;
  const float safe = filters[base->sizes.pack / sizeof *filters - 1];
  const bool stream = streams(&base->spec, io);
  const size_t units = (size_t)io->n * (size_t)s->pairs, threads = (size_t)base->env.threads;
#pragma omp parallel for num_threads(base->env.threads) schedule(static)
  for (size_t t = 0; t < threads; t++) {
    band b = band_at(s, (float *)io->workspace + t * s->scratch);
    for (size_t unit = units * t / threads; unit < units * (t + 1) / threads; unit++) {
      const int image = (int)(unit / (size_t)s->pairs), pair = (int)(unit % (size_t)s->pairs);
      advance(s, io->x, &b, image, pair, false);
      first_rows rows = rows_of(s, io, io->y, image, pair, &b);
      rows.stream = stream;
      rows.finite = true;
      for (int i = 0; i < 4; i++) rows.finite = rows.finite && b.largest[i] <= safe;
      s->kernels->forward(&rows, filters, bias);
    }
  }
  return true;
}

/* ---- backward -------------------------------------------------------------------------------- */

static void reduce(const first_stage *s, const stage_io *io, size_t first, size_t stop,
                   float *scratch, float *sums) {
  const stage_spec *d = &s->base.spec;
  memset(sums, 0, s->sums * sizeof *sums);
  band b = band_at(s, scratch);
  for (size_t unit = first; unit < stop; unit++) {
    const int image = (int)(unit / (size_t)s->pairs), pair = (int)(unit % (size_t)s->pairs);
    advance(s, io->x, &b, image, pair, true);
    first_rows rows = rows_of(s, io, io->dy, image, pair, &b);
    if (!d->pool_size) {
      for (int i = 0; i < 4; i++) rows.line[i] = row_at(s, &b, 2 * pair - 1 + i);
      if (d->relu)
        rows.y = (const char *)io->y + ((const char *)rows.values - (const char *)io->dy);
    }
    s->kernels->backward(&rows, sums);
  }
}

/* The groups' sums, added in order, as dw [K][3][3][C] and db. */
static void add_groups(const first_stage *s, float *sums, const stage_io *io) {
  const stage_spec *d = &s->base.spec;
  for (size_t g = 1; g < GROUPS; g++)
    for (size_t i = 0; i < s->sums; i++) sums[i] += sums[g * s->sums + i];
  const int vectors = FIRST_TAPS * d->C + 1;
  for (int k = 0; k < d->K; k++) {
    const float *from = sums + k / FIRST_LANES * vectors * FIRST_LANES + k % FIRST_LANES;
    for (int c = 0; c < d->C; c++)
      for (int tap = 0; tap < FIRST_TAPS; tap++)
        io->dw[(k * FIRST_TAPS + tap) * d->C + c] = from[(c * FIRST_TAPS + tap) * FIRST_LANES];
    io->db[k] = from[(vectors - 1) * FIRST_LANES];
  }
}

static bool backward(stage *base, const stage_io *io) {
  const first_stage *s = (const first_stage *)base;
  if (!io->dw) return true; /* there is no dx */
  const size_t units = (size_t)io->n * (size_t)s->pairs;
  float *scratch = io->workspace, *sums = scratch + (size_t)base->env.threads * s->scratch;
#pragma omp parallel for num_threads(base->env.threads) schedule(static)
  for (size_t g = 0; g < GROUPS; g++)
    reduce(s, io, units * g / GROUPS, units * (g + 1) / GROUPS,
           scratch + (size_t)omp_get_thread_num() * s->scratch, sums + g * s->sums);
  add_groups(s, sums, io);
  return true;
}

static void destroy(stage *base) { free(base); }

static const stage_ops ops = {
    .repack = repack, .forward = forward, .backward = backward, .destroy = destroy};

static const char *reason_to_decline(const stage_spec *d, const stage_env *env) {
  if (!first_kernels_for(env->isa)) return "needs AVX2 and FMA";
  if (d->R != 3 || d->S != 3 || d->stride != 1 || d->pad != 1)
    return "runs 3x3, stride 1, pad 1 only";
  return NULL;
}

static void set_sizes(first_stage *s) {
  const stage_spec *d = &s->base.spec;
  const stage_env *env = &s->base.env;
  const size_t C = (size_t)d->C, blocks = (size_t)blocks_of(d->K);
  s->pairs = d->pool_size ? d->P / 2 : (d->P + 1) / 2;
  /* A zero on each side, and as much as a vector reads beyond. */
  s->stride = ((size_t)d->W + 2 * FIRST_LANES + 3) / 4 * 4;
  s->row = C * s->stride;
  s->line = (4 * C * s->stride + 2 * FIRST_LANES) / FIRST_LANES * FIRST_LANES;
  s->scratch = (4 * (s->row + s->line) + FIRST_LANES) / FIRST_LANES * FIRST_LANES;
  s->filters = blocks * C * (env->no_winograd ? FIRST_TAPS : FIRST_POINTS) * FIRST_LANES;
  s->sums = blocks * (FIRST_TAPS * C + 1) * FIRST_LANES;
  s->base.sizes.pack = (s->filters + blocks * FIRST_LANES + 1) * sizeof(float);
  s->base.sizes.workspace =
      ((size_t)env->threads * s->scratch + (env->training ? GROUPS * s->sums : 0)) * sizeof(float);
  if (env->training && d->pool_size)
    s->base.sizes.aux_per_image =
        (size_t)d->OP * (size_t)d->OQ * blocks * FIRST_WORDS * sizeof(uint16_t);
}

vgg_status first_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                         size_t size, vgg_error *err) {
  *out = NULL;
  const char *reason = reason_to_decline(spec, env);
  if (reason) {
    snprintf(why, size, "%s", reason);
    return VGG_OK;
  }
  first_stage *s = calloc(1, sizeof *s);
  if (!s) return err_no_memory(err, "first stage", sizeof *s);
  s->base = (stage){.ops = &ops, .backend = NATIVE_NAME, .spec = *spec, .env = *env};
  s->kernels = first_kernels_for(env->isa);
  s->base.error_factor = env->no_winograd ? 1 : s->kernels->error;
  set_sizes(s);
  snprintf(s->base.detail, sizeof s->base.detail, "%s", s->kernels->name);
  *out = &s->base;
  return VGG_OK;
}
