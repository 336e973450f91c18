/* SPDX-License-Identifier: Apache-2.0
 *
 * The onednn backend: products by oneDNN, everything between them by backend/pass.
 *
 * Work goes through a stage in chunks of images, so that what a stage makes and forgets (a
 * convolution's output before its pool, the gradient before the scatter) stays in the caches.
 * oneDNN's primitives have a fixed number of images: a stage has them for its chunk and for the
 * powers of two below it, and covers any n with the largest that still fit.
 */
#ifndef BACKEND_ONEDNN_ONEDNN_H
#define BACKEND_ONEDNN_ONEDNN_H

#include "backend/backend.h"
#include "backend/onednn/prim.h"
#include "backend/pass/pass.h"

enum {
  OD_MAX_SIZES = 32,
  OD_LIBRARY_BYTES = 1 << 20, /* generated code and tables of a stage's primitives, as observed */
};

/* Numbers of images for which primitives exist, largest first; the last is 1. */
typedef struct od_sizes {
  int count, at[OD_MAX_SIZES];
} od_sizes;

od_sizes od_sizes_below(int chunk);
/* The largest size not above `left` >= 1. */
int od_sizes_pick(const od_sizes *s, int left);

/* oneDNN takes as many threads as OpenMP would start; it must be the same at creation and run. */
int od_threads_begin(int threads); /* returns what od_threads_end restores */
void od_threads_end(int before);

/* The kind's own prepare; contract of backend.prepare, `isa` already set. */
vgg_status od_conv_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                           size_t size, vgg_error *err);
vgg_status od_linear_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                             size_t size, vgg_error *err);

/* Turns a failure of preparing into the contract's answer: out of memory is an error, everything
 * else a reason to decline. `what`: the pass that has no kernel. */
vgg_status od_decline(dnnl_status_t st, const char *what, const stage_env *env, char *why,
                      size_t size, vgg_error *err);

#endif
