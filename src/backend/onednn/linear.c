/* SPDX-License-Identifier: Apache-2.0
 *
 * linear + bias [+ ReLU] [+ dropout]
 *
 *   forward    y = x w^T + b; ReLU and dropout in place, in one pass (oneDNN's ReLU loses NaN)
 *   backward   dy masked in place (y > 0 says it all: a dropped unit's y is 0);
 *              db = rows of dy added, dw = dy^T x, dx = dy w
 *
 * The weights are the traffic here, so the whole batch goes through at once. Products are oneDNN's
 * matmul: x is [n][C], w [K][C] and its transpose only a matter of strides.
 */
#include <stdio.h>
#include <stdlib.h>

#include "backend/onednn/onednn.h"
#include "backend/onednn/repack.h"
#include "base/error.h"
#include "base/memory.h"

typedef struct linear_step {
  od_prim forward, data;
  od_prim weights, weights_add; /* dw = and dw += */
} linear_step;

typedef struct linear_stage {
  stage base;
  od_lib lib;
  od_sizes sizes;
  linear_step steps[OD_MAX_SIZES]; /* for sizes.at[i] images */
  od_repack *repack;               /* masters -> pack; NULL: the two below */
  od_prim pack_forward, pack_data; /* empty: the masters serve as they are */
  size_t data_offset;              /* of backward-data's weights in the pack */
  size_t scratch, dy_bytes;        /* parts of the workspace; dy in bf16 if the edge is wider */
  edge_type type;                  /* of the products' factors */
  const pass_kernels *pass;
} linear_stage;

typedef struct linear_plan {
  dnnl_primitive_desc_t forward, data, weights, weights_add;
} linear_plan;

static void linear_plan_free(linear_plan *p) {
  if (p->forward) dnnl_primitive_desc_destroy(p->forward);
  if (p->data) dnnl_primitive_desc_destroy(p->data);
  if (p->weights) dnnl_primitive_desc_destroy(p->weights);
  if (p->weights_add) dnnl_primitive_desc_destroy(p->weights_add);
  *p = (linear_plan){0};
}

typedef struct linear_descs {
  od_desc x, y, b;          /* [n][C], [n][K], [1][K] */
  od_desc dy, dy_t;         /* the product's factor [n][K] and its transpose [K][n] */
  od_desc w_t, w;           /* [C][K] and [K][C], layout free */
  od_desc master_t, master; /* the same two views of the fp32 masters */
} linear_descs;

static void linear_descs_free(linear_descs *d) {
  od_desc *const all[] = {&d->x,   &d->y, &d->b,        &d->dy,    &d->dy_t,
                          &d->w_t, &d->w, &d->master_t, &d->master};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) od_desc_free(*all[i]);
}

static dnnl_status_t linear_descs_create(linear_descs *d, const linear_stage *ls, int n) {
  const stage_spec *s = &ls->base.spec;
  const dnnl_dims_t x = {n, s->C}, y = {n, s->K}, b = {1, s->K}, dy_t = {s->K, n};
  const dnnl_dims_t w_t = {s->C, s->K}, w = {s->K, s->C};
  *d = (linear_descs){0};
  dnnl_status_t st = od_desc_create(&d->x, 2, x, s->x_type, dnnl_ab);
  if (!st) st = od_desc_create(&d->y, 2, y, s->y_type, dnnl_ab);
  if (!st) st = od_desc_create(&d->b, 2, b, EDGE_F32, dnnl_ab);
  if (!st) st = od_desc_create(&d->dy, 2, y, ls->type, dnnl_ab);
  if (!st) st = od_desc_create(&d->dy_t, 2, dy_t, ls->type, dnnl_ba);
  if (!st) st = od_desc_create(&d->w_t, 2, w_t, ls->type, dnnl_format_tag_any);
  if (!st) st = od_desc_create(&d->w, 2, w, ls->type, dnnl_format_tag_any);
  if (!st) st = od_desc_create(&d->master_t, 2, w_t, EDGE_F32, dnnl_ba);
  if (!st) st = od_desc_create(&d->master, 2, w, EDGE_F32, dnnl_ab);
  return st;
}

/* Asks for all passes of n rows, as conv_plan_create. */
static dnnl_status_t linear_plan_create(linear_plan *p, const linear_stage *ls, int n,
                                        const linear_plan *first, const char **what) {
  const stage_spec *s = &ls->base.spec;
  const od_lib *lib = &ls->lib;
  linear_descs d;
  *p = (linear_plan){0};
  dnnl_status_t st = linear_descs_create(&d, ls, n);
  *what = "matrix product";
  if (!st)
    st = od_matmul_desc(lib, d.x, first ? od_arg_desc(first->forward, DNNL_ARG_WEIGHTS) : d.w_t,
                        d.b, d.y, lib->plain, &p->forward);
  if (!st && ls->base.env.training && s->need_dx) {
    *what = "backward-data matrix product";
    st = od_matmul_desc(lib, d.dy, first ? od_arg_desc(first->data, DNNL_ARG_WEIGHTS) : d.w, NULL,
                        d.x, lib->plain, &p->data);
  }
  if (!st && ls->base.env.training) {
    *what = "backward-weights matrix product";
    st = od_linear_weights_desc(lib, d.x, d.master, d.dy, lib->plain, &p->weights);
    if (!st && first)
      st = od_matmul_desc(lib, d.dy_t, d.x, NULL, d.master, lib->add, &p->weights_add);
  }
  linear_descs_free(&d);
  return st;
}

