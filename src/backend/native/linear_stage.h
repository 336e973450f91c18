/* SPDX-License-Identifier: Apache-2.0
 *
 * A linear stage from the inside; linear_stage.c runs forward and backward-data,
 * linear_by_input.c forward of a single image, linear_gradient.c the weights' gradient.
 */
#ifndef NATIVE_LINEAR_STAGE_H
#define NATIVE_LINEAR_STAGE_H

#include "backend/native/linear.h"
#include "backend/native/native.h"
#include "backend/pass/pass.h"
#include "base/bf16.h"

typedef struct linear_stage {
  stage base;
  const linear_kernels *kernels;
  const pass_kernels *pass;
  int few;        /* forward of so many images takes dot products */
  size_t shared;  /* floats of the packed factor that all threads read */
  size_t scratch; /* floats for one thread */
  /* By input: an image was seen; all weights in the pack are finite; inputs that are there. */
  bool warm, finite;
  size_t turned;
} linear_stage;

static inline size_t linear_least(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t linear_most(size_t a, size_t b) { return a > b ? a : b; }
/* Of at most `by` each. */
static inline size_t linear_parts(size_t x, size_t by) { return (x + by - 1) / by; }
static inline size_t linear_round(size_t x, size_t to) { return linear_parts(x, to) * to; }

/* Thread `thread` of `all` takes units begin .. end - 1 of `count`. */
typedef struct linear_range {
  size_t begin, end;
} linear_range;
linear_range linear_range_of(size_t count);

/* This thread's part of the workspace. */
float *linear_scratch(const linear_stage *s, const stage_io *io);

/* to[at] = value, rounded to the type. */
static inline void linear_store(edge_type type, void *to, size_t at, float value) {
  if (type == EDGE_F32)
    ((float *)to)[at] = value;
  else
    ((bf16 *)to)[at] = bf16_from_float(value);
}

/* A call's share, one of `calls`, of `rows` rows of weights from `at` on, `width` floats of each;
 * the call goes through `depth` steps. */
linear_ahead linear_share(const linear_stage *s, const float *at, size_t rows, size_t width,
                          size_t call, size_t calls, size_t depth);

/* a of `rows` columns of a matrix with `step` values from row to row, rows 0 .. depth - 1 of each.
 */
void linear_pack_a_transposed(const linear_kernels *k, edge_type type, int rows, size_t depth,
                              const void *from, size_t step, float *a);

/* Of forward by inputs: the first image reads the masters, each of the others turns its part. */
enum { LINEAR_WARM_PASSES = 17 };

/* Forward of one image by inputs: floats of the pack, of the shared part of the workspace and for
 * each thread; a pack of nothing, for new masters; y without its ReLU. */
size_t linear_by_input_pack(const linear_stage *s);
size_t linear_by_input_shared(const linear_stage *s);
size_t linear_by_input_scratch(const linear_stage *s);
void linear_by_input_reset(linear_stage *s);
void linear_forward_by_input(linear_stage *s, const stage_io *io);

/* Floats that the weights' gradient needs in the workspace, shared and for each thread. */
size_t linear_gradient_shared(const linear_stage *s);
size_t linear_gradient_scratch(const linear_stage *s);

/* dw from x and the masked dy, both as io has them. */
void linear_weight_gradient(const linear_stage *s, const stage_io *io);

/* The sum of the squares of `count` values. */
double linear_norm2(const linear_stage *s, edge_type type, size_t count, const void *values);

/* Floats that linear_gradient_norm2 needs in the workspace, for each thread. */
size_t linear_norm_scratch(const linear_stage *s);

/* See stage_ops. */
bool linear_gradient_finite(stage *base, const stage_io *io);
double linear_gradient_norm2(stage *base, const stage_io *io);
bool linear_update(stage *base, const stage_io *io, const stage_update *u);

#endif
