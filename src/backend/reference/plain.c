/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages without products: batch norm and LRN, with the ReLU and the pool behind them, and
 * averages. The whole batch at once. Scratch, in floats:
 *
 *   x [n,H,W,C]   dx [n,H,W,C]   z, dz [n,P,Q,K]   y [n,OP,OQ,K]   dy [n,OP,OQ,K]
 */
#include <stdio.h>

#include "backend/reference/reference.h"
#include "base/memory.h"

typedef struct plain_scratch {
  float *x, *dx, *z, *y, *dy;
} plain_scratch;

bool ref_plain_plan(ref_stage *s) {
  size_t floats;
  snprintf(s->base.detail, sizeof s->base.detail, "plain loops in fp32");
  if (s->base.spec.pool_size) s->base.sizes.aux_per_image = s->y;
  return mem_add(s->x, s->z, &floats) && mem_add(floats, s->x, &floats) &&
         mem_add(floats, s->y, &floats) && mem_add(floats, s->y, &floats) &&
         mem_mul(floats, (size_t)s->base.env.max_n * sizeof(float), &floats) &&
         mem_add(floats, 5 * (size_t)MEM_ALIGN, &s->base.sizes.workspace);
}

static float *take(char **at, size_t floats) {
  float *out = (float *)(void *)*at;
  *at += mem_round(floats * sizeof(float));
  return out;
}

static plain_scratch scratch_of(const ref_stage *s, const stage_io *io) {
  char *at = io->workspace;
  plain_scratch out;
  out.x = take(&at, io->n * s->x);
  out.dx = take(&at, io->n * s->x);
  out.z = take(&at, io->n * s->z);
  out.y = take(&at, io->n * s->y);
  out.dy = take(&at, io->n * s->y);
  return out;
}

static op_norm_dims norm_dims(const ref_stage *s, const stage_io *io) {
  return (op_norm_dims){.rows = io->n * s->z / (size_t)s->base.spec.K, .C = s->base.spec.K};
}

static op_lrn_dims lrn_dims(const ref_stage *s, const stage_io *io) {
  op_lrn_dims d = s->base.spec.lrn;
  d.rows = io->n * s->z / (size_t)s->base.spec.K;
  return d;
}

static op_average_dims average_dims(const ref_stage *s, const stage_io *io) {
  const stage_spec *d = &s->base.spec;
  return (op_average_dims){.N = io->n, .C = d->C, .H = d->H, .W = d->W, .P = d->P, .Q = d->Q};
}

/* The operation itself, without ReLU and pool. */
static void operate(const ref_stage *s, const stage_io *io, const float *x, float *z) {
  const op_norm_dims norm = norm_dims(s, io);
  const op_lrn_dims lrn = lrn_dims(s, io);
  const op_average_dims average = average_dims(s, io);
  if (s->base.spec.kind == STAGE_LRN) {
    op_lrn_forward_f32(&lrn, x, z);
  } else if (s->base.spec.kind == STAGE_AVERAGE) {
    op_average_forward_f32(&average, x, z);
  } else {
    if (io->batch_statistics) op_norm_statistics_f32(&norm, x, io->mean, io->variance);
    op_norm_forward_f32(&norm, x, io->mean, io->variance, s->base.spec.eps, io->w, io->b, z);
  }
}

static bool forward(stage *base, const stage_io *io) {
  const ref_stage *s = (const ref_stage *)base;
  const stage_spec *d = &base->spec;
  const plain_scratch t = scratch_of(s, io);
  const float *x = ref_load(d->x_type, io->x, 0, io->n * s->x, t.x);
  float *y = ref_target(d->y_type, io->y, 0, t.y), *z = d->pool_size ? t.z : y;
  operate(s, io, x, z);
  if (d->relu) op_relu_forward_f32(io->n * s->z, z, z);
  if (d->pool_size) {
    const op_pool_dims pool = ref_pool_dims(d, io->n);
    op_maxpool_forward_f32(&pool, z, y, io->aux);
  }
  ref_store(d->y_type, io->y, 0, io->n * s->y, y);
  return true;
}

static bool backward(stage *base, const stage_io *io) {
  const ref_stage *s = (const ref_stage *)base;
  const stage_spec *d = &base->spec;
  const plain_scratch t = scratch_of(s, io);
  const float *x = ref_load(d->x_type, io->x, 0, io->n * s->x, t.x);
  const float *dz = ref_load(d->y_type, io->dy, 0, io->n * s->y, t.dy);
  if (d->relu) {
    op_relu_backward_f32(io->n * s->y, ref_load(d->y_type, io->y, 0, io->n * s->y, t.y), dz, t.dy);
    dz = t.dy;
  }
  if (d->pool_size) {
    const op_pool_dims pool = ref_pool_dims(d, io->n);
    op_maxpool_backward_f32(&pool, io->aux, dz, t.z);
    dz = t.z;
  }
  const op_norm_dims norm = norm_dims(s, io);
  const op_lrn_dims lrn = lrn_dims(s, io);
  const op_average_dims average = average_dims(s, io);
  float *dx = io->dx ? ref_target(d->x_type, io->dx, 0, t.dx) : NULL;
  if (d->kind == STAGE_NORM)
    op_norm_backward_f32(&norm, x, dz, io->mean, io->variance, d->eps, io->w, dx, io->dw, io->db);
  else if (d->kind == STAGE_LRN && dx)
    op_lrn_backward_f32(&lrn, x, dz, dx);
  else if (dx)
    op_average_backward_f32(&average, dz, dx);
  if (dx) ref_store(d->x_type, io->dx, 0, io->n * s->x, dx);
  return true;
}

const stage_ops ref_plain_ops = {
    .repack = ref_repack, .forward = forward, .backward = backward, .destroy = ref_destroy};
