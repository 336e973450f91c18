/* SPDX-License-Identifier: Apache-2.0
 *
 * conv + bias [+ ReLU] [+ max-pool | + dropout]
 *
 *   forward, a chunk at a time        x --conv+bias+relu--> t --pool--> y, index
 *   backward, a chunk at a time       dy, index --unpool--> dt (without a pool: dy masked in place)
 *                                     x, dt --> dw, db added up;  dt, w --> dx
 *
 * Dropout, of a dense head, is a pass over y, and its scale goes with the mask of dy.
 *
 * t and dt live in the workspace. ReLU's mask costs no store: with a pool the index says where no
 * gradient flows, without one y itself does.
 *
 * oneDNN's ReLU is a vector maximum with 0, which turns NaN into 0: unlike op.h's, it lets none
 * through.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/onednn/onednn.h"
#include "base/error.h"
#include "base/memory.h"

/* A chunk's unpooled output or gradient: most of it should be found in the caches again. */
enum { CHUNK_BYTES = 4 << 20 };

typedef struct conv_step {
  od_prim forward, data, weights;
} conv_step;

typedef struct conv_stage {
  stage base;
  od_lib lib;
  od_sizes sizes;
  conv_step steps[OD_MAX_SIZES];               /* for sizes.at[i] images */
  od_prim pack_forward, pack_data;             /* masters -> pack */
  od_prim unpack;                              /* dw as the library sums it -> [K][R][S][C] */
  size_t data_offset;                          /* of backward-data's weights in the pack */
  size_t t_bytes, dw_bytes, db_bytes, scratch; /* parts of the workspace */
  const pass_kernels *pass;
  pass_pool pool;
} conv_stage;

/* What the library says about one number of images. */
typedef struct conv_plan {
  dnnl_primitive_desc_t forward, data, weights;
} conv_plan;

static void conv_plan_free(conv_plan *p) {
  if (p->forward) dnnl_primitive_desc_destroy(p->forward);
  if (p->data) dnnl_primitive_desc_destroy(p->data);
  if (p->weights) dnnl_primitive_desc_destroy(p->weights);
  *p = (conv_plan){0};
}

/* Images [n] descriptors of both edges and of everything else. */
typedef struct conv_descs {
  od_desc x, y, w, dw, master, b;
} conv_descs;

static void conv_descs_free(conv_descs *d) {
  od_desc_free(d->x);
  od_desc_free(d->y);
  od_desc_free(d->w);
  od_desc_free(d->dw);
  od_desc_free(d->master);
  od_desc_free(d->b);
}

static dnnl_status_t conv_descs_create(conv_descs *d, const stage_spec *s, int n) {
  const dnnl_dims_t x = {n, s->C, s->H, s->W}, y = {n, s->K, s->P, s->Q};
  const dnnl_dims_t w = {s->K, s->C, s->R, s->S}, b = {s->K};
  *d = (conv_descs){0};
  dnnl_status_t st = od_desc_create(&d->x, 4, x, s->x_type, dnnl_nhwc);
  if (!st) st = od_desc_create(&d->y, 4, y, s->y_type, dnnl_nhwc);
  if (!st) st = od_desc_create(&d->w, 4, w, s->x_type, dnnl_format_tag_any);
  if (!st) st = od_desc_create(&d->dw, 4, w, EDGE_F32, dnnl_format_tag_any);
  if (!st) st = od_desc_create(&d->master, 4, w, EDGE_F32, dnnl_ohwi);
  if (!st) st = od_desc_create(&d->b, 1, b, EDGE_F32, dnnl_x);
  return st;
}

/* Asks for all passes of n images. Weights take the layouts of `first`, the largest size's plan;
 * when that is NULL, those that the library likes best. *what names the pass under way. */
