/* SPDX-License-Identifier: Apache-2.0
 *
 * 3x3 convolutions by Winograd, with a quarter of the multiplications.
 *
 * Products and sums are fp32 whatever the type of the edges: bf16 edges save memory, not accuracy.
 *
 *   pack       U of forward | U of backward-data | bias, padded to `wide`
 *   workspace  the plane in front of a pool that is not 2x2, stride 2 | scratch of the direction
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/native/native.h"
#include "backend/native/winograd_stage.h"
#include "base/error.h"
#include "base/memory.h"

static bool full_plane(const stage_spec *d) {
  return d->pool_size && (d->pool_size != 2 || d->pool_stride != 2);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static size_t scratch_floats(const wg_stage *s) {
  const stage_spec *d = &s->base.spec;
  size_t floats = wg_convolve_floats(s, d->C);
  if (s->base.env.training) {
    if (d->need_dx) floats = wg_most(floats, wg_convolve_floats(s, d->K));
    floats = wg_most(floats, wg_reduce_floats(s, d->C, d->K));
  }
  return floats;
}

/* One byte for a value of a plane's pool, four 16-bit masks for 16 channels of a 2x2 pool. */
static size_t aux_bytes(const wg_stage *s) {
  const stage_spec *d = &s->base.spec;
  const size_t cells = (size_t)d->OP * (size_t)d->OQ;
  if (!s->base.env.training || !d->pool_size) return 0;
  if (s->full_plane) return cells * (size_t)d->K;
  return cells * (size_t)(wg_round(d->K, WG_LANES) / WG_LANES) * 4 * sizeof(uint16_t);
}

static void measure(wg_stage *s) {
  const stage_spec *d = &s->base.spec;
  s->u_forward = wg_u_floats(s, d->C, d->K);
  s->u_data = s->base.env.training && d->need_dx ? wg_u_floats(s, d->K, d->C) : 0;
  s->plane_bytes = !s->full_plane ? 0
                                  : mem_round((size_t)s->base.env.max_n * (size_t)d->P *
                                              (size_t)d->Q * (size_t)d->K * edge_size(d->y_type));
  const size_t bias = (size_t)wg_round(d->K, s->kernels->wide);
  s->base.sizes.pack = (s->u_forward + s->u_data + bias) * sizeof(float);
  s->base.sizes.workspace = s->plane_bytes + scratch_floats(s) * sizeof(float);
  s->base.sizes.aux_per_image = aux_bytes(s);
}

/* ---- running --------------------------------------------------------------------------------- */

static bool repack(stage *base, const float *w, const float *b, void *pack, void *workspace) {
  (void)workspace;
  const wg_stage *s = (const wg_stage *)base;
  const stage_spec *d = &base->spec;
  float *u = pack, *bias = u + s->u_forward + s->u_data;
  wg_filters(s->kernels->wide, d->C, d->K, w, false, base->env.threads, u);
  if (s->u_data)
    wg_filters(s->kernels->wide, d->C, d->K, w, true, base->env.threads, u + s->u_forward);
  memset(bias, 0, (size_t)wg_round(d->K, s->kernels->wide) * sizeof *bias);
  memcpy(bias, b, (size_t)d->K * sizeof *bias);
  return true;
}

static bool streams(const wg_stage *s, int n, const wg_target *y) {
  const int shrink = y->pool ? 2 : 1;
  const size_t pixels = (size_t)n * (size_t)(s->grid.H / shrink) * (size_t)(s->grid.W / shrink);
  return native_streams(y->bf16 ? EDGE_BF16 : EDGE_F32, y->values, y->C,
                        pixels * (size_t)y->C * sizeof(float));
}

static float *scratch_of(const wg_stage *s, const stage_io *io) {
  return (float *)((char *)io->workspace + s->plane_bytes);
}

static bool forward(stage *base, const stage_io *io) {
  const wg_stage *s = (const wg_stage *)base;
  const stage_spec *d = &base->spec;
  const float *u = io->pack;
  const bool pool = d->pool_size && !s->full_plane;
  const wg_source x = {.values = io->x, .bf16 = d->x_type == EDGE_BF16, .C = d->C};
  wg_target y = {.values = s->full_plane ? io->workspace : io->y,
                 .masks = pool ? io->aux : NULL,
                 .bias = u + s->u_forward + s->u_data,
                 .bf16 = d->y_type == EDGE_BF16,
                 .relu = d->relu,
                 .pool = pool,
                 .C = d->K};
  y.stream = streams(s, io->n, &y);
  wg_convolve(s, io->n, &x, &y, u, scratch_of(s, io));
  const pass_pool window = pass_pool_of(d);
  if (s->full_plane)
    pass_pool_forward(s->pass, d->y_type, &window, io->n, io->workspace, io->y, io->aux,
                      base->env.threads);
  return true;
}

