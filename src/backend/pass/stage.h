/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages without products (norm, lrn, average) by the passes, for every backend that runs on the
 * CPU and wants to offer them under its name.
 *
 * norm and lrn with a pool go row by row: a row of the pool's output needs `size` rows of what
 * stands in front of it, which each thread makes in its own scratch; backward makes a row of the
 * gradient in front of the pool likewise. So nothing in front of the pool is ever whole.
 *
 * What differs between the threads' shares of a sum is the shape's alone: no result depends on how
 * many threads there are.
 */
#ifndef BACKEND_PASS_STAGE_H
#define BACKEND_PASS_STAGE_H

#include "backend/pass/pass.h"

/* Contract of backend.prepare; `name` is the backend's. */
vgg_status pass_prepare(const char *name, const stage_spec *spec, const stage_env *env, stage **out,
                        char *why, size_t size, vgg_error *err);

/* ---- for the kinds --------------------------------------------------------------------------- */

typedef struct pass_stage {
  stage base;
  const pass_kernels *kernels;
  pass_pool pool; /* size 0: none */
  size_t scratch; /* bytes of a thread's scratch, after `shared` bytes of the workspace */
  size_t shared;
} pass_stage;

/* Fill in sizes; false when one does not fit size_t. */
bool pass_norm_plan(pass_stage *s);
bool pass_lrn_plan(pass_stage *s);
bool pass_average_plan(pass_stage *s);
extern const stage_ops pass_norm_ops, pass_lrn_ops, pass_average_ops;

bool pass_repack(stage *s, const float *w, const float *b, void *pack, void *workspace);
void pass_destroy(stage *s);

/* The calling thread's scratch. */
void *pass_scratch(const pass_stage *s, const stage_io *io);

/* Bytes of `rows` rows [Q][K] in front of the pool, rounded. */
size_t pass_row_bytes(const pass_stage *s, int rows);

/* y [pixels][K] of x [pixels][K], for norm or lrn with its ReLU. */
typedef void (*pass_transform)(const pass_stage *s, const stage_io *io, int pixels, const void *x,
                               void *y);
/* The whole of y: transformed, pooled. A thread's scratch begins with `size` rows. */
void pass_forward_rows(const pass_stage *s, const stage_io *io, pass_transform transform);

/* The gradient in front of the pool, and of the ReLU, of row h of image i: in dy itself, or made
 * at `scratch`, which has room for a row. */
const void *pass_gradient_row(const pass_stage *s, const stage_io *io, int i, int h, void *scratch);

#endif
