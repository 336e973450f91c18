/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference backend: every stage by the plain float loops of src/op. It accepts everything.
 *
 * bf16 lives on the edges only: x, y and dy are widened when read, y and dx rounded when written,
 * and all between is float with the fp32 masters.
 *
 * Images are independent in forward and backward-data, so threads share them out; the gradients of
 * weights are summed in the order of the images. So no result depends on the number of threads.
 */
#ifndef BACKEND_REFERENCE_REFERENCE_H
#define BACKEND_REFERENCE_REFERENCE_H

#include "backend/backend.h"
#include "op/op.h"

typedef struct ref_stage {
  stage base;
  size_t x, z, y, w; /* floats: one image's input, convolution, output; all weights */
} ref_stage;

extern const stage_ops ref_conv_ops, ref_linear_ops, ref_plain_ops;

/* Fill in base.sizes and base.detail; false when a size does not fit size_t. */
bool ref_conv_plan(ref_stage *s);
bool ref_linear_plan(ref_stage *s);
bool ref_plain_plan(ref_stage *s);

op_pool_dims ref_pool_dims(const stage_spec *d, int n);

/* The reference backend reads the masters: nothing to do. */
bool ref_repack(stage *s, const float *w, const float *b, void *pack, void *workspace);
void ref_destroy(stage *s);

/* `count` values of an edge from element `first` on, as floats: lent from the edge itself when it
 * has floats, else written to scratch [count] and lent from there. */
const float *ref_load(edge_type type, const void *edge, size_t first, size_t count, float *scratch);
/* Where to write `count` floats for that place: the edge itself, or scratch. */
float *ref_target(edge_type type, void *edge, size_t first, float *scratch);
/* Rounds what was written to a ref_target; nothing to do for an edge of floats. */
void ref_store(edge_type type, void *edge, size_t first, size_t count, const float *values);

#endif
