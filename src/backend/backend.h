/* SPDX-License-Identifier: Apache-2.0
 *
 * Backends: who runs a stage fast.
 *
 * A stage is a fused run of layers, one of
 *
 *   conv     y = [maxpool] [dropout] [relu] (x * w + b)     x [n,H,W,C]  y [n,OP,OQ,K]
 *   linear   y = [dropout] [relu] (x w^T + b)               x [n,C]      y [n,K]
 *   norm     y = [maxpool] [relu] batchnorm(x)              x [n,H,W,K]  y [n,OP,OQ,K]
 *   lrn      y = [maxpool] lrn(x)                           likewise
 *   average  y = means of windows of x                      x [n,H,W,K]  y [n,P,Q,K]
 *
 * whose inner values do not exist outside it. In training a convolution in front of a batch norm is
 * a stage by itself; for inference the norm is folded into its weights, and no stage knows of it.
 * The gradient handed to a stage's backward is that of its *output*, before its ReLU mask, dropout
 * mask and pool scatter: those are the stage's own work. A stage with masks_dx may do a bare ReLU's
 * for the stage before, see stage_io.
 *
 * Prepare may fail, run may not: preparing chooses kernels and states all sizes; running allocates
 * nothing and fails only on an internal fault.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "op/op.h"
#include "op/rule.h"
#include "vgg/status.h"

typedef enum stage_kind {
  STAGE_CONV,
  STAGE_LINEAR,
  STAGE_NORM,
  STAGE_LRN,
  STAGE_AVERAGE
} stage_kind;
typedef enum edge_type { EDGE_F32, EDGE_BF16 } edge_type;

static inline size_t edge_size(edge_type t) { return t == EDGE_F32 ? 4 : 2; }

typedef struct stage_spec {
  stage_kind kind;
  int C, H, W;              /* input; linear: C units, H = W = 1 */
  int K, R, S, stride, pad; /* filter; linear: K units, R = S = 1; without products K = C */
  int P, Q;                 /* in front of the pool */
  bool relu;
  int pool_size, pool_stride; /* 0: no pool */
  int OP, OQ;                 /* the stage's output; P, Q without a pool */
  bool dropout;               /* after the ReLU; without a pool */
  float dropout_scale;        /* 1 / (1 - p) */
  float eps;                  /* norm */
  op_lrn_dims lrn;            /* lrn; `rows` is not used */
  edge_type x_type, y_type;   /* dx has x's type, dy has y's */
  bool need_dx;               /* false for the first stage */
} stage_spec;

static inline bool stage_has_products(const stage_spec *s) {
  return s->kind == STAGE_CONV || s->kind == STAGE_LINEAR;
}

/* Its ReLU's mask can be applied where the stage behind writes the gradient: see masks_dx. */
static inline bool stage_relu_is_bare(const stage_spec *s) {
  return s->relu && !s->pool_size && !s->dropout;
}

/* What all stages of a plan share. */
typedef struct stage_env {
  int max_n; /* most images a run takes; any 1 <= n <= max_n must be right */
  int threads;
  bool training;     /* backward will be called */
  bool bf16;         /* products may be taken in bf16, sums in fp32; masters are fp32 */
  bool no_winograd;  /* every convolution is to be summed directly */
  bool fuse_updates; /* a stage may leave its weights' gradient to its update */
  cpu_isa isa;       /* not beyond this */
} stage_env;

/* Bytes of what the engine gives a stage at run time. */
typedef struct stage_sizes {
  size_t pack;          /* the copies of weights that its kernels read; 0: reads the masters */
  size_t aux_per_image; /* kept from forward to backward, e.g. where each maximum was */
  size_t workspace;     /* scratch, shared by all stages, alive during one call only */
  size_t library;       /* what a library holds for it outside the arenas, as far as known */
} stage_sizes;

