/* SPDX-License-Identifier: Apache-2.0
 *
 * 3x3 convolutions by Winograd, with a quarter of the multiplications.
 *
 * Products and sums are fp32 whatever the type of the edges: bf16 edges save memory, not accuracy.
 *
 *   pack       U of forward | U of backward-data | bias, padded to 32
 *   workspace  for every thread V and M, or V and D | S of every group | bias sums of every group
 *
 * Forward and backward-data give every thread its own range of panels: tiles do not depend on each
 * other. Backward-weights sums over tiles in a number of groups that depends on the shape alone,
 * each group in order, and then adds the groups in order: the result does not depend on threads.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/native/native.h"
#include "backend/native/winograd.h"
#include "backend/pass/pass.h"
#include "base/error.h"
#include "base/memory.h"

typedef struct winograd_stage {
  stage base;
  const wg_kernels *kernels;
  const pass_kernels *pass;
  wg_grid grid;
  int forward_panels, data_panels, weight_panels; /* in a block, per direction */
  int groups;
  size_t u_forward, u_data, s_group; /* floats */
  size_t scratch;                    /* floats for one thread */
} winograd_stage;

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Groups of output channels that a product takes at a time. */
static int strips_of(const winograd_stage *s, int K) {
  return wg_round(K, s->kernels->wide) / s->kernels->wide;
}

static size_t tile_plane(const winograd_stage *s, int panels, int channels) {
  return wg_plane((size_t)(panels * s->kernels->panel) * (size_t)channels);
}

static size_t v_plane(const winograd_stage *s, int panels, int C) {
  return tile_plane(s, panels, wg_round(C, WG_LANES));
}
static size_t d_plane(const winograd_stage *s, int panels, int K) {
  return tile_plane(s, panels, wg_round(K, s->kernels->wide));
}
static size_t m_plane(const winograd_stage *s, int panels) {
  return tile_plane(s, panels, s->kernels->wide);
}

static size_t u_floats(const winograd_stage *s, int C, int K) {
  return (size_t)WG_POINTS * (size_t)wg_round(C, WG_LANES) * (size_t)wg_round(K, s->kernels->wide);
}

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Tiles in a block: enough that U, read once a block, costs little; few enough that V and M stay
 * near. */
static int product_tiles(int C) { return C <= 64 ? 28 : C <= 128 ? 42 : 56; }
static int gradient_tiles(int C, int K) { return C <= 64 && K <= 64 ? 28 : 56; }

static int panels_of(const winograd_stage *s, int tiles) {
  return wg_round(tiles, s->kernels->panel) / s->kernels->panel;
}

/* As many partial sums as 32 MB hold, two at least, eight at most. */
static int count_groups(size_t floats) {
  enum { BOUND = 32 << 20 };
  const size_t fit = BOUND / (floats * sizeof(float));
  return fit < 2 ? 2 : fit > 8 ? 8 : (int)fit;
}

static void measure(winograd_stage *s) {
  const stage_spec *d = &s->base.spec;
  const bool training = s->base.env.training;
  s->forward_panels = panels_of(s, product_tiles(d->C));
  s->data_panels = panels_of(s, product_tiles(d->K));
  s->weight_panels = panels_of(s, gradient_tiles(d->C, d->K));
  s->u_forward = u_floats(s, d->C, d->K);
  s->u_data = training && d->need_dx ? u_floats(s, d->K, d->C) : 0;
  s->s_group = u_floats(s, d->C, d->K);
  s->groups = training ? count_groups(s->s_group) : 0;
  s->scratch = WG_POINTS * (v_plane(s, s->forward_panels, d->C) + m_plane(s, s->forward_panels));
  if (training) {
    s->scratch = max_size(
        s->scratch, WG_POINTS * (v_plane(s, s->data_panels, d->K) + m_plane(s, s->data_panels)));
    s->scratch = max_size(s->scratch, WG_POINTS * (v_plane(s, s->weight_panels, d->C) +
                                                   d_plane(s, s->weight_panels, d->K)));
  }
  const size_t bias = (size_t)wg_round(d->K, s->kernels->wide);
  s->base.sizes.pack = (s->u_forward + s->u_data + bias) * sizeof(float);
  s->base.sizes.workspace =
      ((size_t)s->base.env.threads * s->scratch + (size_t)s->groups * (s->s_group + bias)) *
      sizeof(float);
  if (training && d->pool_size)
    s->base.sizes.aux_per_image = (size_t)d->OP * (size_t)d->OQ *
                                  (size_t)(wg_round(d->K, WG_LANES) / WG_LANES) * 4 *
                                  sizeof(uint16_t);
}

