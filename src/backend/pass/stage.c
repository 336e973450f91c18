/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/pass/stage.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

bool pass_repack(stage *s, const float *w, const float *b, void *pack, void *workspace) {
  (void)s, (void)w, (void)b, (void)pack, (void)workspace;
  return true;
}

void pass_destroy(stage *s) { free(s); }

void *pass_scratch(const pass_stage *s, const stage_io *io) {
  return (char *)io->workspace + s->shared + (size_t)omp_get_thread_num() * s->scratch;
}

size_t pass_row_bytes(const pass_stage *s, int rows) {
  const stage_spec *d = &s->base.spec;
  return mem_round((size_t)rows * (size_t)d->Q * (size_t)d->K * edge_size(d->y_type));
}

void pass_forward_rows(const pass_stage *s, const stage_io *io, pass_transform transform) {
  const stage_spec *d = &s->base.spec;
  const size_t row = (size_t)d->Q * d->K, size = edge_size(d->x_type);
  const size_t pooled = (size_t)d->OQ * d->K;
  const char *x = io->x;
  char *y = io->y;
  if (!s->pool.size) {
#pragma omp parallel for schedule(static) num_threads(s->base.env.threads)
    for (int r = 0; r < io->n * d->P; r++)
      transform(s, io, d->Q, x + r * row * size, y + r * row * size);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(s->base.env.threads)
  for (int r = 0; r < io->n * d->OP; r++) {
    void *rows = pass_scratch(s, io);
    const size_t first = (size_t)(r / d->OP) * d->P + (size_t)(r % d->OP) * s->pool.stride;
    transform(s, io, s->pool.size * d->Q, x + first * row * size, rows);
    s->kernels->pool_row[d->y_type](&s->pool, rows, y + r * pooled * size,
                                    io->aux ? (uint8_t *)io->aux + r * pooled : NULL);
  }
}

const void *pass_gradient_row(const pass_stage *s, const stage_io *io, int i, int h,
                              void *scratch) {
  const stage_spec *d = &s->base.spec;
  const size_t size = edge_size(d->y_type);
  if (s->pool.size) {
    const size_t from = (size_t)i * d->OP * d->OQ * d->K;
    s->kernels->unpool_row[d->y_type](&s->pool, h, (const uint8_t *)io->aux + from,
                                      (const char *)io->dy + from * size, scratch);
    return scratch;
  }
  const size_t row = (size_t)d->Q * d->K, from = ((size_t)i * d->P + h) * row;
  char *dy = (char *)io->dy + from * size;
  if (d->relu && !io->dy_masked) /* in place; doing it twice changes nothing */
    s->kernels->relu_mask[d->y_type](row, (const char *)io->y + from * size, 1.0f, dy);
  return dy;
}

static const struct {
  const stage_ops *ops;
  bool (*plan)(pass_stage *s);
  const char *what;
} kinds[] = {
    [STAGE_NORM] = {&pass_norm_ops, pass_norm_plan, "batch norm"},
    [STAGE_LRN] = {&pass_lrn_ops, pass_lrn_plan, "LRN"},
    [STAGE_AVERAGE] = {&pass_average_ops, pass_average_plan, "average"},
};

static const char *decline(const stage_spec *d) {
  const op_lrn_dims *l = &d->lrn;
  if (d->kind != STAGE_AVERAGE && d->x_type != d->y_type) return "its edges are of two types";
  if (d->dropout) return "dropout without products before it";
  if (d->pool_size && !d->relu && d->kind != STAGE_LRN) return "max-pool without a ReLU before it";
  if (d->pool_size > PASS_MAX_WINDOW) return "max-pool window over 15x15";
  if (d->kind == STAGE_LRN && (l->size > PASS_MAX_LRN || l->size % 2 == 0 || l->beta != 0.75))
    return "LRN over other than an odd number up to 15 of channels, or with beta not 0.75";
  return NULL;
}

vgg_status pass_prepare(const char *name, const stage_spec *spec, const stage_env *env, stage **out,
                        char *why, size_t size, vgg_error *err) {
  *out = NULL;
  const char *reason = decline(spec);
  if (reason) {
    snprintf(why, size, "%s", reason);
    return VGG_OK;
  }
  pass_stage *s = calloc(1, sizeof *s);
  if (!s) return err_no_memory(err, kinds[spec->kind].what, sizeof *s);
  s->base = (stage){.ops = kinds[spec->kind].ops, .backend = name, .spec = *spec, .env = *env};
  s->kernels = pass_kernels_for(env->isa);
  s->pool = pass_pool_of(spec);
  size_t scratch;
  if (!kinds[spec->kind].plan(s) || !mem_mul(s->scratch, (size_t)env->threads, &scratch) ||
      !mem_add(s->shared, scratch, &s->base.sizes.workspace)) {
    snprintf(why, size, "its buffers do not fit the address space");
    free(s);
    return VGG_OK;
  }
  if (s->pool.size && env->training)
    s->base.sizes.aux_per_image = (size_t)spec->OP * spec->OQ * spec->K;
  snprintf(s->base.detail, sizeof s->base.detail, "%s by passes: %s", kinds[spec->kind].what,
           s->kernels->name);
  *out = &s->base;
  return VGG_OK;
}