/* Everything a call reads and writes; lent by the engine. */
typedef struct stage_io {
  int n;
  const void *x;          /* [n,H,W,C] x_type */
  void *y;                /* [n,OP,OQ,K] y_type: forward writes, backward reads */
  void *aux;              /* [n][aux_per_image]; NULL in inference */
  const uint8_t *dropout; /* [n,OP,OQ,K] of 0 and 1; NULL: no dropout in this pass */
  void *dy;               /* backward: gradient of y; may be overwritten; of a stage that fuses
                           * its update, kept as backward leaves it until then */
  void *dx;               /* backward: written in x_type; NULL unless need_dx. Behind lrn's x
                           * stands a ReLU: where that gave 0, dx need not be right */
  bool mask_dx;           /* dx is to be 0 where x is not above 0: the ReLU that x comes from; of
                           * stages with masks_dx alone */
  bool dy_masked;         /* dy is so already; to mask it again changes nothing */
  float *dw, *db;         /* backward: written; [K][R][S][C] and [K]; NULL: not wanted,
                           * dw alone only where the stage fuses its update */
  const float *w, *b;     /* the fp32 masters; norm: scale and shift [K] */
  float *mean, *variance; /* norm [K]: see batch_statistics; backward reads the batch's */
  bool batch_statistics;  /* norm's forward writes mean and variance of x; else it reads them */
  void *pack;
  void *workspace;
} stage_io;

/* What becomes of a stage's weights in a step. */
typedef struct stage_update {
  const op_rule *rule;
  const op_rule_args *args;
  float *w;                         /* the masters */
  float *state[OP_RULE_MAX_STATES]; /* the rule's arrays at the same place */
} stage_update;

typedef struct stage stage;

typedef struct stage_ops {
  /* Rewrites the pack from the masters; called after every change of weights. */
  bool (*repack)(stage *s, const float *w, const float *b, void *pack, void *workspace);
  bool (*forward)(stage *s, const stage_io *io);
  bool (*backward)(stage *s, const stage_io *io);
  void (*destroy)(stage *s);
  /* Of stages with fuses_update alone: what they do with the gradient of their weights, which never
   * is anywhere as a whole. Called after backward with dw NULL, with the same x and dy.
   * gradient_finite: whether no element of it is an infinity or a NaN; gradient_norm2: the sum of
   * its squares; update: the weights' step. */
  bool (*gradient_finite)(stage *s, const stage_io *io);
  double (*gradient_norm2)(stage *s, const stage_io *io);
  bool (*update)(stage *s, const stage_io *io, const stage_update *u);
} stage_ops;

/* A prepared stage. A backend's own struct begins with it. */
struct stage {
  const stage_ops *ops;
  const char *backend;
  stage_spec spec;
  stage_env env;
  stage_sizes sizes;
  char detail[160]; /* kernels, for `describe --plan` */
  /* Its sums may have so many times the rounding error of a direct fp32 sum (eps32 * sqrt(terms) *
   * sum |ab|), derived where the algorithm is not the direct one; 0 stands for 1. */
  double error_factor;
  int warm_passes;   /* so many forwards after a repack are slower than all others */
  bool masks_dx;     /* see stage_io */
  bool fuses_update; /* only where the environment allows it */
};

/* About how long a stage takes, see backend/cost.h; an image. */
typedef struct stage_cost {
  double forward, backward;
} stage_cost;

/* One row of backends.def. */
typedef struct backend {
  const char *name;
  /* The library's name and version for `vgg info`. */
  const char *(*version)(void);
  /* What a stage would cost here, whether or not it is taken; cheap, prepares nothing. */
  stage_cost (*cost)(const stage_spec *spec, const stage_env *env);
  /* Prepares a stage. VGG_OK with *out NULL means "declined", with the reason in why[size].
   * Fails with VGG_NO_MEMORY or VGG_BUG. */
  vgg_status (*prepare)(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                        size_t size, vgg_error *err);
} backend;

/* Backends; of equal cost the first is tried first. NULL after the last. */
const backend *backend_at(size_t i);
/* NULL when this build has no such backend. */
const backend *backend_find(const char *name);

#endif