/* ---- running --------------------------------------------------------------------------------- */

static bool repack(stage *base, const float *w, const float *b, void *pack, void *workspace) {
  (void)workspace;
  winograd_stage *s = (winograd_stage *)base;
  const stage_spec *d = &base->spec;
  float *u = pack, *bias = u + s->u_forward + s->u_data;
  wg_filters(s->kernels->wide, d->C, d->K, w, false, base->env.threads, u);
  if (s->u_data)
    wg_filters(s->kernels->wide, d->C, d->K, w, true, base->env.threads, u + s->u_forward);
  memset(bias, 0, (size_t)wg_round(d->K, s->kernels->wide) * sizeof *bias);
  memcpy(bias, b, (size_t)d->K * sizeof *bias);
  return true;
}

/* What the next block will read, fetched into the second-level cache while this one multiplies. */
typedef struct ahead {
  const char *at, *stop;
  size_t step; /* bytes a call */
} ahead;

/* The bytes of source rows that tiles first .. first + count - 1 read and the block before did not:
 * all images' rows are one after the other. `calls`: how often fetch will be called. */
static ahead look_ahead(const wg_grid *g, const wg_source *s, size_t first, size_t count,
                        size_t calls) {
  enum { LINE = 64 };
  const size_t H = (size_t)(s->masks ? g->H / 2 : g->H), W = (size_t)(s->masks ? g->W / 2 : g->W);
  const size_t TY = (size_t)g->TY, TX = (size_t)g->TX, tile = s->masks ? 2 : 4;
  const size_t begin = first / TX, end = (first + count + TX - 1) / TX; /* tile rows */
  const size_t row = W * (size_t)s->C * (s->bf16 ? 2 : 4);
  const size_t top = begin / TY * H + begin % TY * tile + 1;
  size_t bottom = end / TY * H + end % TY * tile + 1;
  if (bottom < top) bottom = top;
  const size_t lines = ((bottom - top) * row / calls + LINE - 1) / LINE;
  const char *values = s->values;
  return (ahead){values + top * row, values + bottom * row, lines * LINE};
}

static void fetch(ahead *a) {
  const char *stop = a->at + a->step < a->stop ? a->at + a->step : a->stop;
  for (; a->at < stop; a->at += 64) __builtin_prefetch(a->at, 0, 2);
}

/* One block of tiles: transform, 36 products a strip of output channels, transform back. */
static void convolve_block(const winograd_stage *s, const wg_source *x, const wg_target *y,
                           const float *U, size_t first, int count, int max_panels, ahead next,
                           float *scratch) {
  const wg_kernels *k = s->kernels;
  const int c16 = wg_round(x->C, WG_LANES) / WG_LANES, panels = panels_of(s, count);
  const size_t vp = v_plane(s, max_panels, x->C), mp = m_plane(s, max_panels);
  const size_t u_step = (size_t)(c16 * WG_LANES * k->wide);
  float *V = scratch, *M = scratch + WG_POINTS * vp;
  k->input(&s->grid, x, first, count, V, vp);
  for (int strip = 0; strip < strips_of(s, y->C); strip++) {
    const int left = y->C - strip * k->wide, outs = left < k->wide ? left : k->wide;
    const wg_product product = k->product[(outs - 1) / WG_LANES];
    for (int p = 0; p < WG_POINTS; p++, U += u_step) {
      fetch(&next);
      product(panels, c16, V + p * vp, U, M + p * mp);
    }
    k->output(&s->grid, y, first, count, strip, M, mp);
  }
}