static dnnl_status_t conv_plan_create(conv_plan *p, const conv_stage *cs, int n,
                                      const conv_plan *first, const char **what) {
  const stage_spec *s = &cs->base.spec;
  conv_descs d;
  *p = (conv_plan){0};
  dnnl_status_t st = conv_descs_create(&d, s, n);
  od_conv c = {.x = d.x, .b = d.b, .y = d.y, .stride = s->stride, .pad = s->pad};
  *what = "convolution";
  c.w = first ? od_arg_desc(first->forward, DNNL_ARG_WEIGHTS) : d.w;
  if (!st)
    st = od_conv_desc(&cs->lib, OD_FORWARD, &c, s->relu ? cs->lib.relu : cs->lib.plain, NULL,
                      &p->forward);
  if (!st && cs->base.env.training && s->need_dx) {
    *what = "backward-data convolution";
    c.w = first ? od_arg_desc(first->data, DNNL_ARG_WEIGHTS) : d.w;
    st = od_conv_desc(&cs->lib, OD_BACKWARD_DATA, &c, cs->lib.plain, p->forward, &p->data);
  }
  if (!st && cs->base.env.training) {
    *what = "backward-weights convolution";
    c.w = first ? od_arg_desc(first->weights, DNNL_ARG_DIFF_WEIGHTS) : d.dw;
    st = od_conv_desc(&cs->lib, OD_BACKWARD_WEIGHTS, &c, cs->lib.plain, p->forward, &p->weights);
  }
  conv_descs_free(&d);
  return st;
}

static dnnl_status_t conv_step_create(conv_step *step, const od_lib *lib, const conv_plan *p) {
  static const int forward[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};
  static const int data[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC};
  static const int weights[] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS,
                                DNNL_ARG_DIFF_BIAS};
  dnnl_status_t st = od_prim_create(&step->forward, lib, p->forward, forward, 4);
  if (!st && p->data) st = od_prim_create(&step->data, lib, p->data, data, 3);
  if (!st && p->weights) st = od_prim_create(&step->weights, lib, p->weights, weights, 4);
  return st;
}

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

/* The pack and its conversions, and the gradient's way back to the masters' layout. */
static dnnl_status_t conv_layouts(conv_stage *cs, const conv_plan *first) {
  const stage_spec *s = &cs->base.spec;
  conv_descs d;
  dnnl_status_t st = conv_descs_create(&d, s, 1);
  const od_const_desc w = od_arg_desc(first->forward, DNNL_ARG_WEIGHTS);
  if (!st) st = od_prim_create_reorder(&cs->pack_forward, &cs->lib, d.master, w);
  cs->base.sizes.pack = mem_round(dnnl_memory_desc_get_size(w));
  if (!st && first->data) {
    const od_const_desc data = od_arg_desc(first->data, DNNL_ARG_WEIGHTS);
    if (!dnnl_memory_desc_equal(w, data)) {
      cs->data_offset = cs->base.sizes.pack;
      cs->base.sizes.pack += mem_round(dnnl_memory_desc_get_size(data));
      st = od_prim_create_reorder(&cs->pack_data, &cs->lib, d.master, data);
    }
  }
  if (!st && first->weights) {
    const od_const_desc dw = od_arg_desc(first->weights, DNNL_ARG_DIFF_WEIGHTS);
    cs->dw_bytes = mem_round(dnnl_memory_desc_get_size(dw));
    cs->db_bytes = mem_round((size_t)s->K * sizeof(float));
    st = od_prim_create_reorder(&cs->unpack, &cs->lib, dw, d.master);
  }
  conv_descs_free(&d);
  return st;
}

/* Images a chunk: what CHUNK_BYTES hold, or the weights' size where that is more (each chunk costs
 * a walk over dw), rounded down to a divisor of max_n unless that halves it. */
static int conv_chunk(const stage_spec *s, int max_n) {
  const size_t t = (size_t)s->P * s->Q * s->K * edge_size(s->y_type);
  const size_t w = (size_t)s->K * s->R * s->S * s->C * sizeof(float);
  const size_t fit = max_size(CHUNK_BYTES, w) / t;
  if (fit >= (size_t)max_n) return max_n;
  const int most = fit < 1 ? 1 : (int)fit;
  for (int chunk = most; chunk > most / 2; chunk--)
    if (max_n % chunk == 0) return chunk;
  return most;
}

