/* SPDX-License-Identifier: Apache-2.0
 *
 * Averages over windows that cover the picture, an image a thread. Sums are in float whatever the
 * edges are.
 *
 *   scratch  one pixel's sum or share [C] | the image's gradient [H,W,C]
 */
#include <string.h>

#include "backend/pass/stage.h"
#include "base/memory.h"

static size_t channel_bytes(const pass_stage *s) {
  return mem_round((size_t)s->base.spec.C * sizeof(float));
}

bool pass_average_plan(pass_stage *s) {
  const stage_spec *d = &s->base.spec;
  size_t image = 0;
  if (s->base.env.training && (!mem_mul((size_t)d->H * (size_t)d->W, (size_t)d->C, &image) ||
                               !mem_mul(image, sizeof(float), &image)))
    return false;
  return mem_add(channel_bytes(s), mem_round(image), &s->scratch);
}

typedef struct window {
  int h0, h1, w0, w1;
  float share; /* 1 / its pixels */
} window;

static window window_at(const stage_spec *d, int p, int q) {
  window w;
  op_average_window(p, d->H, d->P, &w.h0, &w.h1);
  op_average_window(q, d->W, d->Q, &w.w0, &w.w1);
  w.share = 1.0f / (float)((w.h1 - w.h0) * (w.w1 - w.w0));
  return w;
}

static void store(const pass_stage *s, edge_type type, size_t count, const float *x, void *y) {
  if (type == EDGE_BF16)
    s->kernels->to_bf16(count, x, y);
  else
    memcpy(y, x, count * sizeof *x);
}

static void forward_pixel(const pass_stage *s, const stage_io *io, int i, int p, int q) {
  const stage_spec *d = &s->base.spec;
  const window w = window_at(d, p, q);
  const size_t pixel = (size_t)d->C;
  float *sum = pass_scratch(s, io);
  memset(sum, 0, pixel * sizeof *sum);
  for (int h = w.h0; h < w.h1; h++)
    for (int v = w.w0; v < w.w1; v++) {
      const size_t at = (((size_t)i * d->H + h) * d->W + v) * pixel;
      s->kernels->accumulate[d->x_type](pixel, (const char *)io->x + at * edge_size(d->x_type),
                                        sum);
    }
  for (size_t c = 0; c < pixel; c++) sum[c] *= w.share;
  const size_t to = (((size_t)i * d->P + p) * d->Q + q) * pixel;
  store(s, d->y_type, pixel, sum, (char *)io->y + to * edge_size(d->y_type));
}

static bool forward(stage *base, const stage_io *io) {
  const pass_stage *s = (const pass_stage *)base;
  const stage_spec *d = &base->spec;
#pragma omp parallel for collapse(3) schedule(static) num_threads(base->env.threads)
  for (int i = 0; i < io->n; i++)
    for (int p = 0; p < d->P; p++)
      for (int q = 0; q < d->Q; q++) forward_pixel(s, io, i, p, q);
  return true;
}

static void backward_image(const pass_stage *s, const stage_io *io, int i) {
  const stage_spec *d = &s->base.spec;
  const size_t pixel = (size_t)d->C, image = (size_t)d->H * d->W * pixel;
  float *share = pass_scratch(s, io), *dx = share + channel_bytes(s) / sizeof(float);
  memset(dx, 0, image * sizeof *dx);
  for (int p = 0; p < d->P; p++)
    for (int q = 0; q < d->Q; q++) {
      const window w = window_at(d, p, q);
      const size_t from = (((size_t)i * d->P + p) * d->Q + q) * pixel;
      memset(share, 0, pixel * sizeof *share);
      s->kernels->accumulate[d->y_type](pixel, (const char *)io->dy + from * edge_size(d->y_type),
                                        share);
      for (size_t c = 0; c < pixel; c++) share[c] *= w.share;
      for (int h = w.h0; h < w.h1; h++)
        for (int v = w.w0; v < w.w1; v++)
          s->kernels->add(pixel, share, dx + ((size_t)h * d->W + v) * pixel);
    }
  store(s, d->x_type, image, dx, (char *)io->dx + i * image * edge_size(d->x_type));
}

static bool backward(stage *base, const stage_io *io) {
  const pass_stage *s = (const pass_stage *)base;
  if (!io->dx) return true;
#pragma omp parallel for schedule(static) num_threads(base->env.threads)
  for (int i = 0; i < io->n; i++) backward_image(s, io, i);
  return true;
}

const stage_ops pass_average_ops = {
    .repack = pass_repack, .forward = forward, .backward = backward, .destroy = pass_destroy};