/* An output that the caches cannot keep until its reader comes goes past them: its lines need not
 * be read before they are written. */
static bool streams(const winograd_stage *s, int n, const wg_target *y) {
  enum { KEPT = 24 << 20 };
  const int shrink = y->pool ? 2 : 1;
  const size_t pixels = (size_t)n * (size_t)(s->grid.H / shrink) * (size_t)(s->grid.W / shrink);
  return y->C % WG_LANES == 0 && (uintptr_t)y->values % MEM_ALIGN == 0 &&
         pixels * (size_t)y->C * (y->bf16 ? 2 : 4) > KEPT;
}

static void convolve(const winograd_stage *s, int n, const wg_source *x, const wg_target *y,
                     const float *U, int max_panels, float *workspace) {
  const int threads = s->base.env.threads;
  const size_t tiles = (size_t)n * (size_t)s->grid.TY * (size_t)s->grid.TX;
  const size_t panel = (size_t)s->kernels->panel, panels = (tiles + panel - 1) / panel;
#pragma omp parallel num_threads(threads)
  {
    const size_t thread = (size_t)omp_get_thread_num(), all = (size_t)omp_get_num_threads();
    const size_t end = panels * (thread + 1) / all * panel;
    const size_t stop = end < tiles ? end : tiles, block = (size_t)max_panels * panel;
    const size_t calls = (size_t)(WG_POINTS * strips_of(s, y->C));
    for (size_t t = panels * thread / all * panel, count; t < stop; t += count) {
      count = least(stop - t, block);
      const size_t next = t + count;
      convolve_block(s, x, y, U, t, (int)count, max_panels,
                     look_ahead(&s->grid, x, next, least(stop - next, block), calls),
                     workspace + thread * s->scratch);
    }
  }
}

static bool forward(stage *base, const stage_io *io) {
  winograd_stage *s = (winograd_stage *)base;
  const stage_spec *d = &base->spec;
  const float *u = io->pack;
  const wg_source x = {.values = io->x, .bf16 = d->x_type == EDGE_BF16, .C = d->C};
  wg_target y = {.values = io->y,
                 .masks = d->pool_size ? io->aux : NULL,
                 .bias = u + s->u_forward + s->u_data,
                 .bf16 = d->y_type == EDGE_BF16,
                 .relu = d->relu,
                 .pool = d->pool_size != 0,
                 .C = d->K};
  y.stream = streams(s, io->n, &y);
  convolve(s, io->n, &x, &y, u, s->forward_panels, io->workspace);
  return true;
}

/* The sums of one group: its range of panels, block by block. */
static void reduce_group(const winograd_stage *s, const wg_source *x, const wg_source *dz,
                         size_t first, size_t stop, float *scratch, float *S, float *sums) {
  const wg_kernels *k = s->kernels;
  const int c16 = wg_round(x->C, WG_LANES) / WG_LANES, strips = strips_of(s, dz->C);
  const size_t vp = v_plane(s, s->weight_panels, x->C), dp = d_plane(s, s->weight_panels, dz->C);
  const size_t block = (size_t)(s->weight_panels * k->panel);
  const size_t d_strip = (size_t)(k->panel * k->wide), s_step = (size_t)(c16 * WG_LANES * k->wide);
  const size_t calls = (size_t)(WG_POINTS * strips);
  float *V = scratch, *D = scratch + WG_POINTS * vp;
  memset(S, 0, s->s_group * sizeof *S);
  memset(sums, 0, (size_t)(strips * k->wide) * sizeof *sums);
  for (size_t t = first, count; t < stop; t += count) {
    count = least(stop - t, block);
    const size_t next = t + count, following = least(stop - next, block);
    ahead next_x = look_ahead(&s->grid, x, next, following, calls);
    ahead next_dz = look_ahead(&s->grid, dz, next, following, calls);
    const int panels = panels_of(s, (int)count);
    k->input(&s->grid, x, t, (int)count, V, vp);
    k->gradient(&s->grid, dz, t, (int)count, D, dp, sums);
    for (int strip = 0; strip < strips; strip++)
      for (int p = 0; p < WG_POINTS; p++) {
        fetch(&next_x);
        fetch(&next_dz);
        k->accumulate(panels, c16, V + p * vp, D + p * dp + (size_t)strip * d_strip,
                      (size_t)strips * d_strip, S + (size_t)(strip * WG_POINTS + p) * s_step);
      }
  }
}

