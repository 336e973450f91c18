/* SPDX-License-Identifier: Apache-2.0
 *
 * LRN [+ max-pool], each pixel by itself. Its x is a ReLU's output, so the pool's rule that no
 * gradient flows to a 0 holds here too. */
#include "backend/pass/stage.h"
#include "base/memory.h"

bool pass_lrn_plan(pass_stage *s) {
  s->scratch = pass_row_bytes(s, s->pool.size);
  return true;
}

static pass_lrn dims(const pass_stage *s) {
  const op_lrn_dims *d = &s->base.spec.lrn;
  return (pass_lrn){.size = d->size, .alpha = (float)d->alpha, .k = (float)d->k};
}

static void transform(const pass_stage *s, const stage_io *io, int pixels, const void *x, void *y) {
  (void)io;
  const pass_lrn d = dims(s);
  s->kernels->lrn[s->base.spec.x_type](&d, pixels, s->base.spec.K, x, y);
}

static bool forward(stage *base, const stage_io *io) {
  pass_forward_rows((const pass_stage *)base, io, transform);
  return true;
}

static bool backward(stage *base, const stage_io *io) {
  const pass_stage *s = (const pass_stage *)base;
  const stage_spec *d = &base->spec;
  const size_t row = (size_t)d->Q * d->K * edge_size(d->x_type);
  const pass_lrn lrn = dims(s);
  if (!io->dx) return true;
#pragma omp parallel for schedule(static) num_threads(base->env.threads)
  for (int r = 0; r < io->n * d->P; r++) {
    const void *dz = pass_gradient_row(s, io, r / d->P, r % d->P, pass_scratch(s, io));
    s->kernels->lrn_gradient[d->x_type](&lrn, d->Q, d->K, (const char *)io->x + r * row, dz,
                                        (char *)io->dx + r * row);
  }
  return true;
}

const stage_ops pass_lrn_ops = {
    .repack = pass_repack, .forward = forward, .backward = backward, .destroy = pass_destroy};
