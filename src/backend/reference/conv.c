/* SPDX-License-Identifier: Apache-2.0
 *
 * A convolution stage. The images go in blocks of as many as there are threads; each image of a
 * block has its own scratch, in floats:
 *
 *   x [H,W,C]   z, dz [P,Q,K]   y [OP,OQ,K]   dy [OP,OQ,K]   dw [K,R,S,C]   db [K]
 *
 * (x, y, dy only serve bf16 edges and dy the mask as well; inference has x, z, y alone.) */
#include <stdio.h>
#include <string.h>

#include "backend/reference/reference.h"
#include "base/memory.h"

typedef struct conv_scratch {
  float *x, *z, *y, *dy, *dw, *db;
} conv_scratch;

/* The scratch of one image of a block, cut from `base`; returns its floats. With base NULL only
 * the size counts. */
static size_t cut(const ref_stage *s, float *base, conv_scratch *out) {
  const size_t counts[6] = {s->x, s->z, s->y, s->y, s->w, (size_t)s->base.spec.K};
  float **const fields[6] = {&out->x, &out->z, &out->y, &out->dy, &out->dw, &out->db};
  size_t floats = 0;
  for (int i = 0; i < (s->base.env.training ? 6 : 3); i++) {
    *fields[i] = base ? base + floats : NULL;
    floats += mem_round(counts[i] * sizeof(float)) / sizeof(float);
  }
  return floats;
}

static conv_scratch scratch_of(const ref_stage *s, void *workspace, int slot) {
  conv_scratch out = {0};
  const size_t floats = cut(s, NULL, &out);
  cut(s, (float *)workspace + slot * floats, &out);
  return out;
}

static int block_size(const ref_stage *s) {
  return s->base.env.threads < s->base.env.max_n ? s->base.env.threads : s->base.env.max_n;
}

bool ref_conv_plan(ref_stage *s) {
  /* Far below SIZE_MAX each, so that their roundings and sum cannot wrap. */
  const size_t limit = SIZE_MAX / 64;
  if (s->x > limit || s->z > limit || s->y > limit || s->w > limit) return false;
  conv_scratch unused = {0};
  stage_sizes *sizes = &s->base.sizes;
  if (s->base.spec.pool_size) sizes->aux_per_image = s->y;
  snprintf(s->base.detail, sizeof s->base.detail, "plain loops in fp32");
  return mem_mul(cut(s, NULL, &unused), sizeof(float) * (size_t)block_size(s), &sizes->workspace);
}

static op_conv_dims conv_dims(const stage_spec *d) {
  return (op_conv_dims){.N = 1,
                        .C = d->C,
                        .H = d->H,
                        .W = d->W,
                        .K = d->K,
                        .R = d->R,
                        .S = d->S,
                        .stride = d->stride,
                        .pad = d->pad,
                        .P = d->P,
                        .Q = d->Q};
}

static uint8_t *aux_of(const ref_stage *s, const stage_io *io, int image) {
  return io->aux ? (uint8_t *)io->aux + (size_t)image * s->base.sizes.aux_per_image : NULL;
}

static void forward_image(const ref_stage *s, const stage_io *io, int i, conv_scratch t) {
  const stage_spec *d = &s->base.spec;
  const op_conv_dims conv = conv_dims(d);
  const float *x = ref_load(d->x_type, io->x, i * s->x, s->x, t.x);
  float *y = ref_target(d->y_type, io->y, i * s->y, t.y);
  float *z = d->pool_size ? t.z : y;
  op_conv_forward_f32(&conv, x, io->w, io->b, z);
  if (d->relu) op_relu_forward_f32(s->z, z, z);
  if (io->dropout) op_dropout_f32(s->y, io->dropout + i * s->y, d->dropout_scale, y, y);
  if (d->pool_size) {
    const op_pool_dims pool = ref_pool_dims(d, 1);
    op_maxpool_forward_f32(&pool, z, y, aux_of(s, io, i));
  }
  ref_store(d->y_type, io->y, i * s->y, s->y, y);
}

static bool forward(stage *base, const stage_io *io) {
  const ref_stage *s = (const ref_stage *)base;
  const int block = block_size(s);
  for (int first = 0; first < io->n; first += block) {
    const int count = io->n - first < block ? io->n - first : block;
#pragma omp parallel for num_threads(block) schedule(static)
    for (int j = 0; j < count; j++)
      forward_image(s, io, first + j, scratch_of(s, io->workspace, j));
  }
  return true;
}

/* The gradient of the convolution's output. The mask may come before the scatter: a maximum is
 * positive exactly where the stage's output is. */
static const float *output_gradient(const ref_stage *s, const stage_io *io, int i, conv_scratch t) {
  const stage_spec *d = &s->base.spec;
  const float *dy = ref_load(d->y_type, io->dy, i * s->y, s->y, t.dy);
  if (d->relu) {
    const float *y = ref_load(d->y_type, io->y, i * s->y, s->y, t.y);
    op_relu_backward_f32(s->y, y, dy, t.dy);
    dy = t.dy;
  }
  if (io->dropout) { /* its mask is ReLU's as well: see the linear stage */
    op_dropout_f32(s->y, io->dropout + i * s->y, d->dropout_scale, dy, t.dy);
    dy = t.dy;
  }
  if (!d->pool_size) return dy;
  const op_pool_dims pool = ref_pool_dims(d, 1);
  op_maxpool_backward_f32(&pool, aux_of(s, io, i), dy, t.z);
  return t.z;
}

/* Writes the image's dx and, to its scratch, its share of dw and db. */
static void backward_image(const ref_stage *s, const stage_io *io, int i, conv_scratch t) {
  const stage_spec *d = &s->base.spec;
  const op_conv_dims conv = conv_dims(d);
  const float *dz = output_gradient(s, io, i, t);
  const float *x = ref_load(d->x_type, io->x, i * s->x, s->x, t.x);
  if (io->dw) op_conv_backward_weights_f32(&conv, x, dz, t.dw, t.db);
  if (!io->dx) return;
  float *dx = ref_target(d->x_type, io->dx, i * s->x, t.x); /* x is done with */
  op_conv_backward_data_f32(&conv, dz, io->w, dx);
  ref_store(d->x_type, io->dx, i * s->x, s->x, dx);
}

static void add_share(const ref_stage *s, const stage_io *io, conv_scratch t) {
  for (size_t i = 0; i < s->w; i++) io->dw[i] += t.dw[i];
  for (int k = 0; k < s->base.spec.K; k++) io->db[k] += t.db[k];
}

static bool backward(stage *base, const stage_io *io) {
  const ref_stage *s = (const ref_stage *)base;
  const int block = block_size(s);
  if (io->dw) {
    memset(io->dw, 0, s->w * sizeof *io->dw);
    memset(io->db, 0, (size_t)s->base.spec.K * sizeof *io->db);
  }
  for (int first = 0; first < io->n; first += block) {
    const int count = io->n - first < block ? io->n - first : block;
#pragma omp parallel for num_threads(block) schedule(static)
    for (int j = 0; j < count; j++)
      backward_image(s, io, first + j, scratch_of(s, io->workspace, j));
    for (int j = 0; io->dw && j < count; j++) add_share(s, io, scratch_of(s, io->workspace, j));
  }
  return true;
}

const stage_ops ref_conv_ops = {
    .repack = ref_repack, .forward = forward, .backward = backward, .destroy = ref_destroy};
