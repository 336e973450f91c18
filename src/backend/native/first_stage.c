/* SPDX-License-Identifier: Apache-2.0
 *
 * The first layer, pair of rows by pair of rows; see first.h.
 *
 *   pack       weights [K/16][C][9][16] | bias, padded to 16
 *   workspace  one band a thread | sums [K/16][9 C + 1][16] a group
 *
 * Backward sums over pairs of rows in a fixed number of groups, each in order, and adds the groups
 * in order: the result does not depend on threads.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/native/first.h"
#include "backend/native/native.h"
#include "backend/pass/pass.h"
#include "base/bf16.h"
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
  const pass_kernels *pass;
  int pairs;                 /* of output rows in an image */
  size_t stride, band, sums; /* floats */
} first_stage;

static int blocks_of(int K) { return (K + FIRST_LANES - 1) / FIRST_LANES; }

static bool repack(stage *base, const float *w, const float *b, void *pack, void *workspace) {
  (void)workspace;
  const stage_spec *d = &base->spec;
  float *to = pack;
  memset(to, 0, base->sizes.pack);
  for (int k = 0; k < d->K; k++)
    for (int tap = 0; tap < FIRST_TAPS; tap++)
      for (int c = 0; c < d->C; c++)
        to[((k / FIRST_LANES * d->C + c) * FIRST_TAPS + tap) * FIRST_LANES + k % FIRST_LANES] =
            w[(k * FIRST_TAPS + tap) * d->C + c];
  memcpy(to + blocks_of(d->K) * d->C * FIRST_TAPS * FIRST_LANES, b, (size_t)d->K * sizeof *b);
  return true;
}

/* Rows y0 - 1 .. y0 + 2 of an image become the band; what lies outside the picture stays 0. */
static void fill_band(const first_stage *s, const void *x, int image, int y0, float *band) {
  const stage_spec *d = &s->base.spec;
  memset(band, 0, s->band * sizeof *band);
  for (int i = 0; i < 4; i++) {
    const int y = y0 - 1 + i;
    if (y < 0 || y >= d->H) continue;
    const size_t first = ((size_t)image * d->H + (size_t)y) * (size_t)(d->W * d->C);
    for (int c = 0; c < d->C; c++) {
      float *row = band + (size_t)(4 * c + i) * s->stride + 1;
      if (d->x_type == EDGE_F32) {
        const float *from = (const float *)x + first + c;
        for (int j = 0; j < d->W; j++) row[j] = from[j * d->C];
      } else {
        const bf16 *from = (const bf16 *)x + first + c;
        for (int j = 0; j < d->W; j++) row[j] = bf16_to_float(from[j * d->C]);
      }
    }
  }
}

/* The pair of output rows `pair` of an image, in y and aux or in their gradient. */
static first_rows rows_of(const first_stage *s, const stage_io *io, void *values, int image,
                          int pair, const float *band) {
  const stage_spec *d = &s->base.spec;
  const bool pool = d->pool_size != 0;
  const size_t row = (size_t)image * d->OP + (size_t)(pool ? pair : 2 * pair);
  return (first_rows){
      .band = band,
      .stride = s->stride,
      .C = d->C,
      .K = d->K,
      .rows = 2 * pair + 1 < d->P ? 2 : 1,
      .Q = d->Q,
      .relu = d->relu,
      .pool = pool,
      .bf16 = d->y_type == EDGE_BF16,
      .values = (char *)values + row * (size_t)(d->OQ * d->K) * edge_size(d->y_type),
      .masks = pool && io->aux ? (uint16_t *)io->aux + row * (size_t)(d->OQ * blocks_of(d->K) * 4)
                               : NULL};
}

static bool forward(stage *base, const stage_io *io) {
  const first_stage *s = (const first_stage *)base;
  const stage_spec *d = &base->spec;
  const float *w = io->pack, *bias = w + blocks_of(d->K) * d->C * FIRST_TAPS * FIRST_LANES;
  float *bands = io->workspace;
#pragma omp parallel for num_threads(base->env.threads) schedule(static) collapse(2)
  for (int image = 0; image < io->n; image++) {
    for (int pair = 0; pair < s->pairs; pair++) {
      float *band = bands + (size_t)omp_get_thread_num() * s->band;
      fill_band(s, io->x, image, 2 * pair, band);
      const first_rows rows = rows_of(s, io, io->y, image, pair, band);
      s->kernels->forward(&rows, w, bias);
    }
  }
  return true;
}

static void reduce(const first_stage *s, const stage_io *io, size_t first, size_t stop, float *band,
                   float *sums) {
  memset(sums, 0, s->sums * sizeof *sums);
  for (size_t unit = first; unit < stop; unit++) {
    const int image = (int)(unit / (size_t)s->pairs), pair = (int)(unit % (size_t)s->pairs);
    fill_band(s, io->x, image, 2 * pair, band);
    const first_rows rows = rows_of(s, io, io->dy, image, pair, band);
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
  const stage_spec *d = &base->spec;
  if (d->relu && !d->pool_size)
    pass_relu_backward(s->pass, d->y_type, (size_t)io->n * d->OP * d->OQ * d->K, io->y, 1, io->dy,
                       base->env.threads);
  if (!io->dw) return true;
  const size_t units = (size_t)io->n * (size_t)s->pairs;
  float *bands = io->workspace, *sums = bands + (size_t)base->env.threads * s->band;
#pragma omp parallel for num_threads(base->env.threads) schedule(static)
  for (size_t g = 0; g < GROUPS; g++)
    reduce(s, io, units * g / GROUPS, units * (g + 1) / GROUPS,
           bands + (size_t)omp_get_thread_num() * s->band, sums + g * s->sums);
  add_groups(s, sums, io);
  return true;
}

static void destroy(stage *base) { free(base); }

static const stage_ops ops = {
    .repack = repack, .forward = forward, .backward = backward, .destroy = destroy};

static const char *reason_to_decline(const stage_spec *d, const stage_env *env) {
  if (!first_kernels_for(env->isa)) return "needs AVX-512";
  if (d->R != 3 || d->S != 3 || d->stride != 1 || d->pad != 1)
    return "runs 3x3, stride 1, pad 1 only";
  if (d->pool_size && (d->pool_size != 2 || d->pool_stride != 2 || !d->relu))
    return "pools 2x2, stride 2, after a ReLU only";
  return NULL;
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
  s->base.error_factor = s->kernels->error;
  s->pass = pass_kernels_for(env->isa);
  s->pairs = spec->pool_size ? spec->P / 2 : (spec->P + 1) / 2;
  /* A zero on each side, and what the last window of an odd width reads beyond. */
  s->stride = mem_round((size_t)(spec->W + 4) * sizeof(float)) / sizeof(float);
  s->band = (size_t)(4 * spec->C) * s->stride;
  const size_t blocks = (size_t)blocks_of(spec->K), vectors = (size_t)(FIRST_TAPS * spec->C + 1);
  s->sums = blocks * vectors * FIRST_LANES;
  s->base.sizes.pack = s->sums * sizeof(float); /* nine taps a channel and one bias: the same */
  s->base.sizes.workspace =
      ((size_t)env->threads * s->band + (env->training ? GROUPS * s->sums : 0)) * sizeof(float);
  if (env->training && spec->pool_size)
    s->base.sizes.aux_per_image =
        (size_t)spec->OP * (size_t)spec->OQ * blocks * 4 * sizeof(uint16_t);
  snprintf(s->base.detail, sizeof s->base.detail, "%s", s->kernels->name);
  *out = &s->base;
  return VGG_OK;
}