static dnnl_status_t conv_build(conv_stage *cs, const char **what) {
  conv_plan first, p = {0};
  dnnl_status_t st = conv_plan_create(&first, cs, cs->sizes.at[0], NULL, what);
  if (!st) st = conv_layouts(cs, &first);
  for (int i = 0; i < cs->sizes.count && !st; i++) {
    st = conv_plan_create(&p, cs, cs->sizes.at[i], &first, what);
    if (!st) st = conv_step_create(&cs->steps[i], &cs->lib, &p);
    const conv_step *step = &cs->steps[i];
    cs->scratch = max_size(
        cs->scratch,
        max_size(step->forward.scratch, max_size(step->data.scratch, step->weights.scratch)));
    conv_plan_free(&p);
  }
  if (!st)
    snprintf(cs->base.detail, sizeof cs->base.detail, "%s, %d images a chunk",
             od_impl_name(first.forward), cs->sizes.at[0]);
  conv_plan_free(&first);
  return st;
}

/* The workspace: scratchpad | t or dt | dw, db of all chunks | dw, db of the newest. */
static void conv_workspace(conv_stage *cs) {
  const stage_spec *s = &cs->base.spec;
  cs->scratch = max_size(
      cs->scratch,
      max_size(cs->pack_forward.scratch, max_size(cs->pack_data.scratch, cs->unpack.scratch)));
  cs->scratch = mem_round(cs->scratch);
  if (s->pool_size)
    cs->t_bytes = mem_round((size_t)cs->sizes.at[0] * s->P * s->Q * s->K * edge_size(s->y_type));
  cs->base.sizes.workspace = cs->scratch + cs->t_bytes + 2 * (cs->dw_bytes + cs->db_bytes);
  if (s->pool_size && cs->base.env.training)
    cs->base.sizes.aux_per_image = (size_t)s->OP * s->OQ * s->K;
}

static bool conv_repack(stage *base, const float *w, const float *b, void *pack, void *workspace) {
  conv_stage *cs = (conv_stage *)base;
  (void)b; /* oneDNN reads the fp32 bias from the masters */
  const int before = od_threads_begin(base->env.threads);
  bool ok = od_prim_run(&cs->pack_forward, &cs->lib, (const void *[]){w, pack}, workspace);
  if (ok && cs->pack_data.primitive)
    ok = od_prim_run(&cs->pack_data, &cs->lib, (const void *[]){w, (char *)pack + cs->data_offset},
                     workspace);
  od_threads_end(before);
  return ok;
}

/* Bytes of one image on each edge. */
static size_t x_bytes(const stage_spec *s) {
  return (size_t)s->H * s->W * s->C * edge_size(s->x_type);
}
static size_t y_values(const stage_spec *s) { return (size_t)s->OP * s->OQ * s->K; }

static bool conv_forward(stage *base, const stage_io *io) {
  conv_stage *cs = (conv_stage *)base;
  const stage_spec *s = &base->spec;
  void *t = (char *)io->workspace + cs->scratch;
  const int before = od_threads_begin(base->env.threads);
  bool ok = true;
  for (int done = 0, n; done < io->n && ok; done += n) {
    const int i = od_sizes_pick(&cs->sizes, io->n - done);
    n = cs->sizes.at[i];
    const char *x = (const char *)io->x + done * x_bytes(s);
    char *y = (char *)io->y + done * y_values(s) * edge_size(s->y_type);
    ok = od_prim_run(&cs->steps[i].forward, &cs->lib,
                     (const void *[]){x, io->pack, io->b, s->pool_size ? t : y}, io->workspace);
    if (ok && s->pool_size)
      pass_pool_forward(cs->pass, s->y_type, &cs->pool, n, t, y,
                        io->aux ? (uint8_t *)io->aux + done * y_values(s) : NULL,
                        base->env.threads);
    if (ok && io->dropout)
      pass_activate(cs->pass, s->y_type, n * y_values(s), io->dropout + done * y_values(s),
                    s->dropout_scale, y, base->env.threads);
  }
  od_threads_end(before);
  return ok;
}

/* The gradient at the convolution's own output for images done .. done + n - 1. */
static void *conv_unpool(conv_stage *cs, const stage_io *io, int done, int n) {
  const stage_spec *s = &cs->base.spec;
  const size_t from = done * y_values(s), size = edge_size(s->y_type);
  char *dy = (char *)io->dy + from * size;
  if (s->pool_size) {
    void *dt = (char *)io->workspace + cs->scratch;
    pass_pool_backward(cs->pass, s->y_type, &cs->pool, n, (const uint8_t *)io->aux + from, dy, dt,
                       cs->base.env.threads);
    return dt;
  }
  if (s->relu)
    pass_relu_backward(cs->pass, s->y_type, n * y_values(s), (const char *)io->y + from * size,
                       io->dropout ? s->dropout_scale : 1.0f, dy, cs->base.env.threads);
  return dy;
}

