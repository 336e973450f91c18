/* SPDX-License-Identifier: Apache-2.0
 *
 * A linear stage: the whole batch at once, since the weights dwarf the activations. Scratch, in
 * floats:  x [n,C]   y [n,K]   dy [n,K], the last for training only. */
#include <stdio.h>

#include "backend/reference/reference.h"
#include "base/memory.h"

typedef struct linear_scratch {
  float *x, *y, *dy;
} linear_scratch;

bool ref_linear_plan(ref_stage *s) {
  const size_t rows = (size_t)s->base.env.max_n;
  size_t floats;
  snprintf(s->base.detail, sizeof s->base.detail, "plain loops in fp32");
  return mem_add(s->x, 2 * s->y, &floats) && mem_mul(floats, rows * sizeof(float), &floats) &&
         mem_add(floats, 3 * (size_t)MEM_ALIGN, &s->base.sizes.workspace);
}

static linear_scratch scratch_of(const ref_stage *s, const stage_io *io) {
  char *at = io->workspace;
  linear_scratch out;
  out.x = (float *)(void *)at;
  at += mem_round(io->n * s->x * sizeof(float));
  out.y = (float *)(void *)at;
  at += mem_round(io->n * s->y * sizeof(float));
  out.dy = (float *)(void *)at;
  return out;
}

static op_linear_dims rows_of(const ref_stage *s, int n) {
  return (op_linear_dims){.N = n, .C = s->base.spec.C, .K = s->base.spec.K};
}

/* Rows [first, last) of thread t: as even as can be. Each thread takes several rows at once, so
 * that the weights are read once a thread and not once a row. */
static int share(int n, int threads, int t) { return (int)((int64_t)n * t / threads); }

static void forward_rows(const ref_stage *s, const stage_io *io, int first, int n) {
  const stage_spec *d = &s->base.spec;
  const linear_scratch t = scratch_of(s, io);
  const op_linear_dims rows = rows_of(s, n);
  const size_t x0 = first * s->x, y0 = first * s->y, count = n * s->y;
  const float *x = ref_load(d->x_type, io->x, x0, n * s->x, t.x + x0);
  float *y = ref_target(d->y_type, io->y, y0, t.y + y0);
  op_linear_forward_f32(&rows, x, io->w, io->b, y);
  if (d->relu) op_relu_forward_f32(count, y, y);
  if (io->dropout) op_dropout_f32(count, io->dropout + y0, d->dropout_scale, y, y);
  ref_store(d->y_type, io->y, y0, count, y);
}

static bool forward(stage *base, const stage_io *io) {
  const ref_stage *s = (const ref_stage *)base;
  const int threads = s->base.env.threads < io->n ? s->base.env.threads : io->n;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int t = 0; t < threads; t++) {
    const int first = share(io->n, threads, t);
    forward_rows(s, io, first, share(io->n, threads, t + 1) - first);
  }
  return true;
}

/* The gradient before dropout and ReLU of all rows, in t.dy. A kept unit is positive behind the
 * dropout exactly when it was in front of it, so the stage's output serves as ReLU's mask. */
static void output_gradient(const ref_stage *s, const stage_io *io, linear_scratch t) {
  const stage_spec *d = &s->base.spec;
  const size_t count = io->n * s->y;
  const float *dy = ref_load(d->y_type, io->dy, 0, count, t.dy);
  if (d->relu) {
    const float *y = ref_load(d->y_type, io->y, 0, count, t.y);
    op_relu_backward_f32(count, y, dy, t.dy);
  } else if (dy != t.dy) {
    for (size_t i = 0; i < count; i++) t.dy[i] = dy[i];
  }
  if (io->dropout) op_dropout_f32(count, io->dropout, d->dropout_scale, t.dy, t.dy);
}

static void backward_data_rows(const ref_stage *s, const stage_io *io, int first, int n) {
  const stage_spec *d = &s->base.spec;
  const linear_scratch t = scratch_of(s, io);
  const op_linear_dims rows = rows_of(s, n);
  const size_t x0 = first * s->x;
  float *dx = ref_target(d->x_type, io->dx, x0, t.x + x0);
  op_linear_backward_data_f32(&rows, t.dy + first * s->y, io->w, dx);
  ref_store(d->x_type, io->dx, x0, n * s->x, dx);
}

static bool backward(stage *base, const stage_io *io) {
  const ref_stage *s = (const ref_stage *)base;
  const stage_spec *d = &s->base.spec;
  const linear_scratch t = scratch_of(s, io);
  const op_linear_dims rows = rows_of(s, io->n);
  const int threads = s->base.env.threads < io->n ? s->base.env.threads : io->n;
  output_gradient(s, io, t);
  const float *x = ref_load(d->x_type, io->x, 0, io->n * s->x, t.x);
  if (io->dw) op_linear_backward_weights_f32(&rows, x, t.dy, io->dw, io->db);
  if (!io->dx) return true;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int i = 0; i < threads; i++) {
    const int first = share(io->n, threads, i);
    backward_data_rows(s, io, first, share(io->n, threads, i + 1) - first);
  }
  return true;
}

const stage_ops ref_linear_ops = {
    .repack = ref_repack, .forward = forward, .backward = backward, .destroy = ref_destroy};