static void backward_weights(const winograd_stage *s, const stage_io *io, const wg_source *x,
                             const wg_source *dz) {
  const stage_spec *d = &s->base.spec;
  const int threads = s->base.env.threads;
  const size_t tiles = (size_t)io->n * (size_t)s->grid.TY * (size_t)s->grid.TX;
  const size_t panel = (size_t)s->kernels->panel, panels = (tiles + panel - 1) / panel;
  const size_t groups = (size_t)s->groups;
  const size_t padded = (size_t)wg_round(d->K, s->kernels->wide);
  float *scratch = io->workspace;
  float *S = scratch + (size_t)threads * s->scratch, *sums = S + groups * s->s_group;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (size_t g = 0; g < groups; g++) {
    const size_t end = panels * (g + 1) / groups * panel;
    reduce_group(s, x, dz, panels * g / groups * panel, end < tiles ? end : tiles,
                 scratch + (size_t)omp_get_thread_num() * s->scratch, S + g * s->s_group,
                 sums + g * padded);
  }
  wg_filter_gradient(s->kernels->wide, d->C, d->K, s->groups, S, threads, io->dw);
  for (int k = 0; k < d->K; k++) {
    io->db[k] = sums[k];
    for (size_t g = 1; g < groups; g++) io->db[k] += sums[g * padded + (size_t)k];
  }
}

static bool backward(stage *base, const stage_io *io) {
  winograd_stage *s = (winograd_stage *)base;
  const stage_spec *d = &base->spec;
  if (d->relu && !d->pool_size)
    pass_relu_backward(s->pass, d->y_type, (size_t)io->n * d->OP * d->OQ * d->K, io->y, 1, io->dy,
                       base->env.threads);
  const wg_source x = {.values = io->x, .bf16 = d->x_type == EDGE_BF16, .C = d->C};
  const wg_source dz = {.values = io->dy,
                        .masks = d->pool_size ? io->aux : NULL,
                        .bf16 = d->y_type == EDGE_BF16,
                        .C = d->K};
  if (io->dw) backward_weights(s, io, &x, &dz);
  if (io->dx) {
    wg_target dx = {.values = io->dx, .bf16 = d->x_type == EDGE_BF16, .C = d->C};
    dx.stream = streams(s, io->n, &dx);
    convolve(s, io->n, &dz, &dx, (const float *)io->pack + s->u_forward, s->data_panels,
             io->workspace);
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
  if (d->C < WG_LANES) return "fewer than 16 input channels";
  if (d->pool_size && (d->pool_size != 2 || d->pool_stride != 2 || !d->relu))
    return "pools 2x2, stride 2, after a ReLU only";
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
  winograd_stage *s = calloc(1, sizeof *s);
  if (!s) return err_no_memory(err, "winograd stage", sizeof *s);
  s->base = (stage){.ops = &ops,
                    .backend = NATIVE_NAME,
                    .spec = *spec,
                    .env = *env,
                    .error_factor = wg_kernels_for(env->isa)->error};
  s->kernels = wg_kernels_for(env->isa);
  s->pass = pass_kernels_for(env->isa);
  s->grid = (wg_grid){spec->H, spec->W, (spec->H + 3) / 4, (spec->W + 3) / 4};
  measure(s);
  snprintf(s->base.detail, sizeof s->base.detail, "%s, blocks of %d tiles", s->kernels->name,
           s->forward_panels * s->kernels->panel);
  *out = &s->base;
  return VGG_OK;
}