/* Adds a chunk's share to the sums. */
static bool conv_weights(conv_stage *cs, const stage_io *io, int step, int done, const void *dt) {
  char *sums = (char *)io->workspace + cs->scratch + cs->t_bytes;
  char *part = sums + cs->dw_bytes + cs->db_bytes;
  const char *x = (const char *)io->x + done * x_bytes(&cs->base.spec);
  char *dw = done ? part : sums, *db = dw + cs->dw_bytes;
  if (!od_prim_run(&cs->steps[step].weights, &cs->lib, (const void *[]){x, dt, dw, db},
                   io->workspace))
    return false;
  if (done) /* db follows dw: one walk adds both */
    pass_add(cs->pass, (cs->dw_bytes + cs->db_bytes) / sizeof(float), (float *)part, (float *)sums,
             cs->base.env.threads);
  return true;
}

static bool conv_give_weights(conv_stage *cs, const stage_io *io) {
  char *sums = (char *)io->workspace + cs->scratch + cs->t_bytes;
  if (!od_prim_run(&cs->unpack, &cs->lib, (const void *[]){sums, io->dw}, io->workspace))
    return false;
  memcpy(io->db, sums + cs->dw_bytes, (size_t)cs->base.spec.K * sizeof(float));
  return true;
}

static bool conv_backward(stage *base, const stage_io *io) {
  conv_stage *cs = (conv_stage *)base;
  const stage_spec *s = &base->spec;
  const int before = od_threads_begin(base->env.threads);
  bool ok = true;
  for (int done = 0, n; done < io->n && ok; done += n) {
    const int i = od_sizes_pick(&cs->sizes, io->n - done);
    n = cs->sizes.at[i];
    const void *dt = conv_unpool(cs, io, done, n);
    if (io->dw) ok = conv_weights(cs, io, i, done, dt);
    if (ok && io->dx)
      ok = od_prim_run(&cs->steps[i].data, &cs->lib,
                       (const void *[]){dt, (const char *)io->pack + cs->data_offset,
                                        (char *)io->dx + done * x_bytes(s)},
                       io->workspace);
  }
  if (ok && io->dw) ok = conv_give_weights(cs, io);
  od_threads_end(before);
  return ok;
}

static void conv_destroy(stage *base) {
  conv_stage *cs = (conv_stage *)base;
  for (int i = 0; i < cs->sizes.count; i++) {
    od_prim_destroy(&cs->steps[i].forward);
    od_prim_destroy(&cs->steps[i].data);
    od_prim_destroy(&cs->steps[i].weights);
  }
  od_prim_destroy(&cs->pack_forward);
  od_prim_destroy(&cs->pack_data);
  od_prim_destroy(&cs->unpack);
  od_lib_close(&cs->lib);
  free(cs);
}

static const stage_ops conv_ops = {.repack = conv_repack,
                                   .forward = conv_forward,
                                   .backward = conv_backward,
                                   .destroy = conv_destroy};

vgg_status od_conv_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                           size_t size, vgg_error *err) {
  conv_stage *cs = calloc(1, sizeof *cs);
  if (!cs) return err_no_memory(err, "a convolution stage", sizeof *cs);
  cs->base = (stage){.ops = &conv_ops,
                     .backend = "onednn",
                     .spec = *spec,
                     .env = *env,
                     .sizes.library = OD_LIBRARY_BYTES};
  cs->pass = pass_kernels_for(env->isa);
  cs->pool = pass_pool_of(spec);
  cs->sizes = od_sizes_below(conv_chunk(spec, env->max_n));
  const char *what = "engine";
  dnnl_status_t st = od_lib_open(&cs->lib);
  if (!st) st = conv_build(cs, &what);
  if (st) {
    conv_destroy(&cs->base);
    return od_decline(st, what, env, why, size, err);
  }
  conv_workspace(cs);
  *out = &cs->base;
  return VGG_OK;
}