static dnnl_status_t linear_step_create(linear_step *step, const od_lib *lib,
                                        const linear_plan *p) {
  static const int forward[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};
  static const int product[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
  static const int weights[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS};
  dnnl_status_t st = od_prim_create(&step->forward, lib, p->forward, forward, 4);
  if (!st && p->data) st = od_prim_create(&step->data, lib, p->data, product, 3);
  if (!st && p->weights) st = od_prim_create(&step->weights, lib, p->weights, weights, 3);
  if (!st && p->weights_add)
    st = od_prim_create(&step->weights_add, lib, p->weights_add, product, 3);
  return st;
}

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

/* A layout in which the library reads the masters as they are needs no copy in the pack. */
static dnnl_status_t linear_pack(linear_stage *ls, od_prim *convert, od_const_desc from,
                                 od_const_desc to, size_t *offset) {
  if (dnnl_memory_desc_equal(from, to)) return dnnl_success;
  *offset = ls->base.sizes.pack;
  ls->base.sizes.pack += mem_round(dnnl_memory_desc_get_size(to));
  return od_prim_create_reorder(convert, &ls->lib, from, to);
}

static dnnl_status_t linear_layouts(linear_stage *ls, const linear_plan *first) {
  const stage_spec *s = &ls->base.spec;
  const od_const_desc w_t = od_arg_desc(first->forward, DNNL_ARG_WEIGHTS);
  const od_const_desc w = first->data ? od_arg_desc(first->data, DNNL_ARG_WEIGHTS) : NULL;
  size_t none;
  linear_descs d;
  dnnl_status_t st = linear_descs_create(&d, ls, 1);
  if (!st) st = linear_pack(ls, &ls->pack_forward, d.master_t, w_t, &none);
  if (!st && w) st = linear_pack(ls, &ls->pack_data, d.master, w, &ls->data_offset);
  linear_descs_free(&d);
  ls->repack = od_repack_for(s->K, s->C, ls->type, ls->base.env.isa, w_t, w);
  return st;
}

static dnnl_status_t linear_build(linear_stage *ls, const char **what) {
  linear_plan first, p = {0};
  dnnl_status_t st = linear_plan_create(&first, ls, ls->sizes.at[0], NULL, what);
  if (!st) st = linear_layouts(ls, &first);
  size_t scratch = max_size(ls->pack_forward.scratch, ls->pack_data.scratch);
  for (int i = 0; i < ls->sizes.count && !st; i++) {
    st = linear_plan_create(&p, ls, ls->sizes.at[i], &first, what);
    if (!st) st = linear_step_create(&ls->steps[i], &ls->lib, &p);
    const linear_step *step = &ls->steps[i];
    scratch = max_size(scratch, max_size(step->forward.scratch, step->data.scratch));
    scratch = max_size(scratch, max_size(step->weights.scratch, step->weights_add.scratch));
    linear_plan_free(&p);
  }
  if (!st)
    snprintf(ls->base.detail, sizeof ls->base.detail, "matmul %s", od_impl_name(first.forward));
  linear_plan_free(&first);
  ls->scratch = mem_round(scratch);
  return st;
}

static bool linear_repack(stage *base, const float *w, const float *b, void *pack,
                          void *workspace) {
  linear_stage *ls = (linear_stage *)base;
  (void)b; /* oneDNN reads the fp32 bias from the masters */
  char *data = ls->pack_data.primitive ? (char *)pack + ls->data_offset : NULL;
  if (ls->repack) {
    ls->repack(base->spec.K, base->spec.C, w, pack, data, base->env.threads);
    return true;
  }
  const int before = od_threads_begin(base->env.threads);
  bool ok = true;
  if (ls->pack_forward.primitive)
    ok = od_prim_run(&ls->pack_forward, &ls->lib, (const void *[]){w, pack}, workspace);
  if (ok && data) ok = od_prim_run(&ls->pack_data, &ls->lib, (const void *[]){w, data}, workspace);
  od_threads_end(before);
  return ok;
}

static bool linear_forward(stage *base, const stage_io *io) {
  linear_stage *ls = (linear_stage *)base;
  const stage_spec *s = &base->spec;
  const size_t x_row = s->C * edge_size(s->x_type), y_row = s->K * edge_size(s->y_type);
  const void *w = ls->pack_forward.primitive ? io->pack : io->w;
  const int before = od_threads_begin(base->env.threads);
  bool ok = true;
  for (int done = 0, i; done < io->n && ok; done += ls->sizes.at[i]) {
    i = od_sizes_pick(&ls->sizes, io->n - done);
    ok = od_prim_run(&ls->steps[i].forward, &ls->lib,
                     (const void *[]){(const char *)io->x + done * x_row, w, io->b,
                                      (char *)io->y + done * y_row},
                     io->workspace);
  }
  if (ok && s->relu)
    pass_activate(ls->pass, s->y_type, (size_t)io->n * s->K, io->dropout, s->dropout_scale, io->y,
                  base->env.threads);
  od_threads_end(before);
  return ok;
}

/* dy behind dropout and ReLU, in the products' type. */
static const void *linear_mask(linear_stage *ls, const stage_io *io) {
  const stage_spec *s = &ls->base.spec;
  const size_t count = (size_t)io->n * s->K;
  if (s->relu)
    pass_relu_backward(ls->pass, s->y_type, count, io->y, io->dropout ? s->dropout_scale : 1.0f,
                       io->dy, ls->base.env.threads);
  if (s->y_type == ls->type) return io->dy;
  void *narrow = (char *)io->workspace + ls->scratch;
  pass_to_bf16(ls->pass, count, io->dy, narrow, ls->base.env.threads);
  return narrow;
}

static bool linear_backward(stage *base, const stage_io *io) {
  linear_stage *ls = (linear_stage *)base;
  const stage_spec *s = &base->spec;
  const size_t x_row = s->C * edge_size(s->x_type), dy_row = s->K * edge_size(ls->type);
  const int before = od_threads_begin(base->env.threads);
  const char *factor = linear_mask(ls, io);
  const void *w = io->w;
  if (ls->pack_data.primitive) w = (const char *)io->pack + ls->data_offset;
  if (io->dw) pass_sum_rows(ls->pass, s->y_type, io->n, s->K, io->dy, io->db, base->env.threads);
  bool ok = true;
  for (int done = 0, i; done < io->n && ok; done += ls->sizes.at[i]) {
    i = od_sizes_pick(&ls->sizes, io->n - done);
    linear_step *step = &ls->steps[i];
    const void *x = (const char *)io->x + done * x_row, *dy = factor + done * dy_row;
    if (io->dw)
      ok = od_prim_run(done ? &step->weights_add : &step->weights, &ls->lib,
                       (const void *[]){dy, x, io->dw}, io->workspace);
    if (ok && io->dx)
      ok = od_prim_run(&step->data, &ls->lib,
                       (const void *[]){dy, w, (char *)io->dx + done * x_row}, io->workspace);
  }
  od_threads_end(before);
  return ok;
}

static void linear_destroy(stage *base) {
  linear_stage *ls = (linear_stage *)base;
  for (int i = 0; i < ls->sizes.count; i++) {
    od_prim_destroy(&ls->steps[i].forward);
    od_prim_destroy(&ls->steps[i].data);
    od_prim_destroy(&ls->steps[i].weights);
    od_prim_destroy(&ls->steps[i].weights_add);
  }
  od_prim_destroy(&ls->pack_forward);
  od_prim_destroy(&ls->pack_data);
  od_lib_close(&ls->lib);
  free(ls);
}

static const stage_ops linear_ops = {.repack = linear_repack,
                                     .forward = linear_forward,
                                     .backward = linear_backward,
                                     .destroy = linear_destroy};

vgg_status od_linear_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                             size_t size, vgg_error *err) {
  linear_stage *ls = calloc(1, sizeof *ls);
  if (!ls) return err_no_memory(err, "a linear stage", sizeof *ls);
  ls->base = (stage){.ops = &linear_ops,
                     .backend = "onednn",
                     .spec = *spec,
                     .env = *env,
                     .sizes.library = OD_LIBRARY_BYTES};
  ls->type = env->bf16 ? EDGE_BF16 : EDGE_F32;
  ls->pass = pass_kernels_for(env->isa);
  ls->sizes = od_sizes_below(env->max_n);
  const char *what = "engine";
  dnnl_status_t st = od_lib_open(&ls->lib);
  if (!st) st = linear_build(ls, &what);
  if (st) {
    linear_destroy(&ls->base);
    return od_decline(st, what, env, why, size, err);
  }
  if (spec->y_type != ls->type && env->training)
    ls->dy_bytes = mem_round((size_t)env->max_n * spec->K * edge_size(ls->type));
  ls->base.sizes.workspace = ls->scratch + ls->dy_bytes;
  *out = &ls->base;
  return VGG_OK;
}