/* dy becomes the gradient of the convolution's own output, or is left for the transforms to do so
 * on the way. */
static wg_source gradient_of_output(const wg_stage *s, const stage_io *io) {
  const stage_spec *d = &s->base.spec;
  const int threads = s->base.env.threads;
  wg_source dz = {.values = io->dy, .bf16 = d->y_type == EDGE_BF16, .C = d->K};
  if (s->full_plane) {
    const pass_pool window = pass_pool_of(d);
    dz.values = io->workspace;
    pass_pool_backward(s->pass, d->y_type, &window, io->n, io->aux, io->dy, io->workspace, threads);
  } else if (d->pool_size) {
    dz.masks = io->aux;
  } else if (d->relu && !io->dy_masked) {
    pass_relu_backward(s->pass, d->y_type, (size_t)io->n * d->P * d->Q * d->K, io->y, 1, io->dy,
                       threads);
  }
  return dz;
}

static bool backward(stage *base, const stage_io *io) {
  const wg_stage *s = (const wg_stage *)base;
  const stage_spec *d = &base->spec;
  const wg_source x = {.values = io->x, .bf16 = d->x_type == EDGE_BF16, .C = d->C};
  const wg_source dz = gradient_of_output(s, io);
  if (io->dw) wg_reduce(s, io->n, &x, &dz, scratch_of(s, io), io->dw, io->db);
  if (io->dx) {
    wg_target dx = {.values = io->dx,
                    .positive = io->mask_dx ? io->x : NULL,
                    .bf16 = d->x_type == EDGE_BF16,
                    .C = d->C};
    dx.stream = streams(s, io->n, &dx);
    wg_convolve(s, io->n, &dz, &dx, (const float *)io->pack + s->u_forward, scratch_of(s, io));
  }
  return true;
}

static void destroy(stage *base) { free(base); }

static const stage_ops ops = {
    .repack = repack, .forward = forward, .backward = backward, .destroy = destroy};

/* ---- preparing ------------------------------------------------------------------------------- */

static const char *reason_to_decline(const stage_spec *d, const stage_env *env) {
  if (!wg_kernels_for(env->isa)) return "needs AVX2 and FMA";
  if (d->kind != STAGE_CONV) return "runs convolutions only";
  if (env->no_winograd) return "--winograd off";
  if (d->R != 3 || d->S != 3 || d->stride != 1 || d->pad != 1)
    return "runs 3x3, stride 1, pad 1 only";
  if (full_plane(d) && !d->relu) return "pools other than 2x2, stride 2, after a ReLU only";
  if (d->dropout) return "has no dropout";
  if (d->pool_size > PASS_MAX_WINDOW) return "pools windows up to 15x15 only";
  return NULL;
}

vgg_status winograd_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                            size_t size, vgg_error *err) {
  *out = NULL;
  const char *reason = reason_to_decline(spec, env);
  if (reason) {
    snprintf(why, size, "%s", reason);
    return VGG_OK;
  }
  wg_stage *s = calloc(1, sizeof *s);
  if (!s) return err_no_memory(err, "winograd stage", sizeof *s);
  s->base = (stage){.ops = &ops,
                    .backend = NATIVE_NAME,
                    .spec = *spec,
                    .env = *env,
                    .masks_dx = true,
                    .error_factor = wg_kernels_for(env->isa)->error};
  s->kernels = wg_kernels_for(env->isa);
  s->pass = pass_kernels_for(env->isa);
  s->grid = (wg_grid){spec->H, spec->W, (spec->H + 3) / 4, (spec->W + 3) / 4};
  s->full_plane = full_plane(spec);
  measure(s);
  snprintf(s->base.detail, sizeof s->base.detail, "%s, blocks of %d tiles", s->kernels->name,
           wg_block_tiles(spec->C));
  *out = &s->base;
  return VGG_OK;
}
